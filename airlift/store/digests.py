"""Digests of bytes as they come: SHA-512 and SHA-256 of all of them, and SHA-512 of each piece (SPEC 5.8)."""

import hashlib
from collections.abc import Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass

from airlift.bundle import release as releases


@dataclass(frozen=True, slots=True)
class Digested:
    """A file that was digested: size in bytes, both digests in hex; ``new`` says that it was not held before.

    ``pieces`` are the SHA-512 of its pieces, joined: nothing if it has none, or nobody asked for them.
    """

    size: int
    sha512: str
    sha256: str
    new: bool
    pieces: bytes = b""


class PieceDigests:
    """The SHA-512 of the pieces of bytes that come in order."""

    __slots__ = ("_done", "_left", "_piece", "_running", "_size")

    def __init__(self) -> None:
        self._piece = releases.PIECE_BYTES
        self._running, self._left = hashlib.sha512(), self._piece
        self._done, self._size = bytearray(), 0

    def add(self, data: bytes | memoryview) -> None:
        """Digest the next bytes."""
        rest = memoryview(data)
        self._size += len(rest)
        while rest:
            part, rest = rest[: self._left], rest[self._left :]
            self._running.update(part)
            self._left -= len(part)
            if not self._left:
                self._done += self._running.digest()
                self._running, self._left = hashlib.sha512(), self._piece

    def joined(self) -> bytes:
        """Return the SHA-512 of all pieces, joined; nothing if the bytes are too few to have any."""
        if self._size <= self._piece:
            return b""
        return bytes(self._done) + (self._running.digest() if self._left < self._piece else b"")


class Digests:
    """All digests of bytes that come in order; those of ``pieces`` if they are wanted, on the thread ``beside``."""

    __slots__ = ("_beside", "_pieces", "_sha256", "_sha512", "_size")

    def __init__(self, *, pieces: bool = True, beside: Executor | None = None) -> None:
        self._sha512, self._sha256, self._size = hashlib.sha512(), hashlib.sha256(), 0
        self._beside, self._pieces = beside, PieceDigests() if pieces else None

    def add(self, data: bytes | memoryview) -> None:
        """Digest the next bytes; they may be given up afterwards."""
        waited = None
        if self._pieces is not None and self._beside is not None:
            waited = self._beside.submit(self._pieces.add, data)
        elif self._pieces is not None:
            self._pieces.add(data)
        self._sha512.update(data)
        self._sha256.update(data)
        self._size += len(data)
        if waited is not None:
            waited.result()

    def digested(self) -> Digested:
        """Return what has come by now; ``new`` is True."""
        pieces = b"" if self._pieces is None else self._pieces.joined()
        return Digested(self._size, self._sha512.hexdigest(), self._sha256.hexdigest(), True, pieces)


@contextmanager
def digesting(size: int, *, pieces: bool) -> Iterator[Digests]:
    """Give what digests ``size`` bytes, and their pieces if there are any and ``pieces`` asks for them."""
    if not pieces or size <= releases.PIECE_BYTES:
        yield Digests(pieces=False)
        return
    with ThreadPoolExecutor(1) as beside:
        yield Digests(beside=beside)
