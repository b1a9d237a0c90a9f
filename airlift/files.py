"""Bounded reads and durable writes: the only module that changes the disk.

Every durable step is: write to a temporary name, fsync, rename, fsync the folder. Nothing here follows a symbolic
link that it did not make. OSErrors become :class:`StorageError` (8) when writing and :class:`UncheckedError` (7) when
reading, so that a full disk or an unreadable disc is never mistaken for bad data.
"""

import errno
import fcntl
import mmap
import os
import secrets
import shutil
import stat
import struct
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from airlift.errors import (
    BusyError,
    DigestError,
    InventoryError,
    NoSpaceError,
    PermissionDeniedError,
    StorageError,
    UncheckedError,
)

if TYPE_CHECKING:  # threads, which few commands need
    from concurrent.futures import Executor, Future

COPY_BYTES = PIECE_BYTES = 1 << 20
SMALL_BYTES = 64 << 10
"""Files up to here are read whole, and written many together."""
LARGE_BYTES = 4 << 20
SYNC_BYTES = 16 << 20
STEP_BYTES, STEP_SECONDS = 16 << 20, 0.001
"""Room is set aside so much at first, and twice as much again and again until that takes so long."""
BLOCK_BYTES = SHARED_BYTES = 4096
"""The usual block of file systems; where it is larger, no blocks are shared."""
FICLONERANGE = 0x4020940D
FS_IOC_RESVSP = 0x40305828
TOGETHER_FILES, TOGETHER_BYTES = 128, 4 << 20
"""So many small files, or bytes of them, are written before they are synced."""
FEW, SYNCING = 32, 8
"""More syncs than a few are asked for by so many threads: a file system answers several at once."""
FILE_MODE = 0o444
FOLDER_MODE = 0o755

Whole = TypeVar("Whole", bytes, memoryview)

_NO_SPACE = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_DENIED = {errno.EACCES, errno.EPERM, errno.EROFS}
_NO_LINK = {errno.EXDEV, errno.EMLINK, errno.EPERM, errno.EOPNOTSUPP}
"""Another file system, too many links, or a system that lets nobody link what is not theirs."""


# -- translating OSError -------------------------------------------------------------------------------------------


@contextmanager
def reading(path: str | os.PathLike[str]) -> Iterator[None]:
    """Turn an OSError of the body into an error with exit code 7 that names ``path``."""
    try:
        yield
    except OSError as error:
        kind = PermissionDeniedError if error.errno in _DENIED else UncheckedError
        raise kind(f"cannot read {os.fspath(path)}", found=os.strerror(error.errno or 0)) from error


@contextmanager
def writing(path: str | os.PathLike[str]) -> Iterator[None]:
    """Turn an OSError of the body into an error with exit code 8 (7 for missing permission) that names ``path``."""
    try:
        yield
    except OSError as error:
        raise _unwritten(path, error) from error


def _unwritten(path: str | os.PathLike[str], error: OSError) -> StorageError | UncheckedError:
    """Return the error that names ``path``, for one of writing it."""
    if error.errno in _NO_SPACE:
        return NoSpaceError(f"no space left to write {os.fspath(path)}", found=os.strerror(error.errno))
    kind: type[StorageError | UncheckedError] = (
        PermissionDeniedError if error.errno in _DENIED else StorageError
    )
    return kind(f"cannot write {os.fspath(path)}", found=os.strerror(error.errno or 0))


# -- bounded reads -------------------------------------------------------------------------------------------------


def open_regular(path: str | os.PathLike[str]) -> int:
    """Open a regular file for reading without following a link in its last part; return the descriptor.

    Raises:
        InventoryError: it is a link or a special file.
        UncheckedError: it cannot be opened.
    """
    with reading(path):
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError as error:
            if error.errno in {errno.ELOOP, errno.ENXIO, errno.ENODEV} and not _is_regular(path):
                raise InventoryError(f"{os.fspath(path)} is a link or a special file") from error
            raise
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            os.close(descriptor)
            raise InventoryError(f"{os.fspath(path)} is not a regular file")
        return descriptor


def _is_regular(path: str | os.PathLike[str]) -> bool:
    """Say whether a file that cannot be opened is a plain one all the same: its medium was pulled out."""
    return stat.S_ISREG(os.lstat(path).st_mode)


