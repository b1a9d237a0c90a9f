"""Find tensors that were made from others: the same weights in another element, in a base or in this release.

A tensor looks for its source in the bases and in earlier files of the bundle, where wide numbers come first: by
name, then among tensors of as many numbers by a pattern. Windows of both sides tell whether a rule explains it.
A hint decides how small a bundle becomes, never whether it is right.
"""

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from airlift.codec.predict import convert, convert_search
from airlift.low.bundle.planning.candidates import Candidates, candidates, is_open, same_sample
from airlift.tensors.element import Element
from airlift.tensors.matching import conversions
from airlift.tensors.matching.conversions import BLOCK, Place
from airlift.tensors.matching.hint import Conversion, Rule, ScalesFrom, numbers
from airlift.tensors.matching.match import FileSpans
from airlift.tensors.matching.segment import Hinted, Segment, Source, mark
from airlift.tensors.matching.windows import Pair, Read

LEAST_BYTES = 256
HEADS = (128, 64, 32, 96, 80, 112, 192, 256)
"""Rows of a head of models whose query and key weights are stored as GGUF has them."""
CLOSE = 0.1
"""Bits a number: a rule that leaves no more is better than a counterpart that changed."""
LIKELY = 0.5
"""Of the bits of a number: a rule that leaves less is better than nothing."""

Best = tuple[float, Conversion]


@dataclass(frozen=True, slots=True)
class Found:
    """By which rule a tensor was made from another, and about how many bits a number still costs."""

    pair: Pair
    bits: float
    hint: Conversion
    hinted: Hinted


def find_conversions(
    files: Sequence[FileSpans], bases: int, found: Sequence[Sequence[Segment]], read: Read
) -> list[list[Segment]]:
    """Return the segments of each target, with a segment of its own for each tensor that was made from another.

    Files are numbered: the bases first, then the targets, of which ``found`` has the segments. Sources lie in files
    before a target.
    """
    index, marked = candidates(files, bases, read, conversions.is_float), []
    for number, segments in enumerate(found, bases):
        hinted = sorted(_file(number, files[number], segments, index), key=lambda item: item.start)
        marked.append(mark(segments, hinted))
    return marked


def find_conversion(
    target: Place, source: Place, read: Read, scales: Place | None = None, likely: Conversion | None = None
) -> Found | None:
    """Return by which rule a tensor was made from another of as many numbers, None if by none that is known.

    ``scales`` are those of the target, if its model holds any. A rule like ``likely`` is tried first: on a sample two
    rules may come to the same.
    """
    element, kind = target.span.element, source.span.element
    if (
        element not in convert.TARGETS
        or not conversions.is_float(source.span)
        or target.count != source.count
    ):
        return None
    pair, most = Pair(target, source, scales, read), LIKELY * 8 * element.size / numbers(element)
    rules = sorted(_straight(pair, element, kind), key=lambda hint: likely is None or not hint.like(likely))
    best = _cheapest(pair, rules)
    if best is None or best[0] > most:
        best = _cheapest(pair, _turned(pair, element, kind))
    if best is None or best[0] > most:
        return None
    hint = pair.fitted(best[1])
    return Found(pair, best[0], hint, pair.hinted(hint))


def _cheapest(pair: Pair, hints: Iterable[Conversion]) -> Best | None:
    element = pair.target.span.element
    return convert_search.cheapest(((hint, pair.windows(hint)) for hint in hints), element)


def _straight(pair: Pair, element: Element, kind: Element) -> Iterator[Conversion]:
    """Yield the rules that leave rows where they are."""
    yield from convert_search.casts(element, kind)
    if element not in convert_search.LIMITS or kind not in convert.SINGLE:
        return
    if pair.scales is None:
        groups, stored = [(1, 0), (BLOCK, BLOCK)], None
    else:
        group = conversions.grouped(pair.target.span.shape, pair.scales.span.shape)
        groups, stored = [] if group is None else [group], pair.scales.span.element
    for group in groups:
        yield from convert_search.scalings(element, kind, pair.columns, group, stored)


