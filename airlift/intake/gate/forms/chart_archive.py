"""The listing of a chart's archive: gzip, tar, one folder, within bounds; never unpacked to a disk (SPEC L2.17)."""

import io
import tarfile
from dataclasses import dataclass

from airlift.errors import MalformedError
from airlift.intake.gate.forms.archive import is_outside
from airlift.intake.gate.forms.chart_yaml import MAX_BYTES
from airlift.intake.gate.views import WINDOW, Budget, Unpacked, View
from airlift.intake.gate.wrappings import streams

MAX_UNPACKED = 100 << 20
"""Bytes of all members: what Helm takes by default."""
MAX_MEMBERS = 20_000
_STEP = 1 << 16
_BROKEN = (tarfile.TarError, ValueError, OverflowError, EOFError, UnicodeError)


@dataclass(slots=True)
class _Forward(io.RawIOBase):
    """What a stream unpacks to, as the file that tarfile wants to read."""

    view: Unpacked
    place: int = 0

    def read(self, length: int = -1) -> bytes:
        data = self.view.read(self.place, _STEP if length < 0 else length)
        self.place += len(data)
        return data

    def drain(self) -> bool:
        """Read to the end; say whether there was nothing but zeros."""
        clean = True
        while data := self.read(_STEP):
            clean = clean and not data.strip(b"\0")
        return clean


def description(relative: str, view: View, called: str) -> bytes:
    """Return the file ``called`` of the one folder that an archive holds, once every member was looked at.

    Raises:
        MalformedError: it is no such archive, is damaged, or holds what would not stay in its folder.
    """
    budget = Budget(unpacked=MAX_UNPACKED)
    stream = streams.open_stream(view, view.read(0, WINDOW), budget)
    if stream is None or stream[0] != "gzip":
        raise MalformedError(f"{relative} is no chart", expected="a tar archive in gzip")
    source = _Forward(stream[1])
    try:
        with tarfile.open(fileobj=source, mode="r|", bufsize=512) as archive:
            found = _walk(archive, relative, called)
        clean = source.drain()
    except _BROKEN as error:
        _check_budget(budget, relative)
        raise MalformedError(
            f"{relative} is no tar archive in gzip, or is damaged", found=str(error)[:120]
        ) from error
    _check_budget(budget, relative)
    if not clean or source.view.damaged:
        raise MalformedError(f"{relative} is damaged, or has something behind its end")
    if found is None:
        raise MalformedError(f"{relative} is no chart", expected=f"{called} in one folder", found="none")
    return found


def _check_budget(budget: Budget, relative: str) -> None:
    if budget.spent:
        raise MalformedError(f"{relative} holds too much", expected=f"at most {MAX_UNPACKED} bytes")


def _walk(archive: tarfile.TarFile, relative: str, called: str) -> bytes | None:
    seen, tops, found = set[str](), set[str](), None
    for member in archive:
        name = member.name.removesuffix("/")
        if not (member.isreg() or member.isdir()) or member.issparse() or is_outside(name):
            raise MalformedError(
                f"{relative} has a member that leads out of it, or is neither file nor folder",
                found=ascii(name[-80:]),
            )
        if len(seen) >= MAX_MEMBERS:
            raise MalformedError(f"{relative} holds too much", expected=f"at most {MAX_MEMBERS} members")
        if name in seen and not member.isdir():
            raise MalformedError(f"{relative} has two members of one name", found=ascii(name[-80:]))
        seen.add(name)
        tops.add(name.partition("/")[0])
        if member.isreg() and name.partition("/")[2] == called:
            found = _text(archive, member, relative)
    if len(tops) > 1:
        raise MalformedError(
            f"{relative} holds more than one folder", found=ascii(", ".join(sorted(tops))[:80])
        )
    return found


def _text(archive: tarfile.TarFile, member: tarfile.TarInfo, relative: str) -> bytes:
    if member.size > MAX_BYTES:
        raise MalformedError(
            f"{relative}: {member.name[-80:]!a} is too long", expected=f"at most {MAX_BYTES} bytes"
        )
    opened = archive.extractfile(member)
    return opened.read(MAX_BYTES) if opened is not None else b""
