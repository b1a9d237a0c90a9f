"""Segments: runs of a target file and the base bytes to code them against, cut into blocks."""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate

from airlift.tensors.element import Element
from airlift.tensors.matching.hint import Adapter, Conversion, Grid, Hint, ScalesFrom

MAX_READ = 32 << 20
"""The most bytes that all sources of a block have together (SPEC 6.3-3)."""

Rows = tuple[int, int]
"""Elements a row (0 if unknown), and elements."""


@dataclass(frozen=True, slots=True)
class Source:
    """Bytes ``[start, end)`` of base file number ``file``."""

    file: int
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Segment:
    """Bytes ``[start, end)`` of a target file, a whole number of ``element``; ``row`` elements a row, 0 if unknown.

    If tensors with different rows were joined, ``row`` is 0 and ``parts`` says (elements a row, elements) for each.
    A source of the segment's own length is parallel to it: byte for byte the counterpart. A source of another length
    is only similar (an opaque file that grew). A hint says how whole rows of one matrix moved; ``factors`` are the
    sources of an adapter's left and right, or of a conversion's scales. Of a conversion the source is the matrix that
    it converts, and ``aside`` are scales in the target's own file, which the encoder alone is given.
    """

    start: int
    end: int
    element: Element
    row: int
    source: Source | None
    parts: tuple[Rows, ...] = ()
    hint: Hint = None
    factors: tuple[Source, ...] = ()
    aside: Source | None = None

    def spans(self, other: "Segment | Hinted") -> bool:
        """Return whether both are the same bytes of the target."""
        return (self.start, self.end) == (other.start, other.end)

    @property
    def rows(self) -> tuple[Rows, ...]:
        """What the rows are: (elements a row, elements) from the start to the end."""
        return self.parts or ((self.row, self.length // self.element.size),)

    @property
    def sources(self) -> tuple[Source, ...]:
        """All sources, the base first."""
        return (self.source, *self.factors) if self.source is not None else ()

    @property
    def length(self) -> int:
        """The length in bytes."""
        return self.end - self.start

    @property
    def parallel(self) -> bool:
        """Whether the source is the counterpart byte for byte."""
        return self.source is not None and self.source.end - self.source.start == self.length


def merge(segments: Iterable[Segment]) -> list[Segment]:
    """Join neighbours whose target and source both continue, and that have the same element.

    ``row`` is kept if it is the same in both, else it becomes 0 and the parts remember.
    """
    merged: list[Segment] = []
    for segment in segments:
        if merged and _continues(merged[-1], segment):
            merged[-1] = _join(merged[-1], segment)
        else:
            merged.append(segment)
    return merged


def _continues(before: Segment, after: Segment) -> bool:
    if before.end != after.start or before.element != after.element or before.hint or after.hint:
        return False
    if before.source is None or after.source is None:
        return before.source is after.source
    if before.source.file != after.source.file or before.source.end != after.source.start:
        return False
    return before.parallel and after.parallel


def _join(before: Segment, after: Segment) -> Segment:
    source = before.source
    if source is not None and after.source is not None:
        source = Source(source.file, source.start, after.source.end)
    same = before.row == after.row and not before.parts and not after.parts
    row, parts = (before.row, ()) if same else (0, (*before.rows, *after.rows))
    return Segment(before.start, after.end, before.element, row, source, parts)


@dataclass(frozen=True, slots=True)
class Hinted:
    """Bytes ``[start, end)`` of a target file are a matrix of ``columns``, of which something was found out.

    A ``source`` takes the place of the segment's own.
    """

    start: int
    end: int
    columns: int
    hint: Hint
    factors: tuple[Source, ...] = ()
    source: Source | None = None
    aside: Source | None = None


def mark(segments: Iterable[Segment], hinted: Iterable[Hinted]) -> list[Segment]:
    """Cut hinted matrices (ascending, none overlapping) out of the segments that hold them.

    These are parallel to their source; what brings a source of its own, or needs none, may also be cut out of one
    that has none, or take the place of a whole segment that has a hint.
    """
    marked, waiting = [], list(hinted)[::-1]
    for whole in segments:
        segment = rest = whole
        while waiting and waiting[-1].end <= segment.end:
            found = waiting.pop()
            lone = segment.source is None and (found.source is not None or isinstance(found.hint, Grid))
            if segment.hint is not None and isinstance(found.hint, Grid) and rest.spans(found):
                segment = rest = replace(segment, source=None, hint=None, factors=(), aside=None)
                lone = True
            if found.start < rest.start or segment.hint is not None or not (segment.parallel or lone):
                continue
            if rest.start < found.start:
                marked.append(_part(segment, rest.start, found.start))
            matrix = _part(segment, found.start, found.end)
            marked.append(
                replace(
                    matrix, row=found.columns, parts=(), hint=found.hint, factors=found.factors,
                    source=found.source or matrix.source, aside=found.aside,
                )
            )  # fmt: skip
            rest = _part(segment, found.end, segment.end)
        if rest.length:
            marked.append(rest)
    return marked


def _part(segment: Segment, start: int, end: int) -> Segment:
    """Return the part ``[start, end)`` of a segment that is parallel to its source, or has none."""
    within = segment.source
    if within is not None:
        offset = within.start - segment.start
        within = Source(within.file, start + offset, end + offset)
    return replace(segment, start=start, end=end, source=within, parts=_cut(segment, start, end))


def apart(segment: Segment, start: int, end: int) -> Segment:
    """Return the part ``[start, end)``, whole elements, without a source; its rows are those of the segment."""
    parts = _cut(replace(segment, parts=segment.rows), start, end)
    row = parts[0][0] if len(parts) == 1 else 0
    return replace(
        segment,
        start=start,
        end=end,
        source=None,
        row=row,
        parts=parts if len(parts) > 1 else (),
        hint=None,
        factors=(),
    )


def blocks(segment: Segment, limit: int) -> Iterator[Segment]:
    """Cut a segment into blocks of at most ``limit`` bytes, each with its part of the source.

    Cuts lie between rows if a row is known and fits ``limit``, else between elements. The source of the block
    ``[a, b)`` (relative to the segment) is ``[a, b)`` of a parallel source; of another it is ``[a - limit // 2,
    b + limit // 2)``, clipped to the source, so that bytes which moved by less than half a block are still in reach
    and no source is longer than ``2 * limit``. A block for which that leaves nothing has no source. A block of
    converted numbers has the rows that they come from, and at most MAX_READ bytes of sources.
    """
    if isinstance(segment.hint, Conversion):
        yield from _converted(segment, segment.hint, limit)
        return
    if isinstance(segment.hint, Grid):
        yield from _dequantised(segment, segment.hint, limit)
        return
    unit = segment.row * segment.element.size
    if not 0 < unit <= limit:
        unit = segment.element.size
    step, positions = max(limit - limit % unit, unit), _positions(segment)
    for start in range(segment.start, segment.end, step):
        end = min(start + step, segment.end)
        source = _window(segment, start - segment.start, end - segment.start, limit // 2)
        block = Segment(
            start, end, segment.element, segment.row, source, _cut(segment, start, end, positions)
        )
        yield _hinted(segment, block)


def _converted(segment: Segment, hint: Conversion, limit: int) -> Iterator[Segment]:
    """Cut converted rows into blocks that can each be converted alone; if that cannot be, they have no source."""
    whole = segment.source
    rows = 0 if whole is None else (whole.end - whole.start) // hint.source_bytes(1)
    unit = hint.unit_rows or max(rows, 1)
    target, source, scales = (
        hint.target_bytes(unit, segment.element),
        hint.source_bytes(unit),
        _scale_bytes(hint, unit),
    )
    shared = 0 if scales else sum(item.end - item.start for item in segment.factors)
    count = min(limit // target, (MAX_READ - shared) // (source + scales)) if rows else 0
    if whole is None or count < 1:
        yield from blocks(replace(segment, source=None, hint=None, factors=(), aside=None), limit)
        return
    for first in range(0, -(-rows // unit), count):
        start = segment.start + first * target
        end = min(start + count * target, segment.end)
        part = replace(segment, start=start, end=end, parts=_cut(segment, start, end))
        yield replace(
            part,
            source=_share(whole, first * source, count * source),
            factors=tuple(_share(item, first * scales, count * scales) for item in segment.factors),
            aside=None if segment.aside is None else _share(segment.aside, first * scales, count * scales),
        )


def _dequantised(segment: Segment, hint: Grid, limit: int) -> Iterator[Segment]:
    """Cut dequantised rows into blocks of whole groups; if that cannot be, they have no source."""
    row, whole = hint.columns * segment.element.size, segment.source
    unit = hint.unit_rows or max(segment.length // row, 1)
    source, scales = hint.source_bytes(unit), hint.scale_bytes(unit)
    shared = 0 if scales else sum(item.end - item.start for item in segment.factors)
    count = min(limit // (unit * row), (MAX_READ - shared) // (source + scales) if source else limit)
    if count < 1 or segment.length % row:
        alone = replace(segment, source=whole if segment.parallel else None, hint=None, factors=())
        yield from blocks(alone, limit)
        return
    for number, start in enumerate(range(segment.start, segment.end, count * unit * row)):
        end = min(start + count * unit * row, segment.end)
        if whole is None or hint.source is Element.BYTES:
            within = _window(segment, start - segment.start, end - segment.start, 0)
        else:
            within = _share(whole, number * count * source, count * source)
        factors = tuple(_share(item, number * count * scales, count * scales) for item in segment.factors)
        part = replace(segment, start=start, end=end, parts=_cut(segment, start, end))
        yield replace(part, source=within, factors=factors)


def _scale_bytes(hint: Conversion, rows: int) -> int:
    """Return how many bytes of scales belong to some rows, 0 if all rows share them."""
    stored = hint.scales_from in {ScalesFrom.PAYLOAD, ScalesFrom.SOURCE}
    return hint.scale_count(rows) * hint.scale.size if stored and hint.group[0] else 0


def _share(whole: Source, start: int, length: int) -> Source:
    """Return ``length`` bytes of a source from ``start`` on, or as many as there are; 0: all of it."""
    if not length:
        return whole
    return Source(whole.file, whole.start + start, min(whole.start + start + length, whole.end))


def _positions(segment: Segment) -> list[int]:
    """Return the bytes of the file at which the parts of a segment begin, and the end of the last one."""
    size = segment.element.size
    return [*accumulate((elements * size for _, elements in segment.parts), initial=segment.start)]


def _cut(segment: Segment, start: int, end: int, positions: Sequence[int] | None = None) -> tuple[Rows, ...]:
    """Return the parts between two bytes of the file; a row that the start cuts is a part of its own.

    Who cuts many blocks gives the ``positions`` of the parts, and each takes as long as it has parts.
    """
    found: list[Rows] = []
    size, positions = segment.element.size, positions or _positions(segment)
    for number in range(max(bisect_right(positions, start) - 1, 0), bisect_left(positions, end)):
        if number == len(segment.parts):
            break
        (row, elements), position = segment.parts[number], positions[number]
        first = max(start - position, 0) // size
        count = min(end - position, elements * size) // size - first
        lead = min(-first % row, count) if row and count > 0 else 0
        found.extend(part for part in ((lead, lead), (row, count - lead)) if part[1] > 0)
    return tuple(found)


def _hinted(segment: Segment, block: Segment) -> Segment:
    """Return the block with the segment's hint, if it is whole rows, and its part of the factors."""
    unit = segment.row * segment.element.size
    if segment.hint is None or not unit or block.length % unit:
        return block
    if not isinstance(segment.hint, Adapter):
        return replace(block, hint=segment.hint)
    left, right = segment.factors
    first, rows = (block.start - segment.start) // unit, block.length // unit
    if segment.hint.left_transposed:
        return replace(block, hint=replace(segment.hint, first=first), factors=(left, right))
    step = segment.hint.rank * segment.hint.left.size
    left = Source(left.file, left.start + first * step, left.start + (first + rows) * step)
    return replace(block, hint=segment.hint, factors=(left, right))


def _window(segment: Segment, start: int, end: int, slack: int) -> Source | None:
    """Return the part of the source for bytes ``[start, end)`` of the segment."""
    source = segment.source
    if source is None:
        return None
    if segment.parallel:
        return Source(source.file, source.start + start, source.start + end)
    first = max(source.start, source.start + start - slack)
    last = min(source.end, source.start + end + slack)
    return Source(source.file, first, last) if first < last else None
