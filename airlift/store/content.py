"""Content by digest: the files of components, each kept once, read-only, under its SHA-512 (SPEC 5.1, 8.1)."""

import hashlib
import os
import secrets
import stat
from collections.abc import Callable, Container, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path

from airlift import files
from airlift.errors import UncheckedError
from airlift.store.digests import Digested, PieceDigests, digesting

KEPT_OPEN = 8

CountBytes = Callable[[int], None]
"""Called with the number of bytes that were just read, from any thread: it counts progress."""

Check = Callable[[Path, str], None]
"""Called with the path and the SHA-256 (hex) of a file that was read, before it is kept: raises to refuse it."""


def accept(_path: Path, _sha256: str) -> None:
    """Refuse nothing."""


@dataclass(frozen=True, slots=True)
class ContentFolder:
    """A folder of files by digest: ``<2 hex>/<128 hex>``. Every method reads the disk anew."""

    folder: Path

    def path(self, sha512: str) -> Path:
        """Return where the content with this SHA-512 (hex) lies, whether it is there or not."""
        return Path(self.place(sha512))

    def place(self, sha512: str) -> str:
        """Return :meth:`path` as text: a path object for each of very many files takes long."""
        return f"{self.folder}/{sha512[:2]}/{sha512}"

    def places(self) -> list[str]:
        """Return where everything lies that is held, as text, sorted."""
        with files.reading(self.folder):
            parts = [part.path for part in os.scandir(self.folder) if part.is_dir()]
            return sorted(f"{part}/{name}" for part in parts for name in files.names_in(Path(part)))

    def holds(self, sha512: str, size: int) -> bool:
        """Say whether content of this digest and size (bytes) is held; its bytes are not read."""
        return self._size(sha512) == size

    def has(self, sha512: str) -> bool:
        """Say whether content of this digest is held, of whatever size; its bytes are not read."""
        return self._size(sha512) is not None

    def _size(self, sha512: str) -> int | None:
        try:
            status = os.stat(self.place(sha512))  # noqa: PTH116 - of each of very many files
        except OSError:
            return None
        return status.st_size if stat.S_ISREG(status.st_mode) else None

    def keep(
        self,
        descriptor: int,
        path: Path,
        read: CountBytes,
        *,
        sizes: Container[int],
        check: Check = accept,
        pieces: bool = False,
    ) -> Digested:
        """Copy the bytes of an open file into the folder unless they are held; return their digests.

        ``sizes`` are the sizes of held files. A file of one of these sizes is digested before anything is written, so
        that a component which did not change costs no writes. What ``check`` refuses is not kept. ``pieces`` asks for
        digests of those as well.

        Raises:
            UncheckedError: the file cannot be read, or changes meanwhile.
            StorageError: the folder cannot be written.
        """
        with files.reading(path):
            size = os.fstat(descriptor).st_size
        if size in sizes:
            digested = digest(descriptor, path, lambda _count: None, pieces=pieces)
            check(path, digested.sha256)
            if self.path(digested.sha512).exists():
                read(digested.size)
                return replace(digested, new=False)
        return self._copy(descriptor, path, read, check, pieces=pieces)

    def keep_small(
        self, found: Iterable[tuple[Path, bytes]], names: files.Names, check: Check = accept
    ) -> list[Digested]:
        """Keep the bytes of small files unless they are held; return their digests.

        No more than are synced together; durable once ``names`` are. Where ``check`` refuses one, none is kept.

        Raises:
            StorageError: the folder cannot be written.
        """
        digested, waiting = [], dict[str, bytes]()
        for path, data in found:
            taken = digest_bytes(data)
            check(path, taken.sha256)
            place = self.place(taken.sha512)
            new = place not in waiting and not self.has(taken.sha512)
            if new:
                waiting[place] = data
            digested.append(replace(taken, new=new))
        self.make_folders(names, (item.sha512 for item in digested if item.new))
        try:
            names.write(waiting, self.folder)
        except BaseException:
            for place in waiting:
                names.remove(place)
            raise
        return digested

    def make_folders(self, names: files.Names, digests: Iterable[str]) -> None:
        """Make the folders that content of these digests lies in, where they are missing."""
        for part in sorted({sha512[:2] for sha512 in digests}):
            names.make_folder(f"{self.folder}/{part}")

    def adopt(self, source: Path, sha512: str) -> None:
        """Move a file that has this digest here, durably; it lies on the same file system."""
        kept = self.path(sha512)
        files.make_folder(kept.parent)
        files.rename_durable(source, kept)

    def adopt_all(self, folder: Path, digests: Sequence[str]) -> None:
        """Move the files in ``folder`` that have these digests, and are called so, here, durably."""
        with files.naming() as names:
            self.make_folders(names, digests)
            for sha512 in digests:
                names.move(f"{folder}/{sha512}", self.place(sha512))

    def remove(self, digests: Iterable[str]) -> None:
        """Remove content that no release names."""
        with files.naming() as names:
            for sha512 in digests:
                names.remove(self.place(sha512))

    def verified_stamp(self, sha512: str, read: CountBytes, pieces: bytes = b"") -> str | None:
        """Digest the content with this SHA-512; return its :func:`stamp`, None if it is not held or has changed.

        If ``pieces`` are given (SHA-512, joined), they must be its pieces as well.
        """
        path = self.path(sha512)
        if not path.exists():
            return None
        running, parts = hashlib.sha512(), PieceDigests()
        with files.opened(path) as descriptor, ThreadPoolExecutor(1) if pieces else nullcontext() as beside:
            with files.reading(path):
                looks = stamp(os.fstat(descriptor))
            for piece in _pieces(descriptor, path, read):
                waited = beside.submit(parts.add, piece) if beside is not None else None
                running.update(piece)
                if waited is not None:
                    waited.result()
        same = running.hexdigest() == sha512 and (not pieces or parts.joined() == pieces)
        return looks if same else None

    @contextmanager
    def reader(self, digests: Sequence[str]) -> Iterator[Callable[[int, int, int], bytes]]:
        """Give a function ``read(number, start, end)``: bytes ``[start, end)`` of the content ``digests[number]``.

        For one thread. The last few files are kept open: rows of matrices are read from them thousands of times.
        """
        kept: dict[int, int] = {}
        latest = held = -1

        def opened(number: int) -> int:
            descriptor = kept.pop(number, None)
            if descriptor is None:
                if len(kept) == KEPT_OPEN:
                    os.close(kept.pop(next(iter(kept))))
                descriptor = files.open_regular(self.path(digests[number]))
            kept[number] = descriptor
            return descriptor

        def read(number: int, start: int, end: int) -> bytes:
            nonlocal latest, held
            if number != latest:
                latest, held = number, opened(number)
            try:  # most reads are of a row, and over at once
                found = os.pread(held, end - start, start)
            except OSError:
                found = b""
            if len(found) == end - start:
                return found
            with files.reading(digests[number]):
                return files.read_at(held, start, end - start)

        try:
            yield read
        finally:
            for descriptor in kept.values():
                os.close(descriptor)

    def _copy(self, descriptor: int, path: Path, read: CountBytes, check: Check, *, pieces: bool) -> Digested:
        """Copy under a temporary name, which is swept after a crash, then rename to the digest."""
        temporary = self.folder / f".tmp-{secrets.token_hex(8)}"
        with files.writer(temporary) as out:
            digested = digest(descriptor, path, read, out.write, pieces=pieces)
        try:
            check(path, digested.sha256)
            new = not self.path(digested.sha512).exists()
            if new:
                self.adopt(temporary, digested.sha512)
        finally:
            files.remove(temporary)
        return replace(digested, new=new)


