"""The GGUF header: a bounded, strict parser (SPEC T9 to T15).

A little-endian file of version 2 or 3: key/value metadata, tensor infos, and at a multiple of the alignment the
tensors, each padded to it::

    "GGUF"  u32 version  u64 tensors  u64 pairs
    per pair:    string key    u32 value type   value
    per tensor:  string name   u32 dimensions   u64 dimension, the innermost first   u32 type   u64 offset

A string is its length (u64) and its UTF-8 bytes; an array is the type of its values (u32), their number (u64) and the
values. Metadata is walked over, never kept: spans need the alignment alone. What is accepted here ggml reads with the
same names, shapes and bytes; a tensor of a type that is not known here is opaque. Names never become paths.

Source: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md
"""

import os
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from airlift import files
from airlift.errors import FormatTooNewError, MalformedError
from airlift.tensors.element import Element
from airlift.tensors.formats.ggml import TYPES
from airlift.tensors.span import TensorSpan

MAGIC = b"GGUF"
VERSIONS = (2, 3)
MAX_HEADER_BYTES = 64 << 20
MAX_TENSORS = 1 << 18
MAX_PAIRS = 1 << 16
MAX_STRINGS = 1 << 22
MAX_KEY_BYTES = 65_535
MAX_NAME_BYTES = 255
MAX_DIMENSIONS = 4
MAX_NUMBERS = 2**63 - 1
ALIGNMENT = 32

_FIRST_BYTES = 1 << 20
_COUNTS = struct.Struct("<4sIQQ")
_U32 = struct.Struct("<I")
_U64 = struct.Struct("<Q")
_ALIGNMENT_KEY = b"general.alignment"
_UINT32, _STRING, _ARRAY = 4, 8, 9
_VALUE_BYTES = {0: 1, 1: 1, 2: 2, 3: 2, 4: 4, 5: 4, 6: 4, 7: 1, 10: 8, 11: 8, 12: 8}


def fits(name: str, head: bytes) -> bool:
    """Say whether a file may be one, by its name or by how it starts."""
    return name.endswith(".gguf") or head.startswith(MAGIC)


def read_spans(path: str | os.PathLike[str]) -> tuple[TensorSpan, ...]:
    """Return the tensors of a GGUF file in the order of their bytes; header and padding are not among them.

    Raises:
        MalformedError: it is not a valid GGUF file.
        FormatTooNewError: it is one of another version, or big-endian.
        UncheckedError: it cannot be read.
    """
    descriptor = files.open_regular(path)
    try:
        with files.reading(path):
            size = os.fstat(descriptor).st_size
            limit = min(size, MAX_HEADER_BYTES)
            length = min(limit, _FIRST_BYTES)
            while True:
                start = files.read_at(descriptor, 0, length)
                try:
                    return parse_header(start, size)
                except _TruncatedError:
                    if length >= limit:
                        raise
                length = min(limit, 8 * length)
    finally:
        os.close(descriptor)


def parse_header(start: bytes, size: int) -> tuple[TensorSpan, ...]:
    """Return the tensors of a file of ``size`` bytes that begins with ``start``, in the order of their bytes.

    Raises:
        MalformedError: the header is not valid or does not end within ``start``, or a tensor reaches outside the
            file.
        FormatTooNewError: it is a header of another version, or big-endian.
    """
    cursor = _Cursor(start)
    magic, version, tensors, pairs = cursor.unpack(_COUNTS)
    if magic != MAGIC:
        raise MalformedError("a file does not start like GGUF", expected=ascii(MAGIC), found=ascii(magic))
    if version not in VERSIONS:
        raise FormatTooNewError(
            "a GGUF file is of another version or byte order", expected="version 2 or 3", found=str(version)
        )
    if tensors > MAX_TENSORS or pairs > MAX_PAIRS:
        raise MalformedError(
            "a GGUF header has too many parts",
            expected=f"at most {MAX_TENSORS} tensors and {MAX_PAIRS} pairs",
            found=f"{tensors} and {pairs}",
        )
    alignment = _walk_pairs(cursor, pairs)
    infos = [_info(cursor) for _ in range(tensors)]
    if len({info.name for info in infos}) != len(infos):
        raise MalformedError("a GGUF header names a tensor twice")
    return tuple(_spans(infos, _padded(cursor.position, alignment), alignment, size))


class _TruncatedError(MalformedError):
    """The header goes on after the bytes at hand."""


