"""Passphrases: typed at a terminal, or read from a file or a descriptor; never an argument, which others can see."""

import getpass
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from airlift import files
from airlift.cli.frame.session import Run
from airlift.errors import KeyUnavailableError, UsageError

if TYPE_CHECKING:
    from airlift.trust.keys.public import Passphrase, Signer

MAX_BYTES = 64 << 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Passphrases:
    """Where the passphrases of encrypted keys come from.

    A file or descriptor holds one passphrase per line, one for each encrypted key in the order of the command; the
    last line serves all keys that follow. Without either a person is asked.
    """

    passphrase_file: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Passphrases of encrypted keys, one a line in the order of the keys; "
            "the last serves all that follow.",
        ),
    ] = None
    passphrase_fd: Annotated[
        int | None, typer.Option(metavar="N", help="The same, read from an open file descriptor.")
    ] = None

    @property
    def given(self) -> bool:
        """Whether there is a file or a descriptor to read."""
        return self.passphrase_file is not None or self.passphrase_fd is not None

    def source(self, run: Run) -> "Passphrase":
        """Return what is asked for the passphrase of an encrypted key.

        Raises:
            UsageError: both a file and a descriptor are given.
            KeyUnavailableError: the file or descriptor cannot be read, or is empty.
        """
        if self.passphrase_file is not None and self.passphrase_fd is not None:
            raise UsageError("--passphrase-file and --passphrase-fd exclude each other")
        if self.passphrase_file is not None:
            return _from_lines(_read_file(run, self.passphrase_file), str(self.passphrase_file))
        if self.passphrase_fd is not None:
            return _from_lines(_read_descriptor(self.passphrase_fd), f"descriptor {self.passphrase_fd}")
        return lambda key: _ask(run, f"passphrase of {key}: ") if run.interactive else None

    def signer(self, run: Run, key: str) -> "Signer":
        """Load one private key; see :meth:`signers`."""
        (signer,) = self.signers(run, [key])
        return signer

    def signers(self, run: Run, keys: list[str]) -> "list[Signer]":
        """Load private keys, in order.

        Raises:
            UsageError: both a file and a descriptor are given.
            KeyUnavailableError: a key is missing, is no private key, or does not open.
        """
        return load_signers(keys, self.source(run))


def load_signers(keys: list[str], ask: "Passphrase") -> "list[Signer]":
    """Load private keys, in order.

    Raises:
        KeyUnavailableError: one is missing, is no private key, or does not open.
    """
    from airlift.trust.keys.load import load_signer

    return [load_signer(key, ask) for key in keys]


def new(run: Run, passphrases: Passphrases, *, none: bool) -> bytes | None:
    """Return the passphrase for a key that is being made; None if there shall be none.

    Raises:
        UsageError: nobody said which, and there is no terminal to ask; or the two that were typed differ.
    """
    if none:
        if passphrases.given:
            raise UsageError("--no-passphrase excludes --passphrase-file and --passphrase-fd")
        return None
    return passphrases.source(run)("the new key") if passphrases.given else _ask_twice(run)


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
