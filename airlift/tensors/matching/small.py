"""Copies inside small files, left to the codec: a block of its own costs more than a long match. Pure.

A block that is a copy takes 48 bytes of a chunk's table, and ends the block before it. In a file that the codec sees
as a whole anyway, a copy between opaque bytes becomes part of these, and costs some bytes of one frame.
"""

from collections.abc import Sequence
from dataclasses import replace

from airlift.tensors.element import Element
from airlift.tensors.matching.likeness import Read
from airlift.tensors.matching.match import FileSpans
from airlift.tensors.matching.segment import Segment, Source, merge

SMALL_BYTES = 4 << 20
"""Larger files are left alone, and so are sources that lie further apart."""

LONGEST_COPY = 512 << 10
"""A longer copy is left alone: every 128 KiB of a frame cost some nine bytes, even if all of it is one match."""


def join_copies(
    files: Sequence[FileSpans], bases: int, found: Sequence[Sequence[Segment]], read: Read
) -> list[list[Segment]]:
    """Return the segments of each file from number ``bases`` on, copies joined to the opaque bytes beside them."""
    return [
        _joined(number, parts, read) if len(parts) > 1 and files[number].size <= SMALL_BYTES else list(parts)
        for number, parts in enumerate(found, bases)
    ]


def _joined(number: int, parts: Sequence[Segment], read: Read) -> list[Segment]:
    """Return the segments of one file: a copy becomes part of what follows it, or else of what comes before."""
    copies = [_copy(number, part, read) for part in parts]
    plain = [replace(part, element=Element.BYTES, row=0, parts=()) for part in parts]
    whole = merge(
        plain[at] if copy else part for at, (part, copy) in enumerate(zip(parts, copies, strict=True))
    )
    done: list[Segment] = []
    for part in whole:
        before = done[-1] if done else None
        joined = None if before is None or not _copy(number, before, read) else _both(before, part)
        done[len(done) - (joined is not None) :] = [part if joined is None else joined]
    last = _both(done[-1], done[-2]) if len(done) > 1 and _copy(number, done[-1], read) else None
    return done if last is None else [*done[:-2], last]


def _copy(number: int, part: Segment, read: Read) -> bool:
    source = part.source
    if source is None or not part.parallel or part.length > LONGEST_COPY or part.hint is not None:
        return False
    return read(number, part.start, part.end) == read(source.file, source.start, source.end)


def _both(copy: Segment, other: Segment) -> Segment | None:
    """Return a copy and opaque bytes beside it as one segment; None if their sources lie too far apart."""
    if other.element is not Element.BYTES or copy.source is None or other.source is None:
        return None
    start, end = min(copy.source.start, other.source.start), max(copy.source.end, other.source.end)
    if copy.source.file != other.source.file or end - start > SMALL_BYTES:
        return None
    source = Source(copy.source.file, start, end)
    return replace(
        other, start=min(copy.start, other.start), end=max(copy.end, other.end), row=0, source=source
    )
