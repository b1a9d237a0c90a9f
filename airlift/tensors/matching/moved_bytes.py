"""Bytes that lie in another place of an earlier file: which of them each run is coded against. Pure.

An insertion moves all that follows it, a converter writes the same numbers into another container, a new file of a
release holds what another one holds already: then neither names nor offsets lead to the counterpart, but the bytes
do. What was matched with nothing, or with bytes that are not like it, is looked for by anchors
(:mod:`airlift.tensors.matching.anchor`) in everything that comes before: long runs become parallel segments, and of
opaque bytes those between them are coded against what lies around. Memory is bounded by the number of anchors, and
time by what there is to be found, whatever the size of the baseline.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from operator import attrgetter

import numpy as np
from numpy.typing import NDArray

from airlift.tensors.element import Element
from airlift.tensors.matching import anchor, likeness, runs
from airlift.tensors.matching.match import FileSpans, Read
from airlift.tensors.matching.order import BESIDE, beside
from airlift.tensors.matching.runs import Content, Run
from airlift.tensors.matching.segment import Segment, Source, apart

BLOCK_BYTES = 4 << 20
"""The codec sees all of an opaque file of at most so many bytes, and of a counterpart of about its size."""

LEAST_BYTES = 4 << 10
"""A shorter segment is no reason to look for anything."""

SHORTEST_RUN, LONG_RUN = 4, 256
"""A run of fewer bytes, shifted left by the sparseness of anchors, is dropped; from the second on an opaque one is a
segment by itself, and shorter ones only say where to look. (1 KiB and 64 KiB up to 256 MiB of files.)
"""

LEAST_COPY = 2 << 10
"""A run inside a tensor of fewer bytes is not worth a block of its own."""

SLACK = 64 << 10
SEEN_BYTES = 64 << 10
"""Opaque bytes that are only similar to their counterpart are left to the codec if they are shorter."""

TIMES, AT_LEAST = 8, 64 << 20
"""How many bytes are looked through: so many times those that are looked for, but always so many."""

PROBES = 32
PROBE_BYTES = 256
AGREEING = 0.25


def realign(
    files: Sequence[FileSpans],
    bases: int,
    matched: Sequence[Sequence[Segment]],
    read: Read,
    *,
    passed_over: Collection[int] = (),
) -> list[list[Segment]]:
    """Return the segments of each target file: those matched, or better ones where the same bytes lie elsewhere.

    Files are numbered as in :func:`airlift.tensors.matching.match.match`. Those ``passed_over`` are left alone.
    """
    contents = [_content(number, file, read) for number, file in enumerate(files)]
    wanted = [
        [] if number in passed_over else [part for part in parts if _wanted(contents, number, part)]
        for number, parts in enumerate(matched, bases)
    ]
    others = beside(files, bases)
    wanted = [_worth(seek, others[number]) for number, seek in enumerate(wanted, bases)]
    chosen = _looked_through(files, bases, wanted)
    end = max((number for number, seek in enumerate(wanted, bases) if seek), default=0)
    bits = anchor.sparseness(sum(files[number].size for number in chosen))
    search = _Search(files, contents, chosen, end, bits)
    return [
        _better(search, number, list(parts), seek) if seek else list(parts)
        for number, (parts, seek) in enumerate(zip(matched, wanted, strict=True), bases)
    ]


def _content(number: int, file: FileSpans, read: Read) -> Content:
    return Content(file.size, lambda start, end: read(number, start, end))


def _wanted(contents: Sequence[Content], number: int, part: Segment) -> bool:
    """Say whether a segment is worth a search: nothing is known that is like it."""
    if part.length < LEAST_BYTES:
        return False
    if part.source is None:
        return True
    if part.element is not Element.BYTES or (part.length < SEEN_BYTES and not part.parallel):
        return False
    return not (part.parallel and _in_place(contents, number, part, part.source))


def _in_place(contents: Sequence[Content], number: int, part: Segment, source: Source) -> bool:
    """Say whether bytes are, judged by probes, their counterpart changed in place."""
    last = max(part.length - PROBE_BYTES, 0)
    for offset in sorted({last * probe // (PROBES - 1) for probe in range(PROBES)}):
        count = min(PROBE_BYTES, part.length)
        ours = contents[number].read(part.start + offset, part.start + offset + count)
        theirs = contents[source.file].read(source.start + offset, source.start + offset + count)
        equal = np.count_nonzero(np.frombuffer(ours, np.uint8) == np.frombuffer(theirs, np.uint8))
        if equal < AGREEING * count:
            return False
    return True


def _looked_through(
    files: Sequence[FileSpans], bases: int, wanted: Sequence[Sequence[Segment]]
) -> frozenset[int]:
    """Return the files in which is looked: as many bytes as the search is worth, the nearest files first."""
    seekers = {number for number, seek in enumerate(wanted, bases) if seek}
    allowed = max(AT_LEAST, TIMES * sum(part.length for seek in wanted for part in seek))
    components = {files[number].component for number in seekers}
    paths = {files[number].path for number in seekers}
    near = {part.source.file for seek in wanted for part in seek if part.source is not None}

    def distance(number: int) -> tuple[bool, bool, bool, int]:
        file = files[number]
        return number not in near, file.component not in components, file.path not in paths, number

    chosen = set[int]()
    for number in sorted(range(len(files)), key=distance):
        if files[number].size <= allowed:
            chosen.add(number)
            allowed -= files[number].size
    return frozenset(chosen)


def _worth(seek: Sequence[Segment], others: int) -> list[Segment]:
    """Return what of a file is worth a search: tensors only where there are enough ``others`` to look through."""
    tensors = sum(part.length for part in seek if part.element is not Element.BYTES)
    return [part for part in seek if part.element is Element.BYTES or others * BESIDE >= tensors]


@dataclass(slots=True)
class _Search:
    """The anchors of the files ``chosen`` before ``end``; each file is read once, when the first is needed.

    ``bits`` says how rare anchors are.
    """

    files: Sequence[FileSpans]
    contents: Sequence[Content]
    chosen: frozenset[int]
    end: int
    bits: int
    history: anchor.History | None = None
    repeating: frozenset[int] = frozenset()

    def before(self, number: int) -> anchor.Earlier:
        """Return the anchors of the files before ``number``."""
        if self.history is None:
            self.history = anchor.history(self._scanned())
            self.repeating = self.history.repeating()
        return self.history.before(number)

    def _scanned(self) -> anchor.Scanned:
        """Yield the anchors of the files; many small ones are scanned at once."""
        small, size = list[int](), 0
        for number in sorted(self.chosen):
            content = self.contents[number]
            if number >= self.end:
                break
            if small and size + content.size > anchor.TILE_BYTES:
                yield self._scanned_small(small)
                small, size = [], 0
            if content.size <= anchor.TILE_BYTES:
                small.append(number)
                size += content.size
            else:
                for places, digests in anchor.scan(content.read, content.size, self.bits):
                    yield number, places, digests
        if small:
            yield self._scanned_small(small)

    def _scanned_small(
        self, numbers: Sequence[int]
    ) -> tuple[NDArray[np.int64], anchor.Places, anchor.Digests]:
        contents = [self.contents[number] for number in numbers]
        files, places, digests = anchor.scan_small([item.read(0, item.size) for item in contents], self.bits)
        return np.asarray(numbers, np.int64)[files], places, digests

    def _hopeless(self, number: int, seek: Sequence[Segment]) -> bool:
        """Say whether all of a file is sought, and nothing of it lies in those before."""
        scanned = number in self.chosen and number < self.end
        return scanned and number not in self.repeating and _ranges(seek) == [(0, self.contents[number].size)]

    def runs(self, number: int, preferred: int | None, seek: Sequence[Segment]) -> list[Run]:
        """Return the runs of a file that begin in what is sought, and whose bytes lie in files before it."""
        if not number:
            return []
        index, content, bits = self.before(number), self.contents[number], self.bits
        if self._hopeless(number, seek):
            return []
        anchors = (pair for start, end in _ranges(seek) for pair in _scan(content, start, end, bits))
        return runs.find(
            anchors, index, content, self.contents, preferred=preferred, shortest=SHORTEST_RUN << bits
        )


def _ranges(seek: Sequence[Segment]) -> list[tuple[int, int]]:
    """Return the stretches that segments make together, ascending."""
    found: list[tuple[int, int]] = []
    for part in seek:
        if found and found[-1][1] == part.start:
            found[-1] = (found[-1][0], part.end)
        else:
            found.append((part.start, part.end))
    return found


def _scan(
    content: Content, start: int, end: int, bits: int
) -> Iterator[tuple[anchor.Places, anchor.Digests]]:
    """Yield the anchors of bytes ``[start, end)``, with their places in the file."""
    scanned = anchor.scan(lambda first, last: content.read(start + first, start + last), end - start, bits)
    return ((places + start, digests) for places, digests in scanned)


def _better(search: _Search, number: int, parts: list[Segment], seek: Sequence[Segment]) -> list[Segment]:
    """Return the segments of a file of which some are sought."""
    preferred = next((part.source.file for part in parts if part.source is not None), None)
    found = search.runs(number, preferred, seek)
    if not found:
        return parts
    cover, seekers = _Cover(search.contents, number, LONG_RUN << search.bits), {part.start for part in seek}
    return [
        piece
        for part in parts
        for piece in _covered(cover, part, _inside(part, found), sought=part.start in seekers)
    ]


def _inside(part: Segment, found: Sequence[Run]) -> list[Run]:
    """Return the runs in a segment, cut to it, of all that there are: ascending and apart."""
    first = bisect_right(found, part.start, key=attrgetter("end"))
    last = bisect_left(found, part.end, key=attrgetter("start"))
    return [_clipped(run, part) for run in found[first:last]]


def _covered(cover: "_Cover", part: Segment, inside: Sequence[Run], *, sought: bool) -> Iterable[Segment]:
    """Return the pieces of one segment; one that has its counterpart stays as it is."""
    small = part.element is Element.BYTES and part.length < LEAST_BYTES and not part.parallel
    if not inside or not (sought or small):
        return [part]
    if part.element is not Element.BYTES:
        return cover.tensor(part, inside)
    return [part] if _visible(part, inside) else cover.opaque(part, inside)


def _clipped(run: Run, part: Segment) -> Run:
    return replace(run, start=max(run.start, part.start), end=min(run.end, part.end))


def _visible(part: Segment, inside: Sequence[Run]) -> bool:
    """Say whether the codec sees all of these runs without more ado: they lie in the counterpart, which is short."""
    if (
        part.source is None
        or part.length > BLOCK_BYTES
        or part.source.end - part.source.start > 2 * BLOCK_BYTES
    ):
        return False
    return all(run.file == part.source.file for run in inside)


# -- covering -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Near:
    """Bytes ``[start, end)`` of an earlier ``file`` that lie around what is to be coded."""

    file: int
    start: int
    end: int

    def with_(self, other: "_Near", limit: int) -> "_Near | None":
        """Return what spans both, None if that is not one file or longer than ``limit`` bytes."""
        start, end = min(self.start, other.start), max(self.end, other.end)
        if self.file != other.file or end - start > limit:
            return None
        return _Near(self.file, start, end)


@dataclass(frozen=True, slots=True)
class _Cover:
    """Tiles segments of file ``number`` with runs and what lies between; opaque runs are at least ``long``."""

    contents: Sequence[Content]
    number: int
    long: int

    def tensor(self, part: Segment, inside: Sequence[Run]) -> Iterator[Segment]:
        """Yield a tensor without a counterpart; what is found elsewhere of its numbers is its source."""
        size, position = part.element.size, part.start
        for run in inside:
            start = run.start + (part.start - run.start) % size
            end = run.end - (run.end - part.start) % size
            source = Source(run.file, start + run.shift, end + run.shift)
            if end - start < LEAST_COPY or not self._alike(part.element, start, source):
                continue
            if position < start:
                yield apart(part, position, start)
            yield replace(apart(part, start, end), source=source)
            position = end
        if position < part.end:
            yield apart(part, position, part.end)

    def _alike(self, element: Element, start: int, source: Source) -> bool:
        """Say whether numbers are like those at a run's shift: a run spans what may have been overwritten."""
        mine = Source(self.number, start, start + source.end - source.start)
        if element in likeness.SIGNED:
            return likeness.alike(self._read, element, mine, source, everywhere=True)
        return _in_place(
            self.contents, self.number, Segment(mine.start, mine.end, element, 0, source), source
        )

    def _read(self, number: int, start: int, end: int) -> bytes:
        return self.contents[number].read(start, end)

    def opaque(self, part: Segment, found: Sequence[Run]) -> Iterator[Segment]:
        """Yield segments that tile ``part``."""
        position, own = part.start, part.source
        near = None if own is None else _Near(own.file, own.start, own.start)
        for run in found:
            there = _Near(run.file, run.base_start, run.base_end)
            if run.length >= min(self.long, part.length):
                ahead = _Near(run.file, run.base_start, run.base_start)
                yield from self._between(position, run.start, near, ahead)
                yield Segment(
                    run.start, run.end, Element.BYTES, 0, Source(run.file, run.base_start, run.base_end)
                )
                position, near = run.end, _Near(run.file, run.base_end, run.base_end)
                continue
            wider = near and near.with_(there, run.end - position + BLOCK_BYTES // 2)
            if wider is None or run.end - position > BLOCK_BYTES:
                yield from self._between(position, run.start, near, None)
                position, near = run.start, there
            else:
                near = wider
        yield from self._between(
            position, part.end, near, None if own is None else _Near(own.file, own.end, own.end)
        )

    def _between(self, start: int, end: int, before: _Near | None, after: _Near | None) -> Iterator[Segment]:
        """Yield the segment ``[start, end)``, if it is not empty, with the bytes around it as its source."""
        if start == end:
            return
        near = before or after
        if before is not None and after is not None:
            near = before.with_(after, end - start + BLOCK_BYTES // 2) or before
        source = None if near is None else self._source(near, end - start)
        yield Segment(start, end, Element.BYTES, 0, source)

    def _source(self, near: _Near, length: int) -> Source | None:
        """Return the bytes near, and some more on both sides unless they are the counterpart byte for byte."""
        if near.end - near.start == length:
            return Source(near.file, near.start, near.end)
        start, end = max(near.start - SLACK, 0), min(near.end + SLACK, self.contents[near.file].size)
        return Source(near.file, start, end) if start < end else None
