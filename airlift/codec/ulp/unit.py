"""Units: what the codec ``ulp`` takes for one number, and its bits as an integer in numeric order (SPEC U1, U6).

An element (:mod:`airlift.tensors.element`) is what a tensor holds; a unit is what is coded as one number. A float is
one unit, a complex number two, a record of quantised numbers one for each byte, and bytes of two 4-bit numbers two.

``order`` reads a float's bits as an integer such that a larger number has a larger integer: the bits of negative
numbers are flipped below the sign. -0 is just below +0, infinities and NaN are ordinary, and nothing is lost::

    -inf 0x807f   -1.0 0xc07f   -0 0xffff   +0 0x0000   1.0 0x3f80   inf 0x7f80       (bfloat16, two's complement)
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from airlift.tensors.element import Element

Array = NDArray[Any]
INTEGER = -1
"""Instead of a number of mantissa bits: not a float."""


@dataclass(frozen=True, slots=True)
class Unit:
    """Numbers of ``bits`` bits (4, 8, 16, 32 or 64), of which ``mantissa`` are a float's fraction."""

    bits: int
    mantissa: int = INTEGER

    @property
    def size(self) -> int:
        """The bytes that an array keeps for one; a unit of 4 bits has a byte of its own there."""
        return max(1, self.bits // 8)

    @property
    def floating(self) -> bool:
        """Whether it is a float."""
        return self.mantissa != INTEGER

    @property
    def dtype(self) -> "np.dtype[Any]":
        """Unsigned, little-endian."""
        return np.dtype(f"<u{self.size}")


NIBBLE = Unit(4)

_FLOATS = {
    Element.F8_E4M3: Unit(8, 3),
    Element.F8_E4M3FNUZ: Unit(8, 3),
    Element.F8_E5M2: Unit(8, 2),
    Element.F8_E5M2FNUZ: Unit(8, 2),
    Element.F16: Unit(16, 10),
    Element.BF16: Unit(16, 7),
    Element.F32: Unit(32, 23),
    Element.C64: Unit(32, 23),
    Element.F64: Unit(64, 52),
}


def unit_of(element: Element) -> Unit:
    """Return the unit of an element type."""
    return _FLOATS.get(element) or Unit(8 if element.record else 8 * element.size)


def split(data: memoryview, unit: Unit) -> Array:
    """Return bytes as units: an unsigned array, a copy only for nibbles."""
    if unit.bits > 4:
        return np.frombuffer(data, unit.dtype)
    octets = np.frombuffer(data, np.uint8)
    return np.stack([octets & 15, octets >> 4], axis=1).reshape(-1)


def join(units: Array, unit: Unit) -> memoryview:
    """Return units as bytes."""
    octets: Any = units.view(np.uint8) if unit.bits > 4 else units[0::2] | (units[1::2] << 4)
    return memoryview(octets)


def order(units: Array, unit: Unit) -> Array:
    """Return ord(x) of each unit, unsigned; its own inverse."""
    if not unit.floating:
        return units
    mapped: Array = (units.view(f"<i{unit.size}") >> (unit.bits - 1)).view(units.dtype)
    mapped &= units.dtype.type((1 << (unit.bits - 1)) - 1)
    mapped ^= units
    return mapped


def difference(new: Array, base: Array, unit: Unit) -> Array:
    """Return d = ord(new) - ord(base) modulo 2^w, as signed integers."""
    delta: Array = order(new, unit) - order(base, unit)
    if unit.bits < 8:
        delta <<= 4
        return delta.view(np.int8) >> 4
    return delta.view(f"<i{unit.size}")


def zigzag(delta: Array) -> Array:
    """Return 0, 1, 2, 3, 4 ... for 0, -1, 1, -2, 2 ..., unsigned."""
    return ((delta << 1) ^ (delta >> (8 * delta.itemsize - 1))).view(f"<u{delta.itemsize}")


def restore(codes: Array, base: Array, unit: Unit) -> Array:
    """Return the units whose zigzagged differences from ``base`` are ``codes``."""
    one = codes.dtype.type(1)
    delta = -(codes & one)
    delta ^= codes >> one
    delta += order(base, unit)
    units = order(delta, unit)
    return units & 15 if unit.bits < 8 else units


def exponent(units: Array, unit: Unit) -> Array:
    """Return the biased exponent of each float (below 2^11), at least 1, as int16; 0 for integers."""
    if not unit.floating:
        return np.zeros(len(units), np.int16)
    biased = units & units.dtype.type((1 << (unit.bits - 1)) - 1)
    biased >>= units.dtype.type(unit.mantissa)
    narrow: Array = biased.view(np.int16) if unit.bits == 16 else biased.astype(np.int16)
    return np.maximum(narrow, 1, out=narrow)
