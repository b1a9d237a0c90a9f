"""Ranges of indices ``[first, end)``: ascending, none empty, none touching the next, so each set has one form.

>>> of([0, 1, 2, 5])
((0, 3), (5, 6))
"""

from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Any

from airlift import strict
from airlift.errors import MalformedError

Range = tuple[int, int]
Ranges = tuple[Range, ...]


def of(numbers: Iterable[int]) -> Ranges:
    """Return ascending numbers as ranges."""
    found: list[Range] = []
    for number in numbers:
        if found and found[-1][1] == number:
            found[-1] = found[-1][0], number + 1
        else:
            found.append((number, number + 1))
    return tuple(found)


def numbers(ranges: Ranges) -> tuple[int, ...]:
    """Return what is in the ranges, ascending."""
    return tuple(number for first, end in ranges for number in range(first, end))


def mask(ranges: Ranges, count: int) -> bytearray:
    """Return a byte for each of ``count`` numbers: 1 if it is in the ranges, else 0."""
    found = bytearray(count)
    for first, end in ranges:
        found[first:end] = b"\1" * (end - first)
    return found


def cover(several: Iterable[Ranges], count: int) -> bool:
    """Say whether each of ``count`` numbers is in one of several lists of ranges at least."""
    reached = 0
    for first, end in sorted(pair for ranges in several for pair in ranges):
        if first > reached:
            return False
        reached = max(reached, end)
    return reached == count


def to_json(ranges: Ranges) -> list[list[int]]:
    """Return the document form."""
    return [list(pair) for pair in ranges]


def parse(document: Any, key: str, count: int, what: str) -> Ranges:
    """Return the ranges under ``key``; none reaches beyond ``count``.

    Raises:
        MalformedError: they are none, or not in their one form.
    """
    listed = strict.member(document, key, list, what)
    found = tuple(_pair(item, key, what) for item in listed)
    edges: Sequence[int] = [edge for pair in found for edge in pair]
    if any(later <= earlier for earlier, later in pairwise(edges)) or (
        edges and not 0 <= edges[0] < edges[-1] <= count
    ):
        raise MalformedError(
            f"{what}: the ranges of {key!r} are not ascending, or reach beyond it", expected=f"0 to {count}"
        )
    return found


def _pair(item: Any, key: str, what: str) -> Range:
    if type(item) is not list or len(item) != 2 or not all(type(edge) is int for edge in item):
        raise MalformedError(f"{what}: {key!r} has a range that is not a pair of indices")
    return item[0], item[1]
