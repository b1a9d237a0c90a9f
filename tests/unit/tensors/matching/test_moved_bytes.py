"""Opaque files whose bytes moved: what was inserted is what it costs."""

from collections.abc import Iterable
from itertools import pairwise
from random import Random

import pytest

from airlift.tensors.element import Element
from airlift.tensors.matching import anchor, moved_bytes
from airlift.tensors.matching.anchor import Digests, History, Places, history
from airlift.tensors.matching.match import FileSpans, match
from airlift.tensors.matching.moved_bytes import BLOCK_BYTES, realign
from airlift.tensors.matching.segment import Segment, Source
from airlift.tensors.span import TensorSpan, tile
from tests.support.opaque_files import Pair

MIB = 1 << 20
DATA = Random(1).randbytes(9 * MIB)
NEW = Random(2).randbytes(3 * MIB)


def pair(target: bytes, base: bytes = DATA) -> Pair:
    return Pair({"f.bin": target}, {"f.bin": base})


def cost(pair: Pair) -> int:
    return pair.cost(pair.segments(), BLOCK_BYTES)


def copies(segments: list[Segment]) -> list[tuple[int, int, int]]:
    """Return start, end and shift of the parallel segments."""
    return [(s.start, s.end, s.source.start - s.start) for s in segments if s.source and s.parallel]


def test_an_insertion_costs_what_was_inserted() -> None:
    files = pair(DATA[: 4 * MIB] + NEW[:1000] + DATA[4 * MIB :])
    (segments,) = files.segments()
    assert copies(segments) == [(0, 4 * MIB, 0), (4 * MIB + 1000, 9 * MIB + 1000, -1000)]
    assert cost(files) < 1000 + 200


def test_a_deletion_costs_next_to_nothing() -> None:
    files = pair(DATA[: 4 * MIB] + DATA[6 * MIB :])
    (segments,) = files.segments()
    assert copies(segments) == [(0, 4 * MIB, 0), (4 * MIB, 7 * MIB, 2 * MIB)]
    assert cost(files) < 200


@pytest.mark.parametrize("place", [0, 9 * MIB])
def test_at_either_end_it_is_the_same(place: int) -> None:
    assert cost(pair(DATA[:place] + NEW + DATA[place:])) < len(NEW) + 300


def test_an_exchange_of_halves_is_found() -> None:
    """A file of the same length whose counterpart lies elsewhere."""
    files = pair(DATA[4 * MIB :] + DATA[: 4 * MIB])
    assert copies(files.segments()[0]) == [(0, 5 * MIB, 4 * MIB), (5 * MIB, 9 * MIB, -5 * MIB)]
    assert cost(files) < 200


def test_what_was_overwritten_inside_a_run_stays_in_it() -> None:
    target = bytearray(DATA[: 2 * MIB] + NEW[:500] + DATA[2 * MIB :])
    for place in range(3 * MIB, 9 * MIB, MIB):
        target[place : place + 10] = NEW[place % 1000 :][:10]
    files = pair(bytes(target))
    assert copies(files.segments()[0]) == [(0, 2 * MIB, 0), (2 * MIB + 500, 9 * MIB + 500, -500)]
    assert cost(files) < 500 + 2000


def test_a_file_changed_in_place_is_only_probed() -> None:
    target = bytearray(DATA)
    target[100_000:100_100] = bytes(100)
    target[-5:] = b"12345"
    files = pair(bytes(target))
    assert files.segments() == files.plain()
    assert files.read == {"target": 8192, "base": 8192}


def test_a_file_of_one_block_is_left_to_the_codec() -> None:
    """It sees the whole counterpart: no segment of its own tells it more."""
    base = DATA[: BLOCK_BYTES - MIB]
    files = pair(b"new" + base, base)
    assert files.segments() == files.plain()


def test_a_file_of_one_block_whose_counterpart_is_long_is_looked_for() -> None:
    files = pair(b"new" + DATA[5 * MIB : 8 * MIB])
    assert copies(files.segments()[0]) == [(3, 3 * MIB + 3, 5 * MIB - 3)]
    assert cost(files) < 200


def test_without_anything_before_it_little_is_read() -> None:
    files = Pair({"f.bin": DATA}, {})
    assert files.segments() == files.plain() == [[Segment(0, len(DATA), Element.BYTES, 0, None)]]
    assert files.read == {"target": 0, "base": 0}


def test_what_lies_under_another_name_in_another_component_is_found() -> None:
    files = Pair({"f.bin": DATA}, {"other/g.bin": NEW + DATA})
    assert copies(files.segments()[0]) == [(0, len(DATA), len(NEW))]


def test_what_an_earlier_file_of_the_bundle_brings_is_found() -> None:
    files = Pair({"f.bin": DATA, "g/h.bin": NEW[:99] + DATA[MIB : 3 * MIB] + NEW[MIB:]}, {})
    (whole,), parts = files.segments()
    assert whole.source is None
    assert copies(parts) == [(99, 99 + 2 * MIB, MIB - 99)]
    assert parts[0].source is not None
    assert parts[0].source.file == 0