def stamp(status: os.stat_result) -> str:
    """Return size (bytes), modification and change time (ns) and inode: while these stay, so do the bytes."""
    return f"{status.st_size} {status.st_mtime_ns} {status.st_ctime_ns} {status.st_ino}"


def digest(
    descriptor: int,
    path: Path,
    read: CountBytes,
    write: Callable[[memoryview], None] = lambda _piece: None,
    *,
    pieces: bool = False,
) -> Digested:
    """Digest an open file with SHA-512 and SHA-256 in one pass, giving what is read to ``write``; ``new`` is True.

    ``pieces`` asks for the SHA-512 of its pieces as well (SPEC 5.8).

    Raises:
        UncheckedError: it cannot be read, or changes meanwhile.
    """
    with files.reading(path):
        size = os.fstat(descriptor).st_size
    with digesting(size, pieces=pieces) as digests:
        for piece in _pieces(descriptor, path, read):
            digests.add(piece)
            write(piece)
    return digests.digested()


def digest_bytes(data: bytes) -> Digested:
    """Digest bytes in memory with SHA-512 and SHA-256; ``new`` is True."""
    return Digested(len(data), hashlib.sha512(data).hexdigest(), hashlib.sha256(data).hexdigest(), new=True)


def read_small(descriptor: int, path: Path) -> bytes:
    """Return the bytes of an open file of at most ``files.SMALL_BYTES``.

    Raises:
        UncheckedError: it cannot be read, or changes meanwhile.
    """
    with files.reading(path):
        before = os.fstat(descriptor)
        data = files.read_at(descriptor, 0, files.SMALL_BYTES + 1)
        after = os.fstat(descriptor)
    if (before.st_size, before.st_mtime_ns) != (len(data), after.st_mtime_ns) or after.st_size != len(data):
        raise _changed(path)
    return data


def digest_file(path: Path, algorithm: str = "sha512", read: CountBytes = lambda _count: None) -> str:
    """Return the digest (hex) of a file at rest, with SHA-512 unless told otherwise; ``read`` counts its bytes."""
    running, offset = hashlib.new(algorithm), 0
    with files.opened(path) as descriptor, files.reading(path):
        length = min(files.COPY_BYTES, os.fstat(descriptor).st_size + 1)
        while data := files.read_at(descriptor, offset, length):
            running.update(data)
            offset += len(data)
            read(len(data))
    return running.hexdigest()


def _pieces(descriptor: int, path: Path, read: CountBytes) -> Iterator[memoryview]:
    """Yield an open file's bytes in order, each piece valid until the next one.

    Raises:
        UncheckedError: it cannot be read, or changes meanwhile.
    """
    with files.reading(path):
        before = os.fstat(descriptor)
    buffer = bytearray(min(files.COPY_BYTES, before.st_size + 1))
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
        raise _changed(path)


def _changed(path: Path) -> UncheckedError:
    return UncheckedError(
        f"{path} changed while it was read",
        hint="wait until nobody writes to it, then run the same command again",
    )
