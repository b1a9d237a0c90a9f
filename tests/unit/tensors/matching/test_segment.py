"""Segments join where both sides continue, and are cut into blocks with their part of the source."""

from dataclasses import replace
from typing import Any

import pytest

from airlift.tensors.element import Element
from airlift.tensors.matching.hint import Adapter, Conversion, Grid, LowRank, Rule, ScalesFrom
from airlift.tensors.matching.segment import MAX_READ, Hinted, Segment, Source, blocks, mark, merge
from tests.support.calls import counting


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


def test_a_block_costs_the_same_however_many_tensors_were_joined() -> None:
    """What broke: each block of a file went through all of its tensors; a plan of 2 TB took minutes."""

    def cost(count: int) -> float:
        parts = tuple((4 + number % 3, 100) for number in range(count))
        with counting() as calls:
            cut = list(blocks(Segment(0, 200 * count, Element.U16, 0, None, parts), 400))
        return calls.count / len(cut)

    assert cost(3000) < 1.2 * cost(100)


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


# -- conversions ---------------------------------------------------------------------------------------------------

TO_EIGHT = Conversion(
    rule=Rule.SCALE, source=Element.BF16, columns=10, scales_from=ScalesFrom.LARGEST, group=(4, 0)
)


def converted(hint: Conversion, rows: int, element: Element = Element.F8_E4M3, **more: Source) -> Segment:
    length = hint.target_bytes(rows, element)
    source = Source(3, 500, 500 + hint.source_bytes(rows))
    factors = (more["scales"],) if "scales" in more else ()
    return Segment(100, 100 + length, element, 10, source, (), hint, factors, more.get("aside"))


def cuts(segment: Segment, limit: int) -> list[tuple[int, Source | None]]:
    return [(block.length, block.source) for block in blocks(segment, limit)]


def test_a_tensor_without_a_counterpart_gets_the_numbers_that_it_was_made_from() -> None:
    whole, source = Segment(0, 100, Element.F8_E4M3, 0, None), Source(1, 0, 80)
    found = mark([whole], [Hinted(20, 60, 10, TO_EIGHT, (), source, Source(2, 0, 4))])
    assert found == [
        Segment(0, 20, Element.F8_E4M3, 0, None),
        Segment(20, 60, Element.F8_E4M3, 10, source, (), TO_EIGHT, (), Source(2, 0, 4)),
        Segment(60, 100, Element.F8_E4M3, 0, None),
    ]
    parallel = replace(whole, source=Source(0, 0, 100))
    (_, middle, _) = mark([parallel], [Hinted(20, 60, 10, TO_EIGHT, (), source)])
    assert middle.source == source
    grown = replace(whole, source=Source(0, 0, 99))
    assert mark([grown], [Hinted(20, 60, 10, TO_EIGHT, (), source)]) == [grown]


def test_blocks_of_converted_rows_are_whole_groups() -> None:
    found = cuts(converted(TO_EIGHT, 10), 90)
    assert found == [(80, Source(3, 500, 660)), (20, Source(3, 660, 700))]
    assert [length for length, _ in cuts(replace_hint(head=6), 250)] == [240, 120]


def replace_hint(**more: Any) -> Segment:
    return converted(replace(TO_EIGHT, **more), 36)


def test_scales_follow_their_rows() -> None:
    given = replace(TO_EIGHT, scales_from=ScalesFrom.SOURCE, scale=Element.F32, group=(4, 5))
    found = list(blocks(converted(given, 10, scales=Source(7, 0, 24)), 45))
    assert [block.factors for block in found] == [
        (Source(7, 0, 8),), (Source(7, 8, 16),), (Source(7, 16, 24),)
    ]  # fmt: skip
    stored = replace(given, scales_from=ScalesFrom.PAYLOAD)
    found = list(blocks(converted(stored, 10, aside=Source(4, 0, 24)), 45))
    assert [block.aside for block in found] == [Source(4, 0, 8), Source(4, 8, 16), Source(4, 16, 24)]


def test_one_scale_is_for_all_blocks() -> None:
    given = replace(TO_EIGHT, scales_from=ScalesFrom.SOURCE, scale=Element.F32, group=(0, 0))
    found = list(blocks(converted(given, 10, scales=Source(7, 0, 4)), 45))
    assert [(block.length, block.factors) for block in found] == [
        (40, (Source(7, 0, 4),)), (40, (Source(7, 0, 4),)), (20, (Source(7, 0, 4),))
    ]  # fmt: skip


def test_blocks_of_scales_read_all_of_their_groups() -> None:
    scales = replace(TO_EIGHT, rule=Rule.SCALES, scales_from=ScalesFrom.NOWHERE, group=(4, 5))
    found = cuts(converted(scales, 10, Element.F32), 16)
    assert found == [(16, Source(3, 500, 660)), (8, Source(3, 660, 700))]


