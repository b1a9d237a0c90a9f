"""Tensors that changed and whose name and place changed too: found by the signs of their rows. Pure.

Layers are renamed, q, k and v are fused, experts are stacked or stand in another order, and then the model is
trained on: no name and no run of bytes leads to the counterpart. But a row keeps nearly all its signs. Of the first
numbers of every row the signs are looked up in those of all earlier rows of the same length; rows that lead to one
place of one file make a run, which is coded against it. An index holds at most ``MAX_ROWS`` rows of each kind; of
more, evenly spread ones.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from airlift.tensors.element import Element
from airlift.tensors.matching.likeness import AGREEING, SIGNED, Read, negative
from airlift.tensors.matching.match import FileSpans
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

Bits = NDArray[np.uint8]


def relate(
    files: Sequence[FileSpans], bases: int, found: Sequence[Sequence[Segment]], read: Read
) -> list[list[Segment]]:
    """Return the segments of each file from number ``bases`` on; those without a source get one if rows are alike."""
    kinds: dict[tuple[Element, int], _Rows] = {}
    result = []
    for number, parts in enumerate(found, bases):
        pieces: list[Segment] = []
        for part in parts:
            if _wanted(part):
                rows = kinds.setdefault((part.element, part.row), _Rows(part.element, part.row, read))
                rows.add(files[:number])
                pieces.extend(_pieces(rows, number, part))
            else:
                pieces.append(part)
        result.append(pieces)
    return result


def _wanted(part: Segment) -> bool:
    return (
        part.source is None
        and part.element in SIGNED
        and part.row >= LEAST_COLUMNS
        and part.length >= LEAST_BYTES
        and part.length % (part.row * part.element.size) == 0
    )


# -- the rows of earlier files -------------------------------------------------------------------------------------


@dataclass(slots=True)
class _Rows:
    """The rows of ``columns`` numbers of one element in earlier files, by the signs of their first numbers.

    Of each row, at most ``MAX_ROWS`` of them, some hundred bytes are kept: where it starts, its signs, and its keys.
    """

    element: Element
    columns: int
    read: Read
    done: int = 0
    files: NDArray[np.int32] = field(default_factory=lambda: np.empty(0, np.int32))
    starts: NDArray[np.int64] = field(default_factory=lambda: np.empty(0, np.int64))
    bits: Bits = field(default_factory=lambda: np.empty((0, 0), np.uint8))
    tables: list[tuple[NDArray[Any], NDArray[np.int32]]] = field(default_factory=list)

    @property
    def bytes(self) -> int:
        """The length of a row in bytes."""
        return self.columns * self.element.size

    def add(self, files: Sequence[FileSpans]) -> None:
        """Add what is new among the earlier files."""
        spans = ((number, span) for number in range(self.done, len(files)) for span in files[number].spans)
        fresh = [(number, span) for number, span in spans if self._fits(span)]
        self.done = len(files)
        if fresh:
            step = -(-sum(span.length // self.bytes for _, span in fresh) // MAX_ROWS)
            found = [(number, range(span.start, span.end, step * self.bytes)) for number, span in fresh]
            bits = np.concatenate([self.signs(*place) for place in found])
            self._keep(
                np.concatenate(
                    [self.files, *(np.full(len(starts), number, np.int32) for number, starts in found)]
                ),
                np.concatenate([self.starts, *(np.array(starts, np.int64) for _, starts in found)]),
                np.concatenate([self.bits.reshape(-1, bits.shape[1]), bits]),
            )

    def _keep(self, files: NDArray[np.int32], starts: NDArray[np.int64], bits: Bits) -> None:
        """Keep these rows, evenly spread ones if there are too many, and sort their keys."""
        few = slice(None, None, max(-(-len(files) // MAX_ROWS), 1))
        self.files, self.starts, self.bits = files[few], starts[few], bits[few]
        kept = np.flatnonzero(_telling(self.bits)).astype(np.int32)
        self.tables = []
        for keys in _keys(self.bits[kept]):
            order = np.argsort(keys, kind="stable")
            self.tables.append((keys[order], kept[order]))

    def _fits(self, span: TensorSpan) -> bool:
        return (
            span.element is self.element
            and len(span.shape) > 1
            and span.shape[-1] == self.columns
            and span.length > 0
        )

    def signs(self, number: int, starts: range) -> Bits:
        """Return the signs of the first numbers of the rows that start there, a bit each: (rows, bytes)."""
        count, size = min(self.columns, COLUMNS), self.element.size
        found = []
        for batch in (starts[at : at + BATCH] for at in range(0, len(starts), BATCH)):
            if starts.step == self.bytes <= SHORT_ROW_BYTES:
                whole = self.read(number, batch[0], batch[-1] + self.bytes)
                heads = np.frombuffer(whole, np.uint8).reshape(-1, self.bytes)[:, : count * size]
            else:
                whole = b"".join(self.read(number, start, start + count * size) for start in batch)
                heads = np.frombuffer(whole, np.uint8).reshape(-1, count * size)
            flat = negative(np.ascontiguousarray(heads).reshape(-1), self.element)
            found.append(np.packbits(flat.reshape(-1, count), axis=1))
        return np.concatenate(found)

    def find(self, bits: Bits) -> tuple[int, int] | None:
        """Return (file, start) of the earlier row that is most like one of these signs (1, bytes), or None."""
        if not self.tables or not _telling(bits)[0]:
            return None
        likely = set[int]()
        for (keys, rows), key in zip(self.tables, _keys(bits), strict=True):
            first, last = np.searchsorted(keys, key[0], "left"), np.searchsorted(keys, key[0], "right")
            if last - first <= EQUALS:
                likely.update(rows[first:last].tolist())
        shares = {row: 1 - _count(self.bits[row] ^ bits[0]) / (8 * bits.size) for row in sorted(likely)}
        best = max(shares, key=lambda row: shares[row], default=None)
        if best is None or shares[best] < AGREEING:
            return None
        return int(self.files[best]), int(self.starts[best])


def _count(bits: Bits) -> int:
    return int(np.bitwise_count(bits).sum())


def _telling(bits: Bits) -> NDArray[np.bool_]:
    """Say of each row of signs whether they differ enough to tell it from others."""
    count, width = np.bitwise_count(bits).sum(axis=1, dtype=np.int64), 8 * bits.shape[1]
    told: NDArray[np.bool_] = (count >= width // 8) & (count <= width - width // 8)
    return told


def _keys(bits: Bits) -> list[NDArray[Any]]:
    """Return the words of signs of every row: for each word an array."""
    words = bits.shape[1] * 8 // WORD
    whole = np.ascontiguousarray(bits[:, : words * WORD // 8])
    return [np.ascontiguousarray(column) for column in whole.view(np.uint32).T]


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
        for row in sorted({(self.count - 1) * query // max(queries - 1, 1) for query in range(queries)}):
            start = self.part.start + row * self.rows.bytes
            one = range(start, start + self.rows.bytes, self.rows.bytes)
            place = self.rows.find(self.rows.signs(self.number, one))
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
        if there < 0 or not self.rows.read(run.file, last, last + 1):
            return False  # it would begin before the file, or end after it
        mine, theirs = (
            self.rows.read(self.number, start, start + size),
            self.rows.read(run.file, there, there + size),
        )
        ours, others = (negative(np.frombuffer(data, np.uint8), self.rows.element) for data in (mine, theirs))
        return float(np.mean(ours == others)) >= AGREEING
