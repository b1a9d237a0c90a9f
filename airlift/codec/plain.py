"""The two codecs that copy: ``raw`` copies the payload, ``equal`` the first source (SPEC C4, C5)."""

import numpy as np

from airlift.codec.block import Codec, Context, Effort
from airlift.errors import MalformedError


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
    if source is None:
        return None
    same = np.frombuffer(target, np.uint8) == np.frombuffer(source, np.uint8)
    return b"" if same.all() else None


def _decode_equal(payload: memoryview, context: Context, length: int) -> memoryview:
    source = context.parallel(length)
    if len(payload) or source is None:
        raise MalformedError("an equal block has a payload, or no source of its own length")
    return source


RAW = Codec(0, "raw", _encode_raw, _decode_raw, sources=0)
EQUAL = Codec(1, "equal", _encode_equal, _decode_equal)