@contextmanager
def opened(path: str | os.PathLike[str]) -> Iterator[int]:
    """Open a file as :func:`open_regular` does, and close it again."""
    descriptor = open_regular(path)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def read_bounded(path: str | os.PathLike[str], limit: int) -> bytes:
    """Return the whole of a regular file of at most ``limit`` bytes, read once; errors as of :func:`read_large`."""
    return _bounded(path, limit, lambda descriptor, size: read_at(descriptor, 0, size))


def read_large(path: str | os.PathLike[str], limit: int, beat: Callable[[], object]) -> memoryview:
    """Return the whole of a regular file of at most ``limit`` bytes, read once; ``beat`` is called after each piece.

    Raises:
        DigestError: it is longer than ``limit``.
        InventoryError: it is a link or a special file.
        UncheckedError: it cannot be read.
    """
    return _bounded(path, limit, lambda descriptor, size: _read_pieces(descriptor, size, beat))


def _bounded(path: str | os.PathLike[str], limit: int, read: Callable[[int, int], Whole]) -> Whole:
    with opened(path) as descriptor, reading(path):
        size = os.fstat(descriptor).st_size
        if size > limit:
            raise DigestError(
                f"{os.fspath(path)} is too long", expected=f"at most {limit} bytes", found=f"{size} bytes"
            )
        data = read(descriptor, size)
        if len(data) != size or os.pread(descriptor, 1, size):
            raise UncheckedError(f"{os.fspath(path)} changed while it was read")
        return data


def read_at(descriptor: int, offset: int, length: int) -> bytes:
    """Return bytes ``[offset, offset + length)`` of an open file; fewer only at its end."""
    parts = []
    while length > 0:
        part = os.pread(descriptor, length, offset)
        if not part:
            break
        parts.append(part)
        offset += len(part)
        length -= len(part)
    return parts[0] if len(parts) == 1 else b"".join(parts)


def _read_pieces(descriptor: int, size: int, beat: Callable[[], object]) -> memoryview:
    """Return the first ``size`` bytes of an open file, fewer if it ends; read in pieces, and copied nowhere."""
    whole, done = _memory(size), 0
    while done < size:
        count = os.preadv(descriptor, [whole[done : done + PIECE_BYTES]], done)
        if not count:
            break
        done += count
        beat()
    return whole[:done].toreadonly()


def _memory(size: int) -> memoryview:
    """Return fresh memory, in large pages where the system has such: the first use of each page costs a fault."""
    if size < LARGE_BYTES or not hasattr(mmap, "MADV_HUGEPAGE"):
        return memoryview(bytearray(size))
    whole = mmap.mmap(
        -1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS
    )  # what is shared has none of these
    whole.madvise(mmap.MADV_HUGEPAGE)
    return memoryview(whole)


def read_into(descriptor: int, offset: int, buffer: memoryview) -> int:
    """Fill ``buffer`` with the bytes of an open file from ``offset`` on; return how many, fewer only at its end."""
    done = 0
    while done < len(buffer):
        count = os.preadv(descriptor, [buffer[done:]], offset + done)
        if not count:
            break
        done += count
    return done


def names_in(folder: Path) -> frozenset[str]:
    """Return what lies in a folder; nothing if it is missing."""
    with reading(folder):
        try:
            return frozenset(os.listdir(folder))
        except FileNotFoundError:
            return frozenset()


def names_below(folder: Path) -> list[str]:
    """Return the relative paths of everything below a folder that is no folder itself, sorted; links are that."""
    found, waiting = list[str](), [""]
    with reading(folder):
        while waiting:
            inside = waiting.pop()
            with os.scandir(f"{folder}/{inside}") as entries:
                for entry in entries:
                    name = inside + entry.name
                    if entry.is_dir(follow_symlinks=False):
                        waiting.append(f"{name}/")
                    else:
                        found.append(name)
    return sorted(found)


# -- durable writes ------------------------------------------------------------------------------------------------


def sync_folder(folder: Path) -> None:
    """Make the names in ``folder`` durable."""
    with writing(folder):
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def sync_folders(folders: Iterable[str]) -> None:
    """Make the names in each of these folders durable."""
    waiting = iter(folders)
    while some := list(islice(waiting, TOGETHER_FILES)):
        with ExitStack() as stack, writing(some[0]):
            descriptors = []
            for folder in some:
                descriptors.append(os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC))
                stack.callback(os.close, descriptors[-1])
            _sync(descriptors)