def _turned(pair: Pair, element: Element, kind: Element) -> Iterator[Conversion]:
    """Yield the rules for rows that took turns."""
    for head in HEADS:
        if pair.rows % head == 0:
            for hint in convert_search.casts(element, kind):
                yield replace(hint, columns=pair.columns, head=head)


# -- one target file -----------------------------------------------------------------------------------------------


def _file(number: int, file: FileSpans, segments: Sequence[Segment], index: Candidates) -> Iterator[Hinted]:
    """Yield the hints for the tensors of one target, and for the scales that go with them."""
    ends, made, rules = [segment.end for segment in segments], dict[str, Found](), dict[Element, Conversion]()
    spans = {span.name: span for span in file.spans if not span.opaque and span.length >= LEAST_BYTES}
    for span in spans.values():
        holder, target = segments[bisect_right(ends, span.start)], Place(number, span)
        if not is_open(target, holder, index.read):
            continue
        copy = next((place for place in index.copies(target) if same_sample(target, place, index.read)), None)
        if copy is not None:
            yield _copied(target, copy)
            continue
        tried = _tried(target, index, file.component, rules.get(span.element), lone=holder.source is None)
        found = _best(tried, lone=holder.source is None)
        if found is not None:
            found = _with_scales(found)
            made[span.name], rules[span.element] = found, found.hint
            yield found.hinted
    for name, found in made.items():
        scales = next((spans[other] for other in conversions.scale_names(name) if other in spans), None)
        if scales is not None and scales.name not in made:
            yield from _scales(Place(number, scales), found)


def _copied(target: Place, other: Place) -> Hinted:
    span, source = target.span, Source(other.file, other.span.start, other.span.end)
    return Hinted(span.start, span.end, span.shape[-1] if span.shape else 0, None, (), source)


def _tried(
    target: Place, index: Candidates, component: str, likely: Conversion | None, *, lone: bool
) -> Iterator[Found]:
    """Yield what explains a tensor, likely sources first."""
    if target.span.element not in convert.TARGETS:
        return
    scales = index.scales_of(component, target.span.name)
    for place in index.likely(target, named=not lone):
        found = find_conversion(target, place, index.read, scales, likely)
        if found is not None:
            yield found


def _best(tried: Iterator[Found], *, lone: bool) -> Found | None:
    """Return the first that leaves nothing, or what leaves least: next to nothing if there is a counterpart."""
    best: Found | None = None
    for found in tried:
        if best is None or found.bits < best.bits:
            best = found
        if not best.bits:
            break
    return best if best is not None and (lone or best.bits <= CLOSE) else None


def _with_scales(found: Found) -> Found:
    """Return what was found, with the scales as a source if their file comes before."""
    pair, hint = found.pair, found.hint
    if hint.scales_from is not ScalesFrom.PAYLOAD or pair.scales is None:
        return found
    if pair.scales.file >= pair.target.file:
        return found
    hint = replace(hint, scales_from=ScalesFrom.SOURCE)
    factors = (Source(pair.scales.file, pair.scales.span.start, pair.scales.span.end),)
    return replace(found, hint=hint, hinted=replace(found.hinted, hint=hint, factors=factors, aside=None))


def _scales(scales: Place, made: Found) -> Iterator[Hinted]:
    """Yield the hint for the scales of a tensor, if they follow from what it was made from."""
    hint, tensor = made.hint, made.pair.target.span
    if hint.rule is not Rule.SCALE or hint.group == (0, 0) or scales.span.element not in convert.SINGLE:
        return
    pair = Pair(made.pair.target, made.pair.source, scales, made.pair.read)
    rules = convert_search.scale_rules(tensor.element, hint.source, hint.columns, hint.group)
    best = convert_search.cheapest(((rule, pair.scale_windows(rule)) for rule in rules), scales.span.element)
    if best is not None and best[0] <= LIKELY * 8 * scales.span.element.size:
        yield pair.hinted_scales(best[1], scales)
