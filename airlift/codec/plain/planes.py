"""The codec ``planes``: all first bytes of the elements, then all second bytes, and so on (SPEC C7).

In numbers that changed a little, the high bytes XORed with the base are nearly all zero and the low bytes nearly all
noise; apart, each costs what it is worth. The XOR is with the first source or, if that does not pay, with nothing.
Of records (blocks of quantised numbers) a plane is not a byte but a field: scales apart from numbers. Small numbers
that crossed zero differ in every bit, so there the difference competes with the XOR::

    u8 predictor: 0 none, 1 XOR with the first source, 2 difference from the first source, modulo 256
    per plane:  u8 mode: 0 all zero, 1 raw, 2 one zstd frame   u32 length of its body (little-endian)
    bodies, in the order of the planes, with nothing between or after them

Source: BitX (byte planes of the XOR with a base) and ZipNN (byte grouping); measured on real fine-tunings.
"""

import struct
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

from airlift.codec.block import Codec, Context, Effort
from airlift.codec.plain import frame
from airlift.codec.plain.record_fields import Bytes, split_fields
from airlift.errors import MalformedError
from airlift.tensors.element import Element

ALONE, XOR, DIFFERENCE = 0, 1, 2
ZERO, RAW, FRAME = 0, 1, 2
PLANE = struct.Struct("<BI")

SAMPLE_BYTES = 64 << 10
STRONG_BELOW = 0.25
"""A plane that the quick parameters bring below this share is worth the strong ones."""

_FAST, _BTOPT, _BTULTRA2 = 1, 7, 9  # ZSTD_strategy

# Entropy coding decides here, and short matches only dilute it: few, long matches. Measured on MiniLM (bf16, fp16).
QUICK = {
    "hash_log": 8,
    "chain_log": 6,
    "search_log": 1,
    "min_match": 7,
    "target_length": 0,
    "strategy": _FAST,
}
STRONG = {
    "hash_log": 10,
    "chain_log": 10,
    "search_log": 1,
    "min_match": 3,
    "target_length": 256,
    "strategy": _BTOPT,
}
STRONGEST = STRONG | {"hash_log": 17, "chain_log": 17, "search_log": 4, "strategy": _BTULTRA2}


# -- encode --------------------------------------------------------------------------------------------------------


def _encode(target: memoryview, context: Context, effort: Effort) -> bytes | None:
    element, source = context.element, context.parallel(len(target))
    if not target or len(target) % element.size or (element.size == 1 and source is None):
        return None
    data: Bytes = np.frombuffer(target, np.uint8)
    if source is None:
        return _format(ALONE, split_fields(data, element.fields), effort)
    base: Bytes = np.frombuffer(source, np.uint8)
    predictor = XOR if element.size == 1 else _cheapest(data, base, element)
    return _format(predictor, split_fields(_delta(predictor, data, base), element.fields), effort)


def _cheapest(data: Bytes, base: Bytes, element: Element) -> int:
    """Return the predictor that does best on a sample; of equals the XOR, then the difference."""
    data, base = _sample(data, element.size), _sample(base, element.size)
    tried = (XOR, DIFFERENCE, ALONE) if element.record else (XOR, ALONE)
    return min(tried, key=lambda number: _cost(split_fields(_delta(number, data, base), element.fields)))


def _delta(predictor: int, data: Bytes, base: Bytes) -> Bytes:
    if predictor == XOR:
        return np.bitwise_xor(data, base)
    return np.subtract(data, base) if predictor == DIFFERENCE else data


def _sample(data: Bytes, size: int) -> Bytes:
    """Return four runs of elements, evenly spread; everything if there is not much."""
    count = data.size // size
    run = SAMPLE_BYTES // size
    if count <= 4 * run:
        return data
    elements = data.reshape(-1, size)
    starts = range(0, count - run + 1, (count - run) // 3)
    return np.concatenate([elements[start : start + run] for start in starts]).reshape(-1)


def _cost(planes: Iterable[Bytes]) -> int:
    return sum(len(_body(plane, Effort.LOW)[1]) for plane in planes)


def _format(predictor: int, planes: Iterable[Bytes], effort: Effort) -> bytes:
    bodies = [_body(plane, effort) for plane in planes]
    table = b"".join(PLANE.pack(mode, len(body)) for mode, body in bodies)
    return b"".join([bytes([predictor]), table, *(body for _, body in bodies)])


def _body(plane: Bytes, effort: Effort) -> tuple[int, bytes | memoryview]:
    """Return mode and body of a plane."""
    if not plane.any():
        return ZERO, b""
    raw = plane.data
    best = frame.write(raw, QUICK)
    if effort is Effort.HIGH:
        best = min(best, frame.write(raw, STRONG), frame.write(raw, STRONGEST), key=len)
    elif effort is Effort.NORMAL and len(best) < STRONG_BELOW * len(raw):
        best = min(best, frame.write(raw, STRONG), key=len)
    return (FRAME, best) if len(best) < len(raw) else (RAW, raw)


# -- decode --------------------------------------------------------------------------------------------------------


def _decode(payload: memoryview, context: Context, length: int) -> memoryview:
    fields = context.element.fields
    predictor, bodies = _parse(payload, length, fields)
    source = context.parallel(length) if predictor != ALONE else None
    if predictor != ALONE and source is None:
        raise MalformedError("a planes block needs a source of its own length")
    data: Bytes = np.frombuffer(context.output(length), np.uint8)
    elements, start = data.reshape(-1, sum(fields)), 0
    for width, (mode, body) in zip(fields, bodies, strict=True):
        elements[:, start : start + width] = _plane(mode, body, len(elements), width)
        start += width
    if source is not None:
        combine = np.bitwise_xor if predictor == XOR else np.add
        combine(data, np.frombuffer(source, np.uint8), out=data)
    return data.data


def _parse(
    payload: memoryview, length: int, fields: tuple[int, ...]
) -> tuple[int, list[tuple[int, memoryview]]]:
    """Return the predictor and (mode, body) of each plane."""
    size, start = sum(fields), 1 + len(fields) * PLANE.size
    if not length or length % size or len(payload) < start or payload[0] not in {ALONE, XOR, DIFFERENCE}:
        raise MalformedError("a planes block has no valid header")
    bodies = list(_bodies(payload, start, [width * (length // size) for width in fields]))
    if start + sum(len(body) for _, body in bodies) != len(payload):
        raise MalformedError("a planes block's bodies do not fill it exactly")
    return payload[0], bodies


def _bodies(payload: memoryview, start: int, counts: list[int]) -> Iterator[tuple[int, memoryview]]:
    """Yield (mode, body) of each plane, of ``counts`` bytes; the first body starts at ``start``."""
    for count, (mode, size) in zip(counts, PLANE.iter_unpack(payload[1:start]), strict=True):
        fits = {ZERO: size == 0, RAW: size == count, FRAME: 0 < size < count}.get(mode, False)
        if not fits or size > len(payload) - start:
            raise MalformedError(
                "a plane has an unknown mode or the wrong length", found=f"mode {mode}, {size} bytes"
            )
        yield mode, payload[start : start + size]
        start += size


def _plane(mode: int, body: memoryview, count: int, width: int) -> Any:
    """Return the bytes of a plane, shape (count, width), or the one byte that fills it."""
    if mode == ZERO:
        return 0
    content = body if mode == RAW else frame.read(body, count * width)
    return np.frombuffer(content, np.uint8).reshape(count, width)


PLANES = Codec(3, "planes", _encode, _decode)
