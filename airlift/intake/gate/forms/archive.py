"""A zip archive that every reader reads alike: one directory, members in a row, no gaps (SPEC L2.16).

Readers differ where an archive has gaps, several directories, or headers that disagree; a wheel that is one thing to
``pip`` and another to a scanner is refused. Nothing is unpacked to a disk.
"""

import io
import stat
import struct
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeAlias

from airlift.errors import MalformedError
from airlift.intake.gate.views import View
from airlift.intake.gate.wrappings import zips

Archive: TypeAlias = zipfile.ZipFile
Member: TypeAlias = zipfile.ZipInfo

MAX_MEMBERS = 200_000
MAX_UNPACKED = 32 << 30
"""Bytes that all members may have: the largest wheels have some 4 GiB."""
_DIRECTORY_BYTES = 64 << 20
_METHODS = frozenset({zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED})
_DESCRIBED, _ENCRYPTED = 8, 1
_TRAILERS = frozenset({0, 12, 16, 20, 24})
"""Bytes of a data descriptor behind a member (APPNOTE 4.3.9)."""
_BROKEN = (
    zipfile.BadZipFile, zlib.error, EOFError, KeyError, NotImplementedError, OverflowError, RuntimeError, ValueError,
    struct.error,
)  # fmt: skip


@dataclass(slots=True)
class _Raw(io.RawIOBase):
    """A view as the file that zipfile wants to read."""

    view: View
    length: int
    place: int = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self.place, io.SEEK_END: self.length}[whence]
        self.place = max(0, start + offset)
        return self.place

    def tell(self) -> int:
        return self.place

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        data = self.view.read(self.place, len(buffer))
        buffer[: len(data)] = data
        self.place += len(data)
        return len(data)


@contextmanager
def opened(view: View, what: str) -> Iterator[Archive]:
    """Give an archive whose members were all found to lie where its one directory says; ``what`` is its name.

    Raises:
        MalformedError: it is none, readers could differ over it, or it breaks while it is read.
    """
    size = view.size() or 0
    try:
        directory = _directory(view, what)
        with zipfile.ZipFile(io.BufferedReader(_Raw(view, size), 1 << 16)) as archive:
            _check_members(archive.infolist(), what, size)
            _check_places(archive.infolist(), view, directory, what)
            yield archive
    except _BROKEN as error:
        raise MalformedError(f"{what} is a damaged zip archive", found=str(error)[:120]) from error


def _directory(view: View, what: str) -> zips.Directory:
    found = zips.directories(view) if view.read(0, 4) == zips.LOCAL else []
    if not found:
        raise MalformedError(f"{what} is no zip archive")
    if len(found) > 1 or found[0].shift:
        raise MalformedError(f"{what} has several directories, or something in front of its members")
    if found[0].end - found[0].start > _DIRECTORY_BYTES:
        raise MalformedError(
            f"{what} has a directory that is too long", expected=f"at most {_DIRECTORY_BYTES} bytes"
        )
    return found[0]


def _check_members(members: list[Member], what: str, size: int) -> None:
    if len(members) > MAX_MEMBERS or sum(item.file_size for item in members) > MAX_UNPACKED:
        raise MalformedError(
            f"{what} holds too much", expected=f"{MAX_MEMBERS} members, {MAX_UNPACKED} bytes"
        )
    if sum(item.compress_size for item in members) > size:
        raise MalformedError(f"{what} has members that lie over one another")
    if len({item.filename for item in members}) < len(members):
        raise MalformedError(f"{what} has two members of one name")
    for item in members:
        if item.flag_bits & _ENCRYPTED or item.compress_type not in _METHODS:
            raise MalformedError(
                f"{what} has a member that is encrypted, or packed in an unusual way",
                found=ascii(item.filename[-80:]),
            )
        if is_outside(item.orig_filename) or stat.S_ISLNK(item.external_attr >> 16):
            raise MalformedError(
                f"{what} has a member that leads out of it, or is a link",
                found=ascii(item.orig_filename[-80:]),
            )


def is_outside(name: str) -> bool:
    """Say whether the name of a member is absolute, leads upwards, or is read in two ways."""
    parts = name.removesuffix("/").split("/")
    return (
        not name
        or "\\" in name
        or "\0" in name
        or name[1:2] == ":"
        or any(p in {"", ".", ".."} for p in parts)
    )


def _check_places(members: list[Member], view: View, directory: zips.Directory, what: str) -> None:
    """Check that members follow one another from the first byte on, so that reading forwards finds the same."""
    place = 0
    for item in sorted(members, key=lambda member: member.header_offset):
        gap = item.header_offset - place
        if gap:
            raise MalformedError(f"{what} has bytes that belong to no member", found=f"at {place}")
        header = view.read(place, 30)
        if len(header) < 30 or not header.startswith(zips.LOCAL):
            raise MalformedError(f"{what} has a member that is not where its directory says")
        place += 30 + sum(struct.unpack_from("<HH", header, 26)) + item.compress_size
        if item.flag_bits & _DESCRIBED:
            place += _trailer(view, place, directory)
    if place != directory.start:
        raise MalformedError(f"{what} has bytes that belong to no member", found=f"at {place}")


def _trailer(view: View, place: int, directory: zips.Directory) -> int:
    """Return how long the data descriptor at a place is: up to the next header, or to the directory."""
    for length in sorted(_TRAILERS):
        if place + length == directory.start or view.read(place + length, 4) == zips.LOCAL:
            return length
    return 0
