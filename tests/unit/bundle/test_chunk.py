"""The chunk: its table against the bundle's files and bases, the order of blocks, long copies in pieces."""

import struct
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from random import Random

import pytest

from airlift.bundle import chunk, manifest
from airlift.bundle.chunk import (
    BLOCK,
    BUILT,
    HEADER,
    MAGIC,
    MAX_BLOCK_BYTES,
    PIECE_BYTES,
    SOURCE,
    Block,
    Source,
)
from airlift.bundle.manifest import MAX_CHUNK_BYTES
from airlift.codec.plain import frame
from airlift.errors import FormatTooNewError, MalformedError
from tests.support.bundle_values import BLOCKS, BUNDLE, content

HUGE = replace(BUNDLE, files=(content("file", 2**40),), bases=(content("base", 2**40),))


def test_parse_returns_what_was_formatted() -> None:
    data = chunk.format(BLOCKS)
    parsed = chunk.parse(data, BUNDLE)
    assert parsed == BLOCKS
    assert chunk.format(parsed) == data
    assert chunk.size(BLOCKS) == len(data)


def test_payloads_are_views_into_the_verified_bytes() -> None:
    data = chunk.format(BLOCKS)
    assert all(
        isinstance(block.payload, memoryview) and block.payload.obj is data
        for block in chunk.parse(data, BUNDLE)
    )


def test_the_layout_is_that_of_the_documentation() -> None:
    block = Block(2, 3, 4, 5, 6, (Source(7, 8, 9),), b"pay")
    expected = b"ALCHUNK1" + struct.pack("<II", 1, 0)
    expected += struct.pack("<I", 2) + bytes([5, 6, 1, 0]) + struct.pack("<QQI", 3, 4, 3)
    expected += struct.pack("<IQQ", 7, 8, 9) + b"pay"
    assert chunk.format([block]) == expected


def test_chunks_are_bounded() -> None:
    with pytest.raises(MalformedError, match="too short or too long"):
        chunk.parse(bytes(HEADER.size - 1), BUNDLE)
    with pytest.raises(MalformedError, match="too short or too long"):
        chunk.parse(bytes(MAX_CHUNK_BYTES + 1), BUNDLE)


@pytest.mark.parametrize("count", [0, 5, 2**31, 2**32 - 1])
def test_a_count_too_large_is_refused_before_the_table_is_read(count: int) -> None:
    data = HEADER.pack(MAGIC, count, 0) + bytes(4 * BLOCK.size)
    with pytest.raises(MalformedError, match="does not start with a block table"):
        chunk.parse(data, BUNDLE)


def test_a_table_may_not_run_into_the_end() -> None:
    data = HEADER.pack(MAGIC, 2, 0) + BLOCK.pack(0, 1, 0, 4, 0, 0, 1, 0) + bytes(2 * BLOCK.size)
    with pytest.raises(MalformedError, match="truncated"):
        chunk.parse(data, BUNDLE)


TWO = replace(BUNDLE, files=(content("first", 100), content("second", 100)), bases=(content("base", 10),))


@pytest.mark.parametrize(
    ("file", "base"), [(0, BUILT), (0, BUILT + 1), (1, BUILT + 1), (1, BUILT + 2), (1, 2**32 - 1)]
)
def test_a_source_in_this_bundle_comes_before_its_block(file: int, base: int) -> None:
    """Threat: a block that reads what is not verified yet."""
    good = Block(1, 0, 100, 1, 0, (Source(BUILT, 0, 100),), b"")
    assert chunk.parse(chunk.format([good]), TWO) == (good,)
    assert good.sources[0].content(TWO) == TWO.files[0]
    assert Source(0, 0, 10).content(TWO) == TWO.bases[0]
    with pytest.raises(MalformedError, match="not complete before it"):
        chunk.parse(chunk.format([replace(good, file=file, sources=(Source(base, 0, 100),))]), TWO)


@pytest.mark.parametrize("length", [0, 101])
def test_a_source_in_this_bundle_lies_inside_its_file(length: int) -> None:
    bad = Block(1, 0, 100, 1, 0, (Source(BUILT, 0, length),), b"")
    with pytest.raises(MalformedError):
        chunk.parse(chunk.format([bad]), TWO)


def parse_one(block: Block) -> tuple[Block, ...]:
    return chunk.parse(chunk.format([block]), HUGE)


def copy(length: int, start: int = 0, base: int = 0, source_start: int = 0) -> Block:
    return Block(0, start, length, 1, 0, (Source(base, source_start, length),), b"")


@pytest.mark.parametrize("edge", [2**31 - 1, 2**31, 2**31 + 1, 2**32 - 1, 2**32, 2**32 + 1, 2**40 - 1])
def test_positions_beyond_32_bits_are_ordinary(edge: int) -> None:
    """Sizes at 2^31 +- 1 and 2^32 +- 1."""
    assert parse_one(copy(1, start=edge, source_start=edge)) == (copy(1, start=edge, source_start=edge),)
    assert parse_one(copy(edge)) == (copy(edge),)


