"""Passphrases: typed at a terminal, or read from a file or a descriptor; never an argument, which others can see."""

import getpass
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from airlift import files
from airlift.cli.frame.session import Run
from airlift.errors import KeyUnavailableError, UsageError

if TYPE_CHECKING:
    from airlift.trust.keys.public import Passphrase

MAX_BYTES = 64 << 10


def source(run: Run, file: Path | None, descriptor: int | None) -> "Passphrase":
    """Return what is asked for the passphrase of an encrypted key.

    A file or descriptor holds one passphrase per line, one for each encrypted key in the order of the command; the
    last line serves all keys that follow.

    Raises:
        UsageError: both a file and a descriptor are given.
        KeyUnavailableError: the file or descriptor cannot be read, or is empty.
    """
    if file is not None and descriptor is not None:
        raise UsageError("--passphrase-file and --passphrase-fd exclude each other")
    if file is not None:
        return _from_lines(_read_file(run, file), str(file))
    if descriptor is not None:
        return _from_lines(_read_descriptor(descriptor), f"descriptor {descriptor}")
    return lambda key: _ask(run, f"passphrase of {key}: ") if run.interactive else None


def new(run: Run, file: Path | None, descriptor: int | None, *, none: bool) -> bytes | None:
    """Return the passphrase for a key that is being made; None if there shall be none.

    Raises:
        UsageError: nobody said which, and there is no terminal to ask; or the two that were typed differ.
    """
    if none:
        if file is not None or descriptor is not None:
            raise UsageError("--no-passphrase excludes --passphrase-file and --passphrase-fd")
        return None
    if file is None and descriptor is None:
        return _ask_twice(run)
    return source(run, file, descriptor)("the new key")


def _ask_twice(run: Run) -> bytes:
    if not run.interactive:
        raise UsageError(
            "a passphrase is needed, and there is no terminal to ask for it",
            hint="give --passphrase-file FILE or --passphrase-fd N, or say --no-passphrase",
        )
    first = _ask(run, "new passphrase: ")
    if not first:
        raise UsageError("the passphrase is empty", hint="type one, or say --no-passphrase")
    if first != _ask(run, "again: "):
        raise UsageError("the two passphrases differ", hint="run the same command again")
    return first


def _ask(run: Run, question: str) -> bytes:
    run.pause()
    try:
        return getpass.getpass(question).encode()
    except EOFError:
        return b""


def _from_lines(data: bytes, what: str) -> "Passphrase":
    lines = [line.rstrip(b"\r") for line in data.split(b"\n")]
    while lines and not lines[-1]:
        lines.pop()
    if not lines:
        raise KeyUnavailableError(f"{what} holds no passphrase")
    answer = _in_turn(lines)
    return lambda _key: next(answer)


def _in_turn(lines: list[bytes]) -> Iterator[bytes]:
    yield from lines
    while True:
        yield lines[-1]


def _read_file(run: Run, path: Path) -> bytes:
    """Read a file or a pipe (a shell's process substitution) of at most MAX_BYTES."""
    with files.reading(path), path.open("rb") as file:
        status = os.fstat(file.fileno())
        if stat.S_ISREG(status.st_mode) and status.st_mode & (stat.S_IRWXG | stat.S_IRWXO):
            run.warn(f"{path} can be used by other users of this machine: chmod 600 it")
        return file.read(MAX_BYTES)


def _read_descriptor(descriptor: int) -> bytes:
    what = f"descriptor {descriptor}"
    with files.reading(what), os.fdopen(os.dup(descriptor), "rb") as file:
        return file.read(MAX_BYTES)