def _sync(descriptors: Sequence[int]) -> None:
    """Make durable what each descriptor is open on."""
    if len(descriptors) <= FEW:
        for descriptor in descriptors:
            os.fsync(descriptor)
    else:
        from concurrent.futures import ThreadPoolExecutor

        with ThreadPoolExecutor(SYNCING) as pool:
            list(pool.map(_sync, (descriptors[start::SYNCING] for start in range(SYNCING))))


def sync_tree(folder: Path) -> None:
    """Make the names in ``folder`` and in every folder below it durable, and its own name if that is permitted."""
    with writing(folder):
        sync_folders(path for path, _, _ in os.walk(folder, onerror=_raise))
    with suppress(PermissionDeniedError):  # a folder above that may be passed through, but not read
        sync_folder(folder.parent)


def _raise(error: OSError) -> None:
    raise error


def make_folder(path: Path, mode: int = FOLDER_MODE) -> Path:
    """Make a folder and its missing parents, each durable in its parent; an existing one is left as it is."""
    if path.is_dir():
        return path
    with writing(path):
        make_folder(path.parent)
        try:
            path.mkdir(mode)
        except FileExistsError:
            if not path.is_dir():
                raise
        sync_folder(path.parent)
    return path


@contextmanager
def writer(
    path: Path,
    *,
    mode: int = FILE_MODE,
    replace: bool = True,
    durable: bool = True,
    begun: "Begun | None" = None,
) -> Iterator["Writer"]:
    """Write a file durably: it appears under ``path`` whole and synced, or not at all.

    With ``replace=False`` an existing ``path`` is an error; a crash may leave a temporary file ``.tmp-*`` behind.
    With ``durable=False`` nothing is synced: only for what is verified when it is read, and can be made again.
    ``begun`` is a temporary file beside ``path``; it is used up, and gets its name when its room is there.
    """
    with writing(path):
        temporary, descriptor = _open_temporary(path) if begun is None else (begun.path, begun.descriptor)
        try:
            try:
                yield Writer(descriptor)
                if begun is not None:
                    begun.room.result()
                os.fchmod(descriptor, mode)
                if durable:
                    os.fsync(descriptor)
            finally:
                if begun is None:
                    os.close(descriptor)
                else:
                    begun.let_go()
            if replace:
                os.rename(temporary, path)
            else:
                os.link(temporary, path)
                os.unlink(temporary)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
        if durable:
            sync_folder(path.parent)


def _open_temporary(path: Path) -> tuple[Path, int]:
    """Open a new temporary file beside ``path``; return its path and descriptor."""
    temporary = path.with_name(f".tmp-{secrets.token_hex(8)}")
    return temporary, _open_new(os.fspath(temporary))


@dataclass(frozen=True, slots=True)
class Begun:
    """A temporary file that is open and empty; a thread sets ``room`` aside for what will be written to it."""

    path: Path
    descriptor: int
    room: "Future[None]"

    def let_go(self) -> None:
        """Wait until no thread uses the descriptor, and close it."""
        if not self.room.cancel():
            self.room.exception()
        os.close(self.descriptor)


def begin(path: Path, length: int, pool: "Executor") -> Begun:
    """Open what :func:`writer` will write to ``path``; a thread sets blocks aside for ``length`` bytes, where it can.

    ``room`` of what is returned raises NoSpaceError if there is not so much.
    """
    with writing(path):
        temporary, descriptor = _open_temporary(path)
        return Begun(temporary, descriptor, pool.submit(_set_aside, path, descriptor, length))


def _set_aside(path: Path, descriptor: int, length: int) -> None:
    """Set blocks aside step by step, with rests: nobody can write to a file while blocks are allocated to it.

    Where a step takes no time (all but tmpfs, which allocates page by page) the next is twice as long.
    """
    start, step, took = 0, STEP_BYTES, 0.0
    with writing(path):
        while start < length:
            time.sleep(took / 2)
            began = time.thread_time()
            _allocate(descriptor, min(step, length - start), start)
            took = time.thread_time() - began
            start, step = start + step, step if took > STEP_SECONDS else 2 * step


def drop(begun: Begun) -> None:
    """Remove what was begun and is not going to be written."""
    begun.let_go()
    begun.path.unlink(missing_ok=True)


