"""Whatever the blocks are, packing and merging keeps every byte, in order, within the limits."""

from hypothesis import given
from hypothesis import strategies as st

from airlift.bundle import chunk, manifest
from airlift.bundle.chunk import Block, Source
from airlift.bundle.fields import FileDigest, Marking
from airlift.bundle.manifest import Bundle, ReleaseRef
from airlift.low.bundle.chunks import block_limits, merge, pack

RAW, EQUAL = 0, 1
BASES = (FileDigest("a" * 128, 1 << 40), FileDigest("b" * 128, 1 << 40))

parts = st.lists(
    st.tuples(st.booleans(), st.integers(0, 1), st.booleans(), st.integers(1, 300), st.booleans()),
    min_size=1,
    max_size=60,
)


def build(choices: list[tuple[bool, int, bool, int, bool]]) -> list[Block]:
    """Return blocks that tile their files: equal or raw, in one base or the other, contiguous or with a jump."""
    blocks: list[Block] = []
    file = start = base_at = 0
    for is_equal, base, jump, length, new_file in choices:
        if new_file and start:
            file, start = file + 1, 0
        base_at += 7 if jump else 0
        sources = (Source(base, base_at, length),) if is_equal else ()
        payload = b"" if is_equal else bytes([file % 256]) * length
        blocks.append(Block(file, start, length, EQUAL if is_equal else RAW, 0, sources, payload))
        start, base_at = start + length, base_at + length
    return blocks


def bundle_of(blocks: list[Block]) -> Bundle:
    sizes: dict[int, int] = {}
    for block in blocks:
        sizes[block.file] = sizes.get(block.file, 0) + block.length
    contents = tuple(FileDigest(f"{number:0128x}", size) for number, size in sizes.items())
    release = ReleaseRef("c" * 128, "r", "1")
    chunks = (FileDigest("d" * 128, 1),)
    return Bundle(
        1,
        "2026-11-21T12:00:00Z",
        None,
        Marking("U"),
        release,
        release,
        BASES,
        contents,
        chunks,
        "e" * 128,
        packed=True,
    )


def positions(blocks: list[Block]) -> list[tuple[int, int, int, int, int]]:
    """Return one entry for each target byte: file, offset, codec, and where its byte comes from."""
    found = []
    for block in blocks:
        for offset in range(block.length):
            base, at = (block.sources[0].base, block.sources[0].start + offset) if block.sources else (-1, 0)
            found.append((block.file, block.start + offset, block.codec, base, at))
    return found


@given(parts)
def test_merging_keeps_every_byte(choices: list[tuple[bool, int, bool, int, bool]]) -> None:
    blocks = build(choices)
    merged = list(merge(blocks))
    assert positions(merged) == positions(blocks)
    assert list(merge(merged)) == merged


@given(parts, st.integers(400, 5000))
def test_packing_keeps_every_block(choices: list[tuple[bool, int, bool, int, bool]], limit: int) -> None:
    blocks = list(merge(build(choices)))
    packed = [b"".join(parts) for parts in pack(blocks, limit)]
    assert all(len(data) <= limit for data in packed)
    parsed = [block for data in packed for block in chunk.parse(data, bundle_of(blocks))]
    assert [(b.file, b.start, b.length, b.codec, b.sources, bytes(b.payload)) for b in parsed] == [
        (b.file, b.start, b.length, b.codec, b.sources, bytes(b.payload)) for b in blocks
    ]


@given(st.integers(manifest.MIN_CHUNK_BYTES, manifest.MAX_CHUNK_BYTES))
def test_one_raw_block_always_fits_a_chunk(limit: int) -> None:
    length = block_limits(limit).ordinary
    assert 0 < length <= chunk.MAX_BLOCK_BYTES
    assert length % 4096 == 0
    assert chunk.HEADER.size + chunk.BLOCK.size + chunk.SOURCE.size + length <= limit
