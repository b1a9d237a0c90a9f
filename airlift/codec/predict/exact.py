"""``base + left @ right`` rounded to the base's type, with the same bits on every machine (SPEC P2).

The factors are integers. Every value that a matrix product of them passes through, in any order of summation, with or
without fused multiply-add, is an integer of magnitude at most ``bound(left, right)``; below ``2**53`` float64 holds
each one exactly, so the product does not depend on the library, its threads or the vector width. Then, an element:

1. ``delta = product * 2**exponent``: exact, since ``exponent`` lies in ``[-512, 512]`` and the product is an integer;
2. if ``per_product``: ``delta`` rounded to the element type as in 4 (what trainers do that add a stored product);
3. ``total = base + delta`` in float64, rounded once, to nearest, ties to even;
4. ``total`` to float32, then from float32 to the element type, each to nearest, ties to even; beyond the largest
   finite value it is an infinity.

A base that is NaN or infinite predicts itself, and so does any base whose ``delta`` is zero: -0 stays -0. Values
below the smallest normal number of float32 never pass through a float32 conversion, which a processor that flushes
them to zero would spoil; they are scaled to integers in float64, where they are normal.

Source: IEEE 754-2019, 4.3.1 (rounding to nearest) and 5.4.1; Higham, Accuracy and Stability, 2.1 (exact integers).
"""

from collections import deque
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from airlift.codec.predict import kernel
from airlift.codec.predict.kernel import Kernel, Nothing
from airlift.codec.ulp.scratch import Scratch
from airlift.errors import MalformedError
from airlift.tensors.element import Element

Array = NDArray[np.float64]
Bits = NDArray[Any]
"""An array of uint16 or uint32: the bits of elements."""

FLOATS = (Element.BF16, Element.F16, Element.F32)
MAX_EXPONENT = 512
MAX_BOUND = 1 << 52
STRIPE = 1 << 16
"""About how many elements are worked on at once: what fits the second-level cache as float64."""

_SPARE = Scratch(deque(maxlen=2))
_MAGNITUDE = {Element.BF16: 0x7FFF, Element.F16: 0x7FFF, Element.F32: 0x7FFFFFFF}
_INFINITY = {Element.BF16: 0x7F80, Element.F16: 0x7C00, Element.F32: 0x7F800000}
_SUBNORMAL = {  # the bits of the smallest normal number, and the value of the smallest above zero
    Element.BF16: (0x80, 2.0**-133),
    Element.F16: (0x400, 2.0**-24),
    Element.F32: (0x800000, 2.0**-149),
}
_BEYOND = {Element.BF16: 2.0**128, Element.F16: 2.0**16, Element.F32: 2.0**128}
_NORMAL32 = 0x00800000  # the bits of 2**-126
_NORMAL16 = 0x38800000  # the float32 bits of 2**-14, the smallest normal float16
_OVERFLOW16 = 0x477FF000  # the float32 bits of 65520, the smallest that rounds to infinity


@dataclass(frozen=True, slots=True)
class Factors:
    """Integers (held as float64) of shape (rows, rank) and (rank, columns), and the exponent of their product."""

    left: Array
    right: Array
    exponent: int
    per_product: bool = False


def check(factors: Factors) -> None:
    """Check that products of these factors are exact.

    Raises:
        MalformedError: they may not be.
    """
    if abs(factors.exponent) > MAX_EXPONENT or bound(factors.left, factors.right) > MAX_BOUND:
        raise MalformedError("factors are too large for an exact product")


def bound(left: Array, right: Array) -> int:
    """Return the sum over the rank of (largest of the column of ``left``) * (largest of the row of ``right``)."""
    columns, rows = np.abs(left).max(axis=0, initial=0), np.abs(right).max(axis=1, initial=0)
    return sum(int(a) * int(b) for a, b in zip(columns, rows, strict=True))


