"""Segments join where both sides continue, and are cut into blocks with their part of the source."""

from dataclasses import replace

import pytest

from airlift.tensors.element import Element
from airlift.tensors.matching.hint import Adapter, LowRank
from airlift.tensors.matching.segment import Hinted, Segment, Source, blocks, mark, merge


def segment(start: int, end: int, source: Source | None = None, *, row: int = 0) -> Segment:
    return Segment(start, end, Element.U16, row, source)


def test_neighbours_join_if_their_sources_do() -> None:
    parts = [
        segment(0, 4, Source(1, 10, 14)),
        segment(4, 8, Source(1, 14, 18)),
        segment(8, 10, Source(1, 18, 20)),
    ]
    assert merge(parts) == [segment(0, 10, Source(1, 10, 20))]


def test_neighbours_without_a_source_join() -> None:
    assert merge([segment(0, 4), segment(4, 8)]) == [segment(0, 8)]


def test_a_row_survives_only_if_it_is_the_same() -> None:
    assert merge([segment(0, 4, row=2), segment(4, 8, row=2)]) == [segment(0, 8, row=2)]
    joined = Segment(0, 8, Element.U16, 0, None, ((2, 2), (1, 2)))
    assert merge([segment(0, 4, row=2), segment(4, 8, row=1)]) == [joined]
    assert merge([joined, segment(8, 10, row=1)]) == [
        Segment(0, 10, Element.U16, 0, None, (*joined.parts, (1, 1)))
    ]


def test_blocks_know_the_rows_of_all_that_was_joined() -> None:
    whole = Segment(10, 50, Element.U16, 0, None, ((4, 8), (0, 5), (3, 7)))
    assert [block.rows for block in blocks(whole, 14)] == [
        ((4, 7),),
        ((1, 1), (0, 5), (3, 1)),
        ((2, 2), (3, 4)),
    ]
    assert segment(0, 8, row=2).rows == ((2, 4),)


@pytest.mark.parametrize(
    "after",
    [
        segment(4, 8),
        segment(4, 8, Source(2, 14, 18)),
        segment(4, 8, Source(1, 15, 19)),
        segment(4, 8, Source(1, 14, 19)),
        segment(5, 9, Source(1, 14, 18)),
        Segment(4, 8, Element.F16, 0, Source(1, 14, 18)),
    ],
)
def test_what_does_not_continue_stays_apart(after: Segment) -> None:
    parts = [segment(0, 4, Source(1, 10, 14)), after]
    assert merge(parts) == parts


def test_a_source_of_another_length_stays_apart() -> None:
    parts = [segment(0, 4, Source(1, 10, 15)), segment(4, 8, Source(1, 15, 19))]
    assert merge(parts) == parts


def test_blocks_of_a_parallel_source_are_parallel() -> None:
    assert list(blocks(segment(100, 110, Source(3, 20, 30)), 5)) == [
        segment(100, 104, Source(3, 20, 24)),
        segment(104, 108, Source(3, 24, 28)),
        segment(108, 110, Source(3, 28, 30)),
    ]


def test_blocks_without_a_source_have_none() -> None:
    assert list(blocks(segment(0, 6), 4)) == [segment(0, 4), segment(4, 6)]


def test_a_short_segment_is_one_block() -> None:
    assert list(blocks(segment(2, 6), 100)) == [segment(2, 6)]


