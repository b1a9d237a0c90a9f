"""The inventory of a volume: exactly the files that a volume has, all of them plain, and no others (SPEC 6.4-2).

Links, special files, nested folders, mount points and files that a volume does not have are refused, and nothing is
opened here.
"""

import os
import stat
from collections.abc import Iterator
from pathlib import Path

from airlift import files
from airlift.bundle.volume import CHUNKS, INDEX, LABEL, MANIFESTS, METADATA, SUMS
from airlift.errors import InventoryError

MAX_METADATA_FILES = 1100
MAX_MANIFEST_FILES = 2048
MAX_CHUNK_FILES = 1 << 20

_FILES = frozenset({LABEL, INDEX, SUMS})
_FOLDERS = frozenset({METADATA, MANIFESTS, CHUNKS})


def take_inventory(folder: Path) -> dict[str, int]:
    """Return {relative path: size in bytes} of the files of a volume.

    Raises:
        InventoryError: something is there that a volume does not have, or something is missing.
        UncheckedError: it cannot be listed.
    """
    listing = dict(_list(folder))
    missing = _FILES - set(listing)
    if missing:
        raise InventoryError(f"{folder} lacks {', '.join(sorted(missing))}")
    return listing


def _list(folder: Path) -> Iterator[tuple[str, int]]:
    """Yield relative path and size of every file."""
    with files.reading(folder):
        device = folder.stat().st_dev
    for entry in _entries(folder, len(_FILES | _FOLDERS) + 1):
        if entry.name in _FILES:
            yield entry.name, _plain(entry, device, stat.S_IFREG, "a regular file")
        elif entry.name in _FOLDERS:
            _plain(entry, device, stat.S_IFDIR, "a plain folder")
            for child in _entries(Path(entry.path), _most(entry.name)):
                yield f"{entry.name}/{child.name}", _plain(child, device, stat.S_IFREG, "a regular file")
        else:
            raise InventoryError(
                f"{entry.path!a} does not belong to a volume", hint="remove nothing yourself; report it"
            )


def _most(name: str) -> int:
    """Return how many files a folder of a volume may hold."""
    return {METADATA: MAX_METADATA_FILES, MANIFESTS: MAX_MANIFEST_FILES}.get(name, MAX_CHUNK_FILES)


def _entries(folder: Path, most: int) -> list[os.DirEntry[str]]:
    with files.reading(folder), os.scandir(folder) as scan:
        found = []
        for entry in scan:
            found.append(entry)
            if len(found) > most:
                raise InventoryError(f"{folder} holds too many files", expected=f"at most {most}")
        return found


def _plain(entry: os.DirEntry[str], device: int, kind: int, expected: str) -> int:
    """Return the size of an entry after checking that it is of this kind, and no link or mount point."""
    with files.reading(entry.path):
        status = entry.stat(follow_symlinks=False)
    if stat.S_IFMT(status.st_mode) != kind or status.st_dev != device:
        raise InventoryError(f"{entry.path!a} is a link, a special file or a mount point", expected=expected)
    return status.st_size
