"""The chunk: a block table and the coded blocks it describes (SPEC 6.3).

A chunk is read into memory once, verified, and decoded from those bytes. Little-endian throughout::

    magic "ALCHUNK1"   u32 blocks   u32 zero
    per block:         u32 file   u8 codec   u8 element   u8 sources   u8 zero   u64 start   u64 length   u32 payload
      per source:      u32 base   u64 start  u64 length
    payloads, in the order of the blocks, with nothing between or after them

``start`` and ``length`` are bytes: ``[start, start + length)`` of the target file or of a base. A ``base`` with its
highest bit set is none of the baseline but a file of this bundle that comes before the block's own. Which codec ran
is the codec's business; nothing here looks into a payload. A block longer than ``MAX_BLOCK_BYTES`` has no payload
and one source of its own length, and is decoded piece by piece.

A table that takes more than a 64th of a chunk is packed: it is one zstd frame, and the chunk begins otherwise::

    magic "ALCHUNK2"   u32 blocks   u32 bytes of the table   u32 bytes of the frame
    the frame, and the payloads as above
"""

import struct
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from airlift.bundle.fields import FileDigest
from airlift.bundle.manifest import MAX_CHUNK_BYTES, Bundle
from airlift.bundle.own import Own
from airlift.codec.plain import frame
from airlift.errors import MalformedError

MAGIC = b"ALCHUNK1"
HEADER = struct.Struct("<8sII")
PACKED_MAGIC = b"ALCHUNK2"
PACKED_HEADER = struct.Struct("<8sIII")
BLOCK = struct.Struct("<IBBBBQQI")
SOURCE = struct.Struct("<IQQ")
MAX_SOURCES = 4
MAX_BLOCKS = 1 << 16
MAX_BLOCK_BYTES = 16 << 20
PIECE_BYTES = 4 << 20
WORTH = 64
"""A table is packed if it takes more than such a part of its chunk."""

TABLE_LEVEL = 19
BUILT = 1 << 31
"""Set in the base of a source that is a file of the same bundle."""


@dataclass(frozen=True, slots=True)
class Source:
    """Bytes ``[start, start + length)`` of base number ``base`` of the manifest, or of file ``base - BUILT``."""

    base: int
    start: int
    length: int

    def content(self, bundle: Bundle) -> FileDigest:
        """Return what the bytes are of."""
        return bundle.files[self.base - BUILT] if self.base & BUILT else bundle.bases[self.base]


@dataclass(frozen=True, slots=True)
class Block:
    """Bytes ``[start, start + length)`` of file number ``file`` of the bundle manifest, coded."""

    file: int
    start: int
    length: int
    codec: int
    element: int
    sources: tuple[Source, ...]
    payload: bytes | memoryview

    @property
    def table_bytes(self) -> int:
        """How long this block's entry in the table is."""
        return BLOCK.size + SOURCE.size * len(self.sources)


def size(blocks: Sequence[Block]) -> int:
    """Return the length in bytes of the chunk of these blocks."""
    return HEADER.size + sum(block.table_bytes + len(block.payload) for block in blocks)


def format(blocks: Sequence[Block]) -> bytes:  # noqa: A001 - the pair of parse, as everywhere
    """Return the bytes of the chunk of these blocks."""
    return b"".join(format_parts(blocks))


def format_parts(blocks: Sequence[Block]) -> Iterator[bytes | memoryview]:
    """Yield the bytes of the chunk of these blocks: its table, then payload after payload, none copied."""
    table = [HEADER.pack(MAGIC, len(blocks), 0)]
    for b in blocks:
        table.append(
            BLOCK.pack(b.file, b.codec, b.element, len(b.sources), 0, b.start, b.length, len(b.payload))
        )
        table.extend(SOURCE.pack(s.base, s.start, s.length) for s in b.sources)
    yield b"".join(table)
    yield from (block.payload for block in blocks)


def pack_table(parts: Sequence[bytes | memoryview]) -> tuple[bytes | memoryview, ...]:
    """Return the parts of a chunk with its table packed, if that is worth it; as they are if not."""
    first = bytes(parts[0])
    count, table = HEADER.unpack_from(first)[1], first[HEADER.size :]
    if WORTH * len(first) <= sum(map(len, parts)):
        return tuple(parts)
    packed = frame.write(memoryview(table), frame.level(TABLE_LEVEL, len(table), 0))
    head = PACKED_HEADER.pack(PACKED_MAGIC, count, len(table), len(packed)) + packed
    return (head, *parts[1:]) if len(head) < len(first) else tuple(parts)


def is_packed(parts: Sequence[bytes | memoryview]) -> bool:
    """Say whether the parts of a chunk begin with a packed table."""
    return bytes(parts[0][: len(PACKED_MAGIC)]) == PACKED_MAGIC


def parse(data: bytes | memoryview, bundle: Bundle) -> tuple[Block, ...]:
    """Parse a verified chunk against its bundle's lists of files and bases; payloads are views into ``data``.

    Raises:
        MalformedError: the table is truncated, reaches outside a file, a base or the chunk, or has excess bytes.
    """
    if not HEADER.size <= len(data) <= MAX_CHUNK_BYTES:
        raise MalformedError("a chunk is too short or too long", found=f"{len(data)} bytes")
    packed = bundle.packed and data[: len(PACKED_MAGIC)] == PACKED_MAGIC
    entries, position = _read_packed(data) if packed else _read_table(data)
    view, blocks = memoryview(data), []
    for (file, codec, element, _, _, start, length, payload), sources in entries:
        block = Block(file, start, length, codec, element, sources, view[position : position + payload])
        position += payload
        _check(block, payload, bundle)
        blocks.append(block)
    if position != len(data):
        raise MalformedError("a chunk's payloads do not fill it exactly")
    return tuple(blocks)


