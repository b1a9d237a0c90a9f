"""Whether numbers are related: signs, sampled. Pure; bytes come from a callable.

Training hardly ever turns the sign of a weight, so the signs of two related tensors agree at nearly all places, and
those of unrelated ones at half of them, whatever their types, names and scales.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from airlift.tensors.element import Element
from airlift.tensors.matching.segment import Source

Read = Callable[[int, int, int], bytes]
"""Returns bytes ``[start, end)`` of file number ``int``."""

SIGNED = frozenset({Element.F16, Element.BF16, Element.F32, Element.F64})
"""The elements whose last byte begins with the sign."""

WINDOWS = 8
WINDOW = 256
"""How many runs of how many numbers are looked at."""

FEW = 64
"""So few numbers say nothing."""

AGREEING = 0.7


def alike(read: Read, element: Element, one: Source, other: Source, *, everywhere: bool = False) -> bool:
    """Say whether two runs of one element and length may be related: False only if they surely are not.

    With ``everywhere`` each of the sampled stretches must be, otherwise all of them taken together.
    """
    if element not in SIGNED or one.end - one.start < FEW * element.size:
        return True
    agree = signs(read, element, one) == signs(read, element, other)
    stretches = np.array_split(agree, WINDOWS) if everywhere else [agree]
    return all(float(np.mean(part)) >= AGREEING for part in stretches)


def signs(read: Read, element: Element, source: Source) -> NDArray[np.bool_]:
    """Return the signs of ``WINDOWS`` evenly spread runs of numbers, of all if there are not more."""
    count = (source.end - source.start) // element.size
    run = min(WINDOW, count)
    starts = range(0, count, run) if count <= WINDOWS * run else _spread(count - run)
    pieces = [
        read(
            source.file,
            source.start + start * element.size,
            source.start + min(start + run, count) * element.size,
        )
        for start in starts
    ]
    return negative(np.frombuffer(b"".join(pieces), np.uint8), element)


def negative(data: NDArray[Any], element: Element) -> NDArray[np.bool_]:
    """Return whether each number of these bytes is negative."""
    found: NDArray[np.bool_] = data[element.size - 1 :: element.size] > np.uint8(127)
    return found


def _spread(last: int) -> list[int]:
    return [last * number // (WINDOWS - 1) for number in range(WINDOWS)]
