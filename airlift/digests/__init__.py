"""SHA-512 of several messages of one length, side by side: what one core computes of one, it computes of four.

    running = digests.start(4)
    running.feed([first, second, third, fourth])
    found = running.finish()

A digest is one chain, each step of which waits for the one before; those of other messages fill the time that the
processor would wait. A vector path does that where the processor has one (:mod:`airlift.digests.kernel`); OpenSSL
computes one after the other elsewhere, and everywhere while it is in FIPS mode (docs/decisions/031).

Nothing here decides what is wrong: who finds a digest that was not signed asks OpenSSL again before saying so.
"""

from airlift.digests.kernel import Running, default

__all__ = ["MOST", "Running", "start", "width"]

MOST = 4
"""How many messages may be digested side by side."""


def width() -> int:
    """Return how many messages are as quick as two here; 1 if there is nothing to gain."""
    return default().width


def start(count: int) -> Running:
    """Return what digests ``count`` messages, at least one and at most :data:`MOST`."""
    return default().start(count)
