"""The codec ``narrow``: numbers saved in a wider type than they are of, coded in their own (SPEC N1).

Many models hold bfloat16 numbers as float32, half of each zero. If every number of the target and of its counterpart
is exactly one of a narrower type, the block is coded as if it were of that::

    u8 element of the narrower type   u8 inner codec   u16 zero
    payload of the inner codec, coded against the source narrowed

All of it is arithmetic on integers, but for float16 subnormal numbers, of which a table has the exact float32 bits.
"""

import struct
from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from airlift.codec.block import Codec, Context, Effort
from airlift.codec.predict import inner
from airlift.codec.predict.rounding import halves
from airlift.errors import FormatTooNewError, MalformedError
from airlift.tensors.element import Element, from_code

Bits = NDArray[Any]

HEADER = struct.Struct("<BBH")
KINDS: Mapping[Element, tuple[Element, ...]] = MappingProxyType(
    {Element.F32: (Element.BF16, Element.F16), Element.F64: (Element.F32,)}
)
PROBE_BYTES = 32 << 10
_NAN16 = 0x7C00
_LEAST, _MOST, _INFINITE = 897, 1150, 2047
"""Of float64's biased exponents: those of the least and the greatest normal float32, and of infinities and NaN."""


def narrowed(data: memoryview, kind: Element) -> Bits | None:
    """Return the bits of numbers of the next wider type in ``kind``, None if one of them is none of ``kind``.

    A NaN counts as none, but in bfloat16; so does a subnormal number of float32.
    """
    start = data[:PROBE_BYTES]
    if len(start) < len(data) and _NARROW[kind](start) is None:
        return None
    return _NARROW[kind](data)


def widened(bits: Bits, kind: Element, out: memoryview) -> memoryview:
    """Put numbers of ``kind`` into ``out`` as those of the wider type, which :func:`narrowed` reads."""
    wide = np.frombuffer(out, f"<u{len(out) // bits.size}")
    if kind is Element.BF16:
        np.left_shift(bits.astype(np.uint32), 16, out=wide)
    elif kind is Element.F16:
        np.take(halves(), bits, out=wide)
    else:
        _double(bits.astype(np.uint64), wide)
    return out


def _brains(data: memoryview) -> Bits | None:
    parts = np.frombuffer(data, "<u2").reshape(-1, 2)
    return None if parts[:, 0].any() else np.ascontiguousarray(parts[:, 1])


def _to_halves(data: memoryview) -> Bits | None:
    wide = np.frombuffer(data, "<u4")
    with np.errstate(all="ignore"):
        bits: Bits = wide.view("<f4").astype("<f2").view("<u2")
    if not np.array_equal(halves()[bits], wide) or (bits & np.uint16(0x7FFF)).max(initial=0) > _NAN16:
        return None
    return bits


def _to_singles(data: memoryview) -> Bits | None:
    wide = np.frombuffer(data, "<u8")
    power, rest = (wide >> np.uint64(52)) & np.uint64(2047), wide & np.uint64((1 << 52) - 1)
    normal = (power >= _LEAST) & (power <= _MOST) & (rest & np.uint64((1 << 29) - 1) == 0)
    whole = (rest == 0) & ((power == 0) | (power == _INFINITE))
    if not (normal | whole).all():
        return None
    power = np.where(normal, power - np.uint64(896), power >> np.uint64(3))
    bits: Bits = (wide >> np.uint64(63) << np.uint64(31)) | (power << np.uint64(23)) | (rest >> np.uint64(29))
    return bits.astype("<u4")


def _double(bits: Bits, wide: Bits) -> None:
    """Set ``wide`` to the float64 bits of float32 numbers that are zero, normal or infinite.

    Raises:
        MalformedError: one is subnormal or NaN.
    """
    power, rest = (bits >> np.uint64(23)) & np.uint64(255), bits & np.uint64((1 << 23) - 1)
    edge = (power == 0) | (power == 255)
    if rest[edge].any():
        raise MalformedError("a narrow block holds a NaN or a subnormal number")
    power = np.where(edge, power << np.uint64(3) | power >> np.uint64(5), power + np.uint64(896))
    wide[...] = (bits >> np.uint64(31) << np.uint64(63)) | (power << np.uint64(52)) | (rest << np.uint64(29))


_NARROW = {Element.BF16: _brains, Element.F16: _to_halves, Element.F32: _to_singles}


# -- as a codec ----------------------------------------------------------------------------------------------------


def _encode(target: memoryview, context: Context, effort: Effort) -> bytes | None:
    source, size = context.parallel(len(target)), context.element.size
    if source is None or not target or len(target) % size:
        return None
    for kind in KINDS.get(context.element, ()):
        new = narrowed(target, kind)
        old = None if new is None else narrowed(source, kind)
        if new is not None and old is not None:
            inside = replace(context, element=kind)
            codec, rest = inner.encode(_bytes(new), _bytes(old), inside, effort)
            return HEADER.pack(kind, codec, 0) + rest
    return None


def _decode(payload: memoryview, context: Context, length: int) -> memoryview:
    source = context.parallel(length)
    if len(payload) < HEADER.size or source is None or not length or length % context.element.size:
        raise MalformedError("a narrow block has no header, or no source of its own length")
    code, codec, zero = HEADER.unpack_from(payload)
    kind = from_code(code)
    if kind not in KINDS.get(context.element, ()):
        raise FormatTooNewError("a narrow block is of an unknown type", found=kind.name)
    old = narrowed(source, kind)
    if zero or old is None:
        raise MalformedError("a narrow block's reserved field is set, or its source is not narrow")
    inside = replace(context, element=kind, out=None)
    new = np.frombuffer(
        inner.decode(codec, payload[HEADER.size :], _bytes(old), inside, old.nbytes), f"<u{kind.size}"
    )
    if kind is Element.F16 and (new & np.uint16(0x7FFF)).max() > _NAN16:
        raise MalformedError("a narrow block holds a NaN")
    return widened(new, kind, context.output(length))


def _bytes(bits: Bits) -> memoryview:
    found: memoryview = bits.view(np.uint8).data
    return found


NARROW = Codec(7, "narrow", _encode, _decode, least=1, parallel=True)
