"""Weighted least squares: fit a matrix of low rank to the difference of two rounded matrices. For the encoder only.

An element of the target is known to half a unit of its last place, and units differ by powers of two within a row, so
each element counts by the inverse square of its unit: weighted alternating least squares. Truncated singular values
alone (every element counted alike) leave three to four times the residual. Refined, each element is first moved into
the interval that rounds to what was observed, over-relaxed (alternating projection).

Everything is float32, which holds the noise of rounding many times over, and is rounded to 16 bits in the end.
"""

from collections import deque
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from airlift.codec.predict import exact, rounding
from airlift.codec.predict.exact import Bits
from airlift.codec.ulp.scratch import Scratch
from airlift.tensors.element import Element

Floats = NDArray[np.float32]
ALL = slice(None)

SEED = 20_24
OVERSAMPLE = 8
POWERS = 1
SKETCH_ROWS = 256
EDGE_ROWS = 256
MOST_WEIGHT_LOG = 6
MOST_WEIGHT = 1 << MOST_WEIGHT_LOG
"""How much more than the median an element may weigh: what stands near zero is known almost exactly."""
STRIPE, LEAST_ROWS = 1 << 19, 128
"""About how many elements are weighed at once, and the least rows."""
RELAXATION = 1.6
FRACTION_BITS = {Element.BF16: 7, Element.F16: 10, Element.F32: 23}
_EXPONENT_MASK = {Element.BF16: 0xFF, Element.F16: 0x1F, Element.F32: 0xFF}
_BIAS = {Element.BF16: 127, Element.F16: 15, Element.F32: 127}
_SPARE = Scratch(deque(maxlen=2))
RANGE = 62
"""So many powers of two above the typical unit weights are least."""


