"""Encode the blocks of a plan on threads, in order and in bounded memory (SPEC L4.4, L4.5).

One thread reads the targets in order, and digests those that were not digested within a day; others read the sources
of each block, code it, and, unless checking is off, decode it again and compare. At most ``2 * workers`` are in
flight, so memory does not depend on the size of a model, and what comes out does not depend on the number of workers.
"""

from collections import deque
from collections.abc import Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from queue import SimpleQueue

from airlift import codec
from airlift.codec import Coded, Effort
from airlift.codec.plain.raw_equal import same
from airlift.errors import DigestError
from airlift.low.bundle.content_reader import Buffer, Targets, changed, read
from airlift.low.bundle.job import Coding
from airlift.low.bundle.planning.coding_plan import BlockLimits, CodingPlan, cut_plan
from airlift.low.depot.depot import Depot
from airlift.low.depot.digest_cache import BASE_AGE, DigestCache
from airlift.progress import Progress, Tally
from airlift.store.content import CountBytes
from airlift.tensors.element import Element
from airlift.tensors.matching.hint import Conversion, Hint
from airlift.tensors.matching.segment import Segment, Source

BLOCK_BYTES = 8 << 20
SMALL_FILE = 32 << 20


@dataclass(frozen=True, slots=True)
class Turn:
    """A block of file number ``file`` of the plan; ``coded`` is what others made of it, None: it is to be coded."""

    file: int
    segment: Segment
    coded: Coded | None = None


@dataclass(frozen=True, slots=True)
class Encoded:
    """A coded block of file number ``file`` of the plan."""

    file: int
    segment: Segment
    codec: int
    payload: bytes

    @property
    def sources(self) -> tuple[Source, ...]:
        """What the decoder must be given."""
        return self.segment.sources[: codec.sources(self.codec)]


def check_bases(plan: CodingPlan, cache: DigestCache, workers: int, progress: Progress) -> None:
    """Digest the bases that will be read, unless that was done lately; targets are digested when they are coded.

    Raises:
        DigestError: a base is missing or has changed.
    """
    targets = {item.entry.sha512 for item in plan.files}
    bases = [item for item in plan.contents() if item.entry.sha512 not in targets]
    bases = [item for item in bases if not cache.is_fresh(item.entry.sha512, BASE_AGE)]
    tally = Tally("checking", sum(item.entry.size for item in bases), progress)
    with ThreadPoolExecutor(workers) as pool:
        looks = pool.map(lambda item: cache.depot.content.verified_stamp(item.entry.sha512, tally.add), bases)
        for item, look in zip(bases, looks, strict=True):
            if look is None:
                raise changed(cache.depot, item)
            cache.note(item.entry.sha512, look)


def encode(
    plan: CodingPlan,
    cache: DigestCache,
    limits: BlockLimits,
    coding: Coding,
    *,
    read: CountBytes,
    turns: Iterable[Turn] | None = None,
) -> Generator[Encoded, None, None]:
    """Yield every block of the plan, coded, in the order of the files; ``read`` is told of the target bytes done.

    With ``turns`` it is these blocks, in their order.

    Raises:
        DigestError: a target has changed; or, where blocks are checked, a block does not decode to what it was made
            from (a bug, or broken memory).
        UncheckedError: the depot cannot be read.
    """
    work = _Work(cache.depot, plan, coding)
    for _ in range(coding.workers):
        work.free.put(_Memory())
    if turns is None:
        turns = (Turn(number, segment) for number, segment in cut_plan(plan, limits))
    targets = Targets(cache.depot, plan, cache if coding.digest else None)
    buffers = [Buffer() for _ in range(2 * coding.workers)]
    queue: deque[Future[Encoded]] = deque()
    with ThreadPoolExecutor(1) as first, ThreadPoolExecutor(coding.workers) as pool:
        try:
            for count, turn in enumerate(turns):
                if len(queue) == len(buffers):  # the one that comes out had the buffer that the next one gets
                    yield _told(queue.popleft().result(), read)
                target = first.submit(targets.read, turn.file, turn.segment, buffers[count % len(buffers)])
                queue.append(pool.submit(_encode_block, work, turn, target))
            while queue:
                yield _told(queue.popleft().result(), read)
        finally:
            first.shutdown(wait=False, cancel_futures=True)
            pool.shutdown(wait=False, cancel_futures=True)


