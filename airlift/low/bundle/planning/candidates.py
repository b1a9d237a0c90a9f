"""Where the numbers of a tensor may have come from: tensors of other elements in earlier files, by name and pattern.

Whether they did shows in the numbers; nothing here decides.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice

from airlift.tensors.element import Element
from airlift.tensors.matching import conversions
from airlift.tensors.matching.conversions import Pattern, Place
from airlift.tensors.matching.match import FileSpans
from airlift.tensors.matching.segment import Segment
from airlift.tensors.matching.windows import Read
from airlift.tensors.span import TensorSpan

SAMPLE_BYTES = 2048
MOST_TRIED = 4
MOST_ALIKE = 4096
SCALES = frozenset({Element.F32, Element.F16, Element.BF16})


@dataclass(frozen=True, slots=True)
class Candidates:
    """What tensors are looked up by; ``bases`` files are of the baseline. Earlier tensors come first."""

    read: Read
    bases: int
    keys: dict[str, list[Place]]
    counts: dict[int, dict[Element, list[Place]]]
    scales: dict[tuple[str, str], Place]
    beside: dict[tuple[int, str], Place]
    patterns: dict[tuple[int, Element], Pattern] = field(default_factory=dict)

    def likely(self, target: Place, *, named: bool) -> Iterator[Place]:
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

    def scales_beside(self, place: Place) -> Place | None:
        """Return the scales of a quantised tensor, in its own file."""
        places = (self.beside.get((place.file, other)) for other in conversions.scale_names(place.span.name))
        return next((found for found in places if found is not None and found != place), None)

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


def candidates(
    files: Sequence[FileSpans], bases: int, read: Read, wanted: Callable[[TensorSpan], bool]
) -> Candidates:
    """Return the tensors of some files that are ``wanted``, as what others may have been made from."""
    tensors = [
        Place(number, span) for number, file in enumerate(files) for span in file.spans if not span.opaque
    ]
    some = [place for place in tensors if wanted(place.span)]
    scales = {
        (files[place.file].component, place.span.name): place
        for place in tensors
        if place.file >= bases and place.span.element in SCALES
    }
    beside = {(place.file, place.span.name): place for place in tensors if place.span.element in SCALES}
    return Candidates(read, bases, conversions.by_key(some), conversions.by_count(some), scales, beside)


def is_open(target: Place, holder: Segment, read: Read) -> bool:
    """Return whether a tensor has no counterpart, or one that changed."""
    if holder.hint is not None or target.span.end > holder.end:
        return False
    if holder.source is None:
        return True
    shift = holder.source.start - holder.start
    other = replace(target.span, start=target.span.start + shift, end=target.span.end + shift)
    return holder.parallel and not same_sample(target, Place(holder.source.file, other), read)


def same_sample(target: Place, other: Place, read: Read) -> bool:
    """Return whether samples of two tensors of the same length are equal."""
    span, shift = target.span, other.span.start - target.span.start
    places = range(span.start, span.end, max(span.length // 4, SAMPLE_BYTES))
    parts = [(start, min(start + SAMPLE_BYTES, span.end)) for start in places]
    return all(
        read(target.file, start, end) == read(other.file, start + shift, end + shift) for start, end in parts
    )
