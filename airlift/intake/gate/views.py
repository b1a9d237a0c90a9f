"""Bytes that can be looked at, wherever they lie: in a file, in a part of it, or in what is being unpacked.

Everything here is bounded: a read returns at most what it asks for, and what is unpacked passes through a window of
``KEPT`` bytes and counts against a :class:`Budget`.
"""

import json
import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, Protocol

from airlift import files

WINDOW = 16 << 10
"""Bytes at the start of a file that a recogniser gets."""
CHUNK = 16 << 10
KEPT = 4 << 20
_STEP = 4096


class DamagedStreamError(Exception):
    """Raised within this room by what unpacks: the stream cannot be read on."""


class StarvedStreamError(DamagedStreamError):
    """Raised by what unpacks: reading on takes more memory than there is for it."""


class View(Protocol):
    """Bytes from 0 on."""

    def read(self, offset: int, length: int) -> bytes:
        """Return bytes ``[offset, offset + length)``; fewer at the end, or where no more can be had."""
        ...

    def size(self) -> int | None:
        """Return how many bytes there are, None where that is not known without unpacking more."""
        ...

    def reach(self) -> int | None:
        """Return how many bytes there are, unpacking up to ``KEPT`` to know it; None if there are more."""
        ...


@dataclass(frozen=True, slots=True)
class Opened:
    """An open file of ``length`` bytes; ``name`` is for messages."""

    descriptor: int
    length: int
    name: str

    def read(self, offset: int, length: int) -> bytes:
        """Return bytes of the file.

        Raises:
            UncheckedError: it cannot be read.
        """
        with files.reading(self.name):
            return files.read_at(self.descriptor, offset, min(length, max(0, self.length - offset)))

    def size(self) -> int | None:
        """Return the length of the file when it was opened."""
        return self.length

    def reach(self) -> int | None:
        """Return the length of the file when it was opened."""
        return self.length


@dataclass(frozen=True, slots=True)
class Held:
    """Bytes in memory."""

    data: bytes

    def read(self, offset: int, length: int) -> bytes:
        """Return some of the bytes."""
        return self.data[offset : offset + length]

    def size(self) -> int | None:
        """Return their number."""
        return len(self.data)

    def reach(self) -> int | None:
        """Return their number."""
        return len(self.data)


def view_file(descriptor: int, name: str) -> Opened | Held:
    """Return a view of an open file as long as it is now; a small one is read at once.

    Raises:
        UncheckedError: it cannot be read.
    """
    with files.reading(name):
        size = os.fstat(descriptor).st_size
        if size <= files.SMALL_BYTES:
            return Held(files.read_at(descriptor, 0, size))
        return Opened(descriptor, size, name)


@dataclass(frozen=True, slots=True)
class Part:
    """Bytes ``[start, start + length)`` of another view; to its end where ``length`` is None."""

    whole: View
    start: int
    length: int | None = None

    def read(self, offset: int, length: int) -> bytes:
        """Return some of the bytes."""
        if self.length is not None:
            length = min(length, self.length - offset)
        return self.whole.read(self.start + offset, length) if length > 0 else b""

    def size(self) -> int | None:
        """Return how many of the stated bytes are there; None where it would take long to get to the last."""
        return self._there(self.whole.size())

    def reach(self) -> int | None:
        """Return how many of the stated bytes are there."""
        return self._there(self.whole.reach())

    def _there(self, whole: int | None) -> int | None:
        if whole is None:
            return self.length if self.length is not None and self.length <= KEPT - CHUNK else None
        there = max(0, whole - self.start)
        return there if self.length is None else min(there, self.length)


@dataclass(slots=True)
class Budget:
    """How much may still be unpacked and how many members looked at, for one file with all that is in it."""

    unpacked: int = 1 << 30
    members: int = 200_000

    @property
    def spent(self) -> bool:
        """Say whether something was left unseen for want of budget."""
        return self.unpacked <= 0 or self.members <= 0


@dataclass(slots=True)
class Unpacked:
    """What a stream unpacks to, the last ``KEPT`` bytes of it at hand; ``damaged`` if it broke off.

    ``starved`` says that it did for want of memory.

    ``start`` begins to unpack; a read of bytes that have left the window begins anew. What the budget does not reach
    is not there: reads of it are empty.
    """

    start: Callable[[], Iterator[bytes]]
    budget: Budget
    damaged: bool = False
    starved: bool = False
    ended: bool = False
    _start: int = 0
    _kept: bytearray = field(default_factory=bytearray)
    _chunks: Iterator[bytes] | None = None

    def read(self, offset: int, length: int) -> bytes:
        """Return some of the bytes, unpacking as far as needed."""
        length = min(length, KEPT - CHUNK)
        if offset < self._start:
            self._start, self._chunks, self.ended = 0, None, False
            self._kept.clear()
        while self._start + len(self._kept) < offset + length and self._more():
            self._trim(offset)
        return bytes(self._kept[offset - self._start : offset - self._start + length])

    def size(self) -> int | None:
        """Return how many bytes there are once the end was seen."""
        return self._start + len(self._kept) if self.ended and not self.damaged else None

    def reach(self) -> int | None:
        """Return how many bytes there are if no more than ``KEPT``."""
        while self._start + len(self._kept) <= KEPT - CHUNK and self._more():
            pass
        return self.size()

    def _more(self) -> bool:
        if self.ended or self.budget.unpacked <= 0:
            return False
        try:
            self._chunks = self._chunks or self.start()
            chunk = next(self._chunks, None)
        except DamagedStreamError as error:
            chunk, self.damaged = None, True
            self.starved = isinstance(error, StarvedStreamError)
        if chunk is None:
            self.ended = True
            return False
        self.budget.unpacked -= max(_STEP, len(chunk))
        self._kept += chunk
        return True

    def _trim(self, wanted: int) -> None:
        """Forget what lies before the window; what is wanted stays."""
        excess = min(len(self._kept) - KEPT + CHUNK, wanted - self._start)
        if excess > 0:
            del self._kept[:excess]
            self._start += excess


def read_whole(view: View, limit: int) -> bytes | None:
    """Return all bytes of a view, read forwards; None if there are more than ``limit``."""
    parts, offset = [], 0
    while part := view.read(offset, min(1 << 20, limit + 1 - offset)):
        parts.append(part)
        offset += len(part)
    return b"".join(parts) if offset <= limit else None


def pairs_in(document: Any) -> Iterator[tuple[str, Any]]:
    """Yield every key with its value of the objects in a JSON document, at whatever depth."""
    waiting: list[Any] = [document]
    while waiting:
        item = waiting.pop()
        if isinstance(item, dict):
            yield from item.items()
            waiting += item.values()
        elif isinstance(item, list):
            waiting += item


def first_in_json(
    view: View, limit: int, objections: Callable[[list[tuple[str, Any]]], Iterable[str]], *, what: str
) -> str:
    """Return the first objection to an object of a JSON text, "" if there is none.

    One of more than ``limit`` bytes, or beyond what Python's reader takes, is objected to itself: other versions have
    other limits. What is not JSON at all cannot be loaded by anybody, and has none.
    """
    data = read_whole(view, limit)
    if data is None:
        return f"{what} too long to look into"
    found: list[str] = []

    def look(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found.extend(objections(pairs))
        return dict(pairs)

    try:
        json.loads(data, object_pairs_hook=look)
    except (json.JSONDecodeError, UnicodeDecodeError):
        return ""
    except (ValueError, RecursionError):
        return f"{what} that cannot be looked into"
    return found[0] if found else ""
