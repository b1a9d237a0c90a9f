"""What numbers opaque bytes are, by evidence: places where every second, fourth or eighth byte says little. Pure.

The high byte of a float holds its sign and most of its exponent, and weights have few exponents: of the bytes at its
place in every number the entropy is two to five bits, at all other places nearly eight. So the entropies of the eight
places modulo eight show the width of numbers and where they begin, whatever the container. A stretch of windows that
agree is cut out as numbers of that type; two types of one width are told apart by what their bytes cost as either.

Source: byte grouping of ZipNN, used here to find what numbers there are.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from operator import itemgetter

import numpy as np
from numpy.typing import NDArray

from airlift.tensors.element import Element
from airlift.tensors.matching.likeness import Read
from airlift.tensors.matching.segment import Segment, Source

WINDOW_BYTES = 16 << 10
"""What is judged at once."""

LEAST_BYTES = 2 * WINDOW_BYTES
"""Shorter stretches are not worth a block."""

MAX_WINDOWS = 4096
"""How many windows of a segment are judged, evenly spread."""

PLACES = 8
CLEAR = 1.2
"""How many bits less the sign byte of a number must hold than its last, to be taken for one."""

STEADY = 0.6
"""How much the entropies of one place may differ from number to number."""

FULL = 6.5
"""Bits of a byte that tells little: the low bytes of weights."""


@dataclass(frozen=True, slots=True)
class Kind:
    """Numbers of ``size`` bytes of which the first begins at ``phase`` modulo ``size``."""

    size: int
    phase: int


@dataclass(frozen=True, slots=True)
class _Stretch:
    """Bytes ``[start, end)`` of a file that hold numbers of one kind."""

    kind: Kind
    start: int
    end: int


def typed(found: Sequence[Sequence[Segment]], bases: int, read: Read) -> list[list[Segment]]:
    """Return the segments of each file from number ``bases`` on, with numbers found in its opaque ones.

    Only what has no source, or one of its own length, is looked at: of the rest nobody knows what belongs together.
    """
    return [
        [piece for part in parts for piece in _pieces(number, part, read)]
        for number, parts in enumerate(found, bases)
    ]


def _pieces(number: int, part: Segment, read: Read) -> Iterable[Segment]:
    free = part.source is None or part.parallel
    if part.element is not Element.BYTES or part.length < LEAST_BYTES or not free:
        return [part]
    step = -(-part.length // MAX_WINDOWS // WINDOW_BYTES) * WINDOW_BYTES
    windows = [(start, min(start + step, part.end)) for start in range(part.start, part.end, step)]
    kinds = [_kind(read(number, start, min(start + WINDOW_BYTES, end)), start) for start, end in windows]
    groups = groupby(zip(windows, kinds, strict=True), key=itemgetter(1))
    stretches = [
        _stretch(kind, [window for window, _ in group]) for kind, group in groups if kind is not None
    ]
    worthy = [item for item in stretches if item.end - item.start >= LEAST_BYTES]
    return list(_cut(part, worthy, number, read)) if worthy else [part]


def _stretch(kind: Kind, windows: Sequence[tuple[int, int]]) -> _Stretch:
    return _Stretch(kind, windows[0][0], windows[-1][1])


def _kind(data: bytes, start: int) -> Kind | None:
    """Return what numbers a window at offset ``start`` of its file holds, None if none or if none are clear."""
    octets = np.frombuffer(data, np.uint8)
    octets = octets[: octets.size // PLACES * PLACES].reshape(-1, PLACES)
    if octets.shape[0] < 256:
        return None
    bits = np.array([_entropy(octets[:, place]) for place in range(PLACES)])
    for size in (2, 4, 8):
        turns = bits.reshape(-1, size)
        folded = turns.mean(axis=0)
        sign = int(folded.argmin())
        low = folded[(sign + 1) % size]
        if np.ptp(turns, axis=0).max() < STEADY and folded[sign] < low - CLEAR and low > FULL:
            return Kind(size, (start + sign + 1) % size)
    return None


def _entropy(octets: NDArray[np.uint8]) -> float:
    """Return the bits a byte, corrected for how few there are to count (Miller and Madow)."""
    counts = np.bincount(octets, minlength=256)
    counts = counts[counts > 0]
    share = counts / octets.size
    return float(-(share * np.log2(share)).sum() + (counts.size - 1) / (2 * octets.size * np.log(2)))


# -- stretches -----------------------------------------------------------------------------------------------------


def _cut(part: Segment, stretches: Sequence[_Stretch], number: int, read: Read) -> Iterator[Segment]:
    """Yield the segment in pieces: numbers where there are some, whole ones, and opaque bytes between them."""
    position = part.start
    for item in stretches:
        first = item.start + (item.kind.phase - item.start) % item.kind.size
        last = item.end - (item.end - first) % item.kind.size
        if position < first:
            yield _piece(part, position, first, Element.BYTES)
        yield _piece(
            part, first, last, _element(item.kind, read(number, first, min(last, first + WINDOW_BYTES)))
        )
        position = last
    if position < part.end:
        yield _piece(part, position, part.end, Element.BYTES)


def _element(kind: Kind, data: bytes) -> Element:
    """Return the type of numbers of this size: of those of 16 bits, the one whose exponents say less."""
    if kind.size != 2:
        return Element.F32 if kind.size == 4 else Element.F64
    high = np.frombuffer(data, np.uint8)[1::2]
    exponents = np.unique(high & np.uint8(0x7F)).size
    return Element.BF16 if exponents <= BRAIN else Element.F16


BRAIN = 24
"""So many values of the seven bits after the sign: sixteen powers of two in bfloat16, and only four in float16."""


def _piece(part: Segment, start: int, end: int, element: Element) -> Segment:
    source = part.source
    if source is not None:
        source = Source(source.file, source.start + start - part.start, source.start + end - part.start)
    return replace(part, start=start, end=end, element=element, row=0, source=source, parts=())
