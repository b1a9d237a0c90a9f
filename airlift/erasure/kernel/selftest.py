"""The known answer: what every implementation must make of a small input that is always the same.

It has all 256 weights, members that end before, at and after the ends of vectors, and more than one tile.
"""

import hashlib
from collections.abc import Sequence
from typing import Protocol

import numpy as np

from airlift.erasure.field import Array
from airlift.kernels import noise

DIGEST = "6a387de7b3467f9e1938a8e40a342deec0223ea8eedc4e3f6576bfec704085bc"
"""SHA-256 over all results, as the NumPy reference gives them; a test holds them equal."""

LENGTHS = (9000, 8193, 8192, 8191, 257, 129, 128, 127, 65, 64, 63, 33, 32, 31, 1, 0)
"""Bytes of the members; the longest is more than a tile of 8,192."""

_WRONG = (ArithmeticError, AttributeError, LookupError, TypeError, ValueError)
"""What an implementation may raise that is wrong, or of another version."""


class Kernel(Protocol):
    """An implementation; :mod:`airlift.erasure.reference` is one."""

    @property
    def name(self) -> str:
        """Its name."""

    def combine(self, weights: Array, members: Sequence[memoryview], length: int) -> list[bytearray]:
        """Return the sum of weights times members for each row of ``weights``, ``length`` bytes each."""


def passes(using: Kernel) -> bool:
    """Say whether an implementation gives the known answer."""
    try:
        return digest(using) == DIGEST
    except _WRONG:
        return False


def digest(using: Kernel) -> str:
    """Return the digest of what an implementation makes of the input, in hexadecimal."""
    weights = np.arange(256, dtype=np.uint8).reshape(16, 16)
    noise = _noise(max(LENGTHS) + len(LENGTHS))
    members = [noise[place : place + length].data for place, length in enumerate(LENGTHS)]
    return hashlib.sha256(b"".join(using.combine(weights, members, max(LENGTHS)))).hexdigest()


def _noise(count: int) -> Array:
    """Return bytes, by arithmetic that no library can change."""
    return (noise(count) >> np.uint64(56)).astype(np.uint8)
