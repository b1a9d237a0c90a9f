"""The file of a shard: the blocks that it has of a plan, and what they were coded as (SPEC L4.20). Pure.

Little-endian throughout::

    magic "ALSHARD1"   64 bytes digest of the plan   u32 shard   u32 of   u32 blocks   u32 zero
    payloads, in the order of the blocks, with nothing between them
    per block:         u32 file   u8 codec   u8 element   u8 sources   u8 zero   u64 start   u64 length   u32 payload
    64 bytes           SHA-512 of all before

The table comes last, for it is known last. Where sources are the plan says: a shard can name none of its own.
"""

import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from airlift import codec
from airlift.codec import Coded
from airlift.errors import MalformedError
from airlift.low.bundle.sharding.division import Share
from airlift.tensors.matching.segment import Segment

MAGIC = b"ALSHARD1"
HEAD = struct.Struct("<8s64sIIII")
ROW = struct.Struct("<IBBBBQQI")
DIGEST_BYTES = 64


@dataclass(frozen=True, slots=True)
class Head:
    """How a shard begins: the digest of its plan (hex), which part it is, and how many blocks it has."""

    plan: str
    share: Share
    blocks: int


@dataclass(frozen=True, slots=True)
class Row:
    """A block of file number ``file`` of a plan: bytes ``[start, start + length)``, and what they were coded as.

    It is given the first ``sources`` sources of the plan's block; ``payload`` is how many bytes it has.
    """

    file: int
    codec: int
    element: int
    sources: int
    start: int
    length: int
    payload: int


def format_head(head: Head) -> bytes:
    """Return the first bytes of a shard."""
    return HEAD.pack(MAGIC, bytes.fromhex(head.plan), head.share.number, head.share.of, head.blocks, 0)


def check_head(data: bytes, expected: Head) -> None:
    """Check that a shard begins as this one must.

    Raises:
        MalformedError: it does not.
    """
    if len(data) != HEAD.size or not data.startswith(MAGIC):
        raise MalformedError(
            "it does not begin like a shard", expected=f"{MAGIC.decode()} and {HEAD.size} bytes"
        )
    if data != format_head(expected):
        _, plan, number, of, blocks, zero = HEAD.unpack(data)
        raise MalformedError(
            "it is of another plan, or another part of it",
            expected=f"shard {expected.share.number} of {expected.share.of} of plan {expected.plan[:16]}..., "
            f"{expected.blocks} blocks",
            found=f"shard {number} of {of} of plan {plan.hex()[:16]}..., {blocks} blocks, then {zero}",
        )


def payload_bytes(size: int, blocks: int) -> int:
    """Return how many bytes of payload a shard of ``size`` bytes has.

    Raises:
        MalformedError: it is too short for so many blocks.
    """
    left = size - HEAD.size - ROW.size * blocks - DIGEST_BYTES
    if left < 0:
        raise MalformedError("it is too short", expected=f"a table of {blocks} blocks", found=f"{size} bytes")
    return left


def format_row(number: int, block: Segment, coded: Coded) -> bytes:
    """Return the row of a coded block of file ``number``."""
    used, size = _used(block, coded.codec), len(coded.payload)
    return ROW.pack(number, coded.codec, block.element, used, 0, block.start, block.length, size)


def check_rows(
    table: bytes, planned: Iterable[tuple[int, Segment]], payload: int
) -> Iterator[tuple[Row, Segment]]:
    """Yield the rows of a table, each with its block of the plan; ``payload`` bytes is how long they are together.

    Raises:
        MalformedError: they are not those of the plan, or a row cannot be right whatever its payload is.
    """
    left = payload
    for (file, number, element, sources, zero, start, length, size), (index, block) in zip(
        ROW.iter_unpack(table), planned, strict=True
    ):
        row = Row(file, number, element, sources, start, length, size)
        _check_row(row, index, block)
        left -= size
        if zero or left < 0:
            raise MalformedError("a row of the table has a reserved byte set, or reaches beyond the payloads")
        yield row, block
    if left:
        raise MalformedError("the payloads are longer than the table says", found=f"{left} bytes more")


def _check_row(row: Row, index: int, block: Segment) -> None:
    said, planned = (row.file, row.start, row.length), (index, block.start, block.length)
    if said != planned or row.element != block.element:
        raise MalformedError(
            "a block is not the one of the plan",
            expected=f"file {index}, bytes {block.start} to {block.end}, {block.element.name}",
            found=f"file {row.file}, {row.length} bytes from {row.start}, element {row.element}",
        )
    if row.codec not in codec.names():
        raise MalformedError("a block has an unknown codec", found=str(row.codec))
    if row.sources != _used(block, row.codec):
        raise MalformedError(
            "a block does not read what the plan says",
            expected=f"{_used(block, row.codec)} sources",
            found=str(row.sources),
        )
    codec.check_sources(row.codec, row.sources)
    if row.payload > row.length:
        raise MalformedError(
            "a payload is longer than its block", found=f"{row.payload} of {row.length} bytes"
        )


def _used(block: Segment, number: int) -> int:
    return min(len(block.sources), codec.sources(number))
