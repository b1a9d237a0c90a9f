"""Staging: a private folder in the output folder, where volumes are made before they get their names (SPEC L4.6)."""

import fcntl
import os
import re
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from airlift import files
from airlift.bundle import volume

_NAME = re.compile(r"\.tmp-[0-9a-f]{16}")


@contextmanager
def staging(output: Path) -> Iterator[Path]:
    """Give a private folder in ``output``, gone afterwards; so is an ``output`` made for a bundle that failed.

    A folder that a killed command left there is removed first: no process holds its lock any more.
    """
    made = not output.exists()
    folder = files.make_folder(output) / f".tmp-{secrets.token_hex(8)}"
    try:
        sweep(output)
        with hold(files.make_folder(folder)):
            files.make_folder(folder / volume.CHUNKS)  # marks a staging folder for sweep
            yield folder
    except BaseException:
        _clear(folder)
        if made and not any(output.iterdir()):
            files.remove(output)
        raise
    _clear(folder)


@contextmanager
def hold(folder: Path) -> Iterator[bool]:
    """Lock a folder while the body runs, if no other process has; give whether it is locked now.

    On a file system without locks it never is.
    """
    with files.writing(folder):
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        yield _is_locked(descriptor)
    finally:
        os.close(descriptor)


def _is_locked(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def sweep(output: Path) -> None:
    """Remove staging folders that ended commands left in ``output``; one whose command runs is left alone."""
    with files.reading(output):
        left = [path for path in output.glob(".tmp-*") if _NAME.fullmatch(path.name)]
    for path in left:
        if not path.is_symlink() and _is_staging(path):
            with hold(path) as held:
                if held:
                    _clear(path)


def _is_staging(path: Path) -> bool:
    """Say whether a folder has the mark; without it, and empty, it is one that was just made, or is almost gone."""
    with files.reading(path):
        return (path / volume.CHUNKS).is_dir() or (path.is_dir() and not any(path.iterdir()))


def _clear(folder: Path) -> None:
    """Remove a staging folder, and what marks it last: if that is interrupted, the next command knows it still."""
    with files.writing(folder):
        children = sorted(folder.iterdir()) if folder.is_dir() else []
    for path in children:
        if path.name != volume.CHUNKS:
            files.remove(path)
    files.remove(folder)