@pytest.mark.parametrize(("row", "step"), [(3, 6), (4, 8), (5, 10), (6, 10), (0, 10)])
def test_cuts_lie_between_rows_that_fit_and_else_between_elements(row: int, step: int) -> None:
    cut = [block.end - block.start for block in blocks(segment(0, 60, row=row), 11)]
    assert cut == [step] * (60 // step) + ([60 % step] if 60 % step else [])


def test_a_block_has_at_least_one_element() -> None:
    assert [block.length for block in blocks(segment(0, 4), 1)] == [2, 2]


def test_blocks_of_opaque_bytes_see_half_a_block_around_them() -> None:
    whole = Segment(0, 30, Element.BYTES, 0, Source(0, 5, 37))
    assert [block.source for block in blocks(whole, 10)] == [
        Source(0, 5, 20),
        Source(0, 10, 30),
        Source(0, 20, 37),
    ]


def test_blocks_far_beyond_a_short_source_have_none() -> None:
    whole = Segment(0, 40, Element.BYTES, 0, Source(0, 0, 12))
    assert [block.source for block in blocks(whole, 10)] == [Source(0, 0, 12), Source(0, 5, 12), None, None]


def test_no_source_is_longer_than_two_blocks() -> None:
    whole = Segment(0, 1000, Element.BYTES, 0, Source(0, 0, 100_000))
    assert max(block.source.end - block.source.start for block in blocks(whole, 64) if block.source) == 128


# -- hints ---------------------------------------------------------------------------------------------------------

ROWS = LowRank(columns=2)
PAIR = (Source(5, 100, 132), Source(5, 200, 208))
BY_ADAPTER = Adapter(left=Element.F32, right=Element.F32, columns=2, rank=1, scale=2.0)


def test_hinted_matrices_are_cut_out_of_their_segment() -> None:
    whole = Segment(0, 100, Element.BF16, 0, Source(1, 1000, 1100))
    found = mark([whole], [Hinted(8, 40, 2, hint=ROWS), Hinted(40, 72, 2, hint=BY_ADAPTER, factors=PAIR)])
    assert found == [
        Segment(0, 8, Element.BF16, 0, Source(1, 1000, 1008)),
        Segment(8, 40, Element.BF16, 2, Source(1, 1008, 1040), hint=ROWS),
        Segment(40, 72, Element.BF16, 2, Source(1, 1040, 1072), hint=BY_ADAPTER, factors=PAIR),
        Segment(72, 100, Element.BF16, 0, Source(1, 1072, 1100)),
    ]
    assert found[2].sources == (Source(1, 1040, 1072), *PAIR)
    assert merge(found) == found


def test_what_is_left_around_a_hinted_matrix_keeps_its_rows() -> None:
    parts = ((0, 4), (2, 16), (3, 30))
    whole = Segment(0, 100, Element.BF16, 0, Source(1, 0, 100), parts)
    before, matrix, after = mark([whole], [Hinted(8, 40, 2, ROWS)])
    assert (before.rows, matrix.rows, after.rows) == (((0, 4),), ((2, 16),), ((3, 30),))


def test_a_hint_may_cover_its_segment() -> None:
    parts = [
        Segment(0, 32, Element.BF16, 2, Source(0, 0, 32)),
        Segment(32, 64, Element.BF16, 2, Source(1, 0, 32)),
    ]
    found = mark(parts, [Hinted(0, 32, 2, hint=ROWS), Hinted(32, 64, 2, hint=ROWS)])
    assert [part.hint for part in found] == [ROWS, ROWS]
    assert [(part.start, part.end, part.source) for part in found] == [
        (p.start, p.end, p.source) for p in parts
    ]


@pytest.mark.parametrize("source", [None, Source(0, 0, 99)])
def test_without_a_parallel_source_a_hint_is_dropped(source: Source | None) -> None:
    part = Segment(0, 100, Element.BF16, 0, source)
    assert mark([part], [Hinted(0, 32, 2, hint=ROWS)]) == [part]
    assert part.sources == (() if source is None else (source,))


def test_a_hint_across_segments_is_dropped() -> None:
    parts = [
        Segment(0, 32, Element.BF16, 2, Source(0, 0, 32)),
        Segment(32, 64, Element.BF16, 2, Source(1, 0, 32)),
    ]
    assert mark(parts, [Hinted(16, 48, 2, hint=ROWS)]) == parts


def test_blocks_of_a_matrix_are_whole_rows_with_their_factors() -> None:
    matrix = Segment(40, 72, Element.BF16, 2, Source(1, 1040, 1072), hint=BY_ADAPTER, factors=PAIR)
    cut = list(blocks(matrix, 14))
    assert [(part.start, part.end, part.factors[0]) for part in cut] == [
        (40, 52, Source(5, 100, 112)),
        (52, 64, Source(5, 112, 124)),
        (64, 72, Source(5, 124, 132)),
    ]
    assert {part.factors[1] for part in cut} == {PAIR[1]}
    assert {part.hint for part in cut} == {BY_ADAPTER}


def test_blocks_of_a_transposed_left_share_it() -> None:
    how = replace(BY_ADAPTER, left_transposed=True)
    cut = list(blocks(Segment(40, 72, Element.BF16, 2, Source(1, 1040, 1072), hint=how, factors=PAIR), 14))
    assert [part.hint for part in cut] == [replace(how, first=first) for first in (0, 3, 6)]
    assert {part.factors for part in cut} == {PAIR}


def test_rows_longer_than_a_block_lose_the_hint() -> None:
    cut = list(blocks(Segment(0, 32, Element.BF16, 8, Source(1, 0, 32), hint=LowRank(8)), 10))
    assert [(part.hint, part.factors) for part in cut] == [(None, ())] * 4
    (whole,) = blocks(Segment(0, 32, Element.BF16, 8, Source(1, 0, 32), hint=LowRank(8)), 32)
    assert whole.hint == LowRank(8)
