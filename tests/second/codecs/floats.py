"""Floats of every width, read exactly and rounded by hand (P2, V3).

Values are Python floats, which hold every number of F32, F16, BF16 and the eight-bit floats exactly; one operation on
float32 values in float64, rounded to float32, is the operation rounded once (53 bits are more than twice 24).
"""

import ctypes
import math
import struct
from array import array
from collections.abc import Iterable, Sequence

from tests.second.codecs.elements import BF16, F8_E4M3, F8_E5M2, F16, F32, F64

_SHAPES = {F16: (5, 10), BF16: (8, 7), F32: (8, 23)}
_BYTES = {F16: "H", BF16: "H", F32: "I"}
_EIGHT_BITS = {F8_E4M3: (4, 3, 0x7E), F8_E5M2: (5, 2, 0x7B)}
_TINY = 2.0**-126


def values(data: bytes, element: int) -> Sequence[float]:
    """Return numbers as Python floats, exactly."""
    if element == F64:
        return struct.unpack(f"<{len(data) // 8}d", data)
    if element == F32:
        return struct.unpack(f"<{len(data) // 4}f", data)
    if element == F16:
        return struct.unpack(f"<{len(data) // 2}e", data)
    if element == BF16:
        wide = array("I", (number << 16 for number in struct.unpack(f"<{len(data) // 2}H", data)))
        return struct.unpack(f"<{len(wide)}f", wide.tobytes())
    table = [_eight_bits(byte, element) for byte in range(256)]
    return [table[byte] for byte in data]


def pack(numbers: Iterable[float], element: int) -> bytes:
    """Round float32 numbers to an element, to nearest, ties to even (V3)."""
    if element == F64:
        return array("d", (canonical(number) for number in numbers)).tobytes()
    if element in _EIGHT_BITS:
        return bytes(_to_eight_bits(number, element) for number in numbers)
    exponent, mantissa = _SHAPES[element]
    return array(_BYTES[element], (to_bits(number, exponent, mantissa) for number in numbers)).tobytes()


def rounded(number: float, element: int) -> float:
    """Return a float32 number rounded to F32, F16 or BF16."""
    return single(number) if element == F32 else values(pack([number], element), element)[0]


def single(number: float) -> float:
    """Round to float32; beyond the largest finite value it is infinite."""
    return ctypes.c_float(number).value


def divided(number: float, divisor: float) -> float:
    """Divide float32 numbers as IEEE 754 does, a divisor of zero included."""
    if divisor == 0.0:
        if number == 0.0 or math.isnan(number):
            return math.nan
        return math.copysign(math.inf, number) * math.copysign(1.0, divisor)
    return single(number / divisor)


def normalised(number: float) -> float:
    """Return the number, or zero of its sign if its magnitude is 2^-126 or below (V3)."""
    return math.copysign(0.0, number) if abs(number) <= _TINY else number


def canonical(number: float) -> float:
    """Return the number; of a NaN the one of its sign with only the highest fraction bit set."""
    if not math.isnan(number):
        return number
    sign = 0x8000 if math.copysign(1.0, number) < 0 else 0
    canonical_nan: float = struct.unpack("<d", struct.pack("<Q", (sign | 0x7FF8) << 48))[0]
    return canonical_nan


def largest(numbers: Iterable[float]) -> float:
    """Return the largest magnitude, compared as bits without the sign: NaN above infinity above all others."""
    most = 0.0
    for number in numbers:
        if math.isnan(number):
            return math.nan
        most = max(most, abs(number))
    return most


def to_bits(number: float, exponent: int, mantissa: int) -> int:
    """Round a number to an IEEE 754 format of ``exponent`` and ``mantissa`` bits, and return its bits."""
    sign = int(math.copysign(1.0, number) < 0) << (exponent + mantissa)
    infinite = ((1 << exponent) - 1) << mantissa
    if math.isnan(number):
        return sign | infinite | 1 << (mantissa - 1)
    return sign | min(_magnitude(abs(number), exponent, mantissa), infinite)


def _magnitude(number: float, exponent: int, mantissa: int) -> int:
    """Return the bits of a magnitude, as if exponents had no upper end."""
    if number == 0.0:
        return 0
    if math.isinf(number):
        return 1 << 63
    least = 2 - (1 << (exponent - 1))
    unit = max(math.frexp(number)[1] - 1, least) - mantissa
    return round(math.ldexp(number, -unit)) + ((unit + mantissa - least) << mantissa)


def _to_eight_bits(number: float, element: int) -> int:
    if math.isnan(number):
        return 0x7F
    exponent, mantissa, most = _EIGHT_BITS[element]
    sign = 0x80 if math.copysign(1.0, number) < 0 else 0
    return sign | min(_magnitude(abs(number), exponent, mantissa), most)


def _eight_bits(byte: int, element: int) -> float:
    exponent, mantissa, most = _EIGHT_BITS[element]
    sign = -1.0 if byte & 0x80 else 1.0
    magnitude = byte & 0x7F
    if magnitude > most:
        infinite = element == F8_E5M2 and magnitude == most + 1
        return sign * (math.inf if infinite else math.nan)
    biased, fraction = magnitude >> mantissa, magnitude & ((1 << mantissa) - 1)
    bias = (1 << (exponent - 1)) - 1
    if biased:
        fraction += 1 << mantissa
    return sign * math.ldexp(fraction, max(biased, 1) - bias - mantissa)
