"""Pack coded blocks into chunks, in order, and write them to a staging folder (SPEC 6.3, L4.3)."""

import hashlib
from bisect import bisect_right
from collections.abc import Collection, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from itertools import groupby
from pathlib import Path

from airlift import codec, files
from airlift.bundle import chunk, volume
from airlift.bundle.chunk import Block, Source
from airlift.bundle.fields import FileDigest
from airlift.low.bundle.encode import BLOCK_BYTES, Encoded
from airlift.low.bundle.planning.coding_plan import BlockLimits, CodingPlan
from airlift.media.volume_writer import StagedChunk
from airlift.tensors.element import Element
from airlift.tensors.matching import segment

Parts = tuple[bytes | memoryview, ...]
"""The bytes of a chunk, in pieces that were never joined."""

TABLE_BYTES = chunk.HEADER.size + chunk.BLOCK.size + 3 * chunk.SOURCE.size


@dataclass(slots=True)
class Numbering:
    """Gives each base that a block refers to its number in the bundle manifest, in the order of first use.

    ``codecs`` sums the target bytes by the name of the codec that coded them. ``used`` are the numbers of the bases
    that blocks of each file refer to.
    """

    plan: CodingPlan
    bases: dict[FileDigest, int] = field(default_factory=dict)
    codecs: dict[str, int] = field(default_factory=dict)
    used: dict[int, set[int]] = field(default_factory=dict)

    def number(self, item: Encoded) -> Block:
        """Return the block of the bundle for a coded block of the plan."""
        name, part = codec.names()[item.codec], item.segment
        self.codecs[name] = self.codecs.get(name, 0) + part.length
        sources = tuple(self._source(source) for source in item.sources)
        used = self.used.setdefault(item.file, set())
        used.update(source.base for source in sources if not source.base & chunk.BUILT)
        return Block(item.file, part.start, part.length, item.codec, part.element, sources, item.payload)

    def _source(self, source: segment.Source) -> Source:
        built = source.file - len(self.plan.bases)
        if built >= 0:
            number = built + chunk.BUILT
        else:
            number = self.bases.setdefault(self.plan.bases[source.file].content, len(self.bases))
        return Source(number, source.start, source.end - source.start)


def block_limits(chunk_bytes: int) -> BlockLimits:
    """Return limits such that one block always fits a chunk of ``chunk_bytes``."""
    room = (chunk_bytes - TABLE_BYTES) // 4096 * 4096
    return BlockLimits(ordinary=min(BLOCK_BYTES, room), low_rank=min(chunk.MAX_BLOCK_BYTES, room))


def merge(blocks: Iterable[Block]) -> Iterator[Block]:
    """Join neighbouring copies whose target and source both continue into one copy of any length."""
    held: Block | None = None
    for block in blocks:
        joined = None if held is None else _joined(held, block)
        if held is not None and joined is None:
            yield held
        held = joined or block
    if held is not None:
        yield held


def pack(blocks: Iterable[Block], limit: int) -> Iterator[Parts]:
    """Yield chunks of at most ``limit`` bytes and MAX_BLOCKS blocks that hold the blocks, in order."""
    held: list[Block] = []
    used = chunk.HEADER.size
    for block in blocks:
        need = block.table_bytes + len(block.payload)
        if held and (used + need > limit or len(held) == chunk.MAX_BLOCKS):
            yield chunk.pack_table(tuple(chunk.format_parts(held)))
            held, used = [], chunk.HEADER.size
        held.append(block)
        used += need
    if held:
        yield chunk.pack_table(tuple(chunk.format_parts(held)))


def pack_apart(
    blocks: Iterable[Block], limit: int, starts: Sequence[int], places: list[int]
) -> Iterator[Parts]:
    """Yield chunks as :func:`pack` does, none with blocks of two groups; ``places`` gets the group of each chunk.

    ``starts`` are the numbers of the first files of the groups.
    """
    for place, apart in groupby(blocks, lambda block: bisect_right(starts, block.file) - 1):
        for parts in pack(apart, limit):
            places.append(place)
            yield parts


def write_chunks(packed: Iterable[Parts], folder: Path | None) -> tuple[StagedChunk, ...]:
    """Write chunks durably into ``folder`` (None: nowhere) under their names; return them in order.

    A chunk is digested and written on a thread of its own while the next one fills.
    """
    written: list[StagedChunk] = []
    with ThreadPoolExecutor(1) as pool:
        writing: Future[StagedChunk] | None = None
        for parts in packed:
            if writing is not None:
                written.append(writing.result())
            writing = pool.submit(_write_chunk, folder, parts)
        if writing is not None:
            written.append(writing.result())
    return tuple(written)


def write_wanted(packed: Iterable[Parts], folder: Path, wanted: Collection[str]) -> Iterator[StagedChunk]:
    """Write those of the chunks whose SHA-512 is wanted into ``folder``; no more is packed when all are there."""
    left = set(wanted)
    for parts in packed:
        if (found := _write_chunk(None, parts).digest.sha512) in left:
            left.remove(found)
            yield _write_chunk(folder, parts)
        if not left:
            return


def _write_chunk(folder: Path | None, parts: Parts) -> StagedChunk:
    sha512, sha256 = hashlib.sha512(), hashlib.sha256()
    for part in parts:
        sha512.update(part)
        sha256.update(part)
    digest = FileDigest(sha512.hexdigest(), sum(map(len, parts)))
    if folder is not None:
        with files.writer(folder / volume.chunk_name(digest.sha512)) as file:
            for part in parts:
                file.write(part)
    return StagedChunk(digest, sha256.hexdigest(), packed=chunk.is_packed(parts))


def _joined(first: Block, second: Block) -> Block | None:
    """Return both as one copy, or None if they are no copies or do not continue each other."""
    if {codec.names()[first.codec], codec.names()[second.codec]} != {"equal"}:
        return None
    (a,), (b,) = first.sources, second.sources
    if (first.file, first.start + first.length) != (second.file, second.start):
        return None
    if (a.base, a.start + a.length) != (b.base, b.start):
        return None
    element = first.element if first.element == second.element else Element.BYTES
    length = first.length + second.length
    return replace(first, length=length, element=element, sources=(Source(a.base, a.start, length),))
