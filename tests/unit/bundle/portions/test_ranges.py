"""Ranges of indices: one form for each set of numbers, and nothing beyond their list."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airlift.bundle.portions import ranges
from airlift.errors import MalformedError

NUMBERS = st.sets(st.integers(0, 60)).map(sorted)


@given(NUMBERS)
def test_numbers_become_ranges_and_come_back(numbers: list[int]) -> None:
    found = ranges.of(numbers)
    assert list(ranges.numbers(found)) == numbers
    assert [number for number, said in enumerate(ranges.mask(found, 61)) if said] == numbers
    assert ranges.parse({"files": ranges.to_json(found)}, "files", 61, "x") == found


@given(st.lists(NUMBERS, max_size=4), st.integers(0, 60))
def test_what_is_covered(several: list[list[int]], count: int) -> None:
    lists = [ranges.of([number for number in numbers if number < count]) for numbers in several]
    told = {number for numbers in several for number in numbers if number < count}
    assert ranges.cover(lists, count) == (told == set(range(count)))


@pytest.mark.parametrize(
    "wrong",
    [
        None,
        {},
        [0, 1],
        [[0]],
        [[0, 1, 2]],
        [["0", 1]],
        [[0, True]],
        [[0, 0]],
        [[1, 0]],
        [[-1, 1]],
        [[0, 6]],
        [[5, 6]],
        [[0, 1], [1, 2]],
        [[2, 3], [0, 1]],
        [[0, 2], [1, 3]],
    ],
)
def test_what_is_no_ranges(wrong: Any) -> None:
    with pytest.raises(MalformedError):
        ranges.parse({"files": wrong}, "files", 5, "x")
