"""Bounded reads and durable writes, against a disk that fails at every step."""

import errno
import fcntl
import os
import select
import socket
import stat
import struct
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from threading import Event
from typing import Any

import pytest

from airlift import files
from airlift.errors import (
    AirliftError,
    BusyError,
    DigestError,
    InventoryError,
    NoSpaceError,
    PermissionDeniedError,
    StorageError,
    UncheckedError,
)

CHANGES = ("open", "mkdir", "write", "pwrite", "ftruncate", "fchmod", "fsync", "rename", "link", "symlink")


class Disk:
    """The real os functions, which note every change they make and may fail or stop short at one of them."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.calls: list[str] = []
        self.fail_at: int | None = None
        self.error = errno.EIO
        self.short = False
        for name in CHANGES:
            monkeypatch.setattr(os, name, self._wrapped(name, getattr(os, name)))

    def _wrapped(self, name: str, real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            self.calls.append(self._described(name, args))
            if self.fail_at == len(self.calls) - 1:
                raise OSError(self.error, os.strerror(self.error))
            if name == "fsync":  # noted, and spared the machine: nobody cuts its power here
                return None
            if self.short and name in {"write", "pwrite"}:
                return real(args[0], memoryview(args[1])[:1], *args[2:])
            return real(*args, **kwargs)

        return call

    @staticmethod
    def _described(name: str, args: tuple[Any, ...]) -> str:
        if name == "fsync":
            return "fsync folder" if stat.S_ISDIR(os.fstat(args[0]).st_mode) else "fsync"
        if name == "open" and not args[1] & os.O_CREAT:
            return "open folder"
        return name


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Disk:
    return Disk(monkeypatch)


def leftovers(folder: Path) -> list[str]:
    return [path.name for path in folder.rglob(".tmp-*")]


# -- the order of every durable step -------------------------------------------------------------------------------

FOLDER = ["open folder", "fsync folder"]


def _write(folder: Path) -> None:
    files.write_durable(folder / "file", b"new")


def _create(folder: Path) -> None:
    files.write_durable(folder / "fresh", b"new", replace=False)


def _positioned(folder: Path) -> None:
    with files.writer(folder / "file") as file:
        file.write_at(0, b"n")
        file.write_at(1, b"ew")


def _rename(folder: Path) -> None:
    files.rename_durable(folder / "other" / "new", folder / "file")


def _relink(folder: Path) -> None:
    files.relink(folder / "other" / "new", folder / "file", folder / "other")


def _point(folder: Path) -> None:
    files.point_link(folder / "link", "other/new")


def _make(folder: Path) -> None:
    files.make_folder(folder / "a" / "b")


def _append(folder: Path) -> None:
    files.append_durable(folder / "log", b"line\n")


def _link(folder: Path) -> None:
    assert files.link_if_possible(folder / "other" / "new", folder / "fresh")


STEPS: dict[str, tuple[Callable[[Path], None], list[str]]] = {
    "write": (_write, ["open", "write", "fchmod", "fsync", "rename", *FOLDER]),
    "create": (_create, ["open", "write", "fchmod", "fsync", "link", *FOLDER]),
    "positioned": (_positioned, ["open", "pwrite", "pwrite", "fchmod", "fsync", "rename", *FOLDER]),
    "rename": (_rename, ["rename", *FOLDER, *FOLDER]),
    "relink": (_relink, ["link", "rename", *FOLDER]),
    "point": (_point, ["symlink", "rename", *FOLDER]),
    "make": (_make, ["mkdir", *FOLDER, "mkdir", *FOLDER]),
    "append": (_append, ["open", "ftruncate", "pwrite", "fsync", *FOLDER]),
    "link": (_link, ["link"]),
}
ALL_STEPS = pytest.mark.parametrize("step", STEPS)


# what a fault may leave beside the old state and the new one: a folder without its child, a line that is not there
HALF_WAY: dict[str, list[dict[str, bytes | str | None]]] = {"make": [{"a": None}], "append": [{"log": b""}]}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return prepare(tmp_path / "folder")


def prepare(folder: Path) -> Path:
    """Fill a folder with an old file, a new one, and a link to the old one."""
    (folder / "other").mkdir(parents=True)
    (folder / "file").write_bytes(b"old")
    (folder / "other" / "new").write_bytes(b"new")
    (folder / "link").symlink_to("file")
    return folder


def state(folder: Path) -> dict[str, bytes | str | None]:
    """Return everything in a folder: bytes of files, targets of links, None for folders."""
    found: dict[str, bytes | str | None] = {}
    for path in sorted(folder.rglob("*")):
        name = str(path.relative_to(folder))
        if path.is_symlink():
            found[name] = str(path.readlink())
        else:
            found[name] = None if path.is_dir() else path.read_bytes()
    return found


@ALL_STEPS
def test_write_sync_rename_sync_folder_in_this_order(step: str, folder: Path, disk: Disk) -> None:
    """Loss of everything that was not synced leaves the old state or the new one."""
    act, order = STEPS[step]
    disk.calls.clear()
    act(folder)
    assert disk.calls == order
    assert leftovers(folder) == []


@ALL_STEPS
@pytest.mark.parametrize(
    ("number", "expected"),
    [
        (errno.ENOSPC, NoSpaceError),
        (errno.EDQUOT, NoSpaceError),
        (errno.EFBIG, NoSpaceError),
        (errno.EIO, StorageError),
        (errno.EACCES, PermissionDeniedError),
        (errno.EROFS, PermissionDeniedError),
    ],
)
def test_a_fault_at_any_step_leaves_the_old_or_the_new(
    step: str, number: int, expected: type[AirliftError], tmp_path: Path, disk: Disk
) -> None:
    """A full disk at every write; EIO, ENOSPC and EACCES at every mutating call."""
    act, order = STEPS[step]
    good = prepare(tmp_path / "good")
    old = state(good)
    act(good)
    allowed = [old, state(good), *(old | more for more in HALF_WAY.get(step, []))]
    disk.error = number
    for position in range(len(order)):
        folder = prepare(tmp_path / str(position))
        disk.calls.clear()
        disk.fail_at = position
        with pytest.raises(expected) as caught:
            act(folder)
        disk.fail_at = None
        assert type(caught.value) is expected
        assert str(folder) in caught.value.message
        assert state(folder) in allowed


@pytest.mark.parametrize("step", ["write", "create", "positioned", "append"])
def test_short_writes_are_continued(step: str, folder: Path, disk: Disk) -> None:
    disk.short = True
    STEPS[step][0](folder)
    name, data = {"create": ("fresh", b"new"), "append": ("log", b"line\n")}.get(step, ("file", b"new"))
    assert (folder / name).read_bytes() == data


def test_short_reads_are_continued(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.pread
    monkeypatch.setattr(os, "pread", lambda fd, length, offset: real(fd, min(length, 3), offset))
    (tmp_path / "f").write_bytes(b"0123456789")
    assert files.read_bounded(tmp_path / "f", 10) == b"0123456789"


def test_an_interrupted_call_is_told_as_a_failure(folder: Path, disk: Disk) -> None:
    """EINTR that a handler lets through never reaches a caller as anything but an AirliftError."""
    disk.calls.clear()
    disk.fail_at, disk.error = 1, errno.EINTR
    with pytest.raises(StorageError):
        _write(folder)
    assert (folder / "file").read_bytes() == b"old"


# -- durable writes ------------------------------------------------------------------------------------------------


def test_a_written_file_is_read_only_unless_asked(tmp_path: Path) -> None:
    files.write_durable(tmp_path / "a", b"")
    files.write_durable(tmp_path / "b", b"x", mode=0o600)
    assert stat.S_IMODE((tmp_path / "a").stat().st_mode) == 0o444
    assert stat.S_IMODE((tmp_path / "b").stat().st_mode) == 0o600


def test_without_replace_an_existing_file_stays(folder: Path) -> None:
    with pytest.raises(StorageError, match="cannot write") as caught:
        files.write_durable(folder / "file", b"new", replace=False)
    assert caught.value.found == "File exists"
    assert (folder / "file").read_bytes() == b"old"
    assert leftovers(folder) == []


def test_writing_replaces_a_link_rather_than_what_it_points_at(folder: Path) -> None:
    files.write_durable(folder / "link", b"new")
    assert (folder / "file").read_bytes() == b"old"
    assert not (folder / "link").is_symlink()


@pytest.mark.parametrize("error", [KeyboardInterrupt, DigestError("bad"), ValueError])
def test_a_body_that_fails_leaves_nothing(folder: Path, error: Any) -> None:
    def fail() -> None:
        with files.writer(folder / "file") as file:
            file.write(b"half")
            raise error

    with pytest.raises(error if isinstance(error, type) else type(error)):
        fail()
    assert (folder / "file").read_bytes() == b"old"
    assert leftovers(folder) == []


def test_views_of_wider_items_are_written_whole(tmp_path: Path) -> None:
    view = memoryview(bytearray(16)).cast("Q")
    with files.writer(tmp_path / "f") as file:
        file.write(view)
        file.write_at(16, view)
    assert (tmp_path / "f").read_bytes() == bytes(32)


def test_positions_beyond_4_gib(tmp_path: Path) -> None:
    """Sparse files, and sizes at 2^32 + 1."""
    with files.writer(tmp_path / "f") as file:
        file.write_at(2**32, b"x")
    assert (tmp_path / "f").stat().st_size == 2**32 + 1
    descriptor = files.open_regular(tmp_path / "f")
    try:
        assert files.read_at(descriptor, 2**32 - 1, 10) == b"\0x"
        room = bytearray(b"?" * 4)
        assert files.read_into(descriptor, 2**32 - 1, memoryview(room)) == 2
        assert room == b"\0x??"
    finally:
        os.close(descriptor)
    with pytest.raises(DigestError, match="too long"):
        files.read_bounded(tmp_path / "f", 2**32)


def test_a_long_file_reaches_the_disk_while_it_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So that the sync at the end is short; where the system cannot be told, it is simply written."""
    told: list[tuple[int, int]] = []
    monkeypatch.setattr(files, "SYNC_BYTES", 1000)
    monkeypatch.setattr(
        os, "posix_fadvise", lambda _descriptor, start, length, _advice: told.append((start, length))
    )
    with files.writer(tmp_path / "long") as file:
        for _ in range(7):
            file.write(bytes(400))
    assert told == [(0, 1200), (1200, 1200)]
    monkeypatch.delattr(os, "posix_fadvise")
    with files.writer(tmp_path / "again") as file:
        file.write(bytes(4000))
    assert (tmp_path / "again").stat().st_size == 4000


