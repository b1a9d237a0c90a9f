"""Codec 7: numbers that were saved in a wider type than they are of (N1, N2)."""

import math
import struct
from collections.abc import Callable

from tests.second.codecs import floats
from tests.second.codecs.elements import BF16, F16, F32, F64, Element, element
from tests.second.codecs.inner import INNER, decode_inner
from tests.second.errors import Refused, demand

_PAIRS = {(F32, BF16), (F32, F16), (F64, F32)}
_SMALLEST_NORMAL = 2.0**-126


def decode(payload: bytes, kind: Element, length: int, source: bytes) -> bytes:
    """Decode a payload of codec 7.

    Raises:
        Refused: ``malformed``, or ``format-too-new``.
    """
    demand(len(payload) >= 4, "shorter than its header")
    code, inner, zero = struct.unpack_from("<BBH", payload)
    if (kind.code, code) not in _PAIRS or inner not in INNER:
        raise Refused("format-too-new", f"element {code} in {kind.code}, or inner codec {inner}")
    demand(zero == 0 and length > 0 and length % kind.size == 0, "a header, or no whole elements")
    less = element(code)
    narrowed = _narrow(source, kind, less)
    decoded = decode_inner(inner, payload[4:], less, length // kind.size * less.size, narrowed)
    return _widen(decoded, kind, less)


def _narrow(data: bytes, kind: Element, less: Element) -> bytes:
    if less.code == BF16:
        halves = struct.unpack(f"<{len(data) // 2}H", data)
        demand(not any(halves[::2]), "a number that is not of the narrow element")
        return struct.pack(f"<{len(data) // 4}H", *halves[1::2])
    numbers = floats.values(data, kind.code)
    demand(all(map(_rule(less), numbers)), "a number that does not convert alike everywhere")
    narrowed = floats.pack(map(floats.single, numbers), less.code)
    back = floats.values(narrowed, less.code)
    demand(
        all(a == b for a, b in zip(back, numbers, strict=True)), "a number that is not of the narrow element"
    )
    return narrowed


def _widen(data: bytes, kind: Element, less: Element) -> bytes:
    if less.code == BF16:
        return b"".join(b"\0\0" + data[at : at + 2] for at in range(0, len(data), 2))
    numbers = floats.values(data, less.code)
    demand(all(map(_rule(less), numbers)), "a number that does not convert alike everywhere")
    return struct.pack(f"<{len(numbers)}{'f' if kind.code == F32 else 'd'}", *numbers)


def _rule(less: Element) -> Callable[[float], bool]:
    if less.code == F32:
        return lambda number: number == 0.0 or abs(number) >= _SMALLEST_NORMAL
    return lambda number: not math.isnan(number)