def in_order(
    blocks: Iterable[Block], files: Sequence[FileDigest], numbers: Sequence[int] | None = None
) -> Iterator[Block]:
    """Yield the blocks of all chunks of a bundle, checking that they tile every file once, in order.

    ``numbers`` are those of the files in the bundle, where these are a portion of it (None: all of them).

    Raises:
        MalformedError: blocks overlap, are missing or out of order.
    """
    place = position = 0
    numbers = range(len(files)) if numbers is None else numbers
    for block in blocks:
        while place < len(files) and position == files[place].size:
            place, position = place + 1, 0
        if place == len(files) or (block.file, block.start) != (numbers[place], position):
            raise MalformedError(
                "blocks overlap, are missing or out of order",
                expected=f"file {numbers[place] if place < len(files) else len(files)} at {position}",
            )
        position += block.length
        yield block
    if any(item.size != (position if n == place else 0) for n, item in enumerate(files) if n >= place):
        raise MalformedError("the chunks end before the last file is complete")


def within(blocks: Iterable[Block], own: Own) -> Iterator[Block]:
    """Yield blocks of a portion, checking that they read from nothing that is another's (SPEC 6.2-9).

    Raises:
        MalformedError: one does.
    """
    for block in blocks:
        if not all(_is_own(source, own) for source in block.sources):
            raise MalformedError("a block reads from a base or a file of another enclave's portion")
        yield block


def _is_own(source: Source, own: Own) -> bool:
    return own.has_file(source.base - BUILT) if source.base & BUILT else own.has_base(source.base)


def pieces(block: Block) -> Iterator[Block]:
    """Yield a block, or if it is a long copy, the short copies that it consists of."""
    if block.length <= MAX_BLOCK_BYTES:
        yield block
        return
    (source,) = block.sources
    for offset in range(0, block.length, PIECE_BYTES):
        length = min(PIECE_BYTES, block.length - offset)
        part = Source(source.base, source.start + offset, length)
        yield replace(block, start=block.start + offset, length=length, sources=(part,))


Entries = list[tuple[tuple[int, ...], tuple[Source, ...]]]


def _read_table(data: bytes | memoryview) -> tuple[Entries, int]:
    """Return the entries of a chunk's table, and where its payloads begin."""
    magic, count, zero = HEADER.unpack_from(data)
    if magic != MAGIC or zero or not 0 < count <= min(MAX_BLOCKS, len(data) // BLOCK.size):
        raise MalformedError(
            "a chunk does not start with a block table", expected=f"1 to {MAX_BLOCKS} blocks"
        )
    return _parse_table(data, HEADER.size, count)


def _read_packed(data: bytes | memoryview) -> tuple[Entries, int]:
    """Return the entries of a chunk's packed table, and where its payloads begin."""
    if len(data) < PACKED_HEADER.size:
        raise MalformedError("a chunk is too short for a packed table", found=f"{len(data)} bytes")
    _, count, length, size = PACKED_HEADER.unpack_from(data)
    end = PACKED_HEADER.size + size
    most = BLOCK.size + MAX_SOURCES * SOURCE.size
    if not 0 < count <= MAX_BLOCKS or not BLOCK.size * count <= length <= most * count or end > len(data):
        raise MalformedError("a chunk's packed table has impossible sizes")
    table = frame.read(memoryview(data)[PACKED_HEADER.size : end], length)
    entries, used = _parse_table(table, 0, count)
    if used != length:
        raise MalformedError("a chunk's packed table has excess bytes")
    return entries, end


def _parse_table(data: bytes | memoryview, position: int, count: int) -> tuple[Entries, int]:
    entries: Entries = []
    try:
        for _ in range(count):
            fixed = BLOCK.unpack_from(data, position)
            sources, zero = fixed[3], fixed[4]
            if sources > MAX_SOURCES or zero:
                raise MalformedError("a block has too many sources or a reserved byte set")
            position += BLOCK.size
            found = tuple(
                Source(*SOURCE.unpack_from(data, position + n * SOURCE.size)) for n in range(sources)
            )
            position += SOURCE.size * sources
            entries.append((fixed, found))
    except struct.error as error:
        raise MalformedError("a chunk's block table is truncated") from error
    return entries, position


def _check(block: Block, payload: int, bundle: Bundle) -> None:
    if len(block.payload) != payload:
        raise MalformedError("a block's payload is truncated")
    if payload > block.length:
        raise MalformedError(
            "a block's payload is longer than its target", expected=f"at most {block.length} bytes"
        )
    if block.file >= len(bundle.files) or not _inside(
        block.start, block.length, bundle.files[block.file].size
    ):
        raise MalformedError("a block lies outside its file")
    if block.length > MAX_BLOCK_BYTES and (payload or [s.length for s in block.sources] != [block.length]):
        raise MalformedError(
            "a block is too long", expected=f"at most {MAX_BLOCK_BYTES} bytes unless it is a copy"
        )
    for source in block.sources:
        known = block.file + BUILT if source.base & BUILT else len(bundle.bases)
        if source.base >= known or not _inside(source.start, source.length, source.content(bundle).size):
            raise MalformedError("a block reads outside its base, or a file that is not complete before it")
    if sum(source.length for source in block.sources) > max(2 * MAX_BLOCK_BYTES, block.length):
        raise MalformedError(
            "a block's sources are too long", expected=f"at most {2 * MAX_BLOCK_BYTES} bytes together"
        )


def _inside(start: int, length: int, size: int) -> bool:
    return 0 < length <= size and start <= size - length