@contextmanager
def naming() -> Iterator["Names"]:
    """Give what changes many names; all of them are durable when the body is done."""
    names = Names()
    yield names
    names.settle()


class Names:
    """Names of many files that change together: the folders that they are in are synced once, by :meth:`settle`."""

    __slots__ = ("_folders",)

    def __init__(self) -> None:
        self._folders: dict[str, None] = {}

    def write(
        self, waiting: Mapping[str, bytes | memoryview], scratch: Path, room: "Reservation | None" = None
    ) -> None:
        """Write files whole, by path, no more than are synced together; each has its bytes synced before its name.

        Temporary names ``.tmp-*`` are made in the folder ``scratch``; ``room`` is held for the files, if it is.
        """
        if not waiting:
            return
        token, made, descriptors = secrets.token_hex(6), list[str](), list[int]()
        with writing(scratch):
            try:
                for number, data in enumerate(waiting.values()):
                    made.append(f"{scratch}/.tmp-{token}{number:04x}")
                    descriptors.append(_open_new(made[-1]))
                    _fill(descriptors[-1], data, room)
                _sync(descriptors)
                for temporary, path in zip(made, waiting, strict=True):
                    self.move(temporary, path)
            except BaseException:
                for temporary in made:
                    with suppress(FileNotFoundError):
                        os.unlink(temporary)
                raise
            finally:
                for descriptor in descriptors:
                    os.close(descriptor)

    def move(self, source: str, target: str) -> None:
        """Rename a file whose bytes are synced, within one file system; it replaces a file of that name."""
        try:
            os.rename(source, target)
        except OSError as error:
            raise _unwritten(target, error) from error
        self._note(source, target)

    def link(self, source: str, target: str) -> None:
        """Hard-link ``source`` as ``target``; an existing ``target`` is left."""
        try:
            os.link(source, target, follow_symlinks=False)
        except FileExistsError:
            return
        except OSError as error:
            raise _unwritten(target, error) from error
        finally:
            self._note(target)

    def make_folder(self, path: str) -> None:
        """Make a folder whose parent is there; an existing one is left as it is."""
        try:
            os.mkdir(path, FOLDER_MODE)
        except FileExistsError:
            return
        except OSError as error:
            raise _unwritten(path, error) from error
        self._note(path)

    def remove(self, path: str) -> None:
        """Remove a file; a missing one is fine."""
        try:
            os.unlink(path)
        except FileNotFoundError:
            return
        except OSError as error:
            raise _unwritten(path, error) from error
        self._note(path)

    def settle(self) -> None:
        """Make every name durable that was changed so far."""
        folders = [folder for folder in self._folders if os.path.isdir(folder)]
        self._folders.clear()
        sync_folders(folders)

    def _note(self, *paths: str) -> None:
        for path in paths:
            self._folders[path.rpartition("/")[0]] = None


def _open_new(path: str) -> int:
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)


def _fill(descriptor: int, data: bytes | memoryview, room: "Reservation | None") -> None:
    """Write a new file whole, and let the system begin to write it out."""
    target = Writer(descriptor)
    if room is not None:
        room.hand_over(target, len(data))
    target.write(data)
    os.fchmod(descriptor, FILE_MODE)
    if hasattr(os, "posix_fadvise"):
        os.posix_fadvise(descriptor, 0, len(data), os.POSIX_FADV_DONTNEED)


@contextmanager
def growing(path: Path) -> Iterator["Growing"]:
    """Open a file that is written over several commands, one at a time; what it holds stays if the body fails.

    Raises:
        BusyError: another command has it open.
        StorageError: it cannot be written.
    """
    with writing(path):
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        with writing(path):
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                there = path.exists() and os.path.samestat(os.stat(path), os.fstat(descriptor))
            except BlockingIOError:
                there = False
        if not there:  # or it was finished, and got its name, in between
            raise BusyError(f"{path} is being written by another airlift command")
        yield Growing(path, descriptor)
    finally:
        os.close(descriptor)


