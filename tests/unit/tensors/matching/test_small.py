"""Copies in small files become part of the opaque bytes beside them."""

from random import Random

from airlift.tensors.element import Element
from airlift.tensors.matching.match import FileSpans
from airlift.tensors.matching.segment import Segment, Source
from airlift.tensors.matching.small import LONGEST_COPY, SMALL_BYTES, join_copies
from airlift.tensors.span import tile

BASE = Random(1).randbytes(2 << 20)


def joined(data: bytes, parts: list[Segment], base: bytes = BASE) -> list[Segment]:
    files = [FileSpans("f", "c", len(item), tile((), len(item))) for item in (base, data)]
    return join_copies(files, 1, [parts], lambda number, start, end: (base, data)[number][start:end])[0]


def part(start: int, end: int, source: Source | None, element: Element = Element.BYTES) -> Segment:
    return Segment(start, end, element, 0, source)


NEW = Random(2).randbytes(1000)


def test_a_copy_becomes_part_of_what_follows() -> None:
    data = BASE[:10_000] + NEW
    parts = [part(0, 10_000, Source(0, 0, 10_000)), part(10_000, 11_000, Source(0, 10_000, 12_000))]
    assert joined(data, parts) == [part(0, 11_000, Source(0, 0, 12_000))]


def test_the_last_copy_becomes_part_of_what_comes_before() -> None:
    data = NEW + BASE[:10_000]
    parts = [part(0, 1000, Source(0, 0, 500)), part(1000, 11_000, Source(0, 0, 10_000))]
    assert joined(data, parts) == [part(0, 11_000, Source(0, 0, 10_000))]


def test_copies_of_tensors_go_along() -> None:
    data = BASE[:8000] + NEW
    parts = [
        part(0, 4000, Source(0, 0, 4000), Element.F32),
        part(4000, 8000, Source(0, 4000, 8000), Element.F16),
        part(8000, 9000, Source(0, 8000, 9500)),
    ]
    assert joined(data, parts) == [part(0, 9000, Source(0, 0, 9500))]


def test_numbers_that_changed_stay_numbers() -> None:
    data = BASE[:4000] + NEW + BASE[4000:8000]
    parts = [
        part(0, 4000, Source(0, 0, 4000)),
        part(4000, 5000, Source(0, 4000, 5000), Element.F32),
        part(5000, 9000, Source(0, 4000, 8000)),
    ]
    assert joined(data, parts) == parts


def test_a_long_copy_stays_one() -> None:
    data = BASE[: LONGEST_COPY + 1] + NEW
    parts = [
        part(0, LONGEST_COPY + 1, Source(0, 0, LONGEST_COPY + 1)),
        part(LONGEST_COPY + 1, len(data), Source(0, 0, 9)),
    ]
    assert joined(data, parts) == parts


def test_sources_in_two_files_or_far_apart_stay_apart() -> None:
    data = BASE[:10_000] + NEW
    other = [part(0, 10_000, Source(0, 0, 10_000)), part(10_000, 11_000, None)]
    assert joined(data, other) == other
    far = bytes(SMALL_BYTES)
    parts = [
        part(0, 10_000, Source(0, 0, 10_000)),
        part(10_000, 11_000, Source(0, SMALL_BYTES, SMALL_BYTES + 9)),
    ]
    assert joined(data, parts, BASE[:10_000] + far) == parts


def test_a_large_file_is_left_alone() -> None:
    data = BASE[:10_000] + bytes(SMALL_BYTES)
    parts = [part(0, 10_000, Source(0, 0, 10_000)), part(10_000, len(data), Source(0, 0, 12_000))]
    assert joined(data, parts) == parts
