"""Opaque files in which bytes were inserted or removed: which shifted base bytes each run is coded against. Pure.

An insertion moves all that follows it, so the counterpart at the same offset says nothing any more. Files that are
opaque as a whole, longer than a block, and that do not agree with their counterpart at the same offsets are compared
with the opaque base files of their component by anchors (:mod:`airlift.tensors.matching.anchor`): long runs become
parallel segments, and between them lies what changed, coded against the base bytes around it. Memory is bounded by
the number of anchors, whatever the size of the files.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from airlift.tensors.element import Element
from airlift.tensors.matching import anchor, runs
from airlift.tensors.matching.match import FileSpans, Side
from airlift.tensors.matching.runs import Content, Run
from airlift.tensors.matching.segment import Segment, Source, merge

Read = Callable[[Side, int, int, int], bytes]
"""Returns bytes ``[start, end)`` of file number ``int`` of a side."""

BLOCK_BYTES = 4 << 20
"""A file of at most so many bytes is left to the codec, which sees all of it."""

LONG_RUN = 1 << 20
"""A run that becomes a segment by itself; shorter ones only say where to look."""

SHORTEST_RUN = 16 << 10
SLACK = 64 << 10

PROBES = 32
PROBE_BYTES = 256
AGREEING = 0.25


def realign(
    target: Sequence[FileSpans], base: Sequence[FileSpans], matched: Sequence[Sequence[Segment]], read: Read
) -> list[list[Segment]]:
    """Return the segments of each target file: those matched, or better ones where opaque bytes have moved."""
    segments = [list(parts) for parts in matched]
    contents = [_content("base", number, file, read) for number, file in enumerate(base)]
    wanted: dict[str, list[int]] = {}
    for number, file in enumerate(target):
        if _opaque(file) and file.size > BLOCK_BYTES:
            content = _content("target", number, file, read)
            if not _in_place(content, segments[number], contents):
                wanted.setdefault(file.component, []).append(number)
    for component, numbers in wanted.items():
        kept = [_counterpart(segments[number]) for number in numbers]
        files = _candidates(component, base, [number for number in kept if number is not None])
        bits = anchor.sparseness(sum(base[number].size for number in files))
        index = anchor.index(_scanned(files, contents, bits))
        for number, same in zip(numbers, kept, strict=True):
            content = _content("target", number, target[number], read)
            anchors = anchor.scan(content.read, content.size, bits) if index.digests.size else ()
            found = runs.find(anchors, index, content, contents, preferred=same, shortest=SHORTEST_RUN)
            if found:
                segments[number] = merge(_cover(content.size, found, same, contents))
    return segments


def _opaque(file: FileSpans) -> bool:
    return len(file.spans) == 1 and file.spans[0].opaque


def _content(side: Side, number: int, file: FileSpans, read: Read) -> Content:
    return Content(file.size, lambda start, end: read(side, number, start, end))


def _counterpart(segments: Sequence[Segment]) -> int | None:
    """Return the base file that an opaque file was matched with as a whole."""
    source = segments[0].source
    return None if source is None else source.file


def _candidates(component: str, base: Sequence[FileSpans], more: Sequence[int]) -> list[int]:
    """Return the base files to look in: the opaque ones of the component, and ``more``."""
    here = (n for n, file in enumerate(base) if file.component == component and _opaque(file))
    return list(dict.fromkeys([*more, *here]))


def _scanned(
    files: Sequence[int], contents: Sequence[Content], bits: int
) -> Iterator[tuple[int, anchor.Places, anchor.Digests]]:
    for number in files:
        content = contents[number]
        for places, digests in anchor.scan(content.read, content.size, bits):
            yield number, places, digests


def _in_place(target: Content, segments: Sequence[Segment], base: Sequence[Content]) -> bool:
    """Say whether a file is, judged by probes, its counterpart changed in place."""
    if not segments[0].parallel:
        return False
    counterpart = base[segments[0].source.file] if segments[0].source else target
    last = target.size - PROBE_BYTES
    for start in (last * number // (PROBES - 1) for number in range(PROBES)):
        ours = np.frombuffer(target.read(start, start + PROBE_BYTES), np.uint8)
        theirs = np.frombuffer(counterpart.read(start, start + PROBE_BYTES), np.uint8)
        if np.count_nonzero(ours == theirs) < AGREEING * PROBE_BYTES:
            return False
    return True


# -- segments ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Near:
    """Base bytes ``[start, end)`` of ``file`` that lie around what is to be coded."""

    file: int
    start: int
    end: int

    def with_(self, other: "_Near", limit: int) -> "_Near | None":
        """Return what spans both, None if that is not one file or longer than ``limit`` bytes."""
        start, end = min(self.start, other.start), max(self.end, other.end)
        if self.file != other.file or end - start > limit:
            return None
        return _Near(self.file, start, end)


def _cover(size: int, found: Sequence[Run], same: int | None, base: Sequence[Content]) -> Iterator[Segment]:
    """Yield segments that tile ``[0, size)``: long runs, and between them what changed."""
    position = 0
    near = None if same is None else _Near(same, 0, 0)
    for run in found:
        there = _Near(run.file, run.base_start, run.base_end)
        if run.length >= LONG_RUN:
            ahead = _Near(run.file, run.base_start, run.base_start)
            yield from _between(position, run.start, near, ahead, base)
            yield Segment(
                run.start, run.end, Element.BYTES, 0, Source(run.file, run.base_start, run.base_end)
            )
            position, near = run.end, _Near(run.file, run.base_end, run.base_end)
            continue
        wider = near and near.with_(there, run.end - position + BLOCK_BYTES // 2)
        if wider is None or run.end - position > BLOCK_BYTES:
            yield from _between(position, run.start, near, None, base)
            position, near = run.start, there
        else:
            near = wider
    ahead_of_end = None if same is None else _Near(same, base[same].size, base[same].size)
    yield from _between(position, size, near, ahead_of_end, base)


def _between(
    start: int, end: int, before: _Near | None, after: _Near | None, base: Sequence[Content]
) -> Iterator[Segment]:
    """Yield the segment ``[start, end)``, if it is not empty, with the base bytes around it as its source."""
    if start == end:
        return
    near = before or after
    if before is not None and after is not None:
        near = before.with_(after, end - start + BLOCK_BYTES // 2) or before
    source = None if near is None else _source(near, end - start, base)
    yield Segment(start, end, Element.BYTES, 0, source)


def _source(near: _Near, length: int, base: Sequence[Content]) -> Source | None:
    """Return the bytes near, and some more on both sides unless they are the counterpart byte for byte."""
    if near.end - near.start == length:
        return Source(near.file, near.start, near.end)
    start, end = max(near.start - SLACK, 0), min(near.end + SLACK, base[near.file].size)
    return Source(near.file, start, end) if start < end else None
