"""Layers of images: a tar of files of the release, the same for the same files. Pure.

Every file that has a block begins at a multiple of blocks, so that a file system that shares blocks need not copy it:
a comment in an extended header, which readers pass over, fills what is lacking.

Source: POSIX pax interchange format; https://github.com/opencontainers/image-spec (layer.md)
"""

import posixpath
import tarfile
from collections.abc import Iterator, Sequence

from airlift.bundle.component.file_entry import FileEntry
from airlift.layouts.plan import Joined

BLOCK = 4096
"""The block of file systems that share blocks, in bytes."""

_FILLER = "."
_END = bytes(2 * tarfile.BLOCKSIZE)


def layer(members: Sequence[tuple[str, FileEntry]]) -> Joined:
    """Return a tar of files at these paths, with the folders above them: no times, owners or links."""
    return Joined(tuple(_joined([*_parts(members), _END])))


def _parts(members: Sequence[tuple[str, FileEntry]]) -> Iterator[bytes | FileEntry]:
    position = 0
    for folder in sorted({above for path, _ in members for above in _above(path)}):
        header = _header(folder, folder=True)
        yield header
        position += len(header)
    for path, entry in sorted(members, key=lambda member: member[0]):
        header = _aligned(path, entry.size, position)
        padding = bytes(-entry.size % tarfile.BLOCKSIZE)
        yield from (header, entry, padding)
        position += len(header) + entry.size + len(padding)


def _joined(parts: Sequence[bytes | FileEntry]) -> Iterator[bytes | FileEntry]:
    """Yield the same with bytes that follow each other in one."""
    held = b""
    for part in parts:
        if isinstance(part, bytes):
            held += part
            continue
        if held:
            yield held
        held = b""
        yield part
    yield held


def _above(path: str) -> Iterator[str]:
    while path := posixpath.dirname(path):
        yield path


def _aligned(path: str, size: int, position: int) -> bytes:
    """Return the header of a file that stands at ``position``; after it, a file of a block or more begins at one."""
    header = _header(path, size)
    if size < BLOCK or not (position + len(header)) % BLOCK:
        return header
    least = len(_header(path, size, _FILLER))
    lacking = -(position + least) % BLOCK
    for fewer in (0, 8):  # the comment says its own length, in one to four digits
        header = _header(path, size, _FILLER * max(1, 1 + lacking - fewer))
        if not (position + len(header)) % BLOCK:
            break
    return header


def _header(path: str, size: int = 0, comment: str = "", *, folder: bool = False) -> bytes:
    info = tarfile.TarInfo(path)
    info.size, info.mode = size, 0o444
    if folder:
        info.type, info.mode = tarfile.DIRTYPE, 0o755
    info.pax_headers = {"comment": comment} if comment else {}
    return info.tobuf(tarfile.PAX_FORMAT)