def test_no_block_reads_more_than_it_may() -> None:
    """SPEC 6.3-3: from float32 to four bits is a ratio of seven."""
    hint = Conversion(rule=Rule.GGML, source=Element.F32, columns=32 << 10)
    found = list(blocks(converted(hint, 600, Element.Q4_0), 8 << 20))
    assert max(block.source.end - block.source.start for block in found if block.source) == MAX_READ
    assert sum(block.length for block in found) == 600 * 18 << 10


def test_what_cannot_be_cut_small_enough_has_no_source() -> None:
    for hint in (TO_EIGHT, replace(TO_EIGHT, group=(0, 0))):
        found = list(blocks(converted(hint, 10), 35))
        assert {(block.source, block.hint) for block in found} == {(None, None)}
        assert sum(block.length for block in found) == 100
    lone = replace(converted(TO_EIGHT, 10), source=None)
    assert {block.hint for block in blocks(lone, 90)} == {None}


# -- dequantised numbers -------------------------------------------------------------------------------------------

BY_ROW = Grid(columns=10, group=(4, 0), steps=Element.I8)


def dequantised(hint: Grid, rows: int, source: Source | None = None) -> Segment:
    return Segment(100, 100 + rows * 10 * 2, Element.BF16, 10, source, (), hint)


def test_what_needs_no_source_is_cut_out_of_a_segment_without_one() -> None:
    whole = Segment(0, 100, Element.BF16, 0, None)
    found = mark([whole], [Hinted(20, 60, 10, BY_ROW)])
    assert [(part.start, part.end, part.hint) for part in found] == [
        (0, 20, None),
        (20, 60, BY_ROW),
        (60, 100, None),
    ]


def test_what_needs_no_cast_takes_its_place() -> None:
    """Of the whole segment alone."""
    cast = Conversion(rule=Rule.CAST, source=Element.F32, columns=10)
    segment = Segment(100, 500, Element.BF16, 10, Source(0, 0, 800), hint=cast)
    (found,) = mark([segment], [Hinted(100, 500, 10, BY_ROW)])
    assert (found.hint, found.source, found.length) == (BY_ROW, None, 400)
    assert mark([segment], [Hinted(100, 480, 10, BY_ROW)]) == [segment]


def test_blocks_of_dequantised_rows_are_whole_groups() -> None:
    assert cuts(dequantised(BY_ROW, 10), 170) == [(160, None), (40, None)]
    assert cuts(dequantised(BY_ROW, 10, Source(3, 500, 700)), 90) == [
        (80, Source(3, 500, 580)),
        (80, Source(3, 580, 660)),
        (40, Source(3, 660, 700)),
    ]
    whole = replace(BY_ROW, group=(0, 1))
    assert [length for length, _ in cuts(dequantised(whole, 10), 90)] == [80, 80, 40]


def test_blocks_of_dequantised_rows_have_their_part_of_what_was_quantised() -> None:
    single = replace(BY_ROW, source=Element.F32)
    assert cuts(dequantised(single, 10, Source(3, 500, 900)), 170) == [
        (160, Source(3, 500, 820)),
        (40, Source(3, 820, 900)),
    ]
    records = Grid(columns=32, group=(1, 32), steps=Element.I8, source=Element.Q4_0)
    segment = Segment(0, 10 * 64, Element.BF16, 32, Source(3, 500, 680), (), records)
    assert cuts(segment, 320) == [(320, Source(3, 500, 590)), (320, Source(3, 590, 680))]
    computed = replace(single, group=(0, 1), scales_from=ScalesFrom.LARGEST, limit=7.0)
    assert cuts(dequantised(computed, 10, Source(3, 500, 900)), 200) == [(200, Source(3, 500, 900))]


def test_scales_of_steps_follow_their_rows() -> None:
    """One for all is read by every block."""
    hint = replace(BY_ROW, source=Element.I8, scales_from=ScalesFrom.SOURCE)
    whole = replace(dequantised(hint, 20, Source(0, 500, 700)), factors=(Source(0, 100, 120),))
    limit = 8 * 10 * Element.BF16.size
    parts = [(block.sources, block.length) for block in blocks(whole, limit)]
    assert parts == [
        ((Source(0, 500, 580), Source(0, 100, 108)), limit),
        ((Source(0, 580, 660), Source(0, 108, 116)), limit),
        ((Source(0, 660, 700), Source(0, 116, 120)), limit // 2),
    ]
    one = replace(whole, hint=replace(hint, group=(0, 0)), factors=(Source(0, 100, 104),))
    assert {block.sources[1] for block in blocks(one, limit)} == {Source(0, 100, 104)}


def test_groups_that_fit_no_block_are_coded_otherwise() -> None:
    parallel = Source(3, 500, 700)
    found = list(blocks(dequantised(BY_ROW, 10, parallel), 70))
    assert {block.hint for block in found} == {None}
    assert found[0].source == Source(3, 500, 560)
    single = replace(BY_ROW, source=Element.F32)
    assert {block.source for block in blocks(dequantised(single, 10, Source(3, 500, 900)), 70)} == {None}
    odd = replace(dequantised(BY_ROW, 10), end=290)
    assert {block.hint for block in blocks(odd, 1000)} == {None}
