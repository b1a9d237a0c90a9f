"""The GGUF header: a bounded parser that tells damage from what it cannot place (SPEC T10 to T15a).

A little-endian file of version 2 or 3: key/value metadata, tensor infos, and at multiples of the alignment the
tensors::

    "GGUF"  u32 version  u64 tensors  u64 pairs
    per pair:    string key    u32 value type   value
    per tensor:  string name   u32 dimensions   u64 dimension, the innermost first   u32 type   u64 offset

A string is its length (u64) and its UTF-8 bytes; an array is the type of its values (u32), their number (u64) and the
values. Metadata is walked over, never kept: spans need the alignment alone. What is accepted here ggml reads with the
same names, shapes and bytes; a tensor of a type that is not known here is opaque. Names never become paths.

Source: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md
"""

import math
import os
import struct
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
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
MAX_NAME_BYTES = 65_535
MAX_TEXT_BYTES = 1 << 20
MAX_DIMENSIONS = 4
MAX_NUMBERS = 2**63 - 1
MAX_NESTING = 8
ALIGNMENT = 32

_FIRST_BYTES = 1 << 20
_PAIR_BYTES, _INFO_BYTES = 14, 25
_COUNTS = struct.Struct("<4sIQQ")
_U32 = struct.Struct("<I")
_U64 = struct.Struct("<Q")
_ALIGNMENT_KEY = b"general.alignment"
_SPLIT_KEYS = (b"split.no", b"split.count")
_UINT32, _STRING, _ARRAY = 4, 8, 9
_VALUE_BYTES = {0: 1, 1: 1, 2: 2, 3: 2, 4: 4, 5: 4, 6: 4, 7: 1, 10: 8, 11: 8, 12: 8}
_INTEGERS = frozenset({0, 1, 2, 3, 4, 5, 10, 11})
_VALUES = {
    0: "<B",
    1: "<b",
    2: "<H",
    3: "<h",
    4: "<I",
    5: "<i",
    6: "<f",
    7: "<?",
    10: "<Q",
    11: "<q",
    12: "<d",
}

Scalar = str | int | float | bool


@dataclass(frozen=True, slots=True)
class Header:
    """What a header tells: the tensors in the order of their bytes, and of a split model the part and their number.

    Parts count from 0; ``split`` is None for a model in one file. ``numbers`` counts those of all tensors. ``values``
    are those of the pairs that are neither arrays nor too long to be one name or text, where they were asked for.
    """

    spans: tuple[TensorSpan, ...]
    split: tuple[int, int] | None = None
    numbers: int = 0
    values: Mapping[str, Scalar] = field(default_factory=dict)


def fits(name: str, head: bytes) -> bool:
    """Say whether a file may be one, by its name or by how it starts."""
    return name.endswith(".gguf") or head.startswith(MAGIC)


def read_spans(path: str | os.PathLike[str]) -> tuple[TensorSpan, ...]:
    """Return the tensors of a GGUF file in the order of their bytes; header and padding are not among them.

    Raises:
        MalformedError: it is damaged, or no GGUF file.
        FormatTooNewError: it cannot be placed: of another version, big-endian, or beyond what SPEC 13 describes.
        UncheckedError: it cannot be read.
    """
    return read_header(path).spans


def read_header(path: str | os.PathLike[str]) -> Header:
    """Return the header of a GGUF file; errors as :func:`read_spans`."""
    with files.opened(path) as descriptor, files.reading(path):
        return header_of(lambda length: files.read_at(descriptor, 0, length), os.fstat(descriptor).st_size)


def header_of(head: Callable[[int], bytes], size: int, *, values: bool = False) -> Header:
    """Return the header of a file of ``size`` bytes, of which ``head(n)`` returns the first n; see :func:`parse`.

    No more is read than it takes.
    """
    limit = min(size, MAX_HEADER_BYTES)
    length = min(limit, _FIRST_BYTES)
    while True:
        try:
            return parse(head(length), size, values=values)
        except _TruncatedError:
            if length >= limit:
                raise
        length = min(limit, 8 * length)


def parse_header(start: bytes, size: int) -> tuple[TensorSpan, ...]:
    """Return the tensors of a file; see :func:`parse`."""
    return parse(start, size).spans


