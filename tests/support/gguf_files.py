"""Makes GGUF files for tests, valid or not, and quantises weights as ggml's reference does."""

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
F32, F16, Q4_0, Q8_0, Q4_K = 0, 1, 2, 8, 12
U32, STRING, ARRAY = 4, 8, 9


@dataclass(frozen=True, slots=True)
class Tensor:
    """A tensor of a file to be made: ``dimensions`` in the order of the file, the innermost first."""

    name: str | bytes
    dimensions: tuple[int, ...]
    type: int
    data: bytes
    offset: int | None = None


def string(text: str | bytes) -> bytes:
    data = text.encode() if isinstance(text, str) else text
    return struct.pack("<Q", len(data)) + data


def pair(key: str | bytes, kind: int, value: bytes) -> bytes:
    return string(key) + struct.pack("<I", kind) + value


def number(key: str, value: int) -> bytes:
    return pair(key, U32, struct.pack("<I", value))


def array(key: str, kind: int, count: int, values: bytes) -> bytes:
    return pair(key, ARRAY, struct.pack("<IQ", kind, count) + values)


def gguf(
    tensors: Sequence[Tensor] = (),
    pairs: Sequence[bytes] = (),
    *,
    alignment: int = 32,
    magic: bytes = b"GGUF",
    version: int = 3,
    counts: tuple[int, int] | None = None,
) -> bytes:
    """Return a file; offsets follow from the data, each tensor padded, unless a tensor says its own."""
    infos, body = b"", b""
    for tensor in tensors:
        offset = len(body) if tensor.offset is None else tensor.offset
        infos += string(tensor.name) + struct.pack("<I", len(tensor.dimensions))
        infos += struct.pack(f"<{len(tensor.dimensions)}Q", *tensor.dimensions)
        infos += struct.pack("<IQ", tensor.type, offset)
        body += padded(tensor.data, alignment)
    head = magic + struct.pack("<IQQ", version, *(counts or (len(tensors), len(pairs)))) + b"".join(pairs)
    return padded(head + infos, alignment) + body


def padded(data: bytes, alignment: int) -> bytes:
    return data + bytes(-len(data) % alignment)


# -- quantised weights ---------------------------------------------------------------------------------------------


def q8_0(weights: Floats) -> bytes:
    """Return blocks of 32: a 16-bit scale, then 32 signed bytes."""
    rows = weights.reshape(-1, 32)
    scale = np.abs(rows).max(axis=1, keepdims=True) / np.float32(127)
    numbers = np.rint(rows * _inverse(scale)).astype(np.int8)
    return _blocks(scale, numbers)


def q4_0(weights: Floats) -> bytes:
    """Return blocks of 32: a 16-bit scale, then 16 bytes of two numbers, the first half of the block low."""
    rows = weights.reshape(-1, 32)
    extreme = np.take_along_axis(rows, np.abs(rows).argmax(axis=1)[:, None], axis=1)
    scale = extreme / np.float32(-8)
    numbers = np.clip(rows * _inverse(scale) + np.float32(8.5), 0, 15).astype(np.uint8)
    return _blocks(scale, numbers[:, :16] | numbers[:, 16:] << 4)


def _inverse(scale: Floats) -> Floats:
    result: Floats = np.divide(1, scale, out=np.zeros_like(scale), where=scale != 0)
    return result


def _blocks(scale: Floats, numbers: NDArray[Any]) -> bytes:
    columns = [scale.astype("<f2").view(np.uint8), numbers.view(np.uint8)]
    return np.concatenate(columns, axis=1).tobytes()
