"""Compare two runs of numbers: how many differ, and by how much at most (SPEC 9.13). Pure; NumPy.

Runs of one element type are compared piece by piece; the counts of pieces add up. Numbers differ if their bits do: -0
and +0 differ, and a NaN differs from one with another payload.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from airlift.tensors.element import Element

Array = NDArray[Any]


@dataclass(frozen=True, slots=True)
class Counts:
    """What was compared: ``elements`` in all, how many ``changed``, and of those how many are not finite on a side.

    ``absolute`` is the largest absolute difference of finite numbers and ``ulps`` the largest difference in units in
    the last place; None if the element has no order (records of quantised numbers, opaque bytes) or nothing changed.
    """

    elements: int = 0
    changed: int = 0
    not_finite: int = 0
    absolute: float | None = None
    ulps: int | None = None

    def __add__(self, other: "Counts") -> "Counts":
        return Counts(
            self.elements + other.elements,
            self.changed + other.changed,
            self.not_finite + other.not_finite,
            max((v for v in (self.absolute, other.absolute) if v is not None), default=None),
            max((v for v in (self.ulps, other.ulps) if v is not None), default=None),
        )


def compare_runs(base: bytes, target: bytes, element: Element) -> Counts:
    """Compare two runs of whole elements of equal length.

    Raises:
        ValueError: their lengths differ, or are no whole number of elements.
    """
    size = element.size
    if len(base) != len(target) or len(target) % size:
        raise ValueError("runs of different lengths, or of broken elements")
    count = len(target) // size
    if base == target:
        return Counts(_numbers(count, element))
    if element in _FLOATS:
        return _floats(base, target, element)
    if element in _INTEGERS:
        return _integers(base, target, _INTEGERS[element])
    old, new = (np.frombuffer(data, np.uint8).reshape(count, size) for data in (base, target))
    return Counts(count, int(np.count_nonzero((old != new).any(axis=1))))


# -- inside --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Float:
    """A float type: its unsigned type, and how its bits become numbers."""

    unsigned: type[np.unsignedinteger]
    value: Callable[[Array], Array]


def _numbers(count: int, element: Element) -> int:
    return 2 * count if element is Element.C64 else count


def _table(exponent_bits: int, mantissa_bits: int, bias: int, nans: tuple[int, ...]) -> NDArray[np.float64]:
    """Return the numbers that the 256 bytes of an eight-bit float without infinities stand for."""
    bits = np.arange(256)
    exponent = bits >> mantissa_bits & (1 << exponent_bits) - 1
    mantissa = bits & (1 << mantissa_bits) - 1
    normal = (1 + mantissa / (1 << mantissa_bits)) * 2.0 ** (exponent - bias)
    small = mantissa / (1 << mantissa_bits) * 2.0 ** (1 - bias)
    values = np.where(exponent == 0, small, normal) * np.where(bits >> 7, -1.0, 1.0)
    values[list(nans)] = np.nan
    return values.astype(np.float64)


_E4M3 = _table(4, 3, 7, (0x7F, 0xFF))
_E4M3FNUZ = _table(4, 3, 8, (0x80,))
_E5M2FNUZ = _table(5, 2, 16, (0x80,))
_FLOATS: dict[Element, _Float] = {
    Element.F64: _Float(np.uint64, lambda bits: bits.view(np.float64)),
    Element.F32: _Float(np.uint32, lambda bits: bits.view(np.float32).astype(np.float64)),
    Element.C64: _Float(np.uint32, lambda bits: bits.view(np.float32).astype(np.float64)),
    Element.F16: _Float(np.uint16, lambda bits: bits.view(np.float16).astype(np.float64)),
    Element.BF16: _Float(
        np.uint16, lambda bits: (bits.astype(np.uint32) << np.uint32(16)).view(np.float32).astype(np.float64)
    ),
    Element.F8_E5M2: _Float(
        np.uint8, lambda bits: (bits.astype(np.uint16) << np.uint16(8)).view(np.float16).astype(np.float64)
    ),
    Element.F8_E4M3: _Float(np.uint8, lambda bits: _E4M3[bits]),
    Element.F8_E4M3FNUZ: _Float(np.uint8, lambda bits: _E4M3FNUZ[bits]),
    Element.F8_E5M2FNUZ: _Float(np.uint8, lambda bits: _E5M2FNUZ[bits]),
}
_INTEGERS: dict[Element, type[np.generic]] = {
    Element.BOOL: np.uint8,
    Element.U8: np.uint8,
    Element.I8: np.int8,
    Element.U16: np.uint16,
    Element.I16: np.int16,
    Element.U32: np.uint32,
    Element.I32: np.int32,
    Element.U64: np.uint64,
    Element.I64: np.int64,
}


def _floats(base: bytes, target: bytes, element: Element) -> Counts:
    kind = _FLOATS[element]
    old, new = _differing(base, target, kind.unsigned)
    with np.errstate(
        over="ignore", invalid="ignore"
    ):  # signalling NaN is cast as well; counted, not computed with
        first, second = kind.value(old), kind.value(new)
        finite = np.isfinite(first) & np.isfinite(second)
        gaps = np.abs(second[finite] - first[finite])
    return Counts(
        elements=len(target) // np.dtype(kind.unsigned).itemsize,
        changed=len(new),
        not_finite=int(np.count_nonzero(~finite)),
        absolute=float(gaps.max()) if len(gaps) else None,
        ulps=_ulps(old[finite], new[finite]),
    )


def _differing(base: bytes, target: bytes, kind: type[np.generic]) -> tuple[Array, Array]:
    old, new = np.frombuffer(base, kind), np.frombuffer(target, kind)
    places = old != new
    return old[places], new[places]


def _ulps(old: Array, new: Array) -> int | None:
    """Return the largest distance of ordered bit patterns: sign and magnitude become one line of integers."""
    if not len(old):
        return None
    first, second = _ordered(old), _ordered(new)
    opposite = (first < 0) != (second < 0)
    across = zip(first[opposite].tolist(), second[opposite].tolist(), strict=True)  # it may not fit 64 bits
    same = np.abs(first[~opposite] - second[~opposite])
    found: int = max([int(same.max()) if len(same) else 0, *(abs(a - b) for a, b in across)])
    return found


def _ordered(bits: Array) -> NDArray[np.int64]:
    """Return integers in the order of the numbers: -0 is just below +0."""
    width = bits.dtype.itemsize * 8
    magnitude = (bits & bits.dtype.type((1 << (width - 1)) - 1)).astype(np.int64)
    ordered: NDArray[np.int64] = np.where(bits >> bits.dtype.type(width - 1), -1 - magnitude, magnitude)
    return ordered


def _integers(base: bytes, target: bytes, kind: type[np.generic]) -> Counts:
    old, new = _differing(base, target, kind)
    wide = kind in {np.uint64, np.int64}
    if wide:
        pairs = zip(old.tolist(), new.tolist(), strict=True)
        largest = max(abs(b - a) for a, b in pairs)
    else:
        largest = int(np.abs(new.astype(np.int64) - old.astype(np.int64)).max())
    return Counts(len(target) // np.dtype(kind).itemsize, len(new), 0, float(largest), largest)
