"""Find out whether a known adapter explains how a matrix changed, and with which scale. For the low side only.

The scale is not read from a configuration: least squares finds it (merges of a fraction of an adapter included), and
what trainers use lies nearby: alpha / rank, or alpha / sqrt(rank) with rank-stabilised adapters, for a whole alpha.
"""

import math
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from airlift.codec.predict import exact, least_squares
from airlift.codec.predict.adapter import quantise
from airlift.codec.predict.exact import Array, Bits
from airlift.tensors.element import Element

MOST_WRONG = 0.5
"""An adapter must get more than this share of the elements right that changed."""
MAX_DENOMINATOR = 64


@dataclass(frozen=True, slots=True)
class Explanation:
    """The scale (a float32), whether the product was rounded before it was added, and the share of wrong elements."""

    scale: float
    per_product: bool
    wrong: float


def explain(new: Bits, old: Bits, element: Element, left: Array, right: Array) -> Explanation | None:
    """Return how an adapter explains some rows, None if it explains little.

    ``left`` (rows, rank) and ``right`` (rank, columns) are the unscaled factors for the rows that are given.
    """
    changed = int(np.count_nonzero(new != old))
    scale = fit_scale(new, old, element, left, right)
    if not changed or scale is None:
        return None
    base = np.ascontiguousarray(old).reshape(-1).view(np.uint8).data
    least: float = MOST_WRONG * changed
    best: Explanation | None = None
    for candidate in candidate_scales(scale, right.shape[0]):
        for per_product in (False, True):
            found = exact.predict(base, element, quantise(left, right * candidate, per_product=per_product))
            wrong = int(np.count_nonzero(exact.from_bytes(found, element).reshape(new.shape) != new))
            if wrong < least:
                least, best = wrong, Explanation(candidate, per_product, wrong / new.size)
    return best


def fit_scale(new: Bits, old: Bits, element: Element, left: Array, right: Array) -> float | None:
    """Return the scale of weighted least squares, None if the factors are not finite or say nothing."""
    with np.errstate(all="ignore"):
        product = left @ right
    if not np.isfinite(product).all():
        return None
    found = least_squares.difference(np.ascontiguousarray(new), np.ascontiguousarray(old), element)
    weighted = found.weights() * product
    strength = float((weighted * product).sum())
    scale = float((weighted * found.delta).sum()) / strength if strength > 0 else 0.0
    usable = math.isfinite(scale) and float(np.finfo(np.float32).tiny) < abs(scale) < 2.0**64
    return scale if usable else None


def candidate_scales(scale: float, rank: int) -> list[float]:
    """Return scales near a fitted one, as float32: those that trainers use first."""
    root = math.sqrt(rank)
    near = [round(scale * rank) / rank, round(scale * root) / root]
    near += [float(Fraction(scale).limit_denominator(MAX_DENOMINATOR)), scale]
    return list(dict.fromkeys(float(np.float32(value)) for value in near if value))
