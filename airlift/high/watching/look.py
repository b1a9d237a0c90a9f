"""Look at a drop folder: which volumes lie there, and what of them has changed; nothing is opened (SPEC 7.13-1)."""

import hashlib
import heapq
import os
import stat
from collections.abc import Collection, Iterator
from pathlib import Path

from airlift import files
from airlift.bundle.volume import CHUNKS, INDEX, MANIFESTS, METADATA
from airlift.high.watching.sights import Listing, Sight
from airlift.media import leftovers
from airlift.media.patience import Beat, within_limit

MAX_VOLUMES = 1024
MAX_FILES = 1 << 21
STAMP_HEX = 32
_PARTS = frozenset({METADATA, MANIFESTS, CHUNKS})
_MODULUS = 1 << 256


def look(folder: Path, besides: Collection[str] = (), most: int = MAX_FILES) -> Listing:
    """Return what lies in a drop folder; what is named ``besides`` is passed over.

    Raises:
        UncheckedError: the folder cannot be read.
        StalledError: it does not answer.
    """
    return within_limit(lambda beat: _look(folder, frozenset(besides), most, beat), folder)


def _look(folder: Path, besides: frozenset[str], most: int, beat: Beat) -> Listing:
    names, strays, left_out = _find(folder, besides, beat)
    left = _Left(most, beat)
    seen = [Sight(name, _stamp(folder / name, left)) for name in names if left.count > 0]
    return Listing(tuple(seen), strays, left_out + len(names) - len(seen))


def _find(folder: Path, besides: frozenset[str], beat: Beat) -> tuple[list[str], int, int]:
    """Return the names of at most MAX_VOLUMES volumes, and how many other things and further volumes there are."""
    names: list[str] = []
    strays = count = 0
    with files.reading(folder), os.scandir(folder) as entries:
        for entry in entries:
            beat()
            if entry.name in besides or leftovers.is_leftover(entry.name):
                continue
            if not _is_volume(entry):
                strays += 1
                continue
            count += 1
            names.append(entry.name)
            if len(names) > 2 * MAX_VOLUMES:
                names = heapq.nsmallest(MAX_VOLUMES, names)
    names = heapq.nsmallest(MAX_VOLUMES, names)
    return names, strays, count - len(names)


def _is_volume(entry: os.DirEntry[str]) -> bool:
    """Say whether this is a plain folder that has something called volume.json; what cannot be told is none yet."""
    try:
        return entry.is_dir(follow_symlinks=False) and bool(os.lstat(f"{entry.path}/{INDEX}"))
    except OSError:
        return False


class _Left:
    """How many files may still be looked at."""

    def __init__(self, count: int, beat: Beat) -> None:
        self.count = count
        self._beat = beat

    def take(self) -> bool:
        """Count one more; say whether it may be looked at."""
        self._beat()
        self.count -= 1
        return self.count >= 0


def _stamp(folder: Path, left: _Left) -> str:
    """Return hex digits over names, kinds, sizes and times of all that lies in a volume, in whatever order."""
    total = 0
    for line in _lines(folder, left):
        total = (total + int.from_bytes(hashlib.sha256(line).digest(), "big")) % _MODULUS
    return f"{total:064x}"[:STAMP_HEX]


def _lines(folder: Path, left: _Left) -> Iterator[bytes]:
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                if not left.take():
                    return
                status = _status(entry)
                yield _line(entry, status)
                if entry.name in _PARTS and status is not None and stat.S_ISDIR(status.st_mode):
                    yield from _part_lines(entry.path, left)
    except OSError as error:
        yield b"unreadable %d" % (error.errno or 0)


def _part_lines(folder: str, left: _Left) -> Iterator[bytes]:
    with os.scandir(folder) as entries:
        for entry in entries:
            if not left.take():
                return
            yield folder.encode(errors="surrogateescape") + _line(entry, _status(entry))


def _status(entry: os.DirEntry[str]) -> os.stat_result | None:
    try:
        return entry.stat(follow_symlinks=False)
    except OSError:
        return None


def _line(entry: os.DirEntry[str], status: os.stat_result | None) -> bytes:
    seen = status and (
        status.st_mode, status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns,
    )  # fmt: skip
    return os.fsencode(entry.name) + b"\0" + repr(seen).encode()
