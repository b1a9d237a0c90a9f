"""The inventory of a volume: exactly the files that a volume has, all of them plain, and no others (SPEC 6.4-2).

Links, special files, nested folders, mount points and files that a volume does not have are refused, and nothing is
opened here. What desktops leave is no part of it and is named apart (SPEC 6.4-7).
"""

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from airlift import files
from airlift.bundle.volume import CHUNKS, INDEX, LABEL, MANIFESTS, METADATA, SUMS
from airlift.errors import InventoryError
from airlift.media import leftovers
from airlift.media.patience import Beat

MAX_METADATA_FILES = 1100
MAX_MANIFEST_FILES = 2048
MAX_CHUNK_FILES = 1 << 20

_FILES = frozenset({LABEL, INDEX, SUMS})
_FOLDERS = frozenset({METADATA, MANIFESTS, CHUNKS})
_STRANGE = "copy the volume without it if you know what it is; else report the find and obtain a fresh copy"


@dataclass(frozen=True, slots=True)
class Inventory:
    """What lies in a volume: sizes in bytes by relative path, and the relative paths of leftovers, sorted."""

    sizes: dict[str, int]
    passed_over: tuple[str, ...]


def take_inventory(folder: Path, beat: Beat = lambda: None) -> Inventory:
    """Return what lies in a volume; ``beat`` is called as it goes on.

    Raises:
        InventoryError: something is there that a volume does not have, or something is missing.
        UncheckedError: it cannot be listed.
    """
    found = _Found(folder, beat)
    sizes = dict(_list(folder, found))
    missing = _FILES - set(sizes)
    if missing:
        raise InventoryError(f"{folder} lacks {', '.join(sorted(missing))}")
    return Inventory(sizes, tuple(sorted(found.paths)))


@dataclass(slots=True)
class _Found:
    """The leftovers of a volume as they are found, and the bytes of those that are files."""

    folder: Path
    beat: Beat
    paths: list[str] = field(default_factory=list)
    size: int = 0

    def add(self, path: str, size: int) -> None:
        """Count a leftover.

        Raises:
            InventoryError: it is too large, or one too many.
        """
        self.paths.append(path)
        self.size += size
        large = size > leftovers.MAX_FILE_BYTES or self.size > leftovers.MAX_BYTES
        if large or len(self.paths) > leftovers.MAX_LEFTOVERS:
            raise InventoryError(
                f"{str(self.folder / path)!a} is named like what desktops leave, but it is too "
                + ("large" if large else "many"),
                expected=f"at most {leftovers.MAX_LEFTOVERS} of at most {leftovers.MAX_FILE_BYTES} bytes, "
                f"{leftovers.MAX_BYTES} together",
                found=f"{len(self.paths)}, this one of {size} bytes, {self.size} together",
                hint=_STRANGE,
            )


def _list(folder: Path, found: _Found) -> Iterator[tuple[str, int]]:
    """Yield relative path and size of every file, and put leftovers apart."""
    with files.reading(folder):
        device = folder.stat().st_dev
    for entry in _entries(folder, len(_FILES | _FOLDERS)):
        if entry.name in _FILES:
            yield entry.name, _plain(entry, device, stat.S_IFREG, "a regular file")
        elif entry.name in _FOLDERS:
            _plain(entry, device, stat.S_IFDIR, "a plain folder")
            yield from _list_part(entry, device, found)
        else:
            found.add(entry.name, _left(entry, device))


def _list_part(part: os.DirEntry[str], device: int, found: _Found) -> Iterator[tuple[str, int]]:
    """Yield relative path and size of every file of ``metadata``, ``manifests`` or ``chunks``."""
    most = count = _most(part.name)
    for entry in _entries(Path(part.path), most):
        found.beat()
        size = _plain(entry, device, stat.S_IFREG, "a regular file")
        if leftovers.is_file(entry.name):
            found.add(f"{part.name}/{entry.name}", size)
            continue
        if not count:
            raise _too_many(entry, most)
        count -= 1
        yield f"{part.name}/{entry.name}", size


def _left(entry: os.DirEntry[str], device: int) -> int:
    """Return the size of a leftover at the top of a volume; that of a folder is not asked for.

    Raises:
        InventoryError: it is none.
    """
    if leftovers.is_file(entry.name):
        return _plain(entry, device, stat.S_IFREG, "a regular file")
    if not leftovers.is_folder(entry.name):
        raise InventoryError(f"{entry.path!a} does not belong to a volume", hint=_STRANGE)
    if entry.is_dir(follow_symlinks=False):
        _plain(entry, device, stat.S_IFDIR, "a plain folder")
        return 0
    return _plain(entry, device, stat.S_IFREG, "a plain folder or a regular file")


def _most(name: str) -> int:
    """Return how many files a folder of a volume may hold."""
    return {METADATA: MAX_METADATA_FILES, MANIFESTS: MAX_MANIFEST_FILES}.get(name, MAX_CHUNK_FILES)


def _entries(folder: Path, most: int) -> list[os.DirEntry[str]]:
    """Return what lies in a folder, by name: at most ``most`` entries, and as many leftovers as there may be.

    Raises:
        InventoryError: there is more; it names one that is too many.
    """
    found, limit = [], most + leftovers.MAX_LEFTOVERS
    with files.reading(folder), os.scandir(folder) as scan:
        for entry in scan:
            found.append(entry)
            if len(found) > limit:
                raise _too_many(entry, limit)
    found.sort(key=lambda entry: entry.name)
    return found


def _too_many(entry: os.DirEntry[str], most: int) -> InventoryError:
    return InventoryError(f"{entry.path!a} is one file too many", expected=f"at most {most}")


def _plain(entry: os.DirEntry[str], device: int, kind: int, expected: str) -> int:
    """Return the size of an entry after checking that it is of this kind, and no link or mount point."""
    with files.reading(entry.path):
        status = entry.stat(follow_symlinks=False)
    if stat.S_IFMT(status.st_mode) != kind or status.st_dev != device:
        raise InventoryError(f"{entry.path!a} is a link, a special file or a mount point", expected=expected)
    return status.st_size