@pytest.mark.parametrize(
    "block",
    [
        copy(1, start=2**40),
        copy(2**40 + 1),
        copy(1, start=2**63),
        copy(1, start=2**64 - 1),
        copy(2**63),
        copy(2**64 - 1, start=1),
        copy(0),
        replace(copy(1), file=1),
    ],
)
def test_blocks_outside_their_file_are_refused(block: Block) -> None:
    """Deltas that write outside the target."""
    with pytest.raises(MalformedError, match="outside its file"):
        parse_one(block)


@pytest.mark.parametrize(
    "source",
    [
        Source(1, 0, 1),
        Source(2**32 - 1, 0, 1),
        Source(0, 2**40, 1),
        Source(0, 2**40 - 1, 2),
        Source(0, 2**64 - 1, 1),
        Source(0, 1, 2**64 - 1),
        Source(0, 0, 0),
    ],
)
def test_sources_outside_their_base_are_refused(source: Source) -> None:
    """Deltas that read outside the base."""
    with pytest.raises(MalformedError, match="outside its base"):
        parse_one(Block(0, 0, 1, 1, 0, (source,), b""))


def test_only_a_plain_copy_may_be_long() -> None:
    over = MAX_BLOCK_BYTES + 1
    assert parse_one(copy(over))
    for wrong in (
        replace(copy(over), payload=b"x"),
        replace(copy(over), sources=()),
        replace(copy(over), sources=(Source(0, 0, over - 1),)),
        replace(copy(over), sources=(Source(0, 0, over), Source(0, 0, over))),
    ):
        with pytest.raises(MalformedError, match="a block is too long"):
            parse_one(wrong)