@dataclass(frozen=True, slots=True)
class Difference:
    """``new - base`` of shape (rows, columns), and the bits of ``new``, which tell its units in the last place.

    An element that is not finite (``lost``, None if all are) counts as unchanged, with a unit of infinity: it weighs
    nothing.
    """

    delta: Floats
    bits: Bits
    element: Element
    lost: NDArray[np.bool_] | None = None

    def units(self, rows: slice = ALL) -> Floats:
        """Return the units in the last place in some rows; at least 2**-60 to keep squares normal."""
        shift = _BIAS[self.element] + FRACTION_BITS[self.element] - 127
        powers = self._exponents(rows)
        np.clip(powers, _high(max(67 + shift, 0)), _high(187 + shift), out=powers)
        powers -= _high(shift)
        units = powers.view(np.float32)
        return self._without_lost(units, rows, np.inf)

    def weights(self, rows: slice = ALL, typical: int = 0) -> Floats:
        """Return the inverse squares of the units in some rows, the typical one being 1, at most ``MOST_WEIGHT``.

        ``typical`` is :meth:`typical_exponent`, if it is known.
        """
        typical = typical or self.typical_exponent()
        powers = self._exponents(rows)
        low, high = max(typical - MOST_WEIGHT_LOG // 2, 0), min(typical + RANGE, 255)
        np.clip(powers, _high(low), _high(high), out=powers)
        powers <<= np.uint32(1)
        np.subtract(_high(127 + 2 * typical), powers, out=powers)
        return self._without_lost(powers.view(np.float32), rows, 0)

    def typical_exponent(self) -> int:
        """Return the median of the exponents, as stored, of finite elements in a sample; of none that of 1."""
        rows, columns = self.bits.shape
        some = (slice(None, None, max(1, rows // 64)), slice(None, None, max(1, columns // 1024)))
        found = (self.bits[some] >> FRACTION_BITS[self.element]) & _EXPONENT_MASK[self.element]
        if self.lost is not None:
            found = found[~self.lost[some]]
        if not found.size:
            return _BIAS[self.element] + FRACTION_BITS[self.element]
        counts = np.cumsum(np.bincount(found.reshape(-1)))
        return max(1, int(np.searchsorted(counts, (counts[-1] + 1) // 2)))

    def typical_unit(self) -> np.float32:
        """Return the unit of :meth:`typical_exponent`, at least the least that can be divided by."""
        power = self.typical_exponent() - _BIAS[self.element] - FRACTION_BITS[self.element]
        return np.float32(2.0 ** min(max(power, -60), 60))

    def noise(self) -> float:
        """Return the mean square of rounding errors: a twelfth of the mean square of the units."""
        return float(self._squares(ALL).mean(dtype=np.float64)) / 12

    def edge(self) -> float:
        """Return about the largest singular value that rounding alone makes: of the noisiest row and column.

        Of many rows some are looked at.
        """
        rows = self.bits.shape[0]
        squares = self._squares(slice(None, None, max(1, rows // EDGE_ROWS)))
        share = rows / max(1, squares.shape[0])
        down, across = squares.sum(axis=1).max(initial=0), share * squares.sum(axis=0).max(initial=0)
        return float(np.sqrt(down / 12) + np.sqrt(across / 12))

    def _squares(self, rows: slice) -> Floats:
        """Return the squares of the units, those of lost elements 0."""
        squares = np.square(self.units(rows))
        return squares if self.lost is None else np.where(np.isfinite(squares), squares, np.float32(0))

    def _exponents(self, rows: slice) -> Bits:
        """Return the exponents (at least 1) of some rows, where those of float32 have them."""
        powers = self.bits[rows].astype(np.uint32)
        powers <<= np.uint32(23 - FRACTION_BITS[self.element])
        powers &= np.uint32(_EXPONENT_MASK[self.element] << 23)
        return np.asarray(np.maximum(powers, np.uint32(1 << 23), out=powers))

    def _without_lost(self, numbers: Floats, rows: slice, instead: float) -> Floats:
        if self.lost is not None:
            numbers[self.lost[rows]] = instead
        return numbers


def difference(new: Bits, base: Bits, element: Element) -> Difference:
    """Return the difference of two matrices given by their bits."""
    delta, known = _SPARE.take(4 * new.size).view(np.float32), True
    after, before = new.reshape(-1), base.reshape(-1)
    with np.errstate(all="ignore"):
        for start in range(0, new.size, exact.STRIPE):
            part = slice(start, start + exact.STRIPE)
            one, other = (rounding.singles(bits[part], element).view(np.float32) for bits in (after, before))
            found = np.subtract(one, other, out=delta[part])
            known = known and bool(np.isfinite(found.sum()))
    lost = None if known else ~(_finite(after, element) & _finite(before, element) & np.isfinite(delta))
    if lost is not None:
        delta[lost] = 0
        lost = lost.reshape(new.shape)
    return Difference(delta.reshape(new.shape), new, element, lost)


def _finite(bits: Bits, element: Element) -> NDArray[np.bool_]:
    return np.asarray((bits >> FRACTION_BITS[element]) & _EXPONENT_MASK[element] != _EXPONENT_MASK[element])


def _high(exponent: int) -> np.uint32:
    """Return an exponent (modulo 512) where float32 has it."""
    return np.uint32((exponent << 23) & 0xFFFFFFFF)


def spectrum(delta: Floats, rank: int) -> tuple[NDArray[np.float64], Floats]:
    """Return the largest singular values, and an orthonormal basis (columns, rank) of their part of the rows.

    Some rows tell in which directions to look, then all of them are projected on these, twice.

    Source: Halko, Martinsson and Tropp, Finding structure with randomness, 4.4 (power iterations, orthonormalised).
    """
    width = min(rank + OVERSAMPLE, *delta.shape)
    start = np.random.default_rng(SEED).standard_normal((delta.shape[1], width))
    basis: Floats = np.asarray(start, np.float32)
    some = delta[:: max(1, delta.shape[0] // SKETCH_ROWS)]
    for _ in range(POWERS):
        basis = np.linalg.qr(some.T @ np.linalg.qr(some @ basis)[0])[0]
    sketch = _orthonormal(delta @ basis).T @ delta
    gram = sketch.astype(np.float64) @ sketch.T.astype(np.float64)
    squares, turned = np.linalg.eigh(gram)
    values = np.sqrt(np.maximum(squares[::-1], 0))
    rows = turned[:, ::-1].T @ sketch
    return values, np.asarray((rows / np.maximum(values, 1e-30)[:, None]).T, np.float32)


def _orthonormal(columns: Floats) -> Floats:
    """Return orthonormal columns that span the same, long and few."""
    gram = columns.T.astype(np.float64) @ columns
    try:
        factor = np.linalg.cholesky(gram)
    except np.linalg.LinAlgError:
        return np.linalg.qr(columns)[0]
    return np.asarray(columns @ np.linalg.inv(factor).T, np.float32)


def fit(delta: Floats, right: Floats) -> tuple[Floats, Floats]:
    """Return the (rows, rank) and (rank, columns) nearest to ``delta``, from ``right``: each in its turn, once."""
    basis = np.ascontiguousarray(np.linalg.qr(right.T)[0].T)
    left = np.linalg.qr(_solve(delta, basis))[0]
    return left, np.ascontiguousarray(_solve(delta.T, np.ascontiguousarray(left.T)).T)


def _solve(delta: Floats, right: Floats) -> Floats:
    """Return the (rows, rank) that with ``right`` (rank, columns) comes nearest to ``delta``, row by row."""
    gram = (right @ right.T).astype(np.float64)
    return np.asarray(np.linalg.lstsq(gram, (right @ delta.T).astype(np.float64))[0].T, np.float32)


def fit_weighted(found: Difference, delta: Floats, right: Floats) -> tuple[Floats, Floats]:
    """Return what :func:`fit` does, each element counted by its weight; ``right`` is balanced (:func:`balance`).

    The sums of both sides are taken in one pass, stripe by stripe.
    """
    rank, (a, b), typical = right.shape[0], np.triu_indices(right.shape[0]), found.typical_exponent()
    norms = np.maximum(np.linalg.norm(right, axis=1), np.float32(1e-15))
    basis, values = right / norms[:, None], np.square(norms)
    products = np.ascontiguousarray((basis[a] * basis[b]).T)
    grams, sides = np.zeros((len(a), right.shape[1]), np.float32), np.zeros(right.shape, np.float32)
    left = np.empty((delta.shape[0], rank), np.float32)
    step = max(LEAST_ROWS, STRIPE // right.shape[1])
    for start in range(0, delta.shape[0], step):
        rows = slice(start, start + step)
        weights = found.weights(rows, typical)
        gram = weights @ products
        weighted = delta[rows] * weights
        part = left[rows] = _solve_each(gram, weighted @ basis.T)
        part = part / values  # about orthonormal, which keeps the sums far from singular
        grams += (part[:, a] * part[:, b]).T @ weights
        sides += part.T @ weighted
    other = _solve_each(grams.T, sides.T) / values
    return left, np.ascontiguousarray(other.T)


def _solve_each(grams: Floats, sides: Floats) -> Floats:
    """Return the solutions of small systems, one a row: the upper triangle of its matrix, and its right side."""
    rank = sides.shape[1]
    places = np.zeros((rank, rank), np.intp)
    places[np.triu_indices(rank)] = np.arange(grams.shape[1])
    places += np.triu(places, 1).T
    whole = grams.astype(np.float64).take(places.reshape(-1), axis=1)
    diagonals = whole[:, :: rank + 1]
    diagonals += 1e-7 * diagonals.mean(axis=1, keepdims=True) + 1e-30
    systems = whole.reshape(-1, rank, rank), sides.astype(np.float64)[..., None]
    return np.asarray(np.linalg.solve(*systems)[..., 0], np.float32)


def pulled(found: Difference, left: Floats, right: Floats) -> Floats:
    """Return ``left @ right`` moved towards the half unit around each element of the difference, over-relaxed."""
    product = left @ right
    off = product - found.delta
    half = np.minimum(found.units() / 2, np.float32(np.finfo(np.float32).max))
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
