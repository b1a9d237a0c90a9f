"""Take files into a depot's content: read once, digested twice (SHA-512, SHA-256), kept by digest (SPEC L2.9)."""

import hashlib
import os
import secrets
import threading
from collections.abc import Callable, Container, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from airlift import files
from airlift.errors import UncheckedError
from airlift.low.depot import Depot
from airlift.low.verified import stamp
from airlift.progress import Progress

KEPT_OPEN = 8

Read = Callable[[int], None]
"""Told how many bytes were read, from any thread."""


@dataclass(frozen=True, slots=True)
class Taken:
    """What a file is: size in bytes, both digests in hex, and whether the depot did not have it before."""

    size: int
    sha512: str
    sha256: str
    new: bool


class Tally:
    """Counts the bytes that threads have read, and tells a progress callable of them one at a time."""

    __slots__ = ("_done", "_lock", "_progress", "_stage", "_total")

    def __init__(self, stage: str, total: int, progress: Progress) -> None:
        self._stage, self._total, self._progress = stage, total, progress
        self._done = 0
        self._lock = threading.Lock()

    def add(self, count: int) -> None:
        """Count ``count`` more bytes."""
        with self._lock:
            self._done += count
            self._progress(self._stage, self._done, self._total)


def digest(descriptor: int, path: Path, read: Read) -> Taken:
    """Digest an open file without keeping it; ``new`` is True.

    Raises:
        UncheckedError: it cannot be read, or changes meanwhile.
    """
    sha512, sha256 = hashlib.sha512(), hashlib.sha256()
    size = 0
    for piece in _pieces(descriptor, path, read):
        sha512.update(piece)
        sha256.update(piece)
        size += len(piece)
    return Taken(size, sha512.hexdigest(), sha256.hexdigest(), new=True)


def take(depot: Depot, descriptor: int, path: Path, read: Read, *, sizes: Container[int]) -> Taken:
    """Keep the bytes of an open file in the depot, and return what they are.

    ``sizes`` are those of files that the depot holds: one of such a size is digested before anything is written, so
    that a component which did not change costs no writes.

    Raises:
        UncheckedError: the file cannot be read, or changes meanwhile.
        StorageError: the depot cannot be written.
    """
    with files.reading(path):
        size = os.fstat(descriptor).st_size
    if size in sizes:
        taken = digest(descriptor, path, lambda _count: None)
        if depot.content_path(taken.sha512).exists():
            read(taken.size)
            return Taken(taken.size, taken.sha512, taken.sha256, new=False)
    return _copy(depot, descriptor, path, read)


def forget(depot: Depot, sha512: str) -> None:
    """Remove content that no release came to name."""
    files.remove(depot.content_path(sha512))


def verify(depot: Depot, sha512: str, read: Read) -> str | None:
    """Return what the file looks like (its stamp) if the depot holds this content, its bytes unchanged; else None."""
    path = depot.content_path(sha512)
    if not path.exists():
        return None
    running = hashlib.sha512()
    descriptor = files.open_regular(path)
    try:
        with files.reading(path):
            looks = stamp(os.fstat(descriptor))
        for piece in _pieces(descriptor, path, read):
            running.update(piece)
    finally:
        os.close(descriptor)
    return looks if running.hexdigest() == sha512 else None


@contextmanager
def reader(depot: Depot, digests: Sequence[str]) -> Iterator[Callable[[int, int, int], bytes]]:
    """Give what returns bytes ``[start, end)`` of contents by their number in ``digests``, for one thread.

    A few files are kept open: whoever looks at rows of matrices comes back thousands of times.
    """
    kept: dict[int, int] = {}

    def read(number: int, start: int, end: int) -> bytes:
        descriptor = kept.pop(number, None)
        if descriptor is None:
            if len(kept) == KEPT_OPEN:
                os.close(kept.pop(next(iter(kept))))
            descriptor = files.open_regular(depot.content_path(digests[number]))
        kept[number] = descriptor
        with files.reading(digests[number]):
            return files.read_at(descriptor, start, end - start)

    try:
        yield read
    finally:
        for descriptor in kept.values():
            os.close(descriptor)


def repair_hint(depot: Depot, sha512: str) -> str:
    """Return what to do about content that is missing or has changed."""
    path = depot.content_path(sha512)
    return f"remove {path} and release again from good files, or restore the depot from a backup"


def _copy(depot: Depot, descriptor: int, path: Path, read: Read) -> Taken:
    """Copy under a name that :meth:`Depot.lock` sweeps after a crash, then rename to the digest."""
    sha512, sha256 = hashlib.sha512(), hashlib.sha256()
    size = 0
    temporary = depot.content / f".tmp-{secrets.token_hex(8)}"
    with files.writer(temporary) as out:
        for piece in _pieces(descriptor, path, read):
            sha512.update(piece)
            sha256.update(piece)
            size += len(piece)
            out.write(piece)
    kept = depot.content_path(sha512.hexdigest())
    try:
        new = not kept.exists()
        if new:
            files.make_folder(kept.parent)
            files.rename_durable(temporary, kept)
    finally:
        files.remove(temporary)
    return Taken(size, sha512.hexdigest(), sha256.hexdigest(), new)


def _pieces(descriptor: int, path: Path, read: Read) -> Iterator[memoryview]:
    """Yield an open file's bytes in order, each piece valid until the next one; the file must hold still."""
    with files.reading(path):
        before = os.fstat(descriptor)
    buffer = bytearray(files.COPY_BYTES)
    offset = 0
    while True:
        with files.reading(path):
            count = os.preadv(descriptor, [buffer], offset)
        if not count:
            break
        yield memoryview(buffer)[:count]
        offset += count
        read(count)
    with files.reading(path):
        after = os.fstat(descriptor)
    if (before.st_size, before.st_mtime_ns) != (offset, after.st_mtime_ns) or after.st_size != offset:
        raise UncheckedError(
            f"{path} changed while it was read",
            hint="wait until nobody writes to it, then run the same command again",
        )