def predict(
    base: memoryview, element: Element, factors: Factors, *, using: Kernel | None = None
) -> memoryview:
    """Return the prediction: as many bytes as ``base``, a matrix of ``element`` (one of FLOATS), row by row.

    A compiled kernel does the rows in which everything is ordinary, or what ``using`` says instead; NumPy the rest.

    Raises:
        MalformedError: the factors are too large, or not of the shape of ``base``.
    """
    check(factors)
    rows, columns = factors.left.shape[0], factors.right.shape[1]
    if len(base) != rows * columns * element.size:
        raise MalformedError("factors do not have the shape of their base")
    before = from_bytes(base, element).reshape(rows, columns)
    after = _SPARE.take(len(base)).view(before.dtype).reshape(rows, columns)
    right = factors.right * 2.0**factors.exponent
    using = Nothing() if factors.per_product else using or kernel.default()
    left_out = np.flatnonzero(using.add(before, element, factors.left, right, after))
    step = max(1, STRIPE // max(columns, 1))
    for start in range(0, len(left_out), step):
        some = left_out[start : start + step]
        part = slice(some[0], some[-1] + 1) if some[-1] - some[0] == len(some) - 1 else some
        delta = (factors.left[part] @ right).reshape(-1)
        after[part] = _add(before[part].reshape(-1), delta, element, factors.per_product).reshape(-1, columns)
    return after.reshape(-1).view(np.uint8).data


def from_bytes(data: memoryview, element: Element) -> Bits:
    """Return the bits of elements."""
    return np.frombuffer(data, np.dtype(f"<u{element.size}"))


def is_finite(bits: Bits, element: Element) -> bool:
    """Return whether no element is NaN or infinite."""
    return bool((bits & bits.dtype.type(_MAGNITUDE[element])).max(initial=0) < _INFINITY[element])


def _add(base: Bits, delta: Array, element: Element, per_product: bool) -> Bits:
    """Return the prediction for one stripe; overwrites ``delta``."""
    if per_product:
        delta = _rounded(delta, element)
    with np.errstate(invalid="ignore"):  # infinities that cancel: the base is infinite, and stays what it is
        delta += widen(base, element)
    found = narrow(delta, element)
    magnitude = base & base.dtype.type(_MAGNITUDE[element])
    if magnitude.max(initial=0) >= _INFINITY[element]:
        np.copyto(found, base, where=magnitude >= _INFINITY[element])
    if magnitude.min(initial=1) == 0:
        np.copyto(found, base, where=(magnitude == 0) & (delta == 0))
    return found


def _rounded(values: Array, element: Element) -> Array:
    """Round values to an element type; what overflows it is infinite."""
    rounded = widen(narrow(values, element), element)
    beyond = np.abs(rounded) >= _BEYOND[element]
    if beyond.any():
        rounded[beyond] = np.copysign(np.inf, rounded[beyond])
    return rounded


def widen(bits: Bits, element: Element) -> Array:
    """Return the values of elements (one dimension); those of NaN and infinities mean nothing."""
    wide = bits.astype(np.uint32)
    if element is Element.BF16:
        wide <<= np.uint32(16)
    elif element is Element.F16:
        wide = _from_half(wide)
    with np.errstate(all="ignore"):
        values = wide.view(np.float32).astype(np.float64)
    magnitude = bits & bits.dtype.type(_MAGNITUDE[element])
    least, unit = _SUBNORMAL[element]
    if magnitude.min(initial=least) < least:
        tiny = np.flatnonzero(magnitude < least)
        values[tiny] = magnitude[tiny].astype(np.float64) * unit
        values[tiny] *= np.where(bits[tiny] > magnitude[tiny], -1.0, 1.0)
    return values


def _from_half(wide: Bits) -> Bits:
    """Return the float32 bits of normal float16."""
    sign = wide & np.uint32(0x8000)
    wide ^= sign
    wide <<= np.uint32(13)
    wide += np.uint32(112 << 23)
    sign <<= np.uint32(16)
    wide |= sign
    return wide


def narrow(values: Array, element: Element) -> Bits:
    """Return the bits of values (one dimension; each zero or normal) rounded to float32, then to the element type."""
    with np.errstate(all="ignore"):
        wide = values.astype(np.float32).view(np.uint32)
    magnitude = wide & np.uint32(0x7FFFFFFF)
    if magnitude.min(initial=_NORMAL32 + 1) <= _NORMAL32:
        tiny = np.flatnonzero(magnitude <= _NORMAL32)
        magnitude[tiny] = np.rint(np.abs(values[tiny]) * 2.0**149).astype(np.uint32)
        wide[tiny] = (wide[tiny] & np.uint32(0x80000000)) | magnitude[tiny]
    if element is Element.F32:
        return wide
    return brain(wide) if element is Element.BF16 else half(magnitude, wide)


def brain(wide: Bits) -> Bits:
    """Round the bits of float32 to bf16: a carry out of the fraction is one more in the exponent."""
    rounded = wide >> np.uint32(16)
    rounded &= np.uint32(1)
    rounded += np.uint32(0x7FFF)
    rounded += wide
    rounded >>= np.uint32(16)
    return rounded.astype(np.uint16)


def half(magnitude: Bits, wide: Bits) -> Bits:
    """Round the bits of float32 to float16: ``magnitude`` without the sign, which is that of ``wide`` (spoilt)."""
    rounded = magnitude >> np.uint32(13)
    rounded &= np.uint32(1)
    rounded += np.uint32(0xFFF)
    rounded += magnitude
    rounded -= np.uint32(112 << 23)
    rounded >>= np.uint32(13)
    if magnitude.min(initial=_NORMAL16) < _NORMAL16:
        small = np.flatnonzero(magnitude < _NORMAL16)
        values = np.ascontiguousarray(magnitude[small]).view(np.float32).astype(np.float64)
        rounded[small] = np.rint(values * 2.0**24).astype(np.uint32)
    if magnitude.max(initial=0) >= _OVERFLOW16:
        rounded[magnitude >= _OVERFLOW16] = _INFINITY[Element.F16]
    wide >>= np.uint32(16)
    wide &= np.uint32(0x8000)
    wide |= rounded
    return wide.astype(np.uint16)
