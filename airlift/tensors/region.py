"""Regions: a file, or a part of one, that is read piece by piece and never as a whole; and a cursor that walks it."""

import os
import struct
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from airlift import files
from airlift.errors import MalformedError

PAGE_BYTES = 64 << 10
MAX_PAGES = 32
MAX_TAKEN_BYTES = 64 << 20
"""What one cursor may take, all in all; what it skips does not count."""
MAX_STEPS = 1 << 22


@dataclass(frozen=True, slots=True)
class Region:
    """``size`` bytes from ``start`` on of something that ``load(start, length)`` reads; places count from 0.

    ``pages`` are those read last: small reads that lie close to each other cost one.
    """

    load: Callable[[int, int], bytes]
    start: int
    size: int
    pages: dict[int, bytes] = field(default_factory=dict, compare=False, repr=False)

    def part(self, start: int, size: int) -> "Region":
        """Return ``size`` bytes from ``start`` on as a region.

        Raises:
            MalformedError: they do not lie in this one.
        """
        self._check(start, size)
        return Region(self.load, self.start + start, size, self.pages)

    def read(self, start: int, length: int) -> bytes:
        """Return exactly ``length`` bytes from ``start`` on.

        Raises:
            MalformedError: there are not as many.
        """
        self._check(start, length)
        place = self.start + start
        number, offset = divmod(place, PAGE_BYTES)
        if offset + length <= PAGE_BYTES:
            found = self._page(number)[offset : offset + length]
        else:
            found = self.load(place, length)
        if len(found) != length:
            raise MalformedError("a file ends early", expected=f"{length} bytes at {place}")
        return found

    def _check(self, start: int, length: int) -> None:
        if not 0 <= start <= start + length <= self.size:
            raise MalformedError(
                "something reaches outside its file",
                expected=f"{self.size} bytes",
                found=f"{length} at {start}",
            )

    def _page(self, number: int) -> bytes:
        page = self.pages.get(number)
        if page is None:
            if len(self.pages) >= MAX_PAGES:
                del self.pages[next(iter(self.pages))]
            page = self.pages[number] = self.load(number * PAGE_BYTES, PAGE_BYTES)
        return page


def of_bytes(data: bytes) -> Region:
    """Return bytes in memory as a region."""
    return Region(lambda start, length: data[start : start + length], 0, len(data))


@contextmanager
def opened(path: str | os.PathLike[str]) -> Iterator[Region]:
    """Open a regular file as a region, and close it again.

    Raises:
        InventoryError: it is a link or a special file.
        UncheckedError: it cannot be read.
    """
    with files.opened(path) as descriptor, files.reading(path):
        size = os.fstat(descriptor).st_size
        yield Region(lambda start, length: files.read_at(descriptor, start, length), 0, size)


@dataclass(slots=True)
class Cursor:
    """Walks bytes ``[position, end)`` of a region; takes what is small, skips what is large.

    What it takes, and in how many steps, is bounded: a file cannot make it work longer than that.
    """

    region: Region
    position: int = 0
    end: int = -1
    taken: int = 0
    steps: int = 0
    _buffer: bytes = b""
    _start: int = 0

    def __post_init__(self) -> None:
        if self.end < 0:
            self.end = self.region.size

    def skip(self, length: int) -> int:
        """Pass over ``length`` bytes and return where they start.

        Raises:
            MalformedError: there are not as many, or the walk has become too long.
        """
        start, self.steps = self.position, self.steps + 1
        if not 0 <= length <= self.end - start or self.steps > MAX_STEPS:
            raise MalformedError(
                "a file is truncated or has too many parts", found=f"{length} bytes at {start}"
            )
        self.position += length
        return start

    def take(self, length: int) -> bytes:
        """Return the next ``length`` bytes.

        Raises:
            MalformedError: there are not as many, or more was taken than is allowed.
        """
        start = self.skip(length)
        self.taken += length
        if self.taken > MAX_TAKEN_BYTES:
            raise MalformedError(
                "the headers of a file are too long", expected=f"at most {MAX_TAKEN_BYTES} bytes"
            )
        offset = start - self._start
        if not 0 <= offset <= offset + length <= len(self._buffer):
            self._buffer = self.region.read(start, min(self.end - start, max(length, PAGE_BYTES)))
            self._start, offset = start, 0
        return self._buffer[offset : offset + length]

    def unpack(self, form: struct.Struct) -> tuple[Any, ...]:
        """Return the next bytes as a structure."""
        return form.unpack(self.take(form.size))

    def number(self, form: struct.Struct) -> int:
        """Return the next bytes as one number."""
        return int(self.unpack(form)[0])

    def text(self, length: int) -> str:
        """Return the next ``length`` bytes as a name.

        Raises:
            MalformedError: they are not UTF-8.
        """
        return text(self.take(length))


def text(data: bytes) -> str:
    """Return bytes as text.

    Raises:
        MalformedError: they are not UTF-8.
    """
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        raise MalformedError("a name is not UTF-8") from error
