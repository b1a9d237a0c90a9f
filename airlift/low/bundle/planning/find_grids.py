"""Find tensors of floats that were dequantised: integers, or eight-bit floats, times the scale of their group.

What the integers are predicted from is the counterpart, or another tensor of as many numbers in an earlier file: the
quantised form, or what was quantised. Small rectangles of a tensor, coded for a trial, tell which groups share a
scale, and which source is worth most. A hint decides how small a bundle becomes, never whether it is right.
"""

import math
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from math import prod

import numpy as np

from airlift.codec.block import Context, Effort
from airlift.codec.grid import fit
from airlift.codec.grid.grid import GRID, STORED, reproduces
from airlift.codec.grid.steps import RECORDS
from airlift.codec.predict import convert_search
from airlift.codec.predict.convert import SINGLE
from airlift.codec.predict.rounding import EIGHTS
from airlift.low.bundle.planning.candidates import Candidates, candidates, is_open
from airlift.low.bundle.planning.families import Families
from airlift.low.bundle.planning.rectangles import MANY, MOST, Rectangle, Tensor, rectangles
from airlift.tensors.element import Element
from airlift.tensors.matching import conversions
from airlift.tensors.matching.conversions import BLOCK, Place
from airlift.tensors.matching.hint import Conversion, Grid, Rule, ScalesFrom
from airlift.tensors.matching.match import FileSpans, Read
from airlift.tensors.matching.segment import Hinted, Segment, Source, mark
from airlift.tensors.matching.windows import Pair

LEAST_NUMBERS = 4096
CASTS = frozenset({Rule.CAST, Rule.TRUNCATE})
LOOK = 32
"""So many numbers of a row or a column show quickly that they are no steps of one scale."""
GROUPS = ((1, 0), (0, 1), (BLOCK, BLOCK), (1, 256), (1, 128), (1, 64), (1, 32))
"""The rows and columns that share a scale, by how much their scales cost."""
INTEGER_LIMITS = (127.0, 127.5, 128.0, 7.0, 7.5, 8.0)
FLOAT_LIMITS = {Element.F8_E5M2: (57344.0,), Element.F8_E4M3: (448.0, 240.0)}
"""E5M2 comes first: of what has its two bits of fraction E4M3 makes the same numbers, but not the same steps."""
FEW = 80
"""Of 128 eight-bit floats times a scale no more magnitudes differ; of other numbers nearly all do."""


def find_grids(
    files: Sequence[FileSpans], bases: int, found: Sequence[Sequence[Segment]], read: Read
) -> list[list[Segment]]:
    """Return the segments of each target, with a segment of its own for each tensor that was dequantised.

    Files are numbered: the bases first, then the targets, of which ``found`` has the segments. Sources lie in files
    before a target.
    """
    index, marked = candidates(files, bases, read, lambda span: span.element in SINGLE | STORED), []
    for number, segments in enumerate(found, bases):
        marked.append(mark(segments, _file(number, files[number], segments, index)))
    return marked


def _file(number: int, file: FileSpans, segments: Sequence[Segment], index: Candidates) -> Iterator[Hinted]:
    ends, families = [segment.end for segment in segments], Families()
    for span in file.spans:
        if span.opaque or span.element not in SINGLE or prod(span.shape) < LEAST_NUMBERS:
            continue
        holder, target = segments[bisect_right(ends, span.start)], Place(number, span)
        most = _most(target, holder, index.read)
        family = families.of(span.name)
        best = _best(target, holder, index, most) if most and family.due() else None
        if best is not None:
            family.found = True
            hint, factors = best.hint, () if best.scales is None else (_whole(best.scales),)
            yield Hinted(span.start, span.end, hint.columns, hint, factors, best.source)


def _whole(place: Place) -> Source:
    return Source(place.file, place.span.start, place.span.end)


def _most(target: Place, holder: Segment, read: Read) -> float:
    """Return what a number may cost, in bytes: anything, if nothing is known of a tensor yet; 0 if all is known.

    Numbers that were quantised in between are about what a cast makes of those before.
    """
    span, hint = target.span, holder.hint
    if is_open(target, holder, read):
        return math.inf
    if not isinstance(hint, Conversion) or hint.rule not in CASTS or hint.head or holder.source is None:
        return 0.0
    if (holder.start, holder.end) != (span.start, span.end):
        return 0.0
    made = replace(span, element=hint.source, start=holder.source.start, end=holder.source.end)
    windows = Pair(target, Place(holder.source.file, made), None, read).windows(hint)
    return convert_search.cost(hint, windows, span.element) / 8