@pytest.mark.parametrize("able", [True, False])
@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ((0, 8192, 0), [(0, 0, 8192)]),
        ((100, 20000, 100), [(4096, 4096, 12288)]),
        ((4096, 5000, 8192), [(8192, 4096, 4096)]),
        ((5, 12288, 6), [(4097, 4096, 8192)]),
        ((0, 4095, 0), []),
        ((4095, 4096, 4095), []),
        ((0, 0, 0), []),
    ],
)
def test_what_is_shared_and_what_is_written(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    able: bool,
    given: tuple[int, int, int],
    expected: list[tuple[int, int, int]],
) -> None:
    """Whole blocks of the target are asked for; where the source's are not whole too, the file system refuses.

    ``given`` is what was written before, the length, and where it stands in the source.
    """
    before, length, offset = given
    source = tmp_path / "source"
    source.write_bytes(bytes(n * 7 % 251 for n in range(40000)))
    asked = []

    def ioctl(target: int, request: int, data: bytes) -> int:
        descriptor, start, count, place = struct.unpack("qQQQ", data)
        assert request == 0x4020940D
        asked.append((start, place, count))
        if start % 4096 or not able:
            raise OSError(errno.EINVAL, "injected")
        os.pwrite(target, os.pread(descriptor, count, start), place)
        return 0

    monkeypatch.setattr(fcntl, "ioctl", ioctl)
    data = source.read_bytes()[offset : offset + length]
    with files.opened(source) as descriptor, files.writer(tmp_path / "target") as file:
        file.write(b"b" * before)
        file.share(data, descriptor, offset)
        file.write(b"after")
    assert (tmp_path / "target").read_bytes() == b"b" * before + data + b"after"
    assert asked == expected


