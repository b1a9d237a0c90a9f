"""Find tensors that were made from others: the same weights in another element, in a base or in this release.

A tensor looks for its source in the bases and in earlier files of the bundle, where wide numbers come first: by
name, then among tensors of as many numbers by a pattern. Windows of both sides tell whether a rule explains it.
A hint decides how small a bundle becomes, never whether it is right.
"""

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice

from airlift.codec.predict import convert, convert_search
from airlift.tensors.element import Element
from airlift.tensors.matching import conversions
from airlift.tensors.matching.conversions import BLOCK, Pattern, Place
from airlift.tensors.matching.hint import Conversion, Rule, ScalesFrom, numbers
from airlift.tensors.matching.match import FileSpans
from airlift.tensors.matching.segment import Hinted, Segment, Source, mark
from airlift.tensors.matching.windows import Pair, Read

LEAST_BYTES = 256
SAMPLE_BYTES = 2048
HEADS = (128, 64, 32, 96, 80, 112, 192, 256)
"""Rows of a head of models whose query and key weights are stored as GGUF has them."""
CLOSE = 0.1
"""Bits a number: a rule that leaves no more is better than a counterpart that changed."""
LIKELY = 0.5
"""Of the bits of a number: a rule that leaves less is better than nothing."""
MOST_TRIED = 4
MOST_ALIKE = 4096

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
    index, marked = _index(files, bases, read), []
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


# -- where to look -------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Index:
    """What tensors are looked up by; ``bases`` files are of the baseline. Earlier tensors come first."""

    read: Read
    bases: int
    keys: dict[str, list[Place]]
    counts: dict[int, dict[Element, list[Place]]]
    scales: dict[tuple[str, str], Place]
    patterns: dict[tuple[int, Element], Pattern] = field(default_factory=dict)

    def candidates(self, target: Place, *, named: bool) -> Iterator[Place]:
        """Yield the tensors that one may have been made from, the likeliest first; by name only if ``named``."""
        found = [place for place in self._named(target) if place.span.element is not target.span.element]
        found = found[:MOST_TRIED]
        yield from found
        if named:
            return
        for element, places in self.counts.get(target.count, {}).items():
            if element is not target.span.element and self._before(places[0], target):
                best = conversions.agreeing(self._pattern(target), self._patterns(target.count, element))
                alike = (places[number] for number in best)
                others = (place for place in alike if self._before(place, target) and place not in found)
                yield from islice(others, MOST_TRIED)

    def copies(self, target: Place) -> Iterator[Place]:
        """Yield the tensors of the same name and element in earlier files of the release."""
        for place in [place for place in self._named(target) if place.file >= self.bases][:MOST_TRIED]:
            if (place.span.element, place.span.shape) == (target.span.element, target.span.shape):
                yield place

    def scales_of(self, component: str, name: str) -> Place | None:
        """Return the scales of a tensor of a component's model."""
        places = (self.scales.get((component, other)) for other in conversions.scale_names(name))
        return next((place for place in places if place is not None), None)

    def _named(self, target: Place) -> Iterator[Place]:
        """Yield the earlier tensors of a name, those of the release before those of the bases."""
        places = [place for key in conversions.keys(target.span.name) for place in self.keys.get(key, ())]
        places.sort(key=lambda place: place.file < self.bases)
        return (place for place in places if self._before(place, target))

    def _before(self, place: Place, target: Place) -> bool:
        return place.file < target.file and place.count == target.count

    def _pattern(self, place: Place) -> Pattern:
        span = place.span
        data = self.read(place.file, span.start, span.start + conversions.pattern_bytes(span))
        return conversions.pattern(data, span.element)

    def _patterns(self, count: int, element: Element) -> Pattern:
        """Return the patterns of the first tensors of so many numbers of an element; each is read once."""
        if (count, element) not in self.patterns:
            places = self.counts[count][element][:MOST_ALIKE]
            self.patterns[count, element] = conversions.stack([self._pattern(place) for place in places])
        return self.patterns[count, element]


def _index(files: Sequence[FileSpans], bases: int, read: Read) -> _Index:
    tensors = [
        Place(number, span) for number, file in enumerate(files) for span in file.spans if not span.opaque
    ]
    floats = [place for place in tensors if conversions.is_float(place.span)]
    scales = {
        (files[place.file].component, place.span.name): place
        for place in tensors
        if place.file >= bases and place.span.element in convert.SINGLE
    }
    return _Index(read, bases, conversions.by_key(floats), conversions.by_count(floats), scales)


# -- one target file -----------------------------------------------------------------------------------------------


def _file(number: int, file: FileSpans, segments: Sequence[Segment], index: _Index) -> Iterator[Hinted]:
    """Yield the hints for the tensors of one target, and for the scales that go with them."""
    ends, made, rules = [segment.end for segment in segments], dict[str, Found](), dict[Element, Conversion]()
    spans = {span.name: span for span in file.spans if not span.opaque and span.length >= LEAST_BYTES}
    for span in spans.values():
        holder, target = segments[bisect_right(ends, span.start)], Place(number, span)
        if not _open(target, holder, index.read):
            continue
        copy = next((place for place in index.copies(target) if _same(target, place, index.read)), None)
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


def _open(target: Place, holder: Segment, read: Read) -> bool:
    """Return whether a tensor has no counterpart, or one that changed."""
    if holder.hint is not None or target.span.end > holder.end:
        return False
    if holder.source is None:
        return True
    shift = holder.source.start - holder.start
    other = replace(target.span, start=target.span.start + shift, end=target.span.end + shift)
    return holder.parallel and not _same(target, Place(holder.source.file, other), read)


def _same(target: Place, other: Place, read: Read) -> bool:
    """Return whether samples of two tensors of the same length are equal."""
    span, shift = target.span, other.span.start - target.span.start
    places = range(span.start, span.end, max(span.length // 4, SAMPLE_BYTES))
    parts = [(start, min(start + SAMPLE_BYTES, span.end)) for start in places]
    return all(
        read(target.file, start, end) == read(other.file, start + shift, end + shift) for start, end in parts
    )


def _copied(target: Place, other: Place) -> Hinted:
    span, source = target.span, Source(other.file, other.span.start, other.span.end)
    return Hinted(span.start, span.end, span.shape[-1] if span.shape else 0, None, (), source)


def _tried(
    target: Place, index: _Index, component: str, likely: Conversion | None, *, lone: bool
) -> Iterator[Found]:
    """Yield what explains a tensor, likely sources first."""
    if target.span.element not in convert.TARGETS:
        return
    scales = index.scales_of(component, target.span.name)
    for place in index.candidates(target, named=not lone):
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
