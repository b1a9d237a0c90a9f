"""Tensors that changed and whose name and place changed too: found by the signs of their rows. Pure.

Layers are renamed, q, k and v are fused, experts are stacked or stand in another order, and then the model is
trained on: no name and no run of bytes leads to the counterpart. But a row keeps nearly all its signs. Of the first
numbers of every row the signs are looked up in those of all earlier rows of the same length; rows that lead to one
place of one file make a run, which is coded against it. An index holds at most ``MAX_ROWS`` rows of each kind; of
more, evenly spread ones.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from airlift.tensors.element import Element
from airlift.tensors.matching.likeness import AGREEING, SIGNED, Read, negative
from airlift.tensors.matching.match import FileSpans
from airlift.tensors.matching.order import BESIDE, beside
from airlift.tensors.matching.segment import Segment, Source, apart
from airlift.tensors.span import TensorSpan

LEAST_BYTES = 64 << 10
"""A shorter segment is left alone."""

COLUMNS = 256
LEAST_COLUMNS = 64
WORD = 32
"""How many numbers of a row are looked at, at most and at least, and how many make one key."""

MAX_ROWS = 1 << 18
QUERIES = 64
"""How many places of a segment are looked up."""

EQUALS = 8
"""A key that more rows share says nothing."""

LOOKED_AT = 64 << 10
"""How many bytes of a row are compared where it may end a run."""

BATCH = 256
SHORT_ROW_BYTES = 4 << 10
"""Shorter rows are read whole, so many at once."""

Signs = NDArray[np.bool_]


def relate(
    files: Sequence[FileSpans], bases: int, found: Sequence[Sequence[Segment]], read: Read
) -> list[list[Segment]]:
    """Return the segments of each file from number ``bases`` on; those without a source get one if rows are alike."""
    others = beside(files, bases)
    asked = [_asked(parts, others[number]) for number, parts in enumerate(found, bases)]
    last = {(part.element, part.row): number for number, some in enumerate(asked, bases) for part in some}
    kinds = {kind: _index(files[:number], *kind, read) for kind, number in last.items()}
    result = []
    for number, (parts, some) in enumerate(zip(found, asked, strict=True), bases):
        starts = {part.start for part in some}
        pieces = (
            _pieces(kinds[part.element, part.row], number, part) if part.start in starts else [part]
            for part in parts
        )
        result.append([piece for group in pieces for piece in group])
    return result


def _asked(parts: Sequence[Segment], others: int) -> list[Segment]:
    """Return what of a file is looked for, if there are enough ``others`` to look through."""
    wanted = [part for part in parts if _wanted(part)]
    return wanted if others * BESIDE >= sum(part.length for part in wanted) else []


def _wanted(part: Segment) -> bool:
    return (
        part.source is None
        and part.element in SIGNED
        and part.row >= LEAST_COLUMNS
        and part.length >= LEAST_BYTES
        and part.length % (part.row * part.element.size) == 0
    )


# -- the rows of earlier files -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Kind:
    """Rows of ``columns`` numbers of one element, and how they are read."""

    element: Element
    columns: int
    read: Read

    @property
    def bytes(self) -> int:
        """The length of a row in bytes."""
        return self.columns * self.element.size

    @property
    def looked_at(self) -> int:
        """How many numbers of a row are."""
        return min(self.columns, COLUMNS)

    def fits(self, span: TensorSpan) -> bool:
        """Say whether a tensor consists of such rows."""
        return (
            span.element is self.element
            and len(span.shape) > 1
            and span.row == self.columns
            and span.length > 0
        )

    def heads(self, number: int, starts: range) -> Signs:
        """Return the signs of the first numbers of the rows that start there, (rows, numbers)."""
        count, size = self.looked_at, self.element.size
        found = []
        for batch in (starts[at : at + BATCH] for at in range(0, len(starts), BATCH)):
            if starts.step == self.bytes <= SHORT_ROW_BYTES:
                whole = self.read(number, batch[0], batch[-1] + self.bytes)
                heads = np.frombuffer(whole, np.uint8).reshape(-1, self.bytes)[:, : count * size]
            else:
                whole = b"".join(self.read(number, start, start + count * size) for start in batch)
                heads = np.frombuffer(whole, np.uint8).reshape(-1, count * size)
            found.append(negative(np.ascontiguousarray(heads).reshape(-1), self.element).reshape(-1, count))
        return np.concatenate(found)


@dataclass(frozen=True, slots=True)
class _Rows:
    """Rows of one kind in files, these ascending, with the bits of the signs of their first numbers.

    ``tables`` have for each word of signs its values, ascending, and the rows that have them, ascending for each.
    """

    kind: _Kind
    files: NDArray[Any]
    starts: NDArray[Any]
    signs: NDArray[np.uint8]
    tables: Sequence[tuple[NDArray[Any], NDArray[Any]]]

    @property
    def bytes(self) -> int:
        """The length of a row in bytes."""
        return self.kind.bytes

    def find(self, number: int, signs: Signs) -> list[tuple[int, int] | None]:
        """Return for each row of signs (file, start) of the row before file ``number`` most like it, None if none."""
        if not self.tables:
            return [None] * len(signs)
        limit = int(np.searchsorted(self.files, number, "left"))
        told, likely = _telling(signs), [set[int]() for _ in signs]
        for (keys, rows), asked in zip(self.tables, _keys(signs), strict=True):
            first, last = np.searchsorted(keys, asked, "left"), np.searchsorted(keys, asked, "right")
            for query in np.flatnonzero(told & (first < last)):
                equals = rows[first[query] : last[query]]
                count = int(np.searchsorted(equals, limit, "left"))
                if count <= EQUALS:
                    likely[query].update(equals[:count].tolist())
        return [self._best(sorted(some), bits) for some, bits in zip(likely, _bits(signs), strict=True)]

    def _best(self, likely: Sequence[int], bits: NDArray[np.uint8]) -> tuple[int, int] | None:
        """Return the place of the row most like the one of these bits, None if none is like it."""
        if not likely:
            return None
        differing = np.unpackbits(self.signs[likely] ^ bits, axis=1).sum(axis=1)
        best, count = int(differing.argmin()), self.kind.looked_at
        if (count - int(differing[best])) / count < AGREEING:
            return None
        return int(self.files[likely[best]]), int(self.starts[likely[best]])


def _index(files: Sequence[FileSpans], element: Element, columns: int, read: Read) -> _Rows:
    """Return the rows of one kind in files, at most about ``MAX_ROWS``: of more, evenly spread ones."""
    kind = _Kind(element, columns, read)
    fitting = [(number, span) for number, file in enumerate(files) for span in file.spans if kind.fits(span)]
    step = max(-(-sum(span.length // kind.bytes for _, span in fitting) // MAX_ROWS), 1) * kind.bytes
    ranges = [(number, range(span.start, span.end, step)) for number, span in fitting]
    signs, telling = [_bits(np.zeros((0, kind.looked_at), np.bool_))], [np.zeros(0, np.bool_)]
    words: list[list[NDArray[Any]]] = []
    for number, starts in ranges:
        heads = kind.heads(number, starts)
        signs.append(_bits(heads))
        telling.append(_telling(heads))
        words.append(_keys(heads))
    kept, tables = np.flatnonzero(np.concatenate(telling)), []
    for column in zip(*words, strict=True):
        keys = np.concatenate(column)[kept]
        order = np.argsort(keys, kind="stable")
        tables.append((keys[order], kept[order]))
    return _Rows(
        kind,
        np.repeat(
            np.array([number for number, _ in ranges], np.int64), [len(starts) for _, starts in ranges]
        ),
        np.array([start for _, starts in ranges for start in starts], np.int64),
        np.concatenate(signs),
        tables,
    )


def _bits(signs: Signs) -> NDArray[np.uint8]:
    """Return signs in eighths of bytes."""
    return np.packbits(signs, axis=1)


def _telling(signs: Signs) -> Signs:
    """Say of each row whether its signs differ enough to tell it from others."""
    least = signs.shape[1] // 8
    count = signs.sum(axis=1)
    told: Signs = (count >= least) & (count <= signs.shape[1] - least)
    return told


def _keys(signs: Signs) -> list[NDArray[Any]]:
    """Return the words of signs of every row: for each word an array."""
    words = signs.shape[1] // WORD
    packed = np.packbits(signs[:, : words * WORD], axis=1)
    return [np.ascontiguousarray(column) for column in packed.view(np.uint32).T]


# -- runs of rows --------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Run:
    """Rows ``[first, last]`` of a segment that are like those of ``file`` at ``shift`` more bytes."""

    file: int
    shift: int
    first: int
    last: int


def _pieces(rows: _Rows, number: int, part: Segment) -> Iterator[Segment]:
    """Yield a segment without a source in pieces: runs of rows that are like earlier ones, and the rest."""
    position = part.start
    for run in _Seeker(rows, number, part).runs():
        start, end = part.start + run.first * rows.bytes, part.start + (run.last + 1) * rows.bytes
        if position < start:
            yield apart(part, position, start)
        yield replace(apart(part, start, end), source=Source(run.file, start + run.shift, end + run.shift))
        position = end
    if position < part.end:
        yield apart(part, position, part.end)


@dataclass(frozen=True, slots=True)
class _Seeker:
    """Finds the runs of one segment of file ``number``."""

    rows: _Rows
    number: int
    part: Segment

    @property
    def count(self) -> int:
        """The rows of the segment."""
        return self.part.length // self.rows.bytes

    def runs(self) -> list[_Run]:
        """Return the runs, ascending and apart."""
        found = self._asked()
        grown: list[_Run] = []
        for at, run in enumerate(found):
            before = grown[-1].last + 1 if grown else 0
            after = found[at + 1].first - 1 if at + 1 < len(found) else self.count - 1
            first, last = self._furthest(run, run.first, before), self._furthest(run, run.last, after)
            grown.append(replace(run, first=first, last=last))
        return [run for run in grown if (run.last - run.first + 1) * self.rows.bytes >= LEAST_BYTES // 4]

    def _asked(self) -> list[_Run]:
        """Return the rows that were looked up and found, those that lead to one shift joined."""
        queries, runs = min(QUERIES, self.count), list[_Run]()
        asked = sorted({(self.count - 1) * query // max(queries - 1, 1) for query in range(queries)})
        starts = [self.part.start + row * self.rows.bytes for row in asked]
        one = self.rows.kind.heads
        heads = np.concatenate([one(self.number, range(start, start + 1)) for start in starts])
        for row, start, place in zip(asked, starts, self.rows.find(self.number, heads), strict=True):
            if place is not None:
                run = _Run(place[0], place[1] - start, row, row)
                known = runs and replace(runs[-1], first=row, last=row) == run
                runs[len(runs) - bool(known) :] = [replace(run, first=runs[-1].first) if known else run]
        return runs

    def _furthest(self, run: _Run, known: int, limit: int) -> int:
        """Return the row furthest from ``known`` towards ``limit`` up to which a run goes, halving what is open."""
        good, bad = known, limit + (1 if limit >= known else -1)
        while abs(bad - good) > 1:
            middle = (good + bad) // 2
            good, bad = (middle, bad) if self._like(run, middle) else (good, middle)
        return good

    def _like(self, run: _Run, row: int) -> bool:
        """Say whether a row is like the one at the shift of a run."""
        start, size = self.part.start + row * self.rows.bytes, min(self.rows.bytes, LOOKED_AT)
        there = start + run.shift
        last = there + self.rows.bytes - 1
        if there < 0 or not self.rows.kind.read(run.file, last, last + 1):
            return False  # it would begin before the file, or end after it
        mine, theirs = (
            self.rows.kind.read(self.number, start, start + size),
            self.rows.kind.read(run.file, there, there + size),
        )
        ours, others = (
            negative(np.frombuffer(data, np.uint8), self.rows.kind.element) for data in (mine, theirs)
        )
        return float(np.mean(ours == others)) >= AGREEING