class Growing:
    """An open file that grows at its end: ``length`` is how many bytes it holds."""

    __slots__ = ("descriptor", "length", "path")

    def __init__(self, path: Path, descriptor: int) -> None:
        self.path, self.descriptor = path, descriptor
        self.length = os.fstat(descriptor).st_size

    def pieces(self) -> Iterator[bytes]:
        """Yield what it holds, in order."""
        offset = 0
        with reading(self.path):
            while data := read_at(self.descriptor, offset, COPY_BYTES):
                yield data
                offset += len(data)

    def append(self, data: bytes | memoryview) -> None:
        """Append all of ``data``."""
        view = memoryview(data).cast("B")
        with writing(self.path):
            while view:
                count = os.pwrite(self.descriptor, view, self.length)
                view, self.length = view[count:], self.length + count

    def cut(self, length: int) -> None:
        """Keep the first ``length`` bytes."""
        with writing(self.path):
            os.ftruncate(self.descriptor, length)
        self.length = length

    def drop(self) -> None:
        """Remove it."""
        remove(self.path)

    def become(self, target: Path, mode: int = FILE_MODE) -> None:
        """Give it its name, durably; it replaces a file of that name."""
        with writing(target):
            os.fchmod(self.descriptor, mode)
            os.fsync(self.descriptor)
        rename_durable(self.path, target)