def test_what_a_block_reads_is_bounded() -> None:
    longest = 2 * MAX_BLOCK_BYTES
    assert parse_one(Block(0, 0, 1, 3, 0, (Source(0, 0, longest // 4),) * 4, b""))
    with pytest.raises(MalformedError, match="sources are too long"):
        parse_one(Block(0, 0, 1, 3, 0, (Source(0, 0, longest), Source(0, 0, 1)), b""))


# -- the order of blocks -------------------------------------------------------------------------------------------


FILES = (content("empty", 0), content("a", 10), content("none", 0), content("b", 20), content("last", 0))


def run(file: int, start: int, length: int) -> Block:
    return Block(file, start, length, 0, 0, (), b"")


GOOD = [run(1, 0, 4), run(1, 4, 6), run(3, 0, 20)]


def test_blocks_that_tile_every_file_pass() -> None:
    assert list(chunk.in_order(GOOD, FILES)) == GOOD
    assert list(chunk.in_order([], ())) == []
    assert list(chunk.in_order([], (content("empty", 0),))) == []


@pytest.mark.parametrize(
    "blocks",
    [
        pytest.param([], id="none"),
        pytest.param(GOOD[:2], id="the last missing"),
        pytest.param(GOOD[:1], id="half a file"),
        pytest.param(GOOD[1:], id="the first missing"),
        pytest.param([GOOD[0], GOOD[2]], id="the middle missing"),
        pytest.param([GOOD[1], GOOD[0], GOOD[2]], id="swapped"),
        pytest.param([GOOD[2], *GOOD[:2]], id="files swapped"),
        pytest.param([GOOD[0], *GOOD], id="twice"),
        pytest.param([*GOOD, GOOD[2]], id="the last twice"),
        pytest.param([run(1, 0, 5), *GOOD[1:]], id="overlap"),
        pytest.param([run(1, 0, 3), *GOOD[1:]], id="gap"),
        pytest.param([run(1, 0, 11), GOOD[2]], id="beyond the file"),
        pytest.param([*GOOD[:2], run(3, 0, 21)], id="beyond the last file"),
        pytest.param([*GOOD, run(4, 0, 1)], id="in an empty file"),
        pytest.param([*GOOD, run(5, 0, 1)], id="after the last file"),
    ],
)
def test_overlapping_missing_and_swapped_blocks_are_refused(blocks: list[Block]) -> None:
    with pytest.raises(MalformedError, match=r"blocks overlap|chunks end before"):
        list(chunk.in_order(blocks, FILES))


def test_the_order_is_checked_while_streaming() -> None:
    """No block is handed out before everything up to it was found in order."""
    stream = chunk.in_order([GOOD[0], GOOD[2]], FILES)
    assert next(stream) == GOOD[0]
    with pytest.raises(MalformedError):
        next(stream)


# -- pieces --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("length", [1, PIECE_BYTES + 1, MAX_BLOCK_BYTES])
def test_a_short_block_is_one_piece(length: int) -> None:
    block = copy(length)
    assert list(chunk.pieces(block)) == [block]


@pytest.mark.parametrize("length", [MAX_BLOCK_BYTES + 1, 5 * PIECE_BYTES, 2**32 + 1])
def test_a_long_copy_is_taken_apart_exactly(length: int) -> None:
    block = copy(length, start=7, source_start=9)
    position = 0
    for piece in chunk.pieces(block):
        assert 0 < piece.length <= PIECE_BYTES
        assert piece.start == 7 + position
        assert piece.sources == (Source(0, 9 + position, piece.length),)
        position += piece.length
    assert position == length


def test_table_entries_are_measured() -> None:
    assert [block.table_bytes for block in BLOCKS] == [BLOCK.size + n * SOURCE.size for n in (0, 1, 2)]


def test_a_table_of_too_many_blocks_is_refused_before_it_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chunk, "MAX_BLOCKS", 1)
    blocks = [Block(0, 0, 1, 0, 0, (), b"x"), Block(0, 1, 1, 0, 0, (), b"x")]
    with pytest.raises(MalformedError, match="does not start with a block table"):
        chunk.parse(chunk.format(blocks), BUNDLE)


# -- packed tables -------------------------------------------------------------------------------------------------

FORMAT_2 = replace(BUNDLE, packed=True)


def packed(blocks: Sequence[Block] = BLOCKS) -> bytes:
    return b"".join(chunk.pack_table(tuple(chunk.format_parts(blocks))))


def repacked(table: bytes, count: int, *, length: int | None = None, payloads: bytes = b"") -> bytes:
    body = frame.write(memoryview(table), frame.level(3, len(table), 0))
    head = chunk.PACKED_HEADER.pack(
        chunk.PACKED_MAGIC, count, len(table) if length is None else length, len(body)
    )
    return head + body + payloads


TABLE = chunk.format(BLOCKS)[HEADER.size : HEADER.size + sum(block.table_bytes for block in BLOCKS)]
PAYLOADS = b"".join(bytes(block.payload) for block in BLOCKS)


def test_a_packed_table_says_the_same_in_less() -> None:
    data = packed()
    assert data.startswith(b"ALCHUNK2")
    assert len(data) < len(chunk.format(BLOCKS))
    assert chunk.parse(data, FORMAT_2) == BLOCKS
    assert all(
        isinstance(b.payload, memoryview) and b.payload.obj is data for b in chunk.parse(data, FORMAT_2)
    )


def test_a_bundle_of_format_2_may_have_plain_tables_too() -> None:
    assert chunk.parse(chunk.format(BLOCKS), FORMAT_2) == BLOCKS


def test_a_bundle_of_format_1_has_no_packed_table() -> None:
    with pytest.raises(MalformedError, match="does not start with a block table"):
        chunk.parse(packed(), BUNDLE)


def test_a_table_is_packed_only_where_it_is_worth_it() -> None:
    parts = (chunk.format(BLOCKS), bytes(chunk.WORTH * 4096))
    assert chunk.pack_table(parts) == parts
    assert not chunk.is_packed(parts)
    noise = (HEADER.pack(MAGIC, 1, 0) + Random(1).randbytes(60),)
    assert chunk.pack_table(noise) == noise


@pytest.mark.parametrize(
    "data",
    [
        packed()[:19],
        packed()[:20],
        packed()[:-1],
        packed() + b"\0",
        repacked(TABLE, len(BLOCKS) - 1, payloads=PAYLOADS),
        repacked(TABLE, len(BLOCKS) + 1, payloads=PAYLOADS),
        repacked(TABLE, 0, payloads=PAYLOADS),
        repacked(TABLE, chunk.MAX_BLOCKS + 1, payloads=PAYLOADS),
        repacked(TABLE + b"\0", len(BLOCKS), payloads=PAYLOADS),
        repacked(TABLE, len(BLOCKS), length=len(TABLE) + 1, payloads=PAYLOADS),
        repacked(TABLE, len(BLOCKS), length=2**32 - 1, payloads=PAYLOADS),
        repacked(TABLE, 2**32 - 1, length=2**32 - 1, payloads=PAYLOADS),
        chunk.PACKED_HEADER.pack(chunk.PACKED_MAGIC, 3, len(TABLE), len(TABLE)) + TABLE + PAYLOADS,
        chunk.PACKED_HEADER.pack(chunk.PACKED_MAGIC, 3, len(TABLE), 2**32 - 1) + TABLE + PAYLOADS,
    ],
)
def test_what_is_wrong_with_a_packed_table_is_refused(data: bytes) -> None:
    with pytest.raises(MalformedError):
        chunk.parse(data, FORMAT_2)


def test_any_flipped_bit_of_a_packed_table_is_refused_or_read_within_bounds() -> None:
    data = packed()
    for bit in range(8 * (len(data) - len(PAYLOADS))):
        changed = bytearray(data)
        changed[bit // 8] ^= 1 << bit % 8
        with suppress(MalformedError):
            assert chunk.parse(bytes(changed), FORMAT_2)


def test_the_manifest_of_a_bundle_with_packed_tables_is_of_format_2() -> None:
    data = manifest.format(FORMAT_2)
    assert b'"airlift":2' in data
    assert manifest.parse(data) == FORMAT_2
    assert b'"airlift":1' in manifest.format(BUNDLE)
    with pytest.raises(FormatTooNewError):
        manifest.parse(data.replace(b'"airlift":2', b'"airlift":4'))
