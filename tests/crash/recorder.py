"""Stands between airlift and the disk: counts, records and spoils the system calls that change a folder.

While a :class:`Recorder` is entered, every changing call of :mod:`os` below its folder, and every commit of a ledger,
is a *step*. Steps are numbered from 1; before each one ``on_step`` is called and may raise, or end the process. What
succeeds is mirrored in a :mod:`tests.crash.model`, so that at any step it is known what a power cut would leave.
"""

import ast
import errno
import fcntl
import os
import sqlite3
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import pytest

from airlift import files
from airlift.ledger import database
from tests.crash import model
from tests.crash.model import File, Folder, Link

FILES_CALLS = ("sync_folder", "sync_folders", "rename_durable", "point_link", "relink")


PUBLISHED = "depot/metadata/"
"""What is renamed to here may name anything else in the depot: that must be durable by then."""


class KilledError(BaseException):
    """The process is dead as far as the disk is concerned: no later step does anything."""


@dataclass(frozen=True, slots=True)
class Site:
    """A call in airlift's source that a mutation leaves out."""

    path: str
    line: int
    end: int
    callee: str

    def made(self, call: "Call") -> bool:
        """Say whether a call came from here."""
        callee, path, line = call
        return callee == self.callee and self.line <= line <= self.end and path.endswith(self.path)


Call = tuple[str, str, int]
"""What was called, from which file and line."""


@dataclass(slots=True)
class Recorder:
    """Watches the folder ``top``; see the module.

    ``shorten`` makes every write write only half of what it was given. ``left_out`` is the call that does nothing.
    ``broken`` lists rules of durability that were not kept, ``calls`` who called.
    """

    top: Path
    on_step: Callable[[int, str], None] = lambda _number, _text: None
    shorten: bool = False
    left_out: Site | None = None
    root: Folder = field(default_factory=Folder)
    steps: list[str] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)
    calls: set[Call] = field(default_factory=set)
    dead: bool = False
    _patch: pytest.MonkeyPatch = field(default_factory=pytest.MonkeyPatch)

    def __enter__(self) -> Self:
        if not self.root.names:
            self.root = model.load(self.top)
        self.dead = False
        for name, spy in _SPIES.items():
            self._replace(os, name, spy)
        for name in FILES_CALLS:
            self._replace(files, name, _spy_call)
        self._replace(database.Transaction, "__exit__", _spy_commit)
        self._replace(fcntl, "ioctl", _refuse)
        return self

    def __exit__(self, *_details: object) -> None:
        self._patch.undo()

    def _replace(self, owner: Any, name: str, spy: Callable[..., Any]) -> None:
        real = getattr(owner, name)

        def replaced(*args: Any, **named: Any) -> Any:
            frame = sys._getframe(1)
            call = (name, frame.f_code.co_filename, frame.f_lineno)
            self.calls.add(call)
            if self.left_out is not None and self.left_out.made(call):
                return None
            return spy(self, real, *args, **named)

        self._patch.setattr(owner, name, replaced)

    # -- steps -----------------------------------------------------------------------------------------------------

    def step(self, text: str) -> None:
        """Count a step that is about to happen."""
        if self.dead:
            raise KilledError
        self.steps.append(text)
        self.on_step(len(self.steps), text)

    def kill(self) -> None:
        """From here on nothing happens any more; to be called from ``on_step``."""
        self.dead = True
        raise KilledError

    # -- paths -----------------------------------------------------------------------------------------------------

    def find(self, path: Any, dir_fd: int | None = None) -> tuple[Folder, str, str] | None:
        """Return the folder, name and printable path of ``path``, or None if it is not below the top."""
        text = os.fsdecode(path)
        if dir_fd is not None:
            text = os.path.join(Path(f"/proc/self/fd/{dir_fd}").readlink(), text)  # noqa: PTH118
        relative = os.path.relpath(os.path.abspath(text), self.top)  # noqa: PTH100
        parts = Path(relative).parts
        if not parts or parts[0] == "..":
            return None
        folder = self.root
        for part in parts[:-1]:
            node = folder.names.get(part)
            if not isinstance(node, Folder):
                return None
            folder = node
        return folder, parts[-1], relative

    def find_open(self, descriptor: int) -> tuple[model.Node, str] | None:
        """Return what a descriptor is open on, if it is below the top and still has a name."""
        path = str(Path(f"/proc/self/fd/{descriptor}").readlink())
        if path == str(self.top):
            return self.root, "."
        found = self.find(path)
        node = found[0].names.get(found[1]) if found else None
        return None if found is None or node is None else (node, found[2])