@dataclass(slots=True)
class _Cursor:
    """Reads on from ``position``; never copies more than is there."""

    data: bytes
    position: int = 0
    strings: int = 0

    def skip(self, length: int) -> int:
        """Pass over ``length`` bytes and return where they start."""
        start = self.position
        if length > len(self.data) - start:
            kind = _TruncatedError if start + length <= MAX_HEADER_BYTES else MalformedError
            raise kind("a GGUF header is truncated or too long", found=f"{length} bytes at {start}")
        self.position += length
        return start

    def unpack(self, form: struct.Struct) -> tuple[Any, ...]:
        return form.unpack_from(self.data, self.skip(form.size))

    def number(self, form: struct.Struct) -> int:
        return int(self.unpack(form)[0])

    def string(self, limit: int) -> bytes:
        """Return a string of 1 to ``limit`` bytes of UTF-8."""
        length = self.number(_U64)
        if not 0 < length <= limit:
            raise MalformedError("a name in a GGUF header is empty or too long", found=f"{length} bytes")
        start = self.skip(length)
        text = self.data[start : start + length]
        try:
            text.decode()
        except UnicodeDecodeError as error:
            raise MalformedError("a name in a GGUF header is not UTF-8") from error
        return text

    def skip_strings(self, count: int) -> None:
        self.strings += count
        if self.strings > MAX_STRINGS:
            raise MalformedError("a GGUF header has too many strings", expected=f"at most {MAX_STRINGS}")
        for _ in range(count):
            self.skip(self.number(_U64))


# -- metadata ------------------------------------------------------------------------------------------------------


def _walk_pairs(cursor: _Cursor, count: int) -> int:
    """Pass over all pairs; return the alignment."""
    keys, alignment = set(), ALIGNMENT
    for _ in range(count):
        key = cursor.string(MAX_KEY_BYTES)
        if key in keys:
            raise MalformedError("a GGUF header has a key twice", found=ascii(key[:80]))
        keys.add(key)
        kind = cursor.number(_U32)
        if key == _ALIGNMENT_KEY:
            alignment = _alignment(cursor, kind)
        else:
            _skip_value(cursor, kind)
    return alignment


def _alignment(cursor: _Cursor, kind: int) -> int:
    value = cursor.number(_U32) if kind == _UINT32 else 0
    if value.bit_count() != 1:
        raise MalformedError("the alignment of a GGUF file is not a power of two", found=str(value))
    return value


def _skip_value(cursor: _Cursor, kind: int) -> None:
    count = 1
    if kind == _ARRAY:
        kind, count = cursor.number(_U32), cursor.number(_U64)
    if kind == _STRING:
        cursor.skip_strings(count)
    elif kind in _VALUE_BYTES:
        cursor.skip(_VALUE_BYTES[kind] * count)
    else:
        raise MalformedError("a value in a GGUF header has an unknown type", found=str(kind))


# -- tensors -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Info:
    """A tensor as the header tells of it: ``shape`` has the rows first, ``offset`` is from the first tensor on."""

    name: str
    shape: tuple[int, ...]
    type: int
    offset: int


def _info(cursor: _Cursor) -> _Info:
    name = cursor.string(MAX_NAME_BYTES).decode()
    dimensions = cursor.number(_U32)
    if dimensions > MAX_DIMENSIONS:
        raise MalformedError("a GGUF tensor has too many dimensions", found=str(dimensions))
    shape = tuple(cursor.number(_U64) for _ in range(dimensions))[::-1]
    numbers = 1
    for dimension in shape:
        numbers *= dimension
        if not 0 < numbers <= MAX_NUMBERS:
            raise MalformedError("a GGUF tensor is empty or too large", found=str(shape))
    return _Info(name, shape, cursor.number(_U32), cursor.number(_U64))


def _spans(infos: list[_Info], body: int, alignment: int, size: int) -> Iterator[TensorSpan]:
    """Yield the tensors that follow each other from ``body`` on, each padded to the alignment."""
    position = body
    ends = [*(body + info.offset for info in infos[1:]), size]
    for number, info in enumerate(infos):
        start = body + info.offset
        if start != position:
            raise MalformedError("GGUF tensors overlap or leave a hole", found=ascii(info.name[:80]))
        span = _span(info, start, ends[number])
        if not start <= span.end <= size:
            raise MalformedError("a GGUF tensor reaches outside its file", found=ascii(info.name[:80]))
        yield span
        position = _padded(span.end, alignment)


def _span(info: _Info, start: int, following: int) -> TensorSpan:
    """Return the span of a tensor that starts at ``start``; one of an unknown type goes on to the ``following``."""
    if info.type not in TYPES:
        return TensorSpan(info.name, Element.BYTES, info.shape, start, following)
    known, shape, count = TYPES[info.type], info.shape or (1,), 1
    if shape[-1] % known.numbers:
        raise MalformedError("a row of a GGUF tensor is no whole number of blocks", found=str(shape))
    shape = (*shape[:-1], shape[-1] // known.numbers)
    for dimension in shape:
        count *= dimension
    return TensorSpan(info.name, known.element, shape, start, start + count * known.element.size)


def _padded(position: int, alignment: int) -> int:
    return position + -position % alignment
