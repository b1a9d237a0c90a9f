"""Anchors: places of a file that its content defines, found again wherever their bytes have moved. Pure.

A place is an anchor if the four bytes there, multiplied by an odd constant modulo 2^32, give a number whose top six
bits are 000001, and the sixteen bytes there, mixed, one whose top ``bits - 6`` are zero: about one place in
``2^bits``, and never one in a run of zeros. Its digest covers the next ``WINDOW`` bytes. Equal digests are a hint,
nothing more: they decide how small a delta becomes, never whether a file is right.

Source: the cut points of content-defined chunking (LBFS; FastCDC), as places instead of as ends of chunks.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

Places = NDArray[np.int64]
Digests = NDArray[Any]
Bytes = NDArray[np.uint8]
Read = Callable[[int, int], bytes]
"""Returns bytes ``[start, end)`` of a file."""

WINDOW = 64
TILE_BYTES = 512 << 10
MIN_BITS = 8
MAX_ANCHORS = 1 << 20
REPEATS = 4
"""How often a digest may turn up in a tile, or twice as often in an index, before it says nothing about a place."""

_WORD, _HALF = np.dtype("<u8"), np.dtype("<u4")
_ODD, _ODD_HALF = np.uint64(0x9E3779B97F4A7C15), np.uint32(0x9E3779B1)
_FIRST_BITS = 6


def sparseness(size: int) -> int:
    """Return ``bits`` such that ``size`` bytes have at most about ``MAX_ANCHORS`` anchors."""
    return max(MIN_BITS, (max(size - 1, 0) // MAX_ANCHORS).bit_length())


def scan(read: Read, size: int, bits: int) -> Iterator[tuple[Places, Digests]]:
    """Yield the places of the anchors of a file of ``size`` bytes, ascending, with their digests; tile by tile."""
    for start in range(0, size - WINDOW + 1, TILE_BYTES):
        places, digests = anchors(read(start, min(start + TILE_BYTES + WINDOW - 1, size)), bits)
        if places.size:
            yield places + start, digests


def anchors(tile: bytes, bits: int) -> tuple[Places, Digests]:
    """Return the anchors whose window lies in ``tile``, without those that repeat more than ``REPEATS`` times."""
    data: Bytes = np.frombuffer(tile, np.uint8)
    count = data.size - WINDOW + 1
    if count <= 0:
        return np.empty(0, np.int64), np.empty(0, _WORD)
    places = _chosen(data, count, bits)
    digests = _mixed(data, places, WINDOW)
    rare = _rare(digests, REPEATS)
    limit = 64 + (4 * count >> bits)
    return places[rare][:limit], digests[rare][:limit]


def scan_small(contents: Sequence[bytes], bits: int) -> tuple[NDArray[np.int64], Places, Digests]:
    """Return the anchors of files of at most ``TILE_BYTES`` as :func:`scan` does, of all of them at once.

    The first are the numbers of the files in ``contents``, ascending; of each its places follow.
    """
    data: Bytes = np.frombuffer(b"".join(contents), np.uint8)
    sizes = np.fromiter(map(len, contents), np.int64, len(contents))
    ends = np.cumsum(sizes)
    if data.size < WINDOW:
        return np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0, _WORD)
    places = _chosen(data, data.size - WINDOW + 1, bits)
    files = np.searchsorted(ends, places, "right")
    inside = places + WINDOW <= ends[files]
    places, files = places[inside], files[inside]
    digests = _mixed(data, places, WINDOW)
    rare = _rare_within(files, digests, REPEATS)
    places, files, digests = places[rare], files[rare], digests[rare]
    nth = np.arange(files.size) - np.searchsorted(files, files, "left")
    kept = nth < 64 + (4 * (sizes[files] - WINDOW + 1) >> bits)
    return files[kept], (places - (ends - sizes)[files])[kept], digests[kept]


def _chosen(data: Bytes, count: int, bits: int) -> Places:
    """Return the anchors among the places ``[0, count)``."""
    places = _likely(data, count)
    mixed = _mixed(data, places, 16)
    return np.sort(places[mixed < np.uint64(1 << (64 - (bits - _FIRST_BITS)))])


def _likely(data: Bytes, count: int) -> Places:
    """Return the places of which the first four bytes fit: of each of the four ways to read words at once."""
    words = np.empty(-(-count // 4), _HALF)
    raw, low = words.view(np.uint8), np.uint32(1 << (32 - _FIRST_BITS))
    fits, found = np.empty(words.size, np.bool_), []
    for phase in range(4):
        raw[:] = data[phase : phase + raw.size]
        np.multiply(words, _ODD_HALF, out=words)
        np.subtract(words, low, out=words)
        np.less(words, low, out=fits)
        found.append(np.flatnonzero(fits) * 4 + phase)
    places = np.concatenate(found)
    return places[places < count]


def _mixed(data: Bytes, places: Places, size: int) -> Digests:
    """Return a digest of the ``size`` bytes at each place."""
    windows = np.lib.stride_tricks.sliding_window_view(data, size)[places].view(_WORD)
    mixed = np.zeros(len(places), _WORD)
    for word in windows.T:
        mixed = (mixed ^ word) * _ODD
        mixed ^= mixed >> np.uint64(29)
    return mixed


def _rare(digests: Digests, limit: int) -> NDArray[np.bool_]:
    """Say of each digest whether it is there at most ``limit`` times."""
    _, inverse, counts = np.unique(digests, return_inverse=True, return_counts=True)
    return (counts <= limit)[inverse]


def _rare_within(files: NDArray[np.int64], digests: Digests, limit: int) -> NDArray[np.bool_]:
    """Say of each digest whether it is there at most ``limit`` times in its file."""
    order = np.lexsort((digests, files))
    first = np.ones(order.size, np.bool_)
    first[1:] = (np.diff(files[order]) != 0) | (np.diff(digests[order]) != 0)
    starts = np.flatnonzero(first)
    counts = np.diff(np.append(starts, order.size))
    rare = np.empty(order.size, np.bool_)
    rare[order] = np.repeat(counts <= limit, counts)
    return rare


# -- the index -----------------------------------------------------------------------------------------------------


class Lookup(Protocol):
    """What digests are looked up in."""

    @property
    def files(self) -> NDArray[np.int32]:
        """The file of each anchor."""
        ...

    @property
    def places(self) -> Places:
        """The place of each anchor in its file."""
        ...

    def find(self, digests: Digests) -> tuple[Places, Places]:
        """Return for each digest the range ``[first, last)`` of its equals."""
        ...


@dataclass(frozen=True, slots=True)
class Index:
    """Anchors of several files by digest: ascending ``digests``, with the file and the place of each."""

    digests: Digests
    files: NDArray[np.int32]
    places: Places

    def find(self, digests: Digests) -> tuple[Places, Places]:
        """Return for each digest the range ``[first, last)`` of its equals here."""
        return np.searchsorted(self.digests, digests, "left"), np.searchsorted(self.digests, digests, "right")


Scanned = Iterable[tuple[int | NDArray[np.int64], Places, Digests]]
"""Anchors by file: the number of the file, or of each anchor's, with their places and digests."""