def test_make_folder_leaves_what_is_there(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    assert files.make_folder(tmp_path / "a" / "b") == tmp_path / "a" / "b"
    assert files.make_folder(tmp_path / "a") == tmp_path / "a"
    for path in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(StorageError):
            files.make_folder(path)


def test_make_folder_beside_another_who_makes_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = Path.mkdir

    def twice(path: Path, *args: Any) -> None:
        real(path)
        real(path, *args)

    monkeypatch.setattr(Path, "mkdir", twice)
    assert files.make_folder(tmp_path / "a").is_dir()


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (None, b"line\n"),
        (b"", b"line\n"),
        (b"one\n", b"one\nline\n"),
        (b"torn", b"line\n"),
        (b"one\ntorn", b"one\nline\n"),
        (b"one\n" + b"t" * (files.COPY_BYTES + 1), b"one\nline\n"),
        (b"t" * (2 * files.COPY_BYTES), b"line\n"),
        (b"\n", b"\nline\n"),
    ],
)
def test_append_drops_a_torn_line_first(tmp_path: Path, before: bytes | None, after: bytes) -> None:
    path = tmp_path / "log"
    if before is not None:
        path.write_bytes(before)
    files.append_durable(path, b"line\n")
    assert path.read_bytes() == after


def test_append_syncs_the_folder_of_a_new_file_only(tmp_path: Path, disk: Disk) -> None:
    files.append_durable(tmp_path / "log", b"1\n")
    disk.calls.clear()
    files.append_durable(tmp_path / "log", b"2\n")
    assert disk.calls == ["open", "ftruncate", "pwrite", "fsync"]


