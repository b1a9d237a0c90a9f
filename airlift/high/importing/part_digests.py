"""Digest a file part by part while its blocks are decoded, on whichever thread has the next bytes (SPEC 7.3-9).

A part is what has a digest of its own: a piece, or a whole file. Its digest is one chain; those of several parts run
side by side. Whoever decoded the bytes that a chain waits for goes on with it, and with what has come after them.
"""

import hashlib
from collections.abc import Iterable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from threading import Lock

from airlift.bundle.chunk import Block, Source
from airlift.bundle.fields import FileDigest
from airlift.errors import BaselineDamagedError, DigestError
from airlift.high.enclave.expected import Part
from airlift.high.importing.source_files import SourceFiles

MAX_RANGES = 4096
"""How many ranges are remembered of what was read for a part; beyond that, one of each base."""


class Segment:
    """The bytes of one block that are to be digested, in as many parts as it lies in."""

    __slots__ = ("_left", "block", "done")

    def __init__(self, block: Block) -> None:
        self.block = block
        self.done = Future[None]()
        self._left = block.length

    def digested(self, count: int) -> None:
        """Take note that ``count`` of its bytes were digested; the caller holds the lock of their file."""
        self._left -= count
        if not self._left:
            self.done.set_result(None)


class _Chain:
    """The digest of one part: how far it is, what waits, and what its blocks read of each base."""

    __slots__ = ("busy", "next", "part", "ranges", "running", "used", "waiting")

    def __init__(self, part: Part) -> None:
        self.part, self.next, self.busy = part, part.start, False
        self.running = hashlib.new(part.algorithm)
        self.waiting = dict[int, tuple[memoryview, Segment]]()
        self.used, self.ranges = dict[int, list[Source]](), 0

    def note(self, sources: Iterable[Source]) -> None:
        """Take note of what is read for this part: ranges that touch are one, and very many are one as well."""
        for source in sources:
            known = self.used.setdefault(source.base, [])
            if known and _touch(known[-1], source):
                known[-1] = _hull((known[-1], source))
            else:
                known.append(source)
                self.ranges += 1
        if self.ranges > MAX_RANGES:
            for known in self.used.values():
                known[:] = [_hull(known)]
            self.ranges = 0  # those that come on top of one of each base


def _touch(one: Source, other: Source) -> bool:
    """Say whether two ranges of a base overlap, or one begins where the other ends."""
    return one.start <= other.start + other.length and other.start <= one.start + one.length


def _hull(ranges: Sequence[Source]) -> Source:
    """Return the range of a base that has all of these in it."""
    start = min(one.start for one in ranges)
    return Source(ranges[0].base, start, max(one.start + one.length for one in ranges) - start)


class PartDigests:
    """The digests of one file. Blocks are announced in order by one thread, and come from any, in any order."""

    __slots__ = ("_chains", "_each", "_item", "_left", "_lock", "_sources", "right")

    def __init__(self, source_files: SourceFiles, item: FileDigest) -> None:
        self._sources, self._item = source_files, item
        self._each, self._left = source_files.expected.part_bytes(item), item.size
        self._chains = dict[int, _Chain]()
        self._lock = Lock()
        self.right = Future[None]()

    def announce(self, block: Block) -> Segment:
        """Return what stands for the bytes of the next block, which will come."""
        for number in self._numbers(block):
            with self._lock:
                chain = self._chains.get(number)
                if chain is None:
                    part = self._sources.expected.part(self._item, number)
                    chain = self._chains[number] = _Chain(part)
                chain.note(block.sources)
        return Segment(block)

    def add(self, segment: Segment, data: memoryview) -> None:
        """Digest the bytes of a block, and what has come after them; or leave them to the thread that does that."""
        for number in self._numbers(segment.block):
            chain = self._chains[number]
            start = max(segment.block.start, chain.part.start)
            end = min(segment.block.start + len(data), chain.part.end)
            own = data[start - segment.block.start : end - segment.block.start]
            with self._lock:
                chain.waiting[start] = own, segment
                mine = not chain.busy and start == chain.next
                chain.busy = chain.busy or mine
            if mine:
                self._go_on(chain)

    def fail(self, error: BaseException) -> None:
        """Say that something went wrong; only what was said first counts."""
        with self._lock:
            if not self.right.done():
                self.right.set_exception(error)

    def settle(self, segment: Segment) -> None:
        """Wait until the bytes of a block were digested.

        Raises:
            AirliftError: something in this file is not what was signed.
        """
        if not segment.done.done():
            wait((segment.done, self.right), return_when=FIRST_COMPLETED)
        if self.right.done():
            self.right.result()

    def _numbers(self, block: Block) -> range:
        return range(block.start // self._each, (block.start + block.length - 1) // self._each + 1)

    def _go_on(self, chain: _Chain) -> None:
        """Digest what waits in a chain, as long as it is the next."""
        while True:
            with self._lock:
                found = chain.waiting.pop(chain.next, None)
                if found is None:
                    chain.busy = False
                    return
            data, segment = found
            chain.running.update(data)
            chain.next += len(data)
            if chain.next == chain.part.end:
                self._end(chain)
            with self._lock:
                segment.digested(len(data))

    def _end(self, chain: _Chain) -> None:
        """Compare the digest of a part whose bytes have all come."""
        found, part = chain.running.hexdigest(), chain.part
        if found != part.digest:
            used = [source for ranges in chain.used.values() for source in ranges]
            self.fail(_fault(self._sources, self._item, part, found, used))
            return
        with self._lock:
            self._chains.pop(part.start // self._each, None)
            self._left -= part.end - part.start
            if not self._left and not self.right.done():
                self.right.set_result(None)


def check_whole(sources: SourceFiles, item: FileDigest, data: memoryview, used: Iterable[Source]) -> None:
    """Check the digest of a file that is in memory at once, and was decoded from the bases ``used``.

    Raises:
        BaselineDamagedError: it is wrong, and a base is no longer what was installed.
        DigestError: it is wrong.
    """
    part = sources.expected.part(item, 0)
    found = hashlib.new(part.algorithm, data).hexdigest()
    if found != part.digest:
        raise _fault(sources, item, part, found, used)


def _fault(
    sources: SourceFiles, item: FileDigest, part: Part, found: str, used: Iterable[Source]
) -> DigestError | BaselineDamagedError:
    """Return the error about a part that is not right: if a base is damaged, that one is to blame."""
    whole = part.end - part.start >= item.size
    where = "" if whole else f" in its bytes {part.start} to {part.end}"
    error = DigestError(
        f"a rebuilt file does not have its signed digest{where}", expected=part.digest, found=found
    )
    try:
        sources.blame(used, error)
    except BaselineDamagedError as named:
        return named
    return error
