import numpy as np
import pytest

from airlift import codec
from airlift.codec.decoding import CODECS
from airlift.codec.payload_sizes import part_sizes
from airlift.tensors.element import Element
from airlift.tensors.matching.hint import Adapter, Conversion, Grid, Hint, LowRank, Rule, ScalesFrom
from tests.support import quantisers
from tests.support.merges import merge
from tests.support.tensors import weights

MERGE = merge(400, 320)


def coded(sources: list[bytes], target: bytes, hint: Hint = None) -> tuple[str, dict[str, int], int]:
    """Return the codec's name, the parts, and their sum, which is the payload's length."""
    made = codec.encode(target, sources, Element.BF16, [(320, 400 * 320)], hint=hint)
    found = part_sizes(made.codec, made.payload)
    assert sum(found.values()) == len(made.payload)
    return CODECS[made.codec].name, found, len(made.payload)


def test_of_ulp() -> None:
    name, found, size = coded([weights(Element.BF16)], weights(Element.BF16, step=0.01))
    assert (name, list(found)) == ("ulp", ["words", "raw bits", "scales", "tables"])
    assert found["words"] > size / 2
    assert all(found.values())


def test_of_a_low_rank() -> None:
    name, found, _ = coded([MERGE.base], MERGE.target, LowRank(320))
    assert name == "lowrank"
    assert 2 * 3 * (400 + 320) * 0.7 < found["factors"] < 2 * 3 * (400 + 320) + 100
    assert found["words"] > 0


@pytest.mark.parametrize("scale", [2.0, 1.99])
def test_of_an_adapter(scale: float) -> None:
    """One that explains a merge leaves nothing; another scale leaves words."""
    hint = Adapter(left=Element.F32, right=Element.F32, columns=320, rank=3, scale=scale)
    name, found, _ = coded([MERGE.base, MERGE.b, MERGE.a], MERGE.target, hint)
    assert (name, found["factors"], "words" in found) == ("adapter", 20, scale != 2)


def test_of_numbers_in_too_wide_a_type() -> None:
    old, new = (
        b"".join(b"\0\0" + data[n : n + 2] for n in range(0, 8000, 2)) for data in (MERGE.base, MERGE.target)
    )
    made = codec.encode(new, [old], Element.F32)
    found = part_sizes(made.codec, made.payload)
    assert (codec.names()[made.codec], found["header"]) == ("narrow", 4)
    assert sum(found.values()) == len(made.payload)


def test_of_converted_numbers() -> None:
    """With a byte that is wrong, and scales of their own."""
    matrix = quantisers.model(64, 96)
    target, scales = quantisers.compressed_tensors(matrix)
    hint = Conversion(
        rule=Rule.SCALE, source=Element.BF16, columns=96, scales_from=ScalesFrom.PAYLOAD, scale=Element.BF16,
        work=Element.BF16, group=(1, 0), scales=scales,
    )  # fmt: skip
    made = codec.encode(bytes([target[0] ^ 1]) + target[1:], [matrix.tobytes()], Element.F8_E4M3, hint=hint)
    found = part_sizes(made.codec, made.payload)
    assert codec.names()[made.codec] == "convert"
    assert 32 + 64 < found["header"] <= 32 + 128 + 11
    assert sum(found.values()) == len(made.payload)
    assert len(found) > 1


def test_of_dequantised_numbers() -> None:
    steps, scales = (
        np.random.default_rng(1).integers(-7, 8, (64, 96)),
        np.linspace(0.01, 0.02, 64, dtype="<f4"),
    )
    target = (steps.astype("<f4") * scales[:, None]).tobytes()
    made = codec.encode(target, [], Element.F32, hint=Grid(columns=96, group=(1, 0), steps=Element.I8))
    found = part_sizes(made.codec, made.payload)
    assert codec.names()[made.codec] == "grid"
    assert 28 + 3 * 64 < found["header"] <= 28 + 4 * 64 + 21
    assert sum(found.values()) == len(made.payload)


@pytest.mark.parametrize(
    ("sources", "target", "expected"),
    [
        ([], b"a" * 1000, {"zstd"}),
        ([MERGE.base], MERGE.base, set()),
        ([], bytes(range(9)), {"raw"}),
    ],
)
def test_of_others(sources: list[bytes], target: bytes, expected: set[str]) -> None:
    """Their payload is one part; an equal block has none."""
    made = codec.encode(target, sources, Element.BYTES)
    assert set(part_sizes(made.codec, made.payload)) == expected