def _told(item: Encoded, read: CountBytes) -> Encoded:
    read(item.segment.length)
    return item


@dataclass(slots=True)
class _Memory:
    """Memory of one worker: buffers for sources, and for the decoded block."""

    sources: tuple[Buffer, ...] = field(
        default_factory=lambda: tuple(Buffer() for _ in range(codec.MAX_SOURCES))
    )
    out: Buffer = field(default_factory=Buffer)


@dataclass(frozen=True, slots=True)
class _Work:
    """What the workers share; ``free`` holds the memory that no worker uses at the moment."""

    depot: Depot
    plan: CodingPlan
    coding: Coding
    free: SimpleQueue[_Memory] = field(default_factory=SimpleQueue)

    @contextmanager
    def memory(self) -> Iterator[_Memory]:
        """Lend memory to a worker; it is free again when the block ends."""
        mine = self.free.get()
        try:
            yield mine
        finally:
            self.free.put(mine)

    def effort(self, number: int, segment: Segment) -> Effort:
        """Return how hard to try: opaque bytes of a small file cost little time, however hard."""
        small = segment.element is Element.BYTES and self.plan.files[number].entry.size <= SMALL_FILE
        return Effort.HIGH if small and self.coding.effort is Effort.NORMAL else self.coding.effort


def _encode_block(work: _Work, turn: Turn, reading: "Future[memoryview]") -> Encoded:
    target, number, segment = reading.result(), turn.file, turn.segment
    if turn.coded is not None and not work.coding.check:
        return Encoded(number, segment, turn.coded.codec, turn.coded.payload)
    with work.memory() as memory:
        sources = [
            read(
                work.depot,
                work.plan.source(source.file).entry.sha512,
                source.start,
                buffer.take(source.end - source.start),
            )
            for source, buffer in zip(segment.sources, memory.sources, strict=False)
        ]
        coded = turn.coded or _encode(work, turn, target, sources)
        item = Encoded(number, segment, coded.codec, coded.payload)
        if work.coding.check:
            _check(work.plan, item, target, sources, memory.out)
    return item


def _encode(work: _Work, turn: Turn, target: memoryview, sources: list[memoryview]) -> Coded:
    segment = turn.segment
    effort, hint = work.effort(turn.file, segment), _with_scales(work, segment)
    return codec.encode(target, sources, segment.element, segment.rows, effort=effort, hint=hint)


def _with_scales(work: _Work, segment: Segment) -> Hint:
    """Return the hint of a segment, with the scales that go into the payload."""
    hint, aside = segment.hint, segment.aside
    if aside is None or not isinstance(hint, Conversion):
        return hint
    sha512 = work.plan.source(aside.file).entry.sha512
    return replace(
        hint, scales=bytes(read(work.depot, sha512, aside.start, Buffer().take(aside.end - aside.start)))
    )


def _check(
    plan: CodingPlan, item: Encoded, target: memoryview, sources: list[memoryview], buffer: Buffer
) -> None:
    """Decode a block again and compare."""
    segment, used = item.segment, sources[: len(item.sources)]
    again = codec.decode(
        item.codec, item.payload, used, len(target), segment.element, out=buffer.take(len(target))
    )
    if not same(again, target):
        raise DigestError(
            f"a block of {plan.files[item.file].entry.path} does not decode to what it was made from",
            found=f"codec {codec.names()[item.codec]}, bytes {segment.start} to {segment.end}",
            hint="check this machine's memory; if it is sound this is a bug: report it",
        )