def _best(target: Place, holder: Segment, index: Candidates, most: float) -> "_Tried | None":
    """Return how a tensor was dequantised, and what its steps are best predicted from; at less than ``most``."""
    tried = [
        item for width in _widths(target) for item in _tried(Tensor(target, width, index.read), holder, index)
    ]
    best = min(tried, key=lambda item: item.cost, default=None)
    return best if best is not None and best.cost < most else None


@dataclass(frozen=True, slots=True)
class _Tried:
    """What a hint, a source and scales of their own cost, in bytes a number."""

    cost: float
    hint: Grid
    source: Source | None
    scales: Place | None


def _widths(target: Place) -> Iterable[int]:
    """Yield how many numbers a row may have: the last dimension, or all but the first."""
    shape = target.span.shape
    return dict.fromkeys((shape[-1], prod(shape[1:])) if len(shape) > 1 else shape)


def _tried(tensor: Tensor, holder: Segment, index: Candidates) -> Iterator[_Tried]:
    """Yield what fits a tensor, from no source and from those that are likely."""
    group, few = _group(tensor), _few(tensor)
    if group is None and not few:
        return
    sources = list(_sources(tensor.place, holder, index))
    if group is not None:
        areas = rectangles(tensor, group)
        yield from _costs(tensor, areas, Grid(columns=tensor.columns, group=group, steps=Element.I8), None)
        for source in sources:
            plain, *computed = _integers(tensor, group, source)
            yield from _costs_of(tensor, areas, (plain, *_narrowed(plain, source)), source)
            yield from _given(tensor, source, index)
            many = rectangles(tensor, group, MANY) if group[0] == 1 else areas
            for found in islice(_costs_of(tensor, many, computed, source), 1):
                yield found
                yield from _costs_of(tensor, many, _narrowed(found.hint, source), source)
            yield from _costs_of(tensor, many, _ranges(plain, source), source)
    if few:
        for group in ((1, 0), (BLOCK, BLOCK)):
            areas = rectangles(tensor, group)
            for source in sources if areas else ():
                yield from _given(tensor, source, index)
                yield from islice(_costs_of(tensor, areas, _eights(tensor, group, source), source), 1)


def _sources(target: Place, holder: Segment, index: Candidates) -> Iterator[Place]:
    """Yield the counterpart of a tensor, or else what its numbers may have come from."""
    if holder.source is None or holder.hint is not None:
        yield from islice(index.likely(target, named=False), 8)
        return
    shift = holder.source.start - holder.start
    span = target.span
    yield Place(holder.source.file, replace(span, start=span.start + shift, end=span.end + shift))


def _integers(tensor: Tensor, group: tuple[int, int], source: Place) -> Iterator[Grid]:
    """Yield how integers may follow from a source."""
    kind = source.span.element
    base = Grid(columns=tensor.columns, group=group, steps=Element.I8, source=kind)
    if tensor.columns % source.held or kind in EIGHTS:
        base = replace(base, source=Element.BYTES)
    yield base
    if base.source in SINGLE and group[0]:
        for scale in dict.fromkeys((Element.F32, kind, Element.F16, Element.BF16)):
            for limit in INTEGER_LIMITS:
                yield replace(base, scales_from=ScalesFrom.LARGEST, scale=scale, limit=limit)
    elif base.source in {Element.Q8_0, Element.Q4_0} and group == (1, 32):
        yield replace(base, scales_from=ScalesFrom.SOURCE, scale=Element.F16)


def _narrowed(hint: Grid, source: Place) -> Iterator[Grid]:
    """Yield the same, computed in the type of the source or of the scales."""
    scale = hint.scale if hint.computed else source.span.element
    if hint.source in SINGLE and scale is not Element.F32:
        yield replace(hint, scale=scale, narrow=True)


def _ranges(plain: Grid, source: Place) -> Iterator[Grid]:
    """Yield how integers with a zero point may follow from a source."""
    if plain.source not in SINGLE or not plain.group[0]:
        return
    for scale in dict.fromkeys((Element.F32, source.span.element, Element.F16, Element.BF16)):
        for limit in fit.RANGES:
            hint = replace(plain, scales_from=ScalesFrom.RANGE, scale=scale, limit=limit)
            yield hint
            yield from _narrowed(hint, source)


def _given(tensor: Tensor, source: Place, index: Candidates) -> Iterator[_Tried]:
    """Yield what follows from a quantised form and the scales beside it."""
    kind, scales = source.span.element, index.scales_beside(source)
    if scales is None or kind not in STORED or kind in RECORDS or tensor.columns % source.held:
        return
    group = conversions.grouped((tensor.rows, tensor.columns), scales.span.shape)
    if group is not None:
        hint = Grid(
            columns=tensor.columns, group=group, steps=Element.I8 if source.packed else kind, source=kind,
            scales_from=ScalesFrom.SOURCE, scale=scales.span.element,
        )  # fmt: skip
        yield from _costs(tensor, rectangles(tensor, group), hint, source, scales)


