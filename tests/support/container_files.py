"""Small files of other containers, made here byte by byte; those of libraries are in tests/vectors."""

import io
import struct
import zipfile
from pathlib import Path
from typing import Any

import numpy as np

from airlift.tensors.formats import coreml, fasttext, whisper

GOLDEN = Path(__file__).resolve().parents[1] / "vectors" / "containers"


def golden(name: str) -> bytes:
    return (GOLDEN / name).read_bytes()


def npy(array: Any) -> bytes:
    stream = io.BytesIO()
    np.save(stream, array, allow_pickle=False)
    return stream.getvalue()


def archive(members: dict[str, bytes], method: int = zipfile.ZIP_STORED) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", method) as written:
        for name, data in members.items():
            written.writestr(zipfile.ZipInfo(name), data, method)
    return stream.getvalue()


# -- Protocol Buffers ----------------------------------------------------------------------------------------------


def varint(value: int) -> bytes:
    found = bytearray()
    while value > 0x7F:
        found.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*found, value])


def field(number: int, value: int | bytes) -> bytes:
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    return varint(number << 3 | 2) + varint(len(value)) + value


def onnx_tensor(name: str, kind: int, shape: tuple[int, ...], data: bytes, number: int = 9) -> bytes:
    dimensions = b"".join(field(1, dimension) for dimension in shape)
    return dimensions + field(2, kind) + field(8, name.encode()) + (field(number, data) if data else b"")


def onnx(*tensors: bytes, more: bytes = b"") -> bytes:
    graph = b"".join(field(5, tensor) for tensor in tensors) + more
    return field(1, 10) + field(2, b"test") + field(7, graph)


def external(name: str, kind: int, shape: tuple[int, ...], **entries: str) -> bytes:
    held = (field(13, field(1, key.encode()) + field(2, value.encode())) for key, value in entries.items())
    return onnx_tensor(name, kind, shape, b"") + b"".join(held) + field(14, 1)


# -- lists of tensors ----------------------------------------------------------------------------------------------


def ctranslate2_file(variables: dict[str, tuple[int, tuple[int, ...], bytes]], version: int = 6) -> bytes:
    def string(text: str) -> bytes:
        return struct.pack("<H", len(text.encode()) + 1) + text.encode() + b"\0"

    parts = [struct.pack("<I", version), string("Spec"), struct.pack("<II", 1, len(variables))]
    for name, (kind, shape, data) in variables.items():
        parts += [string(name), struct.pack(f"<B{len(shape)}I", len(shape), *shape)]
        parts += [struct.pack("<BI", kind, len(data)), data]
    return b"".join([*parts, struct.pack("<I", 1), string("alias"), string("name")])


def fasttext_file(words: tuple[bytes, ...], rows: int, columns: int, pruned: int = -1) -> bytes:
    start = struct.pack("<4sI12id", fasttext.MAGIC, 12, *range(12), 0.5)
    listed = struct.pack("<3i2q", len(words), len(words), 0, 9, pruned)
    entries = b"".join(word + b"\0" + struct.pack("<qB", 1, 0) for word in words)
    matrix = struct.pack("<B2q", 0, rows, columns) + bytes(4 * rows * columns)
    return start + listed + entries + bytes(8 * max(0, pruned)) + matrix + matrix


def ggml_tensor(name: str, kind: int, dimensions: tuple[int, ...], data: bytes) -> bytes:
    start = struct.pack("<3i", len(dimensions), len(name.encode()), kind)
    return start + struct.pack(f"<{len(dimensions)}i", *dimensions) + name.encode() + data


def speech(
    *tensors: bytes, words: tuple[bytes, ...] = (b"a", b"bc"), filters: tuple[int, int] = (2, 3)
) -> bytes:
    start = (
        whisper.MAGIC + bytes(44) + struct.pack("<2i", *filters) + bytes(4 * max(0, filters[0] * filters[1]))
    )
    listed = struct.pack("<i", len(words)) + b"".join(struct.pack("<I", len(word)) + word for word in words)
    return b"".join([start, listed, *tensors])


def detector(*tensors: bytes, layers: int = 2) -> bytes:
    start = whisper.MAGIC + struct.pack("<i", 10) + b"silero-16k" + bytes(20) + struct.pack("<i", layers)
    return b"".join([start, bytes(4 * (3 * max(0, layers) + 4)), *tensors])


def coreml_weights(*entries: tuple[int, bytes], version: int = 2) -> bytes:
    data = bytearray(struct.pack("<II56x", len(entries), version))
    for kind, numbers in entries:
        data += bytes(-len(data) % coreml.ALIGNMENT)
        data += struct.pack("<IIQQ40x", coreml.SENTINEL, kind, len(numbers), len(data) + 64) + numbers
    return bytes(data)


def openvino_text(*constants: str) -> bytes:
    layers = "".join(
        f'<layer name="w{n}" type="Const"><data {text}/></layer>' for n, text in enumerate(constants)
    )
    return f'<?xml version="1.0"?><net name="m" version="11"><layers>{layers}</layers></net>'.encode()
