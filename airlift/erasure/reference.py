"""Sums of products in NumPy: what the compiled kernel does too, byte for byte. To read, and to fall back on."""

from collections.abc import Sequence

import numpy as np

from airlift.erasure import field
from airlift.erasure.field import Array

name = "numpy"
"""Its name among the kernels."""

PIECE = 1 << 16
"""Bytes of a member that are summed up at once: they stay in the cache."""


def combine(weights: Array, members: Sequence[memoryview], length: int) -> list[bytearray]:
    """Return for each row of ``weights[w, m]`` the sum of its weights times all members, ``length`` bytes each.

    A member is at most ``length`` bytes; it counts as filled up with zeros.
    """
    results = [bytearray(length) for _ in weights]
    for start in range(0, length if results else 0, PIECE):
        pieces = [member[start : start + PIECE] for member in members]
        for result, row in zip(results, weights, strict=True):
            _add(np.frombuffer(result, np.uint8)[start : start + PIECE], row, pieces)
    return results


def _add(result: Array, row: Array, pieces: Sequence[memoryview]) -> None:
    for weight, piece in zip(row.tolist(), pieces, strict=True):
        if weight and piece:
            product = piece if weight == 1 else bytes(piece).translate(field.products()[weight].data)
            result[: len(piece)] ^= np.frombuffer(product, np.uint8)
