"""Read content of the depot into memory that is used again: targets in order and digested, bases where blocks point.

Fresh memory for every block costs a page fault every 4 KiB, which is as long as reading takes.
"""

import hashlib
import os
from dataclasses import dataclass, field

import numpy as np

from airlift import files
from airlift.errors import DigestError
from airlift.low.bundle.planning.coding_plan import CodingPlan, Placed
from airlift.low.depot.depot import Depot
from airlift.low.depot.digest_cache import TARGET_AGE, DigestCache
from airlift.store.content import stamp
from airlift.tensors.matching.segment import Segment


@dataclass(slots=True)
class Buffer:
    """Memory for one range at a time."""

    _data: memoryview = field(default_factory=lambda: memoryview(b""))

    def take(self, length: int) -> memoryview:
        """Return ``length`` bytes to write to; what was taken before is given up."""
        if len(self._data) < length:
            self._data = np.empty(length, np.uint8).data
        return self._data[:length]


@dataclass(slots=True)
class Targets:
    """Reads the files of a plan block by block and in order; digests those that were not digested within a day.

    Of others it looks whether their file was touched meanwhile. Without a ``cache`` neither is done.
    """

    depot: Depot
    plan: CodingPlan
    cache: DigestCache | None
    _running: "hashlib._Hash | None" = None
    _looks: str = ""

    def read(self, number: int, block: Segment, buffer: Buffer) -> memoryview:
        """Return the bytes of the next block of file ``number`` of the plan.

        Raises:
            DigestError: they are the last ones, and the file is not what the release says.
            UncheckedError: it cannot be read.
        """
        placed = self.plan.files[number]
        sha512 = placed.entry.sha512
        if not block.start:
            spared = self.cache is None or self.cache.is_fresh(sha512, TARGET_AGE)
            self._running, self._looks = None if spared else hashlib.sha512(), self._look(sha512)
        data = read(self.depot, sha512, block.start, buffer.take(block.length))
        if self._running is not None:
            self._running.update(data)
        if self.cache is not None and block.end == placed.entry.size:
            self._finish(placed, self.cache)
        return data

    def _finish(self, placed: Placed, cache: DigestCache) -> None:
        sha512, untouched = placed.entry.sha512, self._look(placed.entry.sha512) == self._looks
        if self._running is not None:
            good = self._running.hexdigest() == sha512
        else:
            good = untouched or self.depot.content.verified_stamp(sha512, lambda _: None) is not None
        if not good:
            raise changed(self.depot, placed)
        if self._running is not None and untouched:
            cache.note(sha512, self._looks)

    def _look(self, sha512: str) -> str:
        path = self.depot.content.path(sha512)
        with files.reading(path):
            return stamp(path.stat())


def read(depot: Depot, sha512: str, start: int, buffer: memoryview) -> memoryview:
    """Return ``buffer``, filled with the bytes of content from ``start`` on.

    Raises:
        DigestError: the content is too short.
        UncheckedError: it cannot be read.
    """
    path = depot.content.path(sha512)
    descriptor = files.open_regular(path)
    try:
        with files.reading(path):
            count = files.read_into(descriptor, start, buffer)
    finally:
        os.close(descriptor)
    if count != len(buffer):
        raise DigestError(f"content {sha512[:16]} of the depot is shorter than it was")
    return buffer


def changed(depot: Depot, placed: Placed) -> DigestError:
    """Return the error that says that a file of the depot is not what a release says."""
    return DigestError(
        f"{placed.component}/{placed.entry.path} is missing from the depot or has changed",
        expected=f"SHA-512 {placed.entry.sha512}",
        hint=depot.repair_hint(placed.entry.sha512),
    )
