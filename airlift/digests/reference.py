"""SHA-512 by OpenSSL, one message after the other: what the compiled kernel does too. To fall back on."""

import hashlib
from collections.abc import Sequence

name = "openssl"
"""Its name among the kernels."""

width = 1
"""It computes one digest at a time."""


class Chains:
    """Digests that are under way, one for each message."""

    def __init__(self, count: int) -> None:
        self._running = [hashlib.sha512() for _ in range(count)]

    def feed(self, members: Sequence[memoryview]) -> None:
        """Go on with every message, by as many bytes each."""
        for running, member in zip(self._running, members, strict=True):
            running.update(member)

    def finish(self) -> list[str]:
        """Return the digests (hex)."""
        return [running.hexdigest() for running in self._running]


def start(count: int) -> Chains:
    """Return what digests ``count`` messages."""
    return Chains(count)