def call_sites(tree: ast.AST, path: str, names: set[str]) -> list[Site]:
    """Return the calls of ``names`` (dotted or plain) in a parsed module."""
    return [
        Site(path, node.lineno, node.end_lineno or node.lineno, ast.unparse(node.func).split(".")[-1])
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and ast.unparse(node.func) in names
    ]


# -- one spy per system call ---------------------------------------------------------------------------------------

Real = Callable[..., Any]


def _open(disk: Recorder, real: Real, path: Any, flags: int, *args: Any, **named: Any) -> Any:
    found = disk.find(path, named.get("dir_fd")) if flags & os.O_CREAT else None
    if found is None or found[1] in found[0].names:
        return real(path, flags, *args, **named)
    disk.step(f"create {found[2]}")
    descriptor = real(path, flags, *args, **named)
    found[0].change(f"create {found[1]}", (found[1], File()))
    return descriptor


def _write(disk: Recorder, real: Real, descriptor: int, data: Any, *offset: int) -> Any:
    found = disk.find_open(descriptor)
    if found is None or not isinstance(found[0], File):
        return real(descriptor, data, *offset)
    disk.step(f"write {found[1]}")
    piece = bytes(data[: len(data) // 2 + 1] if disk.shorten else data)
    start = offset[0] if offset else os.lseek(descriptor, 0, os.SEEK_CUR)
    count = real(descriptor, piece, *offset)
    node = found[0]
    node.data = node.data[:start].ljust(start, b"\0") + piece[:count] + node.data[start + count :]
    return count


def _ftruncate(disk: Recorder, real: Real, descriptor: int, length: int) -> Any:
    found = disk.find_open(descriptor)
    if found is not None and isinstance(found[0], File):
        disk.step(f"truncate {found[1]}")
        found[0].data = found[0].data[:length].ljust(length, b"\0")
    return real(descriptor, length)


def _fchmod(disk: Recorder, real: Real, descriptor: int, mode: int) -> Any:
    found = disk.find_open(descriptor)
    if found is not None:
        disk.step(f"chmod {found[1]}")
    return real(descriptor, mode)


def _fsync(disk: Recorder, real: Real, descriptor: int) -> Any:
    found = disk.find_open(descriptor)
    if found is None:
        return real(descriptor)
    disk.step(f"fsync {found[1]}")
    if isinstance(found[0], Folder):
        found[0].sync()
    elif isinstance(found[0], File):
        found[0].synced = found[0].data
    return None


def _rename(disk: Recorder, real: Real, source: Any, target: Any, **named: Any) -> Any:
    old, new = disk.find(source), disk.find(target)
    if old is None or new is None:
        return real(source, target, **named)
    disk.step(f"rename {old[2]} {new[2]}")
    real(source, target, **named)
    node, text = old[0].names[old[1]], f"rename {old[1]} {new[1]}"
    _check_synced(disk, node, f"rename {old[1]} {new[2]}")
    if new[2].startswith(PUBLISHED):
        disk.broken += [f"{text} before: {item}" for item in model.unsynced(disk.root) if old[1] not in item]
    if old[0] is new[0]:
        old[0].change(text, (old[1], None), (new[1], node))
    else:
        added = new[0].change(text, (new[1], node))
        old[0].change(text, (old[1], None), after=added)
    return None


def _link(disk: Recorder, real: Real, source: Any, target: Any, **named: Any) -> Any:
    old, new = disk.find(source), disk.find(target)
    if old is None or new is None:
        return real(source, target, **named)
    disk.step(f"link {old[2]} {new[2]}")
    real(source, target, **named)
    _check_synced(disk, old[0].names[old[1]], f"link {old[1]} {new[2]}")
    new[0].change(f"link {new[1]}", (new[1], old[0].names[old[1]]))
    return None


def _check_synced(disk: Recorder, node: model.Node, text: str) -> None:
    """What gets a name that others rely on must be durable itself by then."""
    lacking = model.unsynced(node) if isinstance(node, Folder) else []
    if lacking or (isinstance(node, File) and node.data != node.synced):
        disk.broken.append(f"{text}: before it was synced {lacking[:3]}")


def _symlink(disk: Recorder, real: Real, target: Any, path: Any, *args: Any, **named: Any) -> Any:
    found = disk.find(path)
    if found is None:
        return real(target, path, *args, **named)
    disk.step(f"symlink {found[2]}")
    real(target, path, *args, **named)
    found[0].change(f"symlink {found[1]}", (found[1], Link(os.fsdecode(target))))
    return None


def _mkdir(disk: Recorder, real: Real, path: Any, *args: Any, **named: Any) -> Any:
    found = disk.find(path, named.get("dir_fd"))
    if found is None:
        return real(path, *args, **named)
    disk.step(f"mkdir {found[2]}")
    real(path, *args, **named)
    found[0].change(f"mkdir {found[1]}", (found[1], Folder()))
    return None


def _unlink(disk: Recorder, real: Real, path: Any, *args: Any, **named: Any) -> Any:
    found = disk.find(path, named.get("dir_fd"))
    if found is None:
        return real(path, *args, **named)
    disk.step(f"remove {found[2]}")
    real(path, *args, **named)
    found[0].change(f"remove {found[1]}", (found[1], None))
    return None


def _spy_call(_disk: Recorder, real: Real, *args: Any, **named: Any) -> Any:
    return real(*args, **named)


def _refuse(_disk: Recorder, _real: Real, *_: Any) -> Any:
    """Share no blocks, as most file systems: what is not shared is written, and that is seen here."""
    raise OSError(errno.EOPNOTSUPP, os.strerror(errno.EOPNOTSUPP))


def _spy_commit(disk: Recorder, real: Real, transaction: Any, kind: Any, *rest: Any) -> Any:
    """A commit is one step: SQLite's own calls are tested by tests.crash.kernel."""
    where = Path(os.fsdecode(transaction.connection.execute("PRAGMA database_list").fetchone()[2]))
    found = disk.find(where) if kind is None else None
    if found is None:
        return real(transaction, kind, *rest)
    try:
        disk.step(f"commit {found[2]}")
    except OSError as error:
        real(transaction, OSError, error, None)
        raise _as_sqlite(error) from error
    except KilledError as error:
        real(transaction, KilledError, error, None)
        raise
    disk.broken += [f"commit of {found[1]} before: {text}" for text in model.unsynced(disk.root)]
    real(transaction, kind, *rest)
    data = where.read_bytes()
    node = found[0].names.get(found[1])
    if isinstance(node, File):
        node.data = node.synced = data
    else:
        made = found[0].change(f"create {found[1]}", (found[1], File(data, data)))
        found[0].settle(made)  # SQLite syncs the folder together with its journal
    return None


def _as_sqlite(error: OSError) -> sqlite3.OperationalError:
    """Return what sqlite3 raises when SQLite meets this error."""
    full = error.errno == errno.ENOSPC
    made = sqlite3.OperationalError(error.strerror)
    made.sqlite_errorcode = sqlite3.SQLITE_FULL if full else sqlite3.SQLITE_IOERR_WRITE
    made.sqlite_errorname = "SQLITE_FULL" if full else "SQLITE_IOERR_WRITE"
    return made


_SPIES: dict[str, Callable[..., Any]] = {
    "open": _open,
    "write": _write,
    "pwrite": _write,
    "ftruncate": _ftruncate,
    "fchmod": _fchmod,
    "fsync": _fsync,
    "rename": _rename,
    "replace": _rename,
    "link": _link,
    "symlink": _symlink,
    "mkdir": _mkdir,
    "unlink": _unlink,
    "remove": _unlink,
    "rmdir": _unlink,
}