def _eights(tensor: Tensor, group: tuple[int, int], source: Place) -> Iterator[Grid]:
    """Yield how eight-bit floats may follow from a source."""
    kind = source.span.element
    if kind in EIGHTS:
        yield Grid(columns=tensor.columns, group=group, steps=kind, source=kind)
    elif kind in SINGLE:
        for steps, limits in FLOAT_LIMITS.items():
            for scale in dict.fromkeys((Element.F32, kind, Element.BF16)):
                for limit in limits:
                    yield Grid(
                        columns=tensor.columns, group=group, steps=steps, source=kind,
                        scales_from=ScalesFrom.LARGEST, scale=scale, limit=limit,
                    )  # fmt: skip


def _costs_of(
    tensor: Tensor, areas: Sequence[Rectangle], hints: Iterable[Grid], place: Place
) -> Iterator[_Tried]:
    for hint in hints:
        yield from _costs(tensor, areas, hint, place)


def _costs(
    tensor: Tensor, areas: Sequence[Rectangle], hint: Grid, place: Place | None, scales: Place | None = None
) -> Iterator[_Tried]:
    """Yield what rectangles cost with a hint, if they can all be coded so."""
    cost, source = 0, None if place is None else Tensor(place, tensor.columns, tensor.read)
    given, computed = hint.scales_from is ScalesFrom.SOURCE, hint.computed
    recorded = given and scales is None
    for area in areas:
        if computed and not area.whole:
            return
        small = replace(hint, columns=area.width, group=(1, 32) if recorded else (0, 0))
        sources = [] if source is None else [memoryview(source.part(area))]
        if scales is not None:
            sources.append(memoryview(_scale(tensor, area, hint, scales)))
        target, context = memoryview(tensor.part(area)), Context(sources, tensor.element, (), small)
        if (given or computed) and not reproduces(target, context):
            return
        payload = GRID.encode(target, context, Effort.LOW)
        if payload is None:
            return
        cost += len(payload)
    within = None if place is None else _whole(place)
    yield _Tried(cost / sum(area.count for area in areas), hint, within, scales)


def _scale(tensor: Tensor, area: Rectangle, hint: Grid, scales: Place) -> bytes:
    """Return the scale of the group that a rectangle lies in."""
    down, across = hint.group[0] or tensor.rows, hint.group[1] or tensor.columns
    number = area.rows.start // down * hint.groups_across + area.left // across
    start, size = scales.span.start + number * hint.scale.size, hint.scale.size
    return tensor.read(scales.file, start, start + size).ljust(size, b"\0")


def _group(tensor: Tensor) -> tuple[int, int] | None:
    """Return the rows and columns whose numbers, in a few rectangles, are steps of one scale; None if none are."""
    plausible: dict[Rectangle, bool] = {}
    for group in GROUPS:
        areas = rectangles(tensor, group)
        if not areas or areas[0].count < LOOK:
            continue
        corner = areas[0].first(LOOK)
        if corner not in plausible:
            plausible[corner] = fit.plausible(tensor.magnitudes(corner), tensor.element)
        if plausible[corner] and _fit(tensor, areas[:1]) and _fit(tensor, areas[1:]) and _many(tensor, group):
            return group
    return None


def _many(tensor: Tensor, group: tuple[int, int]) -> bool:
    """Return whether not only a few groups have a scale, if they are parts of rows: two that lie side by side may."""
    if group[0] != 1:
        return True
    width = min(group[1] or tensor.columns, MOST)
    return _fit(tensor, [area for area in rectangles(tensor, group, MANY) if area.width == width])


def _fit(tensor: Tensor, areas: Sequence[Rectangle]) -> bool:
    """Return whether the numbers of each rectangle are steps of one scale."""
    for count in sorted({area.count for area in areas}):
        bits = np.stack([tensor.bits(area) for area in areas if area.count == count])
        magnitudes = bits & bits.dtype.type((1 << (8 * tensor.element.size - 1)) - 1)
        groups = fit.Groups(magnitudes, tensor.element, ranges=fit.ranged(bits, tensor.element))
        if fit.fit(groups) is None:
            return False
    return True


def _few(tensor: Tensor) -> bool:
    """Return whether a row, if it is no short one, has as few different numbers as eight-bit floats."""
    area = Rectangle(range(1), 0, min(BLOCK, tensor.columns))
    return area.count >= LOOK and len(np.unique(tensor.magnitudes(area))) <= min(FEW, 5 * area.count // 8)