def test_a_small_file_may_have_its_bytes_from_several() -> None:
    """A few KiB are found as surely as many MiB, where there is not much to look through."""
    base = {"a.bin": DATA[: 100 << 10], "b.bin": DATA[MIB : MIB + (100 << 10)]}
    files = Pair({"c.bin": b"x" + base["a.bin"][5000:80_000] + base["b.bin"][:70_001] + b"y"}, base)
    assert cost(files) < 300


def test_a_tensor_without_a_counterpart_is_looked_for_number_by_number() -> None:
    """The same weights in another container: at another offset, between others, and not aligned there."""
    fused = DATA[: 4 * MIB]
    data = b"head" + NEW[: 64 << 10] + fused[MIB : 2 * MIB] + NEW[64 << 10 : 128 << 10]
    span = TensorSpan("t", Element.F32, ((len(data) - 4) // 256, 64), 4, len(data))
    files = [
        FileSpans("base", "c", len(fused) + 1, tile((), len(fused) + 1)),
        FileSpans("f", "c", len(data), tile([span], len(data))),
    ]
    contents = [b"?" + fused, data]

    def read(number: int, start: int, end: int) -> bytes:
        return contents[number][start:end]

    (parts,) = realign(files, 1, match(files, 1, read), read)
    assert [part.element for part in parts] == [Element.BYTES, *[Element.F32] * 3]
    assert [part.row for part in parts[1:]] == [64, 64, 64]
    assert parts[2].source == Source(0, MIB + 1, 2 * MIB + 1)
    assert (parts[2].start, parts[2].end) == (4 + (64 << 10), 4 + (64 << 10) + MIB)


def test_of_a_huge_baseline_only_what_is_near_is_looked_through(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(moved_bytes, "AT_LEAST", 2 * MIB)
    monkeypatch.setattr(moved_bytes, "TIMES", 1)
    base = {"other/far.bin": DATA[: 4 * MIB], "c/near.bin": NEW[:MIB], "c/huge.bin": NEW + NEW}
    files = Pair({"c/f.bin": NEW[:MIB]}, base)
    assert copies(files.segments()[0]) == [(0, MIB, 0)]
    assert files.read["base"] < 3 * MIB


def test_nothing_in_common_leaves_what_was_matched() -> None:
    files = pair(NEW + NEW[::-1])
    assert files.segments() == files.plain()


def test_content_that_moved_to_another_file_of_the_component_is_found() -> None:
    base = {"a.bin": DATA[: 5 * MIB], "b.bin": DATA[5 * MIB :], "other/c.bin": NEW}
    files = Pair({"all.bin": DATA[5 * MIB :] + NEW + DATA[: 5 * MIB]}, base)
    sources = [part.source for part in files.segments()[0] if part.parallel]
    assert sources == [Source(1, 0, 4 * MIB), Source(2, 0, len(NEW)), Source(0, 0, 5 * MIB)]
    assert cost(files) < 300


def test_of_two_equal_files_the_counterpart_is_taken() -> None:
    files = Pair({"f.bin": b"new" + DATA}, {"copy.bin": DATA, "f.bin": DATA})
    assert {part.source.file for part in files.segments()[0] if part.source} == {1}


def test_the_file_of_the_path_counts_in_another_component_too() -> None:
    files = Pair({"new/f.bin": b"new" + DATA}, {"old/f.bin": DATA})
    assert cost(files) < 300


def test_many_small_changes_are_left_to_the_codec_block_by_block() -> None:
    """Runs that are short only say where to look: hundreds of tiny blocks would cost more than they save."""
    cuts = range(0, len(DATA) + 1, 30_000)
    target = b"".join(DATA[a:b] + NEW[a * 3 // 10 :][:9_000] for a, b in pairwise(cuts))
    files = pair(target)
    (segments,) = files.segments()
    assert 1 < len(segments) < 12
    inserted = 9_000 * (len(cuts) - 1)
    assert inserted < cost(files) < inserted + 30_000
    assert cost(files) < files.cost(files.plain(), BLOCK_BYTES) + 1000


def test_short_runs_from_afar_are_found() -> None:
    pieces = [DATA[place : place + 300_000] for place in (8 * MIB, 2 * MIB, 6 * MIB, 0)]
    target = b"".join(NEW[n * 500_000 :][:500_000] + piece for n, piece in enumerate(pieces)) + NEW[-MIB:]
    assert cost(pair(target, DATA)) < 4 * 500_000 + MIB + 3000


def test_an_insertion_where_much_was_deleted_has_no_faraway_source() -> None:
    files = pair(DATA[: 2 * MIB] + NEW[:100_000] + DATA[7 * MIB :])
    gap = files.segments()[0][1]
    assert gap.length == 100_000
    assert gap.source is not None
    assert gap.source.end - gap.source.start <= 128 << 10


def test_a_gap_as_long_as_its_counterpart_is_coded_against_it() -> None:
    """A part that was changed in place between two that moved by different ways."""
    changed = bytes(value ^ 1 for value in DATA[: 2 * MIB])
    files = pair(changed + DATA[2 * MIB : 4 * MIB] + NEW[:10] + DATA[4 * MIB :])
    assert files.segments()[0][0] == Segment(0, 4 * MIB, Element.BYTES, 0, Source(0, 0, 4 * MIB))
    assert cost(files) < 3000


def test_tensors_that_have_their_counterpart_are_left_alone() -> None:
    spans = (TensorSpan("t", Element.U8, (9 * MIB,), 3, 9 * MIB + 3),)
    target = [FileSpans("f", "c", 9 * MIB + 3, tile(spans, 9 * MIB + 3))] * 2
    matched = match(target, 1, lambda *_: b"")

    def read(*_: object) -> bytes:
        raise AssertionError

    assert realign(target, 1, matched, read) == matched


def test_what_is_passed_over_is_left_alone() -> None:
    files = [
        FileSpans("f", "c", len(DATA), tile((), len(DATA))),
        FileSpans("g", "c", len(DATA), tile((), len(DATA))),
    ]
    matched = match(files, 1, lambda *_: b"")
    assert realign(files, 1, matched, lambda _, start, end: DATA[start:end], passed_over={1}) == matched
    assert realign(files, 1, matched, lambda _, start, end: DATA[start:end]) != matched


def test_an_opaque_file_is_looked_for_in_one_of_the_same_path_that_is_not() -> None:
    """The header of the new file is damaged: it is carried as bytes."""
    base = FileSpans("f", "c", len(DATA), tile([TensorSpan("t", Element.U8, (), 8, len(DATA))], len(DATA)))
    data = b"new" + DATA
    files = [base, FileSpans("f", "c", len(data), tile((), len(data)))]

    def read(number: int, start: int, end: int) -> bytes:
        return (DATA, data)[number][start:end]

    segments = realign(files, 1, match(files, 1, read), read)
    assert copies(segments[0]) == [(3, len(data), -3)]


def tensors(path: str, data: bytes, component: str = "c") -> FileSpans:
    span = TensorSpan(path, Element.U8, (len(data) // 64, 64), 0, len(data))
    return FileSpans(path, component, len(data), tile([span], len(data)))


@pytest.mark.parametrize(
    ("first", "second", "sought"),
    [
        (("model-1-of-2.safetensors", "c"), ("model-2-of-2.safetensors", "c"), False),
        (("model-1-of-2.safetensors", "c"), ("model-2-of-2.safetensors", "d"), True),
        (("model.onnx", "c"), ("model_half.onnx", "c"), True),
    ],
)
def test_shards_of_one_model_are_not_searched_for_parts_of_tensors(
    first: tuple[str, str], second: tuple[str, str], sought: bool
) -> None:
    """A model of a hundred shards would be read twice more, for nothing."""
    data = [DATA[:MIB], NEW[:MIB] + DATA[: MIB // 2]]
    files = [
        tensors(path, part, component) for (path, component), part in zip((first, second), data, strict=True)
    ]
    read: list[int] = []

    def reading(number: int, start: int, end: int) -> bytes:
        read.append(end - start)
        return data[number][start:end]

    found = realign(files, 0, match(files, 0, reading), reading)
    assert any(part.source is not None for part in found[1]) == sought
    assert (sum(read) > MIB) == sought


def test_only_what_is_sought_is_scanned() -> None:
    """One part of a long file is new: the rest, which has its counterpart, is not read."""
    data = [DATA, DATA[: 4 * MIB] + NEW[: 100 << 10] + DATA[4 * MIB :]]
    base = [tensors("a", DATA[: 4 * MIB]), tensors("b", DATA[4 * MIB :])]
    spans = (
        TensorSpan("a", Element.U8, (MIB // 16, 64), 0, 4 * MIB),
        TensorSpan("b", Element.U8, (5 * MIB // 64, 64), 4 * MIB + (100 << 10), len(data[1])),
    )
    target = FileSpans("m", "c", len(data[1]), tile(spans, len(data[1])))
    contents = [DATA[: 4 * MIB], DATA[4 * MIB :], data[1]]
    files, read = [*base, target], 0

    def reading(number: int, start: int, end: int) -> bytes:
        nonlocal read
        read += (end - start) if number == 2 else 0
        return contents[number][start:end]

    (parts,) = realign(files, 2, match(files, 2, reading), reading)
    assert [part.source is not None for part in parts] == [True, False, True]
    assert read < MIB


def test_many_files_are_sorted_but_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Time is linear in the number of files, however many of them are looked for."""
    made: list[History] = []

    def made_once(parts: Iterable[tuple[int, Places, Digests]]) -> History:
        made.append(history(parts))
        return made[-1]

    monkeypatch.setattr(anchor, "history", made_once)
    contents = [Random(number).randbytes(8000) for number in range(40)]
    files = [FileSpans(f"f{number}", "c", 8000, tile([], 8000)) for number in range(40)]

    def read(number: int, start: int, end: int) -> bytes:
        return contents[number][start:end]

    realign(files, 0, match(files, 0, read), read)
    assert len(made) == 1
