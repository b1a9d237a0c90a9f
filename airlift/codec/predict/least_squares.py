"""Weighted least squares: fit a matrix of low rank to the difference of two rounded matrices. For the encoder only.

An element of the target is known to half a unit of its last place, and units differ by powers of two within a row, so
each element counts by the inverse square of its unit: weighted alternating least squares. Truncated singular values
alone (every element counted alike) leave three to four times the residual. Refined, each element is first moved into
the interval that rounds to what was observed, over-relaxed (alternating projection).

Everything is float32, which holds the noise of rounding many times over, and is rounded to 16 bits in the end.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from airlift.codec.predict import exact
from airlift.codec.predict.exact import Bits
from airlift.tensors.element import Element

Floats = NDArray[np.float32]

SEED = 20_24
OVERSAMPLE = 8
POWERS = 2
MOST_WEIGHT = 64
"""How much more than the median an element may weigh: what stands near zero is known almost exactly."""
RELAXATION = 1.6
FRACTION_BITS = {Element.BF16: 7, Element.F16: 10, Element.F32: 23}
_EXPONENT_MASK = {Element.BF16: 0xFF, Element.F16: 0x1F, Element.F32: 0xFF}
_BIAS = {Element.BF16: 127, Element.F16: 15, Element.F32: 127}


@dataclass(frozen=True, slots=True)
class Difference:
    """``new - base`` and the unit in the last place of ``new``, of shape (rows, columns).

    An element that is not finite counts as unchanged, with a unit of infinity: it weighs nothing.
    """

    delta: Floats
    unit: Floats

    def weights(self) -> Floats:
        """Return the inverse squares of the units, the typical one being 1, at most ``MOST_WEIGHT``."""
        weights = self.typical_unit() / self.unit
        weights *= weights
        return np.asarray(np.minimum(weights, np.float32(MOST_WEIGHT), out=weights))

    def typical_unit(self) -> np.float32:
        """Return the median of the finite units of some rows, at least the least that can be divided by."""
        some = self.unit[:: max(1, self.unit.shape[0] // 64)]
        some = some[np.isfinite(some)]
        return np.float32(np.median(some) if some.size else 1)

    def squares(self) -> Floats:
        """Return the squares of the units, those of lost elements 0."""
        squares = np.square(self.unit)
        squares[~np.isfinite(squares)] = 0
        return np.asarray(squares)

    def noise(self) -> float:
        """Return the mean square of rounding errors: a twelfth of the mean square of the units."""
        return float(self.squares().mean(dtype=np.float64)) / 12

    def edge(self) -> float:
        """Return about the largest singular value that rounding alone makes: of the noisiest row and column."""
        squares = self.squares()
        rows, columns = squares.sum(axis=1).max(initial=0), squares.sum(axis=0).max(initial=0)
        return float(np.sqrt(rows / 12) + np.sqrt(columns / 12))


def difference(new: Bits, base: Bits, element: Element) -> Difference:
    """Return the difference of two matrices given by their bits."""
    delta, unit = np.empty(new.size, np.float32), np.empty(new.size, np.float32)
    after, before = new.reshape(-1), base.reshape(-1)
    with np.errstate(all="ignore"):
        for start in range(0, new.size, exact.STRIPE):
            part = slice(start, start + exact.STRIPE)
            delta[part] = exact.widen(after[part], element) - exact.widen(before[part], element)
            unit[part] = _unit(after[part], element)
    if not (exact.is_finite(after, element) and exact.is_finite(before, element)):
        lost = ~np.isfinite(delta) | ~np.isfinite(unit)
        delta[lost], unit[lost] = 0, np.inf
    return Difference(delta.reshape(new.shape), unit.reshape(new.shape))


def _unit(bits: Bits, element: Element) -> Floats:
    """Return the unit in the last place, infinite for NaN and infinities; at least 2**-60 to keep squares normal."""
    mask, fraction = _EXPONENT_MASK[element], FRACTION_BITS[element]
    powers = np.maximum(np.arange(mask + 1), 1) - _BIAS[element] - fraction
    table = np.ldexp(np.float32(1), np.clip(powers, -60, 60))
    table[mask] = np.inf
    return np.asarray(table[(bits >> fraction) & mask], np.float32)


def spectrum(delta: Floats, rank: int) -> tuple[NDArray[np.float64], Floats]:
    """Return the largest singular values, and an orthonormal basis (columns, rank) of their part of the rows.

    Source: Halko, Martinsson and Tropp, Finding structure with randomness, 4.4 (power iterations, orthonormalised).
    """
    width = min(rank + OVERSAMPLE, *delta.shape)
    start = np.random.default_rng(SEED).standard_normal((delta.shape[1], width))
    basis: Floats = np.asarray(start, np.float32)
    for _ in range(POWERS):
        basis = np.linalg.qr(delta.T @ np.linalg.qr(delta @ basis)[0])[0]
    _, values, turned = np.linalg.svd(delta @ basis, full_matrices=False)
    return values.astype(np.float64), np.asarray(basis @ turned.T, np.float32)


def solve(delta: Floats, weights: Floats | None, right: Floats) -> Floats:
    """Return the (rows, rank) that with ``right`` (rank, columns) comes nearest to ``delta``, row by row.

    Of weights all alike (None) the sum of squares is least, else the weighted one.
    """
    if weights is None:
        gram = (right @ right.T).astype(np.float64)
        return np.asarray(np.linalg.lstsq(gram, (right @ delta.T).astype(np.float64))[0].T, np.float32)
    rank, (a, b) = right.shape[0], np.triu_indices(right.shape[0])
    grams = np.empty((delta.shape[0], rank, rank))
    grams[:, a, b] = grams[:, b, a] = weights @ (right[a] * right[b]).T
    ridge = 1e-7 * np.trace(grams, axis1=1, axis2=2) / rank + 1e-30
    grams += ridge[:, None, None] * np.eye(rank)
    sides = ((weights * delta) @ right.T).astype(np.float64)
    return np.asarray(np.linalg.solve(grams, sides[..., None])[..., 0], np.float32)


def pulled(found: Difference, left: Floats, right: Floats) -> Floats:
    """Return ``left @ right`` moved towards the half unit around each element of the difference, over-relaxed."""
    product = left @ right
    off = product - found.delta
    half = np.where(np.isfinite(found.unit), found.unit / 2, np.float32(np.finfo(np.float32).max))
    off -= np.clip(off, -half, half)
    off *= np.float32(RELAXATION)
    product -= off
    return product


def balance(left: Floats, right: Floats) -> tuple[Floats, Floats]:
    """Return factors of the same product: orthogonal, strongest first, each rank of one norm on both sides."""
    q1, r1 = np.linalg.qr(left.astype(np.float64))
    q2, r2 = np.linalg.qr(right.T.astype(np.float64))
    u, values, v = np.linalg.svd(r1 @ r2.T)
    root = np.sqrt(values)
    return np.asarray((q1 @ u) * root, np.float32), np.asarray(root[:, None] * (v @ q2.T), np.float32)
