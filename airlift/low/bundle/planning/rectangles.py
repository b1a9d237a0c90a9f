"""Small parts of a tensor whose numbers share a scale, if the rows and columns of a group are as supposed."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from airlift.codec.predict.exact import Bits
from airlift.tensors.element import Element
from airlift.tensors.matching.conversions import Place
from airlift.tensors.matching.match import Read

ROWS, BLOCKS = 4, 2
MANY = 32
"""So many groups tell that all have a scale each; of few, each may have one by chance."""
MOST = 1 << 16
"""Numbers of a rectangle."""


@dataclass(frozen=True, slots=True)
class Rectangle:
    """Some rows, and ``width`` columns from ``left`` on."""

    rows: range
    left: int
    width: int
    whole: bool = True
    """Whether it is a whole group."""

    @property
    def count(self) -> int:
        """How many numbers it has."""
        return len(self.rows) * self.width

    def first(self, count: int) -> "Rectangle":
        """Return its first rows and columns, as many as make about ``count`` numbers (or all)."""
        width = min(self.width, count)
        return Rectangle(self.rows[: -(-count // width)], self.left, width)


@dataclass(frozen=True, slots=True)
class Tensor:
    """A tensor as a matrix of ``columns``."""

    place: Place
    columns: int
    read: Read

    @property
    def element(self) -> Element:
        """What a number is."""
        return self.place.span.element

    @property
    def rows(self) -> int:
        """How many rows there are."""
        return self.place.count // self.columns

    def part(self, area: Rectangle) -> bytes:
        """Return the bytes of a rectangle; where elements are records of several numbers, it holds whole ones.

        What a file has lost is zeros: its digest will tell when it is coded.
        """
        return b"".join(self._line(row, area) for row in area.rows)

    def bits(self, area: Rectangle) -> Bits:
        """Return the bits of the numbers, in a row."""
        return np.frombuffer(self.part(area), f"<u{self.element.size}")

    def magnitudes(self, area: Rectangle) -> Bits:
        """Return the bits of the numbers without their signs."""
        bits = self.bits(area)
        found: Bits = bits & bits.dtype.type((1 << (8 * self.element.size - 1)) - 1)
        return found

    def _line(self, row: int, area: Rectangle) -> bytes:
        span, first = self.place.span, row * self.columns + area.left
        start, end = (
            span.start + number // self.place.held * span.element.size
            for number in (first, first + area.width)
        )
        return self.read(self.place.file, start, end).ljust(end - start, b"\0")


def rectangles(tensor: Tensor, group: tuple[int, int], wanted: int = 0) -> list[Rectangle]:
    """Return a few groups (about ``wanted``), evenly spread; parts of them, if they are long; none if there are none.

    Those at an edge may have less rows or columns.
    """
    return [area for area in _spread(tensor, group, wanted) if area.width]


def _spread(tensor: Tensor, group: tuple[int, int], wanted: int) -> Iterator[Rectangle]:
    down, across = group[0] or tensor.rows, group[1] or tensor.columns
    if down > tensor.rows or across > tensor.columns:
        return
    tall, wide = min(down, MOST // min(across, MOST)), min(across, MOST)
    beside, below = -(-tensor.columns // across), -(-tensor.rows // down)
    count = below * beside
    wanted = min(wanted or (BLOCKS if down > 1 else ROWS), count)
    for turn in range(wanted):
        number = turn * (count - 1) // max(wanted - 1, 1)
        top, left = number // beside * down, number % beside * across
        rows, width = range(top, min(top + tall, tensor.rows)), min(wide, tensor.columns - left)
        yield Rectangle(rows, left, width, whole=tall == down and wide == across)
