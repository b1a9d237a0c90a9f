"""Hints: what the low side has found out about how a matrix changed, handed to the encoder."""

from dataclasses import dataclass, replace
from enum import IntEnum
from math import lcm

from airlift.tensors.element import Element


@dataclass(frozen=True, slots=True)
class LowRank:
    """The range is whole rows, of ``columns`` elements, of a matrix that seems to have changed by a low rank."""

    columns: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Adapter:
    """An adapter moved the whole rows of a range by ``scale * left @ right``.

    ``left`` and ``right`` are the elements of factors of shape (rows, rank) and (rank, columns), or if transposed of
    (rank, all rows of the matrix), where ``first`` of these come before the range, and of (columns, rank). ``scale``
    is a float32. If ``per_product`` the product was rounded to the type of the base before it was added.
    """

    left: Element
    right: Element
    columns: int
    rank: int
    scale: float
    first: int = 0
    per_product: bool = False
    left_transposed: bool = False
    right_transposed: bool = False


class Rule(IntEnum):
    """How numbers become those of another element; the value is what a payload stores (SPEC V3 to V7)."""

    CAST = 0
    TRUNCATE = 1
    SCALE = 2
    GGML = 3
    SCALES = 4


class ScalesFrom(IntEnum):
    """Where the scales of :attr:`Rule.SCALE` and of :class:`Grid` are: in the payload, in a source, or computed.

    ``RANGE`` is for a grid alone.
    """

    NOWHERE = 0
    PAYLOAD = 1
    SOURCE = 2
    LARGEST = 3
    RANGE = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Conversion:
    """The numbers of a range were made of those of its source, a matrix of ``columns``, by a rule.

    ``source`` is the element of the source. With ``head`` each ``head`` rows lie in another order: those of the
    source's first half and of its second half take turns. ``group`` are the (rows, columns) that share a scale, 0:
    all of them. Quotients, and computed scales, are rounded to ``work``; with ``multiply`` numbers are multiplied by
    the reciprocal of the scale. ``limit`` is what the largest magnitude of a group becomes. ``scales`` are numbers of
    ``scale``, for the payload.
    """

    rule: Rule
    source: Element
    columns: int
    head: int = 0
    scales_from: ScalesFrom = ScalesFrom.NOWHERE
    scale: Element = Element.BYTES
    work: Element = Element.BYTES
    multiply: bool = False
    fused: bool = False
    group: tuple[int, int] = (0, 0)
    limit: float = 0.0
    scales: bytes = b""

    def like(self, other: "Conversion") -> bool:
        """Return whether the rule is the same, but for the shape of the matrix."""
        return replace(self, columns=other.columns, scales=other.scales) == other

    @property
    def unit_rows(self) -> int:
        """The least number of rows that can be converted alone; 0: only all of them."""
        grouped = self.rule is Rule.SCALES or self.scales_from is not ScalesFrom.NOWHERE
        if grouped and not self.group[0]:
            return 0 if self.scales_from in {ScalesFrom.NOWHERE, ScalesFrom.LARGEST} else max(self.head, 1)
        return lcm(max(self.head, 1), max(self.group[0], 1))

    @property
    def groups_across(self) -> int:
        """How many groups lie side by side."""
        return -(-self.columns // (self.group[1] or self.columns))

    def target_bytes(self, rows: int, element: Element) -> int:
        """Return how many bytes of ``element`` become of ``rows`` rows; of :attr:`Rule.SCALES` the scales of them."""
        if self.rule is Rule.SCALES:
            return self.scale_count(rows) * element.size
        return rows * (self.columns // numbers(element)) * element.size

    def source_bytes(self, rows: int) -> int:
        """Return how many bytes of the source are ``rows`` rows."""
        return rows * self.columns * self.source.size

    def scale_count(self, rows: int) -> int:
        """Return how many groups there are in ``rows`` rows."""
        return -(-rows // (self.group[0] or rows)) * self.groups_across


@dataclass(frozen=True, slots=True, kw_only=True)
class Grid:
    """The numbers of a matrix of ``columns`` are small integers, or eight-bit floats, times the scale of their group.

    ``group`` are the (rows, columns) that share a scale, 0: all of them. ``source`` is the element of what the
    steps are predicted from, BYTES if there is nothing. Where it does not hold the steps themselves, integers may
    become I8 or I16. Computed scales are the largest magnitude of a group of the source divided by ``limit``, as
    ``scale``; with ``RANGE`` how far its numbers are apart. With ``narrow`` quotients are rounded to ``scale`` too.
    """

    columns: int
    group: tuple[int, int]
    steps: Element = Element.I8
    source: Element = Element.BYTES
    scales_from: ScalesFrom = ScalesFrom.PAYLOAD
    scale: Element = Element.F32
    limit: float = 0.0
    narrow: bool = False

    @property
    def computed(self) -> bool:
        """Whether scales are computed from the numbers of the source."""
        return self.scales_from in {ScalesFrom.LARGEST, ScalesFrom.RANGE}

    @property
    def unit_rows(self) -> int:
        """The least number of rows that can be coded alone; 0: only all of them."""
        if not self.group[0]:
            return 0 if self.computed else 1
        return self.group[0]

    @property
    def groups_across(self) -> int:
        """How many groups lie side by side."""
        return -(-self.columns // (self.group[1] or self.columns))

    def scale_count(self, rows: int) -> int:
        """Return how many groups there are in ``rows`` rows."""
        return -(-rows // (self.group[0] or rows)) * self.groups_across

    def source_bytes(self, rows: int) -> int:
        """Return how many bytes of the source are ``rows`` rows, 0 without one."""
        if self.source is Element.BYTES:
            return 0
        return rows * (self.columns // held(self.source)) * self.source.size

    def scale_bytes(self, rows: int) -> int:
        """Return how many bytes of the second source, if that is scales, are those of ``rows`` rows; 0: all of it."""
        apart = self.scales_from is ScalesFrom.SOURCE and self.source not in NUMBERS
        return self.scale_count(rows) * self.scale.size if apart and self.group[0] else 0


NUMBERS = {Element.Q8_0: 32, Element.Q4_0: 32}


def numbers(element: Element) -> int:
    """Return how many numbers an element that is converted to holds."""
    return NUMBERS.get(element, 1)


PACKED = 8
"""Numbers of four bits that an I32 holds, where steps are packed."""


def held(element: Element) -> int:
    """Return how many steps of a grid an element of its source holds."""
    return PACKED if element is Element.I32 else numbers(element)


Hint = LowRank | Adapter | Conversion | Grid | None
