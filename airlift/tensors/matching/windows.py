"""Windows of two tensors of the same numbers, on which a rule of conversion is tried. Pure; bytes from a callable.

A window is a small matrix in which every number has the same scale: a part of some rows, whole rows, or a block.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from math import prod

from airlift.tensors.matching.conversions import Place
from airlift.tensors.matching.hint import Conversion, Rule, ScalesFrom, numbers
from airlift.tensors.matching.segment import Hinted, Source

Read = Callable[[int, int, int], bytes]
"""Returns bytes ``[start, end)`` of file number ``int``."""

WIDTH = 2048
ROWS, BLOCKS, SCALES = 6, 2, 16
MAX_NUMBERS = 1 << 18
MAX_ROW_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class Window:
    """The bytes of a small matrix on both sides, whose numbers share one scale (its bytes, if it is stored)."""

    target: bytes
    source: bytes
    columns: int
    scale: bytes = b""


@dataclass(frozen=True, slots=True)
class Pair:
    """A tensor, what it may have been made from (of as many numbers), and its scales, if there are any."""

    target: Place
    source: Place
    scales: Place | None
    read: Read
    cut: dict[tuple[bool, tuple[int, int], int], list[Window]] = field(default_factory=dict)

    @property
    def columns(self) -> int:
        """How many numbers a row has."""
        shape = self.target.span.shape
        return shape[-1] * numbers(self.target.span.element) if shape else 1

    @property
    def rows(self) -> int:
        """How many rows there are."""
        return prod(self.target.span.shape[:-1])

    def windows(self, hint: Conversion) -> Sequence[Window]:
        """Return windows for a rule; none if they would be too large."""
        computed = hint.scales_from is ScalesFrom.LARGEST
        key = (computed, hint.group, hint.head)
        if key not in self.cut:
            self.cut[key] = list(self._windows(hint.group, hint.head, computed=computed))
        return self.cut[key]

    def scale_windows(self, hint: Conversion) -> Sequence[Window]:
        """Return windows that are whole groups, whose target is their scale, for the rule that makes scales."""
        key = (False, hint.group, -1)
        if key not in self.cut:
            self.cut[key] = list(self._scale_windows(hint.group))
        return self.cut[key]

    def _windows(self, group: tuple[int, int], head: int, *, computed: bool) -> Iterator[Window]:
        unit, across = numbers(self.target.span.element), group[1] or self.columns
        tall, wide = (group[0] or 1, across) if computed else (1, min(across, WIDTH))
        if tall * wide > MAX_NUMBERS:
            return
        for number, top in enumerate(_spread(-(-self.rows // tall), BLOCKS if tall > 1 else ROWS, tall)):
            left = number * 7 % -(-self.columns // across) * across
            right = min(left + wide, self.columns)
            right -= (right - left) % unit
            lines = range(top, min(top + tall, self.rows))
            yield Window(
                b"".join(self._part(self.target, line, left, right) for line in lines),
                b"".join(self._part(self.source, _turned(line, head), left, right) for line in lines),
                right - left,
                self._scale(top, left, group),
            )

    def _scale_windows(self, group: tuple[int, int]) -> Iterator[Window]:
        tall, across = group[0] or self.rows, group[1] or self.columns
        if tall * across > MAX_NUMBERS:
            return
        beside = -(-self.columns // across)
        for number in _spread(-(-self.rows // tall) * beside, SCALES if tall == 1 else BLOCKS, 1):
            top, left = number // beside * tall, number % beside * across
            right = min(left + across, self.columns)
            lines = range(top, min(top + tall, self.rows))
            data = b"".join(self._part(self.source, line, left, right) for line in lines)
            yield Window(self._scale(top, left, group), data, right - left)

    def _part(self, place: Place, row: int, left: int, right: int) -> bytes:
        """Return the bytes of a part of a row."""
        element, first = place.span.element, row * self.columns
        start, end = (
            place.span.start + (first + number) // numbers(element) * element.size for number in (left, right)
        )
        return self.read(place.file, start, end)

    def _scale(self, top: int, left: int, group: tuple[int, int]) -> bytes:
        """Return the scale of the group that begins there."""
        if self.scales is None:
            return b""
        span = self.scales.span
        across = group[1] or self.columns
        number = top // (group[0] or self.rows) * -(-self.columns // across) + left // across
        start = span.start + number * span.element.size
        return self.read(self.scales.file, start, start + span.element.size)

    # -- what comes out of it

    def hinted(self, hint: Conversion) -> Hinted:
        """Return the hint for the whole tensor; stored scales are the encoder's affair."""
        span, source = self.target.span, self.source.span
        aside = None
        if hint.scales_from is ScalesFrom.PAYLOAD and self.scales is not None:
            aside = Source(self.scales.file, self.scales.span.start, self.scales.span.end)
        within = Source(self.source.file, source.start, source.end)
        return Hinted(span.start, span.end, span.shape[-1] if span.shape else 0, hint, (), within, aside)

    def hinted_scales(self, hint: Conversion, scales: Place) -> Hinted:
        """Return the hint for the scales of the tensor."""
        source = Source(self.source.file, self.source.span.start, self.source.span.end)
        return Hinted(scales.span.start, scales.span.end, 0, hint, (), source)

    def fitted(self, hint: Conversion) -> Conversion:
        """Return a rule of single numbers or records with rows to cut between: the tensor's, unless they are long."""
        row = self.columns * self.source.span.element.size
        if hint.rule in {Rule.SCALE, Rule.SCALES} or hint.head or row > MAX_ROW_BYTES:
            return hint
        return replace(hint, columns=self.columns)


def _spread(count: int, wanted: int, step: int) -> list[int]:
    """Return at most ``wanted`` multiples of ``step``, evenly spread below ``count * step``; odd and even ones."""
    some = dict.fromkeys(min(count - 1, count * number // wanted | number & 1) for number in range(wanted))
    return [number * step for number in some]


def _turned(row: int, head: int) -> int:
    """Return the source's row of a row, if the halves of each ``head`` rows take turns."""
    if not head:
        return row
    within = row % head
    return row - within + within % 2 * (head // 2) + within // 2
