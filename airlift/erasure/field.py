"""Arithmetic of GF(2^8) with the polynomial x^8 + x^4 + x^3 + x^2 + 1, on arrays of bytes (SPEC 6.9-2)."""

from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]

POLYNOMIAL = 0x11D


@cache
def products() -> Array:
    """Return all products: ``products()[a, b]`` is a times b. Not to be written."""
    power, powers = 1, []
    for _ in range(255):
        powers.append(power)
        power = power << 1 ^ (POLYNOMIAL if power & 0x80 else 0)
    logarithms = np.zeros(256, np.intp)
    logarithms[powers] = np.arange(255)
    table: Array = np.array(powers, np.uint8)[(logarithms[:, None] + logarithms) % 255]
    table[0] = table[:, 0] = 0
    table.flags.writeable = False
    return table


@cache
def inverses() -> Array:
    """Return 1 / a for every a; 0 for 0, which has none. Not to be written."""
    table: Array = (products() == 1).argmax(axis=1).astype(np.uint8)
    table.flags.writeable = False
    return table


def times(one: Array, other: Array) -> Array:
    """Return the product of two matrices."""
    result = np.zeros((len(one), other.shape[1]), np.uint8)
    for place in range(len(other)):
        result ^= products()[one[:, place, None], other[None, place]]
    return result


def inverse(matrix: Array) -> Array:
    """Return the inverse of a square matrix of which every square part can be inverted, by Gauss and Jordan.

    No pivot is looked for: in such a matrix none of them is zero.
    """
    size = len(matrix)
    both = np.hstack([matrix, np.eye(size, dtype=np.uint8)])
    for place in range(size):
        both[place] = products()[inverses()[both[place, place]], both[place]]
        others = both[:, place].copy()
        others[place] = 0
        both ^= products()[others[:, None], both[None, place]]
    return both[:, size:]
