"""Matrices, thin factors, and merges of both as trainers make them."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from airlift.codec.predict import exact
from airlift.tensors.element import Element

Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Merge:
    """Bytes of a base, of what it was merged into, and of the factors: ``b`` (rows, rank), ``a`` (rank, columns)."""

    base: bytes
    target: bytes
    a: bytes
    b: bytes
    rows: int
    columns: int
    rank: int

    @property
    def layout(self) -> list[tuple[int, int]]:
        """Return what the encoder is told of the rows."""
        return [(self.columns, self.rows * self.columns)]


def values(bits: exact.Bits, element: Element) -> Floats:
    """Return the values of elements."""
    return exact.widen(bits.reshape(-1), element).astype(np.float32).reshape(bits.shape)


def bits(numbers: Floats, element: Element) -> exact.Bits:
    """Return numbers rounded to elements."""
    return exact.narrow(numbers.reshape(-1).astype(np.float64), element).reshape(numbers.shape)


def merge(
    rows: int = 96,
    columns: int = 128,
    rank: int = 3,
    *,
    element: Element = Element.BF16,
    factors: Element = Element.F32,
    scale: float = 2.0,
    per_product: bool = False,
    transposed: bool = False,
    seed: int = 1,
) -> Merge:
    """Return ``base + scale * b @ a`` in float32, rounded; or if ``transposed`` with the factors of the transpose."""
    rng = np.random.default_rng(seed)
    base = bits(rng.standard_normal((rows, columns), np.float32) / np.float32(20), element)
    b = bits(rng.standard_normal((rows, rank), np.float32) / np.float32(16), factors)
    a = bits(rng.standard_normal((rank, columns), np.float32) / np.float32(16), factors)
    product = np.float32(scale) * (values(b, factors) @ values(a, factors))
    if per_product:
        product = values(bits(product, element), element)
    target = bits(values(base, element) + product, element)
    if transposed:
        a, b = np.ascontiguousarray(b.T), np.ascontiguousarray(a.T)
    return Merge(base.tobytes(), target.tobytes(), a.tobytes(), b.tobytes(), rows, columns, rank)
