"""The generator of pairs: the same bytes for the same arguments, files that airlift reads, numbers like real ones."""

from pathlib import Path

import numpy as np
import pytest
import zstandard

from airlift.codec.ulp import ulp
from airlift.tensors.element import Element
from airlift.tensors.formats.safetensors import read_spans
from airlift.tensors.matching.adapters import find_adapters, pairs
from tests.bench import generate as bench
from tests.bench.codec_speed import read_pair
from tests.bench.generate import Recipe, generate, parse_size
from tests.bench.model import Kind, Role, layout

SIZE = 2_000_000


def contents(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*.safetensors"))
    }


@pytest.mark.parametrize("kind", list(Kind))
@pytest.mark.parametrize("dtype", bench.DTYPES)
def test_same_arguments_same_bytes(tmp_path: Path, kind: Kind, dtype: str) -> None:
    for name in ("one", "two"):
        generate(tmp_path / name, 200_000, 2, Recipe(kind, dtype))
    generate(tmp_path / "other", 200_000, 2, Recipe(kind, dtype, seed=2))
    first = contents(tmp_path / "one")
    assert first == contents(tmp_path / "two")
    assert all(first[path] != data for path, data in contents(tmp_path / "other").items())


def test_blocks_do_not_depend_on_threads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    generate(tmp_path / "many", SIZE)
    monkeypatch.setattr("os.cpu_count", lambda: 1)
    generate(tmp_path / "one", SIZE)
    assert contents(tmp_path / "many") == contents(tmp_path / "one")


def test_files_are_of_the_size_asked_for(tmp_path: Path) -> None:
    generate(tmp_path / "pair", SIZE, 4)
    for side in ("base", "target"):
        files = sorted((tmp_path / "pair" / side).iterdir())
        assert len(files) == 4
        assert sum(path.stat().st_size for path in files) == pytest.approx(SIZE, rel=0.03)
        assert all(read_spans(path) for path in files)


def test_names_differ_between_files() -> None:
    names = [tensor.name for number in range(3) for tensor in layout(SIZE, number)]
    assert len(names) == len(set(names))


# Share of equal elements and coded size of the real pairs (all-MiniLM-L6-v2): 0.564 and 0.122, 0.993 and 0.0025,
# 0.592 and 0.137; of fp16 0.406 and 0.233. A far one has no real pair beside it: see the next test.
@pytest.mark.parametrize(
    ("recipe", "equal", "coded"),
    [
        (Recipe(Kind.SFT), 0.56, 0.125),
        (Recipe(Kind.FAR), 0.11, 0.30),
        (Recipe(Kind.RL), 0.992, 0.004),
        (Recipe(Kind.LORA), 0.58, 0.14),
        (Recipe(Kind.SFT, "f16"), 0.40, 0.24),
    ],
)
def test_numbers_are_like_those_of_real_pairs(
    tmp_path: Path, recipe: Recipe, equal: float, coded: float
) -> None:
    generate(tmp_path / "pair", SIZE, 1, recipe)
    base, target = (next((tmp_path / "pair" / side).iterdir()) for side in ("base", "target"))
    numbers = [np.fromfile(path, "<u2") for path in (base, target)]
    assert np.mean(numbers[0] == numbers[1]) == pytest.approx(equal, abs=0.03)
    plans = [
        ulp.plan(block.new, block.base, block.element, block.rows)
        for block in read_pair(target, base, 8 << 20)
    ]
    size = sum(len(ulp.write(plan)) for plan in plans if plan is not None)
    assert size / target.stat().st_size == pytest.approx(coded, rel=0.2, abs=0.003)


def test_a_far_pair_is_as_far_as_published_instruct_models(tmp_path: Path) -> None:
    generate(tmp_path / "pair", SIZE, 1, Recipe(Kind.FAR))
    base, target = (
        np.fromfile(next((tmp_path / "pair" / side).iterdir()), "<u2") for side in ("base", "target")
    )
    planes = (base ^ target).view(np.uint8).reshape(-1, 2).T.tobytes()
    assert len(zstandard.ZstdCompressor(level=1).compress(planes)) / target.nbytes == pytest.approx(
        0.40, abs=0.01
    )


def test_an_adapter_explains_its_merge(tmp_path: Path) -> None:
    generate(tmp_path / "pair", SIZE, 1, Recipe(Kind.LORA))
    found = pairs([(0, read_spans(tmp_path / "pair" / "adapter" / "adapter_model.safetensors"))])
    target = read_spans(next((tmp_path / "pair" / "target").iterdir()))
    merged = {tensor.name for tensor in layout(SIZE, 0) if tensor.role is Role.MATRIX}
    assert {span.name for span in target if any(find_adapters(span, found))} == merged
    assert all(span.element is Element.BF16 for span in target)


def test_sizes_are_decimal() -> None:
    assert [parse_size(text) for text in ("4G", "0.1G", "250M", "7k", "12")] == [
        4 * 10**9,
        10**8,
        25 * 10**7,
        7000,
        12,
    ]


def test_a_quantised_pair_has_few_numbers_a_row(tmp_path: Path) -> None:
    generate(tmp_path / "pair", SIZE, 1, Recipe(Kind.INT8))
    path = next((tmp_path / "pair" / "target").iterdir())
    data = path.read_bytes()
    spans = [span for span in read_spans(path) if len(span.shape) == 2 and "pooler" not in span.name]
    rows = [np.frombuffer(data[span.start : span.end], "<u2").reshape(span.shape) for span in spans]
    assert all(len(np.unique(row & 0x7FFF)) <= 128 for tensor in rows for row in tensor)