def test_append_follows_no_link(folder: Path) -> None:
    with pytest.raises(StorageError):
        files.append_durable(folder / "link", b"line\n")
    assert (folder / "file").read_bytes() == b"old"


def test_relink_of_what_is_linked_already(folder: Path) -> None:
    """POSIX rename does nothing when both names are one file; the scratch name must go all the same."""
    (folder / "file").unlink()
    os.link(folder / "other" / "new", folder / "file")
    _relink(folder)
    assert leftovers(folder) == []
    assert (folder / "file").samefile(folder / "other" / "new")


def test_point_makes_and_moves_a_link(folder: Path) -> None:
    files.point_link(folder / "fresh", "file")
    files.point_link(folder / "fresh", "other")
    assert (folder / "fresh").readlink() == Path("other")
    (folder / "full").mkdir()
    with pytest.raises(StorageError):
        files.point_link(folder / "full", "file")
    assert leftovers(folder) == []


def test_rename_replaces_an_empty_folder_only(folder: Path) -> None:
    (folder / "empty").mkdir()
    files.rename_durable(folder / "other", folder / "empty")
    assert (folder / "empty" / "new").exists()
    (folder / "second").mkdir()
    with pytest.raises(StorageError):
        files.rename_durable(folder / "second", folder / "empty")


