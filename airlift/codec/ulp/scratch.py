"""Reuse of memory from block to block: fresh pages would cost a quarter of the time that is computed in them."""

import weakref
from collections import deque
from dataclasses import dataclass, field

import numpy as np

from airlift.codec.ulp.unit import Array

KEPT = 6
"""At most so many unused pieces are kept, of a few MiB each."""


@dataclass(frozen=True, slots=True)
class Scratch:
    """Pieces of memory that are free to be used again, by any thread."""

    spare: deque[Array] = field(default_factory=lambda: deque(maxlen=KEPT))

    def take(self, size: int) -> Array:
        """Return ``size`` octets of any content, the caller's until the array and all its views are gone."""
        try:
            whole = self.spare.pop()
        except IndexError:
            whole = np.empty(0, np.uint8)
        if whole.nbytes < size:
            whole = np.empty(((size >> 20) + 1) << 20, np.uint8)
        # Not a view of an array, which its own views would not keep alive.
        taken = np.frombuffer(whole.data[:size], np.uint8)
        weakref.finalize(taken, self.spare.append, whole).atexit = False
        return taken
