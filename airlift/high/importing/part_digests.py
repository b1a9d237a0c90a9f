"""Digest a file part by part while its blocks are decoded, on whichever thread has the next bytes (SPEC 7.3-9).

A part is what has a digest of its own: a piece, or a whole file. Its digest is one chain; those of several parts run
side by side. Whoever decoded the bytes that a chain waits for goes on with it, and with what has come after them.

Where one thread digests several pieces as quickly as two (:mod:`airlift.digests`), so many of a file are a group:
whoever decoded the last bytes of it digests them. What cannot come as long as other bytes wait is not waited for:
such a group is broken up, and each of its pieces is a chain again.
"""

import hashlib
from collections.abc import Iterable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from threading import Lock

from airlift import digests
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


class _Group:
    """Pieces ``first`` to ``end`` (not included), digested at once: how many bytes are due, were announced, came."""

    __slots__ = ("announced", "come", "due", "end", "first")

    def __init__(self, first: int, end: int, due: int) -> None:
        self.first, self.end, self.due = first, end, due
        self.announced = self.come = 0


def _touch(one: Source, other: Source) -> bool:
    """Say whether two ranges of a base overlap, or one begins where the other ends."""
    return one.start <= other.start + other.length and other.start <= one.start + one.length


def _hull(ranges: Sequence[Source]) -> Source:
    """Return the range of a base that has all of these in it."""
    start = min(one.start for one in ranges)
    return Source(ranges[0].base, start, max(one.start + one.length for one in ranges) - start)


class PartDigests:
    """The digests of one file. Blocks are announced in order by one thread, and come from any, in any order."""

    __slots__ = ("_chains", "_each", "_groups", "_item", "_left", "_lock", "_sources", "_width", "right")

    def __init__(self, source_files: SourceFiles, item: FileDigest) -> None:
        self._sources, self._item = source_files, item
        self._each, self._left = source_files.expected.part_bytes(item), item.size
        self._chains = dict[int, _Chain]()
        self._groups = dict[int, _Group | None]()
        self._width = digests.width() if self._each < item.size else 1
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
                group = self._group(number)
                if group is not None:
                    start, end = _within(block, chain.part)
                    group.announced += end - start
        return Segment(block)

    def add(self, segment: Segment, data: memoryview) -> None:
        """Digest the bytes of a block, and what has come after them; or leave them to the thread that does that."""
        for number in self._numbers(segment.block):
            chain = self._chains[number]
            start, end = _within(segment.block, chain.part)
            own = data[start - segment.block.start : end - segment.block.start]
            with self._lock:
                chain.waiting[start] = own, segment
                group = self._group(number)
                if group is not None:
                    group.come += len(own)
                    mine = group.come == group.due
                else:
                    mine = self._take(chain)
            if mine and group is not None:
                self._digest_group(group)
            elif mine:
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
            self._break_up(segment)
            wait((segment.done, self.right), return_when=FIRST_COMPLETED)
        if self.right.done():
            self.right.result()

    def _numbers(self, block: Block) -> range:
        return range(block.start // self._each, (block.start + block.length - 1) // self._each + 1)

    def _group(self, number: int) -> _Group | None:
        """Return the group that a piece is in, None if it is in none; the caller holds the lock."""
        place = number // self._width
        if self._width > 1 and place not in self._groups:
            first, whole = place * self._width, self._item.size // self._each
            end = min(first + self._width, whole)
            due = (end - first) * self._each
            self._groups[place] = _Group(first, end, due) if end - first > 1 else None
        group = self._groups.get(place)
        return group if group is not None and number < group.end else None

    def _break_up(self, segment: Segment) -> None:
        """Make chains of the pieces of a group that has not been announced to its end: it may never come to that."""
        for number in self._numbers(segment.block):
            with self._lock:
                group = self._group(number)
                if group is None or group.announced == group.due:
                    continue
                self._groups[number // self._width] = None
                known = [self._chains[n] for n in range(group.first, group.end) if n in self._chains]
                mine = [chain for chain in known if self._take(chain)]
            for chain in mine:
                self._go_on(chain)

    def _take(self, chain: _Chain) -> bool:
        """Take a chain whose next bytes are there, and that nobody has taken; the caller holds the lock."""
        mine = not chain.busy and chain.next in chain.waiting
        chain.busy = chain.busy or mine
        return mine

    def _digest_group(self, group: _Group) -> None:
        """Digest the pieces of a group, all of whose bytes are there."""
        chains = [self._chains[number] for number in range(group.first, group.end)]
        rests = [[data for _, (data, _) in sorted(chain.waiting.items())] for chain in chains]
        running = digests.start(len(chains))
        while all(rests):
            length = min(len(rest[0]) for rest in rests)
            running.feed([rest[0][:length] for rest in rests])
            for rest in rests:
                rest[0] = rest[0][length:]
                if not rest[0]:
                    del rest[0]
        for chain, found in zip(chains, running.finish(), strict=True):
            self._end(chain, found if found == chain.part.digest else _by_openssl(chain))
        with self._lock:
            for chain in chains:
                for data, segment in chain.waiting.values():
                    segment.digested(len(data))
                chain.waiting.clear()

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
                self._end(chain, chain.running.hexdigest())
            with self._lock:
                segment.digested(len(data))

    def _end(self, chain: _Chain, found: str) -> None:
        """Compare the digest of a part whose bytes have all come."""
        part = chain.part
        if found != part.digest:
            used = [source for ranges in chain.used.values() for source in ranges]
            self.fail(_fault(self._sources, self._item, part, found, used))
            return
        with self._lock:
            self._chains.pop(part.start // self._each, None)
            self._left -= part.end - part.start
            if not self._left and not self.right.done():
                self.right.set_result(None)


def _by_openssl(chain: _Chain) -> str:
    """Return the digest (hex) of a part whose bytes all wait."""
    for _, (data, _) in sorted(chain.waiting.items()):
        chain.running.update(data)
    return chain.running.hexdigest()


def _within(block: Block, part: Part) -> tuple[int, int]:
    """Return where in the file the bytes of a block begin and end that lie in a part."""
    return max(block.start, part.start), min(block.start + block.length, part.end)


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