def test_remove_follows_no_link(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    outside = tmp_path_factory.mktemp("outside")
    (outside / "kept").write_bytes(b"")
    (folder / "other" / "out").symlink_to(outside)
    (folder / "out").symlink_to(outside)
    for name in ("other", "out", "file", "missing", "missing/deep"):
        files.remove(folder / name)
    assert sorted(path.name for path in folder.iterdir()) == ["link"]
    assert (outside / "kept").exists()


def test_sync_tree_syncs_every_folder_and_the_parent(folder: Path, disk: Disk) -> None:
    (folder / "other" / "deep").mkdir()
    disk.calls.clear()
    files.sync_tree(folder)
    assert sorted(disk.calls) == sorted(FOLDER * 4)
    with pytest.raises(StorageError):
        files.sync_tree(folder / "missing")


def test_remove_makes_it_durable(folder: Path, disk: Disk) -> None:
    disk.calls.clear()
    files.remove(folder / "file")
    assert disk.calls[-2:] == FOLDER
    disk.calls.clear()
    disk.fail_at = 0
    with pytest.raises(StorageError):
        files.remove(folder / "link")


def test_remove_temporary_sweeps_its_own_leftovers(folder: Path) -> None:
    (folder / ".tmp-1").write_bytes(b"")
    (folder / ".tmp-2").mkdir()
    (folder / ".tmp-3").symlink_to("file")
    (folder / "other" / ".tmp-4").write_bytes(b"")
    files.remove_temporary(folder)
    assert leftovers(folder) == [".tmp-4"]
    assert (folder / "file").exists()
    files.remove_temporary(folder / "missing")


# -- bounded reads -------------------------------------------------------------------------------------------------


@pytest.fixture
def specials(tmp_path: Path) -> Iterator[dict[str, Path]]:
    (tmp_path / "file").write_bytes(b"x")
    (tmp_path / "link").symlink_to("file")
    (tmp_path / "dangling").symlink_to("nowhere")
    (tmp_path / "loop").symlink_to("loop")
    os.mkfifo(tmp_path / "fifo")
    with socket.socket(socket.AF_UNIX) as server, ExitStack() as stack:
        before = Path.cwd()
        stack.callback(os.chdir, before)
        os.chdir(tmp_path)  # the path of a socket may not be long
        server.bind("socket")
        yield {path.name: path for path in tmp_path.iterdir()} | {
            "folder": tmp_path,
            "device": Path("/dev/null"),
            "terminal": Path("/dev/tty"),
        }


@pytest.mark.parametrize(
    "name", ["link", "dangling", "loop", "fifo", "socket", "folder", "device", "terminal"]
)
def test_links_and_special_files_are_not_read(specials: dict[str, Path], name: str) -> None:
    """Symbolic links, FIFOs, devices and sockets; none of them makes a reader wait."""
    for read in (files.open_regular, lambda path: files.read_bounded(path, 10)):
        with pytest.raises(InventoryError, match=r"not a regular file|link or a special file"):
            read(specials[name])


def test_what_is_not_there_is_unchecked_rather_than_bad(tmp_path: Path) -> None:
    with pytest.raises(UncheckedError, match="cannot read") as caught:
        files.read_bounded(tmp_path / "missing", 10)
    assert (caught.value.exit_code, caught.value.found) == (7, "No such file or directory")


@pytest.mark.parametrize(
    ("number", "expected"), [(errno.EIO, UncheckedError), (errno.EACCES, PermissionDeniedError)]
)
@pytest.mark.parametrize("name", ["open", "fstat", "pread"])
def test_a_medium_that_fails_is_unchecked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, number: int, expected: type[AirliftError]
) -> None:
    """A medium that returns I/O errors."""
    (tmp_path / "f").write_bytes(b"x")

    def fail(*_: Any) -> None:
        raise OSError(number, "")

    with monkeypatch.context() as patched:
        patched.setattr(os, name, fail)
        with pytest.raises(expected) as caught:
            files.read_bounded(tmp_path / "f", 10)
    assert type(caught.value) is expected
    assert caught.value.exit_code == 7


def test_reads_are_bounded_before_anything_is_allocated(tmp_path: Path) -> None:
    path = tmp_path / "f"
    path.write_bytes(b"12345")
    assert files.read_bounded(path, 5) == b"12345"
    with pytest.raises(DigestError, match="too long") as caught:
        files.read_bounded(path, 4)
    assert (caught.value.expected, caught.value.found) == ("at most 4 bytes", "5 bytes")
    os.truncate(path, 2**40)
    with pytest.raises(DigestError):
        files.read_bounded(path, 2**20)


@pytest.mark.parametrize("size", [0, 3, 9])
def test_a_file_that_changes_while_it_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    """A medium that changes between two reads: a file that grows or shrinks."""
    path = tmp_path / "f"
    path.write_bytes(b"12345")
    real = files.read_at

    def changing(descriptor: int, offset: int, length: int) -> bytes:
        os.truncate(path, size)
        return real(descriptor, offset, length)

    monkeypatch.setattr(files, "read_at", changing)
    with pytest.raises(UncheckedError, match="changed while it was read"):
        files.read_bounded(path, 100)


def test_no_descriptor_is_lost(specials: dict[str, Path]) -> None:
    descriptors = Path("/proc/self/fd")
    if not descriptors.exists():
        pytest.skip("no /proc")
    before = len(list(descriptors.iterdir()))
    for path in specials.values():
        for limit in (0, 10):
            try:
                files.read_bounded(path, limit)
            except AirliftError:
                continue
    assert len(list(descriptors.iterdir())) == before


# -- locks and space -----------------------------------------------------------------------------------------------

