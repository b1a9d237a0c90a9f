"""Prepare: decode and digest blocks on threads, ahead of the one that is written next (SPEC 7.3-9).

What is under way is a fixed number of bytes and of blocks, whatever the model's size. A small file that is one block
is decoded and digested by whoever writes it: to hand it to a thread takes longer than that.
"""

from collections import Counter, deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Executor, Future
from dataclasses import dataclass, field
from threading import Lock

import numpy as np

from airlift import codec, digests, files
from airlift.bundle import release as releases
from airlift.bundle.chunk import BUILT, Block
from airlift.bundle.fields import FileDigest
from airlift.errors import MalformedError
from airlift.high.importing.buffers import Buffers, Lent
from airlift.high.importing.part_digests import PartDigests, Segment, check_whole
from airlift.high.importing.source_files import SourceFiles

MAX_BLOCKS = 256
"""How many blocks are under way at most."""

AHEAD_BLOCKS = 16
"""How many blocks are left to the threads while what is decoded is written before it has to be."""

MAX_CHUNKS = 2
"""From how many chunks these are at most: payloads lie in them. One more is read ahead (SPEC 7.3-3)."""

MAX_PIECES = 8
"""How many pieces are digested at a time, however many threads there are."""

MAX_READ_BYTES = 64 << 20
"""How many bytes of sources are held at most."""

UNCODED = frozenset({"raw", "equal"})
"""Codecs that make no new bytes."""


def window_bytes(workers: int) -> int:
    """Return how many bytes of targets are under way at most.

    Where pieces are digested several at once, so many are collected while others are digested.
    """
    width = digests.width()
    count = min(workers, MAX_PIECES) + 1 if width == 1 else 2 * width + min(workers, 3)
    return count * releases.PIECE_BYTES


@dataclass(slots=True)
class Prepared:
    """A block whose bytes are decoded and digested on a thread; ``lent`` is the memory that they stand in."""

    block: Block
    file: PartDigests
    segment: Segment
    data: Future[memoryview] = field(default_factory=Future)
    lent: list[Lent] = field(default_factory=list)

    def is_ready(self) -> bool:
        """Say whether the block is decoded."""
        return self.data.done()

    def result(self) -> memoryview:
        """Return the bytes of the block, as soon as they are decoded."""
        return self.data.result()

    def insist(self) -> None:
        """Wait until all of its file is digested, and raise what is wrong with it."""
        self.file.right.result()


@dataclass(frozen=True, slots=True)
class Small:
    """A block that is all of a small file."""

    block: Block
    of: "Preparation"

    def is_ready(self) -> bool:
        """Say that whoever writes it decodes it."""
        return True

    def result(self) -> memoryview:
        """Return the bytes of the file, which are right."""
        data, _ = self.of.decode(self.block)
        check_whole(self.of.sources, self.of.items[self.block.file], data, self.block.sources)
        return data

    def insist(self) -> None:
        """Nothing is left to be digested."""


