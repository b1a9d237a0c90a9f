"""Numbers of one float type as those of another, with the same bits on every machine (SPEC V3).

Everything goes through the bits of float32, by arithmetic on integers: rounding is to nearest, ties to even, and no
processor that flushes subnormal numbers to zero changes anything. A NaN becomes the quiet NaN of its sign.

Source: IEEE 754-2019, 4.3.1 and 5.4.2; OCP 8-bit Floating Point Specification 1.0 (E4M3 without infinities, E5M2).
"""

from functools import cache

import numpy as np

from airlift.codec.predict import exact
from airlift.codec.predict.exact import Bits
from airlift.tensors.element import Element

FLOATS = frozenset({Element.F64, Element.F32, Element.F16, Element.BF16})
EIGHTS = frozenset({Element.F8_E4M3, Element.F8_E5M2})
LEAST = 0x00800000
"""The bits of 2**-126, the smallest normal float32: what is a little less may be rounded to it, or flushed."""
INFINITE = 0x7F800000
MAGNITUDE = 0x7FFFFFFF

_QUIET = {
    Element.F64: 0x7FF8 << 48,
    Element.F32: 0x7FC00000,
    Element.BF16: 0x7FC0,
    Element.F16: 0x7E00,
}
_EIGHTS = {  # fraction bits, bias, and the bits of the largest finite number and of NaN
    Element.F8_E4M3: (3, 7, 0x7E, 0x7F),
    Element.F8_E5M2: (2, 15, 0x7B, 0x7F),
}


def singles(bits: Bits, element: Element) -> Bits:
    """Return the float32 bits of numbers (any shape) of a float type; may be ``bits`` themselves."""
    match element:
        case Element.F32:
            return bits
        case Element.BF16:
            return bits.astype(np.uint32) << np.uint32(16)
        case Element.F16:
            return np.take(halves(), bits)
        case _:
            return _from_doubles(bits)


def rounded(wide: Bits, element: Element) -> Bits:
    """Return float32 bits rounded to a type of FLOATS or EIGHTS; ``wide`` is left as it is."""
    if element in EIGHTS:
        return eights(wide, element)
    shape, wide = wide.shape, np.ascontiguousarray(wide).reshape(-1)
    found = _rounded(wide, element)
    magnitude = wide & np.uint32(MAGNITUDE)
    if magnitude.max(initial=0) > INFINITE:
        nan = magnitude > INFINITE
        quiet = _QUIET[element]
        sign = (wide[nan] >> np.uint32(31)).astype(found.dtype) << found.dtype.type(8 * element.size - 1)
        found[nan] = sign | found.dtype.type(quiet)
    return found.reshape(shape)


def _rounded(wide: Bits, element: Element) -> Bits:
    match element:
        case Element.F32:
            return wide.copy()
        case Element.BF16:
            return exact.brain(wide)
        case Element.F16:
            return exact.half(wide & np.uint32(MAGNITUDE), wide.copy())
        case _:
            return exact.widen(wide, Element.F32).view(np.uint64)


def eights(wide: Bits, element: Element) -> Bits:
    """Return float32 bits rounded to an eight-bit float: beyond the largest finite number it is that; NaN 0x7F.

    The upper half of the bits says it all, if its last bit tells whether anything was cut off: a tie is none then.
    """
    upper = wide >> np.uint32(16)
    upper |= (wide & np.uint32(0xFFFF)) != 0
    return np.take(_table(element), upper)


def sixteen_to_eights(bits: Bits, element: Element) -> Bits:
    """Return the bits of bfloat16 rounded to an eight-bit float, as :func:`eights` does."""
    return np.take(_table(element), bits)


@cache
def _table(element: Element) -> Bits:
    """Return the eight-bit float of every upper half of float32 bits."""
    fraction, bias, largest, nan = _EIGHTS[element]
    upper = np.arange(1 << 15, dtype=np.int64)
    power, rest = upper >> 7, upper & 0x7F
    whole = np.where(power > 0, 128 + rest, 0)  # below 2**-126 everything is far below half the smallest
    shift = np.minimum(7 - fraction + np.maximum(127 - bias + 1 - power, 0), 60)
    kept, cut = whole >> shift, whole & ((1 << shift) - 1)
    half = (1 << shift) >> 1
    kept += (cut > half) | ((cut == half) & (kept & 1 == 1))
    # a normal number's leading bit counts one more in the exponent, and so does a carry
    bits = kept + (np.maximum(power - (127 - bias) - 1, 0) << fraction)
    bits = np.where(upper > INFINITE >> 16, nan, np.minimum(bits, largest))
    found = np.concatenate([bits, np.where(bits == nan, nan, bits | 0x80)]).astype(np.uint8)
    found.flags.writeable = False
    return found


@cache
def halves() -> Bits:
    """Return the float32 bits of every float16."""
    every = np.arange(1 << 16, dtype="<u2")
    with np.errstate(all="ignore"):
        found: Bits = every.view("<f2").astype("<f4").view("<u4")
    found.flags.writeable = False
    return found


def _from_doubles(bits: Bits) -> Bits:
    """Round the bits of float64 to float32."""
    flat = np.ascontiguousarray(bits).reshape(-1)
    found = exact.narrow(flat.view(np.float64), Element.F32)
    nan = (flat << np.uint64(1)) > np.uint64(0x7FF << 53)
    if nan.any():
        sign = (flat[nan] >> np.uint64(63)).astype(np.uint32) << np.uint32(31)
        found[nan] = sign | np.uint32(_QUIET[Element.F32])
    return found.reshape(bits.shape)
