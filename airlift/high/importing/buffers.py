"""Memory that is used again, for sources of blocks and for what they decode to.

Fresh memory for every block costs a page fault every 4 KiB, which is as long as reading takes.
"""

from dataclasses import dataclass, field
from threading import Lock

import numpy as np

SMALL_BYTES = 64 << 10
"""What is smaller is not worth keeping."""

IDLE_BYTES = 128 << 20
"""How much is kept that nobody uses at the moment."""


@dataclass(frozen=True, slots=True, eq=False)
class Lent:
    """Memory that was lent: ``data`` is what was asked for, ``whole`` all of it. Equal is only itself."""

    data: memoryview
    whole: memoryview


@dataclass(slots=True)
class Buffers:
    """Lends memory to threads. What was not given back is freed by Python, like any other."""

    _idle: dict[int, list[memoryview]] = field(default_factory=dict)
    _bytes: int = 0
    _lock: Lock = field(default_factory=Lock)

    def take(self, length: int) -> Lent:
        """Return ``length`` bytes to write to; what they hold is arbitrary."""
        size = 1 << (length - 1).bit_length() if length > SMALL_BYTES else length
        with self._lock:
            found = self._idle.get(size)
            whole = found.pop() if found else None
            self._bytes -= len(whole) if whole is not None else 0
        if whole is None:
            whole = np.empty(size, np.uint8).data
        return Lent(whole[:length], whole)

    def give_back(self, lent: Lent) -> None:
        """Take back memory that nobody reads any more."""
        size = len(lent.whole)
        if size <= SMALL_BYTES:
            return
        with self._lock:
            if self._bytes + size <= IDLE_BYTES:
                self._idle.setdefault(size, []).append(lent.whole)
                self._bytes += size