@dataclass(slots=True)
class Preparation:
    """Takes blocks up as far ahead as the window allows: ``queue`` is still to be written, ``behind`` was.

    ``under_way`` counts bytes of targets and payloads against ``limit``, ``reading`` those of sources; ``chunks``
    counts the blocks that lie in each chunk.
    """

    pool: Executor
    sources: SourceFiles
    items: Sequence[FileDigest]
    limit: int
    buffers: Buffers = field(default_factory=Buffers)
    queue: deque[Prepared | Small] = field(default_factory=deque)
    behind: deque[Prepared] = field(default_factory=deque)
    under_way: int = 0
    reading: int = 0
    chunks: Counter[int] = field(default_factory=Counter)
    lock: Lock = field(default_factory=Lock)

    def run(self, blocks: Iterable[Block]) -> Iterator[Prepared | Small]:
        """Yield each block in order, while those after it are decoded; the caller has written it when it returns.

        A block that reads a file of this bundle waits until every block of that file was taken, and the file is
        complete.
        """
        number, file = -1, None
        for block in blocks:
            yield from self._make_room(block)
            self._hold(block)
            if self._is_small(block):
                self.queue.append(Small(block, self))
                continue
            if file is None or block.file != number:
                number, file = block.file, PartDigests(self.sources, self.items[block.file])
            self._take_up(block, file)
            while self._is_ahead():
                yield from self._hand_over()
        while self.queue:
            yield from self._hand_over()
        while self.behind:
            self._settle()

    def _is_ahead(self) -> bool:
        """Say whether the first block is decoded, and threads still have enough to do while it is written."""
        enough = len(self.queue) >= AHEAD_BLOCKS and not self.queue[-AHEAD_BLOCKS].is_ready()
        return enough and self.queue[0].is_ready()

    def _make_room(self, block: Block) -> Iterator[Prepared | Small]:
        """Yield what has to be written before a block can be taken up, and wait for what has to be digested."""
        while self._is_full(block) or (self.queue and _reads(block, self.queue[0].block.file)):
            if self.queue:
                yield from self._hand_over()
            else:
                self._settle()
                self._settle_done()

    def _hand_over(self) -> Iterator[Prepared | Small]:
        """Yield the first block, and take it out of the queue when it was written; a thread may still digest it."""
        yield self.queue[0]
        written = self.queue.popleft()
        if isinstance(written, Prepared):
            self.behind.append(written)
        else:
            self._let_go(written.block)
        self._settle_done()

    def _is_small(self, block: Block) -> bool:
        """Say whether a block is all of a small file, and is decoded from little."""
        whole = block.length == self.items[block.file].size
        return whole and block.length + _read(block) <= files.SMALL_BYTES

    def _is_full(self, block: Block) -> bool:
        count = len(self.queue) + len(self.behind)
        much = self.under_way + _held(block) > self.limit or self.reading + _read(block) > MAX_READ_BYTES
        scattered = len(self.chunks) == MAX_CHUNKS and _chunk(block) not in self.chunks
        return count > 0 and (much or scattered or count >= MAX_BLOCKS)

    def _hold(self, block: Block) -> None:
        self.under_way += _held(block)
        self.chunks[_chunk(block)] += 1

    def _let_go(self, block: Block) -> None:
        self.under_way -= _held(block)
        chunk = _chunk(block)
        self.chunks[chunk] -= 1
        if not self.chunks[chunk]:
            del self.chunks[chunk]

    def _take_up(self, block: Block, file: PartDigests) -> None:
        prepared = Prepared(block, file, file.announce(block))
        with self.lock:
            self.reading += _read(block)
        self.queue.append(prepared)
        self.pool.submit(self._work, prepared)

    def _settle_done(self) -> None:
        while self.behind and self.behind[0].segment.done.done():
            self._settle()

    def _settle(self) -> None:
        """Wait until the block that was written first is digested, and take back its memory."""
        first = self.behind[0]
        first.file.settle(first.segment)
        self.behind.popleft()
        self._let_go(first.block)
        for lent in first.lent:
            self.buffers.give_back(lent)

    def _work(self, prepared: Prepared) -> None:
        """Decode a block and digest its bytes; runs on a thread."""
        try:
            data, prepared.lent = self.decode(prepared.block)
        except BaseException as error:
            prepared.data.set_exception(error)
            raise
        finally:
            with self.lock:
                self.reading -= _read(prepared.block)
        prepared.data.set_result(data)
        try:
            prepared.file.add(prepared.segment, data)
        except BaseException as error:
            prepared.file.fail(error)
            raise

    def decode(self, block: Block) -> tuple[memoryview, list[Lent]]:
        """Return the target bytes of a block, and the memory that they stand in.

        Raises:
            BaselineDamagedError: it does not decode, and a base at rest is no longer what was installed.
            FormatTooNewError: its codec or element is unknown.
            MalformedError: it is not of its codec, sources and length.
        """
        codec.check_sources(block.codec, len(block.sources))
        if (
            not block.sources and block.length <= files.SMALL_BYTES
        ):  # nothing to read, and no memory worth keeping
            return codec.decode(block.codec, block.payload, (), block.length, block.element), []
        lent = [self.buffers.take(source.length) for source in block.sources]
        for one, source in zip(lent, block.sources, strict=True):
            self.sources.read(source, one.data)
        inputs = [one.data for one in lent]
        if codec.names()[block.codec] not in UNCODED:
            lent.append(self.buffers.take(block.length))
        out = lent[-1].data if len(lent) > len(inputs) else None
        try:
            data = codec.decode(block.codec, block.payload, inputs, block.length, block.element, out=out)
        except MalformedError as error:
            self.sources.blame(block.sources, error)
            raise
        kept = [one for one in lent if np.may_share_memory(data, one.whole)]
        for one in lent:
            if one not in kept:
                self.buffers.give_back(one)
        return data, kept


def _held(block: Block) -> int:
    """Return how many bytes a block holds until it is written and digested: its target, and its part of a chunk."""
    return block.length + len(block.payload)


def _chunk(block: Block) -> int:
    """Return what the chunk is known by in which the payload of a block lies, as long as that is there."""
    return id(block.payload.obj if isinstance(block.payload, memoryview) else block.payload)


def _read(block: Block) -> int:
    """Return how many bytes of sources a block holds while it is decoded."""
    return sum(source.length for source in block.sources) if block.sources else 0


def _reads(block: Block, file: int) -> bool:
    """Say whether a block reads file number ``file`` of its bundle, or a later one."""
    return any(source.base & BUILT and source.base - BUILT >= file for source in block.sources)
