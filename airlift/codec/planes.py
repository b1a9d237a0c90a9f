"""The codec ``planes``: all first bytes of the elements, then all second bytes, and so on (SPEC C7).

In numbers that changed a little, the high bytes XORed with the base are nearly all zero and the low bytes nearly all
noise; apart, each costs what it is worth. The XOR is with the first source or, if that does not pay, with nothing::

    u8 predictor: 0 none, 1 XOR with the first source
    per plane:  u8 mode: 0 all zero, 1 raw, 2 one zstd frame   u32 length of its body (little-endian)
    bodies, in the order of the planes, with nothing between or after them

Source: BitX (byte planes of the XOR with a base) and ZipNN (byte grouping); measured on real fine-tunings.
"""

import struct
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from airlift.codec import frame
from airlift.codec.block import Codec, Context, Effort
from airlift.errors import MalformedError

Bytes = NDArray[np.uint8]

ALONE, XOR = 0, 1
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
    size, source = context.element.size, context.parallel(len(target))
    if not target or len(target) % size or (size == 1 and source is None):
        return None
    data: Bytes = np.frombuffer(target, np.uint8)
    if source is not None:
        delta = np.bitwise_xor(data, np.frombuffer(source, np.uint8))
        if size == 1 or _cost(_sample(delta, size)) <= _cost(_sample(data, size)):
            return _format(XOR, _split(delta, size), effort)
    return _format(ALONE, _split(data, size), effort)


def _split(data: Bytes, size: int) -> Bytes:
    """Return the planes, one a row: an array of shape (size, elements)."""
    return np.ascontiguousarray(data.reshape(-1, size).T)


def _sample(data: Bytes, size: int) -> Bytes:
    """Return the planes of four runs of elements, evenly spread; of everything if there is not much."""
    count = data.size // size
    run = SAMPLE_BYTES // size
    if count <= 4 * run:
        return _split(data, size)
    elements = data.reshape(-1, size)
    return np.concatenate(
        [elements[start : start + run] for start in range(0, count - run + 1, (count - run) // 3)]
    ).T


def _cost(planes: Bytes) -> int:
    return sum(len(_body(np.ascontiguousarray(plane), Effort.LOW)[1]) for plane in planes)


def _format(predictor: int, planes: Bytes, effort: Effort) -> bytes:
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
    size = context.element.size
    predictor, bodies = _parse(payload, length, size)
    source = context.parallel(length) if predictor == XOR else None
    if predictor == XOR and source is None:
        raise MalformedError("a planes block needs a source of its own length")
    data: Bytes = np.empty(length, np.uint8)
    for number, (mode, body) in enumerate(bodies):
        data[number::size] = _plane(mode, body, length // size)
    if source is not None:
        np.bitwise_xor(data, np.frombuffer(source, np.uint8), out=data)
    return data.data


def _parse(payload: memoryview, length: int, size: int) -> tuple[int, list[tuple[int, memoryview]]]:
    """Return the predictor and (mode, body) of each plane."""
    start = 1 + size * PLANE.size
    if not length or length % size or len(payload) < start or payload[0] not in {ALONE, XOR}:
        raise MalformedError("a planes block has no valid header")
    bodies = list(_bodies(payload, start, length // size))
    if start + sum(len(body) for _, body in bodies) != len(payload):
        raise MalformedError("a planes block's bodies do not fill it exactly")
    return payload[0], bodies


def _bodies(payload: memoryview, start: int, count: int) -> Iterator[tuple[int, memoryview]]:
    """Yield (mode, body) of each plane of ``count`` bytes; the first body starts at ``start``."""
    for mode, size in PLANE.iter_unpack(payload[1:start]):
        fits = {ZERO: size == 0, RAW: size == count, FRAME: 0 < size < count}.get(mode, False)
        if not fits or size > len(payload) - start:
            raise MalformedError(
                "a plane has an unknown mode or the wrong length", found=f"mode {mode}, {size} bytes"
            )
        yield mode, payload[start : start + size]
        start += size


def _plane(mode: int, body: memoryview, count: int) -> Any:
    """Return the bytes of a plane, or the one byte that fills it."""
    if mode == ZERO:
        return 0
    return np.frombuffer(body if mode == RAW else frame.read(body, count), np.uint8)


PLANES = Codec(3, "planes", _encode, _decode)