def index(scanned: Scanned) -> Index:
    """Return the index of (file, places, digests); equal digests stay in the order given."""
    files, places, digests = _columns(scanned)
    kept = np.flatnonzero(_rare(digests, 2 * REPEATS))
    order = kept[np.argsort(digests[kept], kind="stable")]
    return Index(digests[order], files[order], places[order])


@dataclass(frozen=True, slots=True)
class History:
    """The anchors of files given in their order, sorted once, in which every file looks at those before it."""

    digests: Digests
    files: NDArray[np.int32]
    places: Places
    turns: NDArray[np.int64]
    """A number for each anchor that rises with its digest, and among equal ones with its file."""
    stride: int

    def before(self, number: int) -> "Earlier":
        """Return the anchors of the files before ``number``."""
        return Earlier(self, number)

    def repeating(self) -> frozenset[int]:
        """Return the files that have an anchor which a file before them has."""
        first = np.searchsorted(self.digests, self.digests, "left")
        return frozenset(np.unique(self.files[self.files > self.files[first]]).tolist())


@dataclass(frozen=True, slots=True)
class Earlier:
    """The anchors of a history of files before ``number``: what an index of these alone would find."""

    history: History
    number: int

    @property
    def files(self) -> NDArray[np.int32]:
        """The file of each anchor."""
        return self.history.files

    @property
    def places(self) -> Places:
        """The place of each anchor in its file."""
        return self.history.places

    def find(self, digests: Digests) -> tuple[Places, Places]:
        """Return for each digest the range ``[first, last)`` of its equals; none of what is everywhere."""
        known, stride = self.history, self.history.stride
        first = np.searchsorted(known.digests, digests, "left")
        there = np.flatnonzero(first < np.searchsorted(known.digests, digests, "right"))
        last = first.copy()
        turns = known.turns[first[there]] // stride * stride + min(self.number, stride)
        last[there] = np.maximum(np.searchsorted(known.turns, turns, "left"), first[there])
        return first, np.where(last - first <= 2 * REPEATS, last, first)


def history(scanned: Scanned) -> History:
    """Return the history of (file, places, digests), files ascending."""
    files, places, digests = _columns(scanned)
    order = np.argsort(digests, kind="stable")
    files, digests = files[order], digests[order]
    ranks = np.zeros(digests.size, np.int64)
    np.cumsum(digests[1:] != digests[:-1], out=ranks[1:])
    stride = int(files.max(initial=0)) + 1
    return History(digests, files, places[order], ranks * stride + files, stride)


def _columns(scanned: Scanned) -> tuple[NDArray[np.int32], Places, Digests]:
    parts = [(np.full(len(places), file, np.int32), places, digests) for file, places, digests in scanned]
    if not parts:
        return np.empty(0, np.int32), np.empty(0, np.int64), np.empty(0, _WORD)
    files, places, digests = (np.concatenate(column) for column in zip(*parts, strict=True))
    return files, places, digests
