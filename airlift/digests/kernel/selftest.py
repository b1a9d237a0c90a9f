"""The known answer: what every implementation must make of messages that OpenSSL has digested, too.

They come in parts that end before, at and after the ends of steps, for every number of messages.
"""

import hashlib
from collections.abc import Sequence
from itertools import pairwise
from typing import Protocol

LENGTHS = (0, 1, 111, 112, 127, 128, 129, 255, 256, 257, 1000, 1024, 4096)
"""Where a message is parted, and where it ends, in bytes."""

_WRONG = (ArithmeticError, AttributeError, LookupError, TypeError, ValueError)
"""What an implementation may raise that is wrong, or of another version."""


class Running(Protocol):
    """Digests that are under way."""

    def feed(self, members: Sequence[memoryview]) -> None:
        """Go on with every message, by as many bytes each."""

    def finish(self) -> list[str]:
        """Return the digests (hex)."""


class Kernel(Protocol):
    """An implementation; :mod:`airlift.digests.reference` is one."""

    @property
    def name(self) -> str:
        """Its name."""

    @property
    def width(self) -> int:
        """How many messages are worth being digested at once."""

    def start(self, count: int) -> Running:
        """Return what digests ``count`` messages."""


def passes(using: Kernel) -> bool:
    """Say whether an implementation gives the answers of OpenSSL."""
    try:
        return all(
            _is_right(using, count, length) for count in range(1, using.width + 1) for length in LENGTHS
        )
    except _WRONG:
        return False


def _is_right(using: Kernel, count: int, length: int) -> bool:
    messages = [hashlib.shake_256(bytes([lane])).digest(max(LENGTHS))[:length] for lane in range(count)]
    running = using.start(count)
    for start, end in pairwise(sorted({*LENGTHS})):
        if end <= length:
            running.feed([memoryview(message)[start:end] for message in messages])
    return running.finish() == [hashlib.sha512(message).hexdigest() for message in messages]
