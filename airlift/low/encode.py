"""Encode the blocks of a plan on threads, in order and in bounded memory (SPEC 6.6).

Each block is read (its target bytes and its sources), coded, and, unless checking is off, decoded again and
compared. At most ``2 * workers`` blocks are in flight, so memory does not depend on the size of a model, and what
comes out does not depend on the number of workers.
"""

import os
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial

from airlift import codec, files
from airlift.codec import Effort
from airlift.errors import DigestError
from airlift.low import content
from airlift.low.content import Read, Tally
from airlift.low.depot import Depot
from airlift.low.plan import Plan, blocks
from airlift.progress import Progress
from airlift.tensors.segment import Segment, Source

BLOCK_BYTES = 4 << 20


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


def check_contents(depot: Depot, plan: Plan, workers: int, progress: Progress) -> None:
    """Digest every file that will be read: what has rotted in the depot must not go out.

    Raises:
        DigestError: a file is missing or has changed.
    """
    wanted = plan.contents()
    tally = Tally("checking", sum(item.entry.size for item in wanted), progress)
    with ThreadPoolExecutor(workers) as pool:
        good = pool.map(
            lambda item: content.verify(depot, item.entry.sha512, tally.add, item.entry.sha256), wanted
        )
        for item, is_good in zip(wanted, good, strict=True):
            if not is_good:
                raise DigestError(
                    f"{item.component}/{item.entry.path} is missing from the depot or has changed",
                    expected=f"SHA-512 {item.entry.sha512}",
                    hint=content.repair_hint(depot, item.entry.sha512),
                )


def encode(
    depot: Depot,
    plan: Plan,
    *,
    block_bytes: int,
    large_bytes: int,
    workers: int,
    check: bool,
    effort: Effort,
    read: Read,
) -> Iterator[Encoded]:
    """Yield every block of the plan, coded, in the order of the files.

    Raises:
        DigestError: with ``check``, a block does not decode to what it was made from (a bug, or broken memory).
        UncheckedError: the depot cannot be read.
    """
    work = partial(_encode_block, depot, plan, check=check, effort=effort)
    with ThreadPoolExecutor(workers) as pool:
        for item in _ahead(pool, blocks(plan, block_bytes, large_bytes), work, 2 * workers):
            read(item.segment.length)
            yield item


def _ahead(
    pool: ThreadPoolExecutor,
    items: Iterable[tuple[int, Segment]],
    work: "partial[Encoded]",
    window: int,
) -> Iterator[Encoded]:
    """Yield what ``work`` makes of each item, in order, while at most ``window`` are in flight."""
    queue: deque[Future[Encoded]] = deque()
    try:
        for number, segment in items:
            queue.append(pool.submit(work, number, segment))
            if len(queue) >= window:
                yield queue.popleft().result()
        while queue:
            yield queue.popleft().result()
    finally:
        for future in queue:
            future.cancel()


def _encode_block(
    depot: Depot, plan: Plan, number: int, segment: Segment, *, check: bool, effort: Effort
) -> Encoded:
    target = _read(depot, plan.files[number].entry.sha512, segment.start, segment.end)
    sources = [
        _read(depot, plan.source(source.file).entry.sha512, source.start, source.end)
        for source in segment.sources
    ]
    coded = codec.encode(target, sources, segment.element, segment.rows, effort=effort, hint=segment.hint)
    item = Encoded(number, segment, coded.codec, coded.payload)
    if check:
        again = codec.decode(
            coded.codec, coded.payload, sources[: len(item.sources)], len(target), segment.element
        )
        if again != target:
            raise DigestError(
                f"a block of {plan.files[number].entry.path} does not decode to what it was made from",
                found=f"codec {codec.names()[coded.codec]}, bytes {segment.start} to {segment.end}",
                hint="check this machine's memory; if it is sound this is a bug: report it",
            )
    return item


def _read(depot: Depot, sha512: str, start: int, end: int) -> bytes:
    path = depot.content_path(sha512)
    descriptor = files.open_regular(path)
    try:
        with files.reading(path):
            data = files.read_at(descriptor, start, end - start)
    finally:
        os.close(descriptor)
    if len(data) != end - start:
        raise DigestError(f"content {sha512[:16]} of the depot is shorter than it was")
    return data