HOLDER = """
import sys
from pathlib import Path
from airlift import files
with files.lock(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_one_lock_across_processes(tmp_path: Path) -> None:
    """Two imports at once; and the lock of a killed command is free."""
    path = tmp_path / "lock"
    root = Path(files.__file__).resolve().parents[1]
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=root
    )
    assert holder.stdin is not None
    assert holder.stdout is not None
    try:
        assert select.select([holder.stdout], [], [], 30)[0]
        assert holder.stdout.readline() == b"held\n"
        with pytest.raises(BusyError, match="in use by another"), files.lock(path):
            pass
    finally:
        holder.kill()
        holder.wait()
        holder.stdin.close()
        holder.stdout.close()
    with files.lock(path):
        pass
    with files.lock(path), pytest.raises(BusyError), files.lock(path):
        pass


def test_errors_of_the_body_are_not_taken_for_the_lock_s(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="mine"), files.lock(tmp_path / "lock"):
        raise OSError(errno.EIO, "mine")


def test_a_lock_that_cannot_be_had(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any) -> None:
        raise OSError(errno.ENOLCK, "no locks")

    with pytest.raises(StorageError), files.lock(tmp_path / "missing" / "lock"):
        pass
    (tmp_path / "link").symlink_to("elsewhere")
    with pytest.raises(StorageError), files.lock(tmp_path / "link"):
        pass
    monkeypatch.setattr("fcntl.flock", fail)
    with pytest.raises(StorageError, match="lock"), files.lock(tmp_path / "lock"):
        pass


def test_free_bytes(tmp_path: Path) -> None:
    assert files.free_bytes(tmp_path) > 0
    with pytest.raises(UncheckedError):
        files.free_bytes(tmp_path / "missing")


# -- room that is held ---------------------------------------------------------------------------------------------


def held(path: Path) -> int:
    """Return the bytes of a file that really have blocks."""
    return path.stat().st_blocks * 512


def test_a_lasting_reservation_holds_blocks_and_is_cut(tmp_path: Path) -> None:
    place = tmp_path / "reserved"
    with files.reserving(place, lasting=True) as room:
        room.resize(1 << 20)
        can = held(place) > 0
        assert files.held_bytes(place) == (1 << 20, (1 << 20) if can else 0)
        with files.writer(tmp_path / "file") as target:
            room.hand_over(target, 1 << 18)
            assert os.fstat(target.descriptor).st_size == 0
            assert not can or os.fstat(target.descriptor).st_blocks * 512 >= 1 << 18
            target.write(b"short")
        assert room.length == (1 << 20) - (1 << 18)
    assert (tmp_path / "file").read_bytes() == b"short"
    with files.reserving(place, lasting=True) as room:
        assert room.length == (1 << 20) - (1 << 18)
        room.hand_over(files.Writer(os.open(tmp_path / "other", os.O_RDWR | os.O_CREAT)), 1 << 30)
        assert room.length == 0
    assert files.held_bytes(place) == (0, 0)
    assert files.held_bytes(tmp_path / "missing") == (0, 0)


@pytest.mark.parametrize("tmpfile", [True, False])
def test_a_passing_reservation_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tmpfile: bool
) -> None:
    if not tmpfile:
        monkeypatch.delattr(os, "O_TMPFILE", raising=False)
    with files.reserving(tmp_path / "reserved", lasting=False) as room:
        room.resize(1 << 16)
        assert room.length == 1 << 16
        assert list(tmp_path.iterdir()) == []
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("number", [errno.EOPNOTSUPP, errno.ENOTTY, errno.EINVAL, errno.EIO])
def test_where_no_blocks_can_be_held_the_length_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(number, "injected")

    monkeypatch.setattr(fcntl, "ioctl", refuse)
    with files.reserving(tmp_path / "reserved", lasting=True) as room:
        room.resize(1 << 20)
    assert files.held_bytes(tmp_path / "reserved") == (1 << 20, 0)


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_no_room_to_hold(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    """What was held before still is."""
    with files.reserving(tmp_path / "reserved", lasting=True) as room:
        room.resize(1 << 16)

        def refuse(*_: object) -> None:
            raise OSError(number, "injected")

        monkeypatch.setattr(fcntl, "ioctl", refuse)
        with pytest.raises(NoSpaceError):
            room.resize(1 << 20)
        assert room.length == 1 << 16
    assert (tmp_path / "reserved").stat().st_size == 1 << 16


def test_a_reservation_longer_than_a_file_may_be(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.ftruncate

    def ftruncate(descriptor: int, length: int) -> None:
        if length > 1000:
            raise OSError(errno.EFBIG, "injected")
        real(descriptor, length)

    monkeypatch.setattr(os, "ftruncate", ftruncate)
    with files.reserving(tmp_path / "reserved", lasting=True) as room:
        room.resize(1 << 20)
        assert room.length == 0


def test_a_reservation_follows_no_link(tmp_path: Path) -> None:
    (tmp_path / "other").write_bytes(b"precious")
    (tmp_path / "reserved").symlink_to(tmp_path / "other")
    with pytest.raises(StorageError), files.reserving(tmp_path / "reserved", lasting=True):
        pass
    assert (tmp_path / "other").read_bytes() == b"precious"


# -- files that grow over several commands ---------------------------------------------------------------------------


def test_a_file_grows_over_several_commands(tmp_path: Path) -> None:
    path, target = tmp_path / "growing", tmp_path / "whole"
    with files.growing(path) as file:
        file.append(b"one ")
    with files.growing(path) as file:
        assert (file.length, b"".join(file.pieces())) == (4, b"one ")
        file.append(b"xxx")
        file.cut(4)
        file.append(b"two")
        file.become(target, 0o644)
    assert target.read_bytes() == b"one two"
    assert stat.S_IMODE(target.stat().st_mode) == 0o644
    assert not path.exists()
    with files.growing(path) as file:
        file.drop()
    assert not path.exists()


def test_a_file_that_grows_is_written_by_one_command(tmp_path: Path) -> None:
    path = tmp_path / "growing"
    with files.growing(path), pytest.raises(BusyError), files.growing(path):
        pass  # pragma: no cover
    with files.growing(path):
        pass


def test_a_file_that_got_its_name_in_between_is_left_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, target = tmp_path / "growing", tmp_path / "whole"
    path.write_bytes(b"whole")
    real = fcntl.flock

    def finished(descriptor: int, kind: int) -> None:
        """Another command finishes after this one opened the file."""
        path.rename(target)
        real(descriptor, kind)

    monkeypatch.setattr(files.fcntl, "flock", finished)  # type: ignore[attr-defined]
    with pytest.raises(BusyError), files.growing(path):
        pass  # pragma: no cover
    assert target.read_bytes() == b"whole"


@pytest.mark.parametrize("error", [errno.ENOSPC, errno.EIO])
def test_a_disk_that_fails_while_a_file_grows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: int
) -> None:
    def fail(*_arguments: Any) -> int:
        raise OSError(error, os.strerror(error))

    with files.growing(tmp_path / "growing") as file:
        file.append(b"one")
        monkeypatch.setattr(os, "pwrite", fail)
        with pytest.raises(NoSpaceError if error == errno.ENOSPC else StorageError):
            file.append(b"two")
        assert file.length == 3


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(1) as threads:
        yield threads


def test_a_file_that_gets_its_room_while_it_is_written(tmp_path: Path, pool: ThreadPoolExecutor) -> None:
    begun = files.begin(tmp_path / "target", 1 << 20, pool)
    assert begun.path.name.startswith(".tmp-")
    with files.writer(tmp_path / "target", begun=begun) as target:
        assert target.descriptor == begun.descriptor
        target.write(b"data")
    assert begun.room.done()
    assert [(path.name, path.read_bytes()) for path in tmp_path.iterdir()] == [("target", b"data")]


def test_room_is_set_aside_in_steps_that_grow_where_they_take_no_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pool: ThreadPoolExecutor
) -> None:
    length, asked = 100 << 20, list[tuple[int, int]]()
    monkeypatch.setattr(files, "_allocate", lambda _, count, start: asked.append((start, count)))
    for limit, sizes in ((1000.0, [16, 32, 52]), (-1.0, [16] * 6 + [4])):
        asked.clear()
        monkeypatch.setattr(files, "STEP_SECONDS", limit)
        begun = files.begin(tmp_path / "target", length, pool)
        begun.room.result()
        files.drop(begun)
        assert [count >> 20 for _, count in asked] == sizes
        assert [start for start, _ in asked] == [sum(sizes[:number]) << 20 for number in range(len(sizes))]


def test_nothing_gets_its_name_without_its_room(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pool: ThreadPoolExecutor
) -> None:
    monkeypatch.setattr(files, "_allocate", _full)
    begun = files.begin(tmp_path / "target", 1 << 20, pool)
    with (
        pytest.raises(NoSpaceError, match="target"),
        files.writer(tmp_path / "target", begun=begun) as target,
    ):
        target.write(b"data")
    assert list(tmp_path.iterdir()) == []


def test_what_was_begun_and_fails_is_gone(tmp_path: Path, pool: ThreadPoolExecutor) -> None:
    """Also where no thread has come to it yet; a descriptor is not closed while one uses it."""
    held = Event()
    waiting = pool.submit(held.wait)
    files.drop(files.begin(tmp_path / "target", 1 << 20, pool))
    begun = files.begin(tmp_path / "target", 5, pool)
    with pytest.raises(KeyboardInterrupt), files.writer(tmp_path / "target", begun=begun):
        raise KeyboardInterrupt
    assert begun.room.cancelled()
    held.set()
    waiting.result()
    begun = files.begin(tmp_path / "target", 1 << 20, pool)
    begun.room.result()
    files.drop(begun)
    assert list(tmp_path.iterdir()) == []


def _full(_descriptor: int, _length: int, _start: int) -> None:
    raise OSError(errno.ENOSPC, "injected")


# -- many names at once --------------------------------------------------------------------------------------------


def test_names_that_change_together_are_synced_once(folder: Path, disk: Disk) -> None:
    for number in range(5):
        (folder / f"{number}.old").write_bytes(b"x")
    (folder / "there").mkdir()
    disk.calls.clear()
    with files.naming() as names:
        names.make_folder(f"{folder}/there")
        for number in range(5):
            names.move(f"{folder}/{number}.old", f"{folder}/there/{number}")
        names.link(f"{folder}/there/1", f"{folder}/again")
        names.link(f"{folder}/there/2", f"{folder}/again")
        names.remove(f"{folder}/there/2")
        names.remove(f"{folder}/there/2")
    assert disk.calls.count("fsync folder") == 2
    assert sorted(path.name for path in (folder / "there").iterdir()) == ["0", "1", "3", "4"]
    assert os.path.samestat((folder / "again").stat(), (folder / "there" / "1").stat())


def test_a_folder_that_was_removed_meanwhile_need_not_be_synced(folder: Path) -> None:
    with files.naming() as names:
        names.make_folder(f"{folder}/short")
        names.remove(f"{folder}/short/nothing")
        (folder / "short").rmdir()


@pytest.mark.parametrize("change", ["move", "link", "remove", "make_folder"])
@pytest.mark.parametrize(("code", "kind"), [(errno.ENOSPC, NoSpaceError), (errno.EIO, StorageError)])
def test_a_name_that_cannot_be_changed(
    folder: Path, change: str, code: int, kind: type[StorageError], monkeypatch: pytest.MonkeyPatch
) -> None:
    def failing(*_args: Any, **_named: Any) -> None:
        raise OSError(code, os.strerror(code))

    for call in ("rename", "link", "unlink", "mkdir"):
        monkeypatch.setattr(os, call, failing)
    names = files.Names()
    paths = [f"{folder}/one", f"{folder}/two"][-2 if change in {"move", "link"} else -1 :]
    with pytest.raises(kind, match="two"):
        getattr(names, change)(*paths)


@pytest.mark.parametrize("count", [1, files.FEW, files.FEW + 1, 300])
def test_every_folder_is_synced(folder: Path, count: int, disk: Disk) -> None:
    made = [files.make_folder(folder / str(number)) for number in range(count)]
    disk.calls.clear()
    files.sync_folders(map(str, made))
    assert disk.calls.count("fsync folder") == count


def test_a_folder_that_cannot_be_synced(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On whichever thread it is asked for."""
    made = [str(files.make_folder(folder / str(number))) for number in range(files.FEW + 1)]

    def failing(_descriptor: int) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(os, "fsync", failing)
    with pytest.raises(StorageError):
        files.sync_folders(made)


def test_what_lies_below_a_folder(folder: Path) -> None:
    (folder / "a" / "b").mkdir(parents=True)
    (folder / "a" / "b" / "file").write_bytes(b"")
    (folder / "a" / "link").symlink_to("b")
    (folder / "gone").symlink_to("nowhere")
    assert files.names_below(folder / "a") == ["b/file", "link"]
    assert {"a/b/file", "a/link", "gone"} <= set(files.names_below(folder))
    assert files.names_in(folder / "a") == {"b", "link"}
    assert files.names_in(folder / "missing") == frozenset()
    with pytest.raises(UncheckedError):
        files.names_below(folder / "missing")