def parse(start: bytes, size: int, *, values: bool = False) -> Header:
    """Return the header of a file of ``size`` bytes that begins with ``start``, with its values if asked for.

    Raises:
        MalformedError: the file is damaged, or its header does not end within ``start``.
        FormatTooNewError: it cannot be placed.
    """
    cursor = _Cursor(start, size)
    magic, version, tensors, pairs = cursor.unpack(_COUNTS)
    if magic != MAGIC:
        raise MalformedError("a file does not start like GGUF", expected=ascii(MAGIC), found=ascii(magic))
    if version not in VERSIONS:
        raise FormatTooNewError(
            "a GGUF file is of another version or byte order", expected="version 2 or 3", found=str(version)
        )
    cursor.check_room(tensors * _INFO_BYTES + pairs * _PAIR_BYTES)
    if tensors > MAX_TENSORS or pairs > MAX_PAIRS:
        raise FormatTooNewError(
            "a GGUF header has too many parts",
            expected=f"at most {MAX_TENSORS} tensors and {MAX_PAIRS} pairs",
            found=f"{tensors} and {pairs}",
        )
    kept = dict[str, Scalar]() if values else None
    alignment, split = _walk_pairs(cursor, pairs, kept)
    infos = [_info(cursor) for _ in range(tensors)]
    if len({info.name for info in infos}) != len(infos):
        cursor.suspect("a GGUF header names a tensor twice")
    body = _padded(cursor.position, alignment)
    if any(info.offset % alignment for info in infos):
        cursor.suspect("a GGUF tensor does not begin at a multiple of the alignment")
    spans = tuple(_spans(infos, body, size))
    if cursor.doubt is not None:
        raise FormatTooNewError(cursor.doubt)
    return Header(spans, split, sum(info.numbers for info in infos), kept or {})


class _TruncatedError(MalformedError):
    """The header goes on after the bytes at hand."""


@dataclass(slots=True)
class _Cursor:
    """Reads on from ``position`` in the first bytes of a file of ``size``; never copies more than is there.

    ``doubt`` says why the file cannot be placed, if so; damage that is seen later overrules it.
    """

    data: bytes
    size: int
    position: int = 0
    strings: int = 0
    doubt: str | None = None

    def skip(self, length: int) -> int:
        """Pass over ``length`` bytes and return where they start."""
        self.check_room(length)
        start, end = self.position, self.position + length
        if end > MAX_HEADER_BYTES:
            raise FormatTooNewError(
                "a GGUF header is too long", expected=f"at most {MAX_HEADER_BYTES} bytes", found=f"{end}"
            )
        if end > len(self.data):
            raise _TruncatedError("a GGUF header goes on", found=f"{length} bytes at {start}")
        self.position = end
        return start

    def check_room(self, length: int) -> None:
        """Raise MalformedError if the file has less than ``length`` bytes left."""
        if length > self.size - self.position:
            raise MalformedError(
                "a GGUF header is truncated",
                expected=f"{length} bytes at {self.position}",
                found=f"a file of {self.size} bytes",
            )

    def suspect(self, reason: str) -> None:
        """Note why the file cannot be placed; the first reason stands."""
        self.doubt = self.doubt or reason

    def unpack(self, form: struct.Struct) -> tuple[Any, ...]:
        return form.unpack_from(self.data, self.skip(form.size))

    def number(self, form: struct.Struct) -> int:
        return int(self.unpack(form)[0])

    def string(self, limit: int) -> bytes:
        """Return a string, suspect unless it has 1 to ``limit`` bytes of UTF-8."""
        length = self.number(_U64)
        start = self.skip(length)
        if not 0 < length <= limit:
            self.suspect(f"a name in a GGUF header has {length} bytes, not 1 to {limit}")
        text = self.data[start : start + length]
        try:
            text.decode()
        except UnicodeDecodeError:
            self.suspect("a name in a GGUF header is not UTF-8")
        return text

    def count(self, number: int, least: int) -> None:
        """Count strings or arrays of ``least`` bytes each, before they are walked."""
        self.check_room(number * least)
        self.strings += number
        if self.strings > MAX_STRINGS:
            raise FormatTooNewError(
                "a GGUF header has too many strings",
                expected=f"at most {MAX_STRINGS}",
                found=f"{self.strings}",
            )


# -- metadata ------------------------------------------------------------------------------------------------------


def _walk_pairs(
    cursor: _Cursor, count: int, kept: dict[str, Scalar] | None
) -> tuple[int, tuple[int, int] | None]:
    """Pass over all pairs; return the alignment, and which part of how many this is. Add values to ``kept``."""
    keys, alignment, found = set(), ALIGNMENT, dict[bytes, int]()
    for _ in range(count):
        key = cursor.string(MAX_KEY_BYTES)
        if key in keys:
            cursor.suspect(f"a GGUF header has a key twice: {key[:80]!a}")
        keys.add(key)
        kind = cursor.number(_U32)
        start = cursor.position
        if key == _ALIGNMENT_KEY:
            alignment = _alignment(cursor, kind)
        elif key in _SPLIT_KEYS and kind in _INTEGERS:
            cursor.skip(_VALUE_BYTES[kind])
            found[key] = int.from_bytes(cursor.data[start : cursor.position], "little")
        else:
            _skip_values(cursor, kind, 1, 0)
        if kept is not None:
            kept |= _scalar(key, kind, cursor.data[start : cursor.position])
    return alignment, _split(cursor, found)