class Writer:
    """An open temporary file: sequential :meth:`write` and :meth:`share`, and positioned :meth:`write_at`."""

    __slots__ = ("_begun", "_end", "descriptor")

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor
        self._begun = self._end = 0

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Append all of ``data``; short writes are continued."""
        view = memoryview(data).cast("B")
        while len(view):
            count = os.write(self.descriptor, view)
            view, self._end = view[count:], self._end + count
        if self._end - self._begun >= SYNC_BYTES and hasattr(os, "posix_fadvise"):
            # what is said not to be needed is written out now, without waiting for it
            os.posix_fadvise(self.descriptor, self._begun, self._end - self._begun, os.POSIX_FADV_DONTNEED)
            self._begun = self._end

    def share(self, data: bytes | bytearray | memoryview, source: int, offset: int) -> None:
        """Append ``data``, which also stands at ``offset`` of the open file ``source``.

        Where the file system can (a reflink) its whole blocks are shared with that file, and not written.
        """
        view, head = memoryview(data).cast("B"), -self._end % SHARED_BYTES
        length = max(0, len(view) - head) // SHARED_BYTES * SHARED_BYTES
        if length and _share(self.descriptor, self._end + head, source, offset + head, length):
            self.write(view[:head])
            self._end = os.lseek(self.descriptor, length, os.SEEK_CUR)
            view = view[head + length :]
        self.write(view)

    def share_blocks(self, source: int, length: int) -> int:
        """Append whole blocks that the first ``length`` bytes of an open file have; return how many bytes, 0 if none.

        Where the file system can (a reflink), and this file ends with a block.
        """
        length = length // SHARED_BYTES * SHARED_BYTES
        if (
            not length
            or self._end % SHARED_BYTES
            or not _share(self.descriptor, self._end, source, 0, length)
        ):
            return 0
        self._end = os.lseek(self.descriptor, length, os.SEEK_CUR)
        return length

    def allocate(self, length: int) -> None:
        """Let the file system set blocks aside for the first ``length`` bytes, where it can."""
        _allocate(self.descriptor, length)

    def write_at(self, offset: int, data: bytes | bytearray | memoryview) -> None:
        """Write all of ``data`` at ``offset``."""
        view = memoryview(data).cast("B")
        while len(view):
            count = os.pwrite(self.descriptor, view, offset)
            view, offset = view[count:], offset + count


def _share(target: int, start: int, source: int, offset: int, length: int) -> bool:
    """Let bytes of an open file be those of another (ioctl_ficlonerange(2)); say whether that worked."""
    try:
        fcntl.ioctl(target, FICLONERANGE, struct.pack("qQQQ", source, offset, length, start))
    except OSError:  # whatever it is: if it matters, the write will meet it too
        return False
    return True


def write_durable(
    path: Path, data: bytes | memoryview, *, mode: int = FILE_MODE, replace: bool = True
) -> None:
    """Write ``data`` durably under ``path``, whole or not at all."""
    with writer(path, mode=mode, replace=replace) as file:
        file.write(data)


def append_durable(path: Path, line: bytes, *, mode: int = 0o644) -> None:
    """Append one line, newline included, and sync; a last line without newline (a torn write) is dropped first."""
    with writing(path):
        known = path.exists()
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, mode)
        try:
            end = _whole_lines(descriptor)
            os.ftruncate(descriptor, end)
            Writer(descriptor).write_at(end, line)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        if not known:
            sync_folder(path.parent)


def _whole_lines(descriptor: int) -> int:
    """Return the length in bytes of the file up to and with its last newline."""
    end = os.fstat(descriptor).st_size
    while end:
        start = max(0, end - COPY_BYTES)
        found = read_at(descriptor, start, end - start).rfind(b"\n")
        if found >= 0:
            return start + found + 1
        end = start
    return 0


def rename_durable(source: Path, target: Path) -> None:
    """Rename within one file system and make both folders durable; replaces a file or an empty folder."""
    with writing(target):
        os.rename(source, target)
        sync_folder(target.parent)
        if source.parent != target.parent:
            sync_folder(source.parent)


def link_if_possible(source: Path, target: Path) -> bool:
    """Hard-link ``source`` as ``target``; say whether that can be: not across file systems, nor without end.

    The caller syncs the folder.
    """
    with writing(target):
        try:
            os.link(source, target, follow_symlinks=False)
        except OSError as error:
            if error.errno not in _NO_LINK:
                raise
            return False
    return True


def add_link(link: Path, target: str) -> None:
    """Make a new symbolic link; the caller syncs the folder."""
    with writing(link):
        link.symlink_to(target)


def relink(source: Path, target: Path, scratch: Path) -> None:
    """Replace ``target`` by a hard link to ``source`` in one durable rename, by way of the folder ``scratch``."""
    temporary = scratch / f".tmp-{secrets.token_hex(8)}"
    with writing(target):
        os.link(source, temporary, follow_symlinks=False)
        try:
            os.rename(temporary, target)
        finally:
            temporary.unlink(missing_ok=True)
        sync_folder(target.parent)


def point_link(link: Path, target: str, *, scratch: Path | None = None) -> None:
    """Make the symbolic link ``link`` point at ``target`` in one atomic, durable rename.

    It is made in the folder ``scratch``, beside its place by default.
    """
    temporary = (scratch or link.parent) / f".tmp-{secrets.token_hex(8)}"
    with writing(link):
        os.symlink(target, temporary)
        try:
            os.rename(temporary, link)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
        for folder in {link.parent, temporary.parent}:
            sync_folder(folder)


def remove(path: Path) -> None:
    """Remove a file, a link or a whole folder, durably; a missing one is fine. Links are not followed."""
    with writing(path):
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
        if path.parent.is_dir():
            sync_folder(path.parent)


def remove_empty(folder: Path) -> None:
    """Remove a folder if nothing is in it; one that is not empty, or not there, is left."""
    try:
        os.rmdir(folder)
    except OSError as error:
        if error.errno not in {errno.ENOENT, errno.ENOTEMPTY, errno.EEXIST}:
            raise _unwritten(folder, error) from error


def remove_temporary(folder: Path) -> None:
    """Remove ``.tmp-*`` leftovers of interrupted writes directly inside ``folder``."""
    with writing(folder):
        for entry in folder.glob(".tmp-*"):
            remove(entry)


# -- locks and space -----------------------------------------------------------------------------------------------


@contextmanager
def lock(path: Path) -> Iterator[None]:
    """Hold the exclusive lock file ``path`` (one command at a time per depot or enclave).

    The file is one byte long while it is held, and stays so if the holder is killed or fails. The next holder then
    syncs every folder around it first: names that the dead one wrote can be seen, but may not be durable yet.

    Raises:
        BusyError: another process holds it.
    """
    with writing(path):
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        with writing(path):
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise BusyError(f"{path.parent} is in use by another airlift command") from error
            if os.fstat(descriptor).st_size:
                sync_tree(path.parent)
            os.ftruncate(descriptor, 1)
        yield
        with writing(path):
            os.ftruncate(descriptor, 0)
    finally:
        os.close(descriptor)


@contextmanager
def in_use(folder: Path, *, alone: bool) -> Iterator[None]:
    """Hold a folder with others who read what is in it, or ``alone``, to remove from it; nothing is written.

    Where the file system has no such locks (flock(2), on NFS for instance) nothing is held.

    Raises:
        BusyError: others hold it so that it cannot be.
        UncheckedError: it cannot be opened.
    """
    descriptor = _open_folder(folder)
    try:
        if descriptor is not None:
            _hold(descriptor, folder, fcntl.LOCK_EX if alone else fcntl.LOCK_SH)
        yield
    finally:
        if descriptor is not None:
            os.close(descriptor)


def _open_folder(folder: Path) -> int | None:
    with reading(folder), suppress(FileNotFoundError):  # then there is nothing in it yet
        return os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    return None


def _hold(descriptor: int, folder: Path, kind: int) -> None:
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except BlockingIOError as error:
        doing = "read" if kind == fcntl.LOCK_EX else "cleared of garbage"
        raise BusyError(f"{folder} is being {doing} by another airlift command") from error
    except OSError as error:
        if error.errno not in {errno.EBADF, errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS}:
            raise UncheckedError(f"cannot lock {folder}", found=os.strerror(error.errno or 0)) from error


@contextmanager
def reserving(path: Path, *, lasting: bool) -> Iterator["Reservation"]:
    """Give room of the disk to be held until the body is done; if it is ``lasting``, in the file ``path`` that stays.

    Otherwise the file has no name, and vanishes with the process. ``path.parent`` must be there; the caller syncs it.
    """
    with writing(path):
        descriptor = _open_reservation(path) if lasting else _open_nameless(path.parent)
    try:
        yield Reservation(path, descriptor)
        if lasting:
            with writing(path):
                os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _open_reservation(path: Path) -> int:
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)


def _open_nameless(folder: Path) -> int:
    """Open a file without a name (open(2), O_TMPFILE); where there is no such thing, one that loses it at once."""
    with suppress(OSError, AttributeError):
        return os.open(folder, os.O_RDWR | os.O_TMPFILE | os.O_CLOEXEC, 0o600)
    temporary = folder / f".tmp-{secrets.token_hex(8)}"
    descriptor = os.open(temporary, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    temporary.unlink()
    return descriptor


class Reservation:
    """Room that is held for what is going to be written: a file, as long as the bytes that it holds."""

    __slots__ = ("_descriptor", "_path", "length")

    def __init__(self, path: Path, descriptor: int) -> None:
        self._path, self._descriptor = path, descriptor
        self.length = os.fstat(descriptor).st_size

    def resize(self, length: int) -> None:
        """Hold ``length`` bytes from now on; where the file system cannot, the file's length says so alone.

        Raises:
            NoSpaceError: there is not so much room; what was held before still is.
        """
        before = self.length
        with writing(self._path):
            try:
                self._cut(length)
                _allocate(self._descriptor, self.length)
            except OSError:
                self._cut(before)
                raise

    def hand_over(self, target: Writer, length: int) -> None:
        """Give the blocks of ``length`` bytes to a file that these are written to next."""
        with writing(self._path):
            self._cut(max(0, self.length - in_blocks(length)))
        target.allocate(length)

    def _cut(self, length: int) -> None:
        """Set the file's length; where no file may be so long, nothing is held."""
        try:
            os.ftruncate(self._descriptor, length)
        except OSError as error:
            if error.errno != errno.EFBIG:
                raise
            length = 0
            os.ftruncate(self._descriptor, length)
        self.length = length


