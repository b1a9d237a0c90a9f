"""How merges are explained on the way out: by adapters at hand, by a low rank, or not; and how they come in again."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from airlift.high.enclave.check_content import check_content
from airlift.high.importing.import_bundle import import_bundle
from airlift.high.importing.repair import repair
from airlift.low.bundle.planning.find_hints import find_hints
from airlift.tensors.element import Element
from airlift.tensors.formats.safetensors import parse_header
from airlift.tensors.matching.hint import Adapter, LowRank
from airlift.tensors.matching.match import FileSpans, Segment, Source, match
from airlift.tensors.matching.order import adapter_holders, order
from airlift.tensors.matching.segment import merge as merged
from airlift.tensors.span import tile
from tests.support import keys
from tests.support.depots import Components, Site, signed_site
from tests.support.enclaves import fresh, operator
from tests.support.merges import Merge, merge
from tests.support.rebuild import load_bundle, rebuild
from tests.support.weights import noise, safetensors

MERGE = merge(128, 192, 3)
NAMES = "base_model.model.h.q.lora_A.weight", "base_model.model.h.q.lora_B.weight"


def model(made: Merge, data: bytes, bias: int = 0) -> bytes:
    return safetensors(
        {
            "h.q.bias": ("BF16", (8,), bytes([bias] * 16)),
            "h.q.weight": ("BF16", (made.rows, made.columns), data),
        }
    )


def adapter(made: Merge, *, transposed: bool = False) -> bytes:
    rows, columns = (made.columns, made.rows) if transposed else (made.rows, made.columns)
    return safetensors(
        {NAMES[0]: ("F32", (made.rank, columns), made.a), NAMES[1]: ("F32", (rows, made.rank), made.b)}
    )


def spans(path: str, data: bytes) -> FileSpans:
    length = int.from_bytes(data[:8], "little")
    return FileSpans(path, path, len(data), tile(parse_header(data[8 : 8 + length], len(data)), len(data)))


def predicted(targets: Sequence[bytes], bases: Sequence[bytes]) -> list[list[Segment]]:
    """Return the segments of targets (files ``model``, then ``other``) against bases of the same names."""
    names = ("model", "other")
    after, before = ([spans(*pair) for pair in zip(names, group, strict=False)] for group in (targets, bases))
    data, files = [*bases, *targets], [*before, *after]

    def read(number: int, start: int, end: int) -> bytes:
        return data[number][start:end]

    return find_hints(files, len(before), [merged(parts) for parts in match(files, len(before), read)], read)


def only_hint(parts: Sequence[Segment]) -> Segment:
    (found,) = (part for part in parts if part.hint is not None)
    return found


OLD, NEW = model(MERGE, MERGE.base), model(MERGE, MERGE.target)
START = len(NEW) - len(MERGE.target)


def test_an_adapter_in_the_baseline_explains_a_merge() -> None:
    pair = adapter(MERGE)
    part = only_hint(predicted([NEW], [OLD, pair])[0])
    assert part.hint == Adapter(left=Element.F32, right=Element.F32, columns=192, rank=3, scale=2.0)
    assert (part.start, part.end, part.row) == (START, len(NEW), 192)
    b, a = len(pair) - len(MERGE.b), len(pair) - len(MERGE.b) - len(MERGE.a)
    assert part.sources == (Source(0, START, len(NEW)), Source(1, b, len(pair)), Source(1, a, b))


def test_an_adapter_of_the_same_bundle_comes_first() -> None:
    files = [spans("model", NEW), spans("other", adapter(MERGE))]
    assert order(files) == [1, 0]
    assert adapter_holders(files) == {1}
    found = predicted([adapter(MERGE), NEW], [OLD])
    assert {source.file for source in only_hint(found[1]).factors} == {1}


def test_an_adapter_that_comes_later_explains_nothing() -> None:
    assert only_hint(predicted([NEW, adapter(MERGE)], [OLD])[0]).hint == LowRank(192)


def test_a_transposed_adapter_explains_a_merge() -> None:
    made = merge(128, 192, 3, transposed=True)
    pair = adapter(made, transposed=True)
    part = only_hint(predicted([model(made, made.target)], [model(made, made.base), pair])[0])
    assert isinstance(part.hint, Adapter)
    assert part.hint.left_transposed
    assert part.hint.right_transposed


def test_without_an_adapter_a_low_rank_is_found() -> None:
    part = only_hint(predicted([NEW], [OLD])[0])
    assert (part.hint, part.factors) == (LowRank(192), ())


def test_an_adapter_that_says_little_is_left_for_a_low_rank() -> None:
    other = replace(MERGE, a=merge(128, 192, 3, seed=8).a)
    assert only_hint(predicted([NEW], [OLD, adapter(other)])[0]).hint == LowRank(192)
    wide = safetensors(
        {
            NAMES[0]: ("F32", (1025, 192), bytes(4 * 1025 * 192)),
            NAMES[1]: ("F32", (128, 1025), bytes(4 * 1025 * 128)),
        }
    )
    assert only_hint(predicted([NEW], [OLD, wide])[0]).hint == LowRank(192)
    broken = replace(MERGE, a=b"\0\0\xc0\x7f" * (len(MERGE.a) // 4))
    assert only_hint(predicted([NEW], [OLD, adapter(broken)])[0]).hint == LowRank(192)


def test_a_file_that_holds_adapters_is_not_explained_by_its_own_bundle() -> None:
    """Two files that explain each other would have no order."""
    both = safetensors(
        {
            "h.q.weight": ("BF16", (128, 192), MERGE.target),
            NAMES[0]: ("F32", (3, 192), MERGE.a),
            NAMES[1]: ("F32", (128, 3), MERGE.b),
        }
    )
    assert only_hint(predicted([both], [OLD])[0]).hint == LowRank(192)


@pytest.mark.parametrize(
    "target", [OLD, model(MERGE, MERGE.base, bias=1), model(MERGE, noise(3, len(MERGE.base)))]
)
def test_what_is_no_merge_has_no_hint(target: bytes) -> None:
    (parts,) = predicted([target], [OLD])
    assert all(part.hint is None for part in parts)


def test_what_has_no_counterpart_has_no_hint() -> None:
    other = safetensors({"h.q.weight": ("BF16", (192, 128), MERGE.base)})
    assert all(part.hint is None for part in predicted([NEW], [other])[0])


def test_a_depot_that_lost_bytes_gives_no_hint() -> None:
    files = [spans("model", OLD), spans("model", NEW)]
    found = match(files, 1, lambda number, start, end: (OLD, NEW)[number][start:end])
    assert find_hints(files, 1, found, lambda *_: b"short") == [list(found[0])]


def layered(merged: Sequence[bool], *, same: int = 0) -> list[bool]:
    """Return which layers of a model have a hint, when these were merged and the others only nudged.

    The first layers, as many as are the ``same``, were left as they were.
    """
    count = len(merged)
    nudged = bytes(byte ^ 1 if place % 2 == 0 else byte for place, byte in enumerate(MERGE.base))
    names = [f"h.{layer}.q.weight" for layer in range(count)]
    old = safetensors(dict.fromkeys(names, ("BF16", (128, 192), MERGE.base)))
    data = [MERGE.target if made else nudged for made in merged]
    data[:same] = [MERGE.base] * same
    new = safetensors({name: ("BF16", (128, 192), part) for name, part in zip(names, data, strict=True)})
    (parts,) = predicted([new], [old])
    starts = {part.start for part in parts if part.hint is not None}
    first = len(new) - count * len(MERGE.base)
    return [first + layer * len(MERGE.base) in starts for layer in range(count)]


def test_layers_are_looked_at_ever_more_rarely_until_one_was_merged() -> None:
    assert layered([True] * 5) == [True] * 5
    assert layered([False] * 3 + [True] * 3) == [False] * 3 + [True] * 3
    assert layered([False] * 4 + [True] * 5) == [False] * 7 + [True] * 2, (
        "the 8th is the next to be looked at"
    )
    assert layered([False] * 9) == [False] * 9


def test_layers_that_did_not_change_are_not_counted() -> None:
    """An adapter of the last layers: the others say nothing of it."""
    assert layered([False] * 9 + [True] * 3, same=9) == [False] * 9 + [True] * 3
    assert layered([False] * 9, same=9) == [False] * 9


# -- all the way ---------------------------------------------------------------------------------------------------


def components(version: int) -> Components:
    weights = {"model.safetensors": OLD if version == 1 else NEW}
    return (
        {"base": weights}
        if version == 1
        else {"base": weights, "tuned": {"adapter.safetensors": adapter(MERGE)}}
    )


@pytest.fixture(scope="module")
def crossing(tmp_path_factory: pytest.TempPathFactory) -> tuple[Site, list[Path], list[Path]]:
    """A site, and the volumes of release 1 and of a delta to release 2, which brings the adapter along."""
    site = signed_site(tmp_path_factory.mktemp("crossing"))
    keys.write(site.keys, "ledger")
    for version in (1, 2):
        site.release(components(version), str(version))
    full = site.bundle("assistant@1", "full")
    delta = site.bundle("assistant@2", "delta", from_="assistant@1")
    assert delta.codecs["adapter"] == len(MERGE.target)
    return site, [item.path for item in full.volumes], [item.path for item in delta.volumes]


def test_a_merge_crosses_as_its_adapter(crossing: tuple[Site, list[Path], list[Path]]) -> None:
    site, _, delta = crossing
    bundle = load_bundle(delta[0])
    assert [item.size for item in bundle.files] == [len(adapter(MERGE)), len(NEW)]
    assert sum(item.size for item in bundle.chunks) < len(adapter(MERGE)) + 2000
    rebuild(delta, lambda sha512: site.depot.content.path(sha512).read_bytes())


@pytest.mark.parametrize("workers", [1, 3])
def test_it_is_imported_after_its_adapter(
    crossing: tuple[Site, list[Path], list[Path]], tmp_path: Path, workers: int
) -> None:
    site, full, delta = crossing
    enclave = fresh(tmp_path / "enclave", site)
    import_bundle(enclave, full, operator=operator(), activate=True)
    result = import_bundle(enclave, delta, operator=operator(), activate=True, workers=workers)
    assert result.activated
    check_content(enclave, lambda *_: None)


def test_a_repair_reads_the_adapter_at_rest_or_the_repaired_one(
    crossing: tuple[Site, list[Path], list[Path]], tmp_path: Path
) -> None:
    site, full, delta = crossing
    enclave = fresh(tmp_path / "enclave", site)
    for volumes in (full, delta):
        import_bundle(enclave, volumes, operator=operator(), activate=True)
    pair, weights = (enclave.content.path(item.sha512) for item in load_bundle(delta[0]).files)
    for damaged in ([weights], [pair, weights]):
        for path in damaged:
            path.chmod(0o644)
            path.write_bytes(bytes(path.stat().st_size))
        result = repair(enclave, delta, operator=operator(), progress=lambda *_: None)
        assert len(result.repaired) == len(damaged)
        check_content(enclave, lambda *_: None)
