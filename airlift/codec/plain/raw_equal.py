"""The codecs ``raw`` (the payload is the target) and ``equal`` (the target is the first source) (SPEC C4, C5)."""

import numpy as np

from airlift.codec.block import Codec, Context, Effort
from airlift.errors import MalformedError

STRIPE = 256 << 10


def _encode_raw(target: memoryview, _context: Context, _effort: Effort) -> bytes | None:
    return bytes(target)


def _decode_raw(payload: memoryview, _context: Context, length: int) -> memoryview:
    if len(payload) != length:
        raise MalformedError(
            "a raw block has the wrong length", expected=f"{length} bytes", found=f"{len(payload)}"
        )
    return payload


def _encode_equal(target: memoryview, context: Context, _effort: Effort) -> bytes | None:
    source = context.parallel(len(target))
    return b"" if source is not None and same(target, source) else None


def _decode_equal(payload: memoryview, context: Context, length: int) -> memoryview:
    source = context.parallel(length)
    if len(payload) or source is None:
        raise MalformedError("an equal block has a payload, or no source of its own length")
    return source


def same(one: memoryview, other: memoryview) -> bool:
    """Return whether two views hold the same bytes; stripe by stripe, so that a difference is soon found.

    (Views compare themselves element by element, thirty times slower.)
    """
    return len(one) == len(other) and all(
        np.array_equal(_words(one[start : start + STRIPE]), _words(other[start : start + STRIPE]))
        for start in range(0, len(one), STRIPE)
    )


def _words(data: memoryview) -> "np.ndarray[tuple[int, ...], np.dtype[np.uint64 | np.uint8]]":
    return np.frombuffer(data, np.uint8 if len(data) % 8 else np.uint64)


RAW = Codec(0, "raw", _encode_raw, _decode_raw, sources=0)
EQUAL = Codec(1, "equal", _encode_equal, _decode_equal, least=1, parallel=True)