def _allocate(descriptor: int, length: int, start: int = 0) -> None:
    """Set blocks aside from ``start`` on; the file stays as long as it is (ioctl_preallocate in Linux's fs/ioctl.c).

    Where a file system has no such thing nothing happens; posix_fallocate(3) would write all of it instead.
    """
    if not length:
        return
    try:
        fcntl.ioctl(
            descriptor, FS_IOC_RESVSP, struct.pack("hhxxxxqqiI16x", 0, os.SEEK_SET, start, length, 0, 0)
        )
    except OSError as error:
        if error.errno in {errno.ENOSPC, errno.EDQUOT}:
            raise


def in_blocks(length: int) -> int:
    """Return the bytes that a file of this length takes up on disk, in the usual blocks."""
    return -(-length // BLOCK_BYTES) * BLOCK_BYTES


def held_bytes(path: Path) -> tuple[int, int]:
    """Return how many bytes a lasting reservation is for, and how many of them are really held; none if missing."""
    try:
        status = os.lstat(path)
    except OSError:
        return 0, 0
    return status.st_size, min(status.st_size, status.st_blocks * 512)


def free_bytes(folder: Path) -> int:
    """Return how many bytes can still be written below ``folder``."""
    with reading(folder):
        status = os.statvfs(folder)
        return status.f_bavail * status.f_frsize