def _scalar(key: bytes, kind: int, data: bytes) -> dict[str, Scalar]:
    """Return a pair with its value, or nothing if it is an array, too long, or no UTF-8; ``data`` are its bytes."""
    try:
        if kind in _VALUES:
            return {key.decode(): struct.unpack(_VALUES[kind], data)[0]}
        if kind == _STRING and len(data) <= MAX_TEXT_BYTES:
            return {key.decode(): data[_U64.size :].decode()}
    except UnicodeDecodeError:
        pass  # a name that nobody can ask for, or a text that nobody can read
    return {}


def _split(cursor: _Cursor, found: Mapping[bytes, int]) -> tuple[int, int] | None:
    part, count = (found.get(key, 0) for key in _SPLIT_KEYS)
    if count <= 1:
        return None
    if part >= count:
        cursor.suspect(f"a GGUF header says that it is part {part}, from 0, of {count}")
    return part, count


def _alignment(cursor: _Cursor, kind: int) -> int:
    value = cursor.number(_U32) if kind == _UINT32 else 0
    if value.bit_count() != 1:
        raise FormatTooNewError("the alignment of a GGUF file is not a power of two", found=str(value))
    return value


def _skip_values(cursor: _Cursor, kind: int, count: int, depth: int) -> None:
    """Pass over ``count`` values of one type, in ``depth`` arrays."""
    if kind in _VALUE_BYTES:
        cursor.skip(_VALUE_BYTES[kind] * count)
    elif kind == _STRING:
        cursor.count(count, _U64.size)
        for _ in range(count):
            cursor.skip(cursor.number(_U64))
    elif kind == _ARRAY and depth < MAX_NESTING:
        cursor.count(count, _U32.size + _U64.size)
        for _ in range(count):
            _skip_values(cursor, cursor.number(_U32), cursor.number(_U64), depth + 1)
    else:
        raise FormatTooNewError(
            "a value in a GGUF header is of an unknown type or nested too deeply", found=str(kind)
        )


# -- tensors -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Info:
    """A tensor as the header tells of it: ``shape`` has the rows first, ``offset`` is from the first tensor on.

    ``element`` and ``length`` (bytes) are BYTES and None for a type that is not known; ``length`` is 0 if there are
    no ``numbers``.
    """

    name: str
    shape: tuple[int, ...]
    element: Element
    length: int | None
    offset: int
    numbers: int


def _info(cursor: _Cursor) -> _Info:
    name = cursor.string(MAX_NAME_BYTES).decode(errors="replace")
    dimensions = cursor.number(_U32)
    start = cursor.skip(dimensions * _U64.size)
    if dimensions > MAX_DIMENSIONS:
        cursor.suspect(f"a GGUF tensor has {dimensions} dimensions, not at most {MAX_DIMENSIONS}")
        dimensions = MAX_DIMENSIONS
    shape = struct.unpack_from(f"<{dimensions}Q", cursor.data, start)[::-1]
    numbers = math.prod(shape)
    if max(numbers, *shape, 0) > MAX_NUMBERS:
        raise MalformedError("a GGUF tensor reaches outside its file", found=ascii(name[:80]))
    kind, offset = cursor.number(_U32), cursor.number(_U64)
    if kind not in TYPES or not numbers:
        return _Info(name, shape, Element.BYTES, None if numbers else 0, offset, numbers)
    known, row = TYPES[kind], shape[-1] if shape else 1
    if row % known.numbers:
        cursor.suspect(f"a row of a GGUF tensor is no whole number of blocks: {name[:80]!a}")
    length = numbers // known.numbers * known.size
    if known.element is not Element.BYTES:
        shape = (*shape[:-1], row // known.numbers)
    return _Info(name, shape, known.element, length, offset, numbers)


def _spans(infos: list[_Info], body: int, size: int) -> Iterator[TensorSpan]:
    """Yield the tensors in the order of their bytes; one of an unknown type goes on to the next."""
    there = sorted((info for info in infos if info.length != 0), key=lambda info: info.offset)
    ends = [*(body + info.offset for info in there[1:]), size]
    position = body
    for info, following in zip(there, ends, strict=False):
        start = body + info.offset
        end = start + info.length if info.length is not None else following
        if end > size or start >= size:
            raise MalformedError("a GGUF tensor reaches outside its file", found=ascii(info.name[:80]))
        if start < position or end <= start:
            raise MalformedError("GGUF tensors overlap", found=ascii(info.name[:80]))
        yield TensorSpan(info.name, info.element, info.shape, start, end)
        position = end


def _padded(position: int, alignment: int) -> int:
    return position + -position % alignment
