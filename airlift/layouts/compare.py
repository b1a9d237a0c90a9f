"""Say what of a tree differs from its plan: damage, what is missing, what nobody listed (SPEC 8.7-9)."""

import hashlib
import os
import stat
from pathlib import Path

from airlift import files
from airlift.layouts.build import joined_pieces
from airlift.layouts.plan import Joined, Linked, Part, Plan, Pointer, Written
from airlift.store.content import ContentFolder, digest_file


def differences(plan: Plan, content: ContentFolder, place: Path) -> list[str]:
    """Return the relative paths of a tree at ``place`` that are not as its plan says, sorted.

    A file that is a hard link to the content of its digest counts as that content, which is verified on its own.

    Raises:
        UncheckedError: something cannot be read.
    """
    if not place.is_dir():
        return sorted(plan)
    wrong = {path for path, part in plan.items() if not _is_there(part, content, place / path)}
    return sorted(wrong | {path for path in files.names_below(place) if path not in plan})


def _is_there(part: Part, content: ContentFolder, path: Path) -> bool:
    with files.reading(path):
        try:
            status = os.lstat(path)
        except FileNotFoundError:
            return False
        if isinstance(part, Pointer):
            return stat.S_ISLNK(status.st_mode) and str(path.readlink()) == part.target
    return stat.S_ISREG(status.st_mode) and _holds(part, content, path, status)


def _holds(
    part: Linked | Written | Joined, content: ContentFolder, path: Path, status: os.stat_result
) -> bool:
    """Say whether a plain file has the bytes that it must have."""
    match part:
        case Linked():
            return _is_link(content.path(part.entry.sha512), status) or digest_file(path) == part.entry.sha512
        case Written():
            return (
                status.st_size == len(part.data)
                and digest_file(path) == hashlib.sha512(part.data).hexdigest()
            )
        case Joined():
            return _is_joined(part, content, path, status.st_size)


def _is_joined(joined: Joined, content: ContentFolder, path: Path, size: int) -> bool:
    """Say whether a file has the bytes of a joined one: both are read beside each other."""
    offset = 0
    with files.opened(path) as descriptor:
        for piece in joined_pieces(joined, content):
            with files.reading(path):
                if files.read_at(descriptor, offset, len(piece)) != piece:
                    return False
            offset += len(piece)
    return offset == size


def _is_link(kept: Path, status: os.stat_result) -> bool:
    with files.reading(kept):
        try:
            other = os.lstat(kept)
        except FileNotFoundError:
            return False
    return (other.st_dev, other.st_ino) == (status.st_dev, status.st_ino)
