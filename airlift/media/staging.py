"""Staging: a private folder in the output folder, where volumes are made before they get their names (SPEC L4.6)."""

import fcntl
import os
import re
import secrets
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
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
    with ExitStack() as held:
        try:
            with _turn(output) as alone:
                _sweep(output, unmarked=alone)
                held.enter_context(hold(files.make_folder(folder)))
                files.make_folder(folder / volume.CHUNKS)  # marks a staging folder for _sweep
            yield folder
        except BaseException:
            _clear(folder)
            if made:
                files.remove_empty(output)
            raise
        _clear(folder)


def sweep(output: Path) -> None:
    """Remove staging folders that ended commands left in ``output``; one whose command runs is left alone."""
    with _turn(output) as alone:
        _sweep(output, unmarked=alone)


@contextmanager
def _turn(output: Path) -> Iterator[bool]:
    """Wait until nobody else begins or sweeps in ``output``; give whether that is so, without locks it is not."""
    with files.writing(output):
        descriptor = os.open(output, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield _is_locked(descriptor, wait=True)
    finally:
        os.close(descriptor)


@contextmanager
def hold(folder: Path) -> Iterator[bool]:
    """Lock a folder while the body runs, if no other process has; give whether it is locked now.

    On a file system without locks it never is; nor is a folder that somebody removes meanwhile.
    """
    with files.writing(folder):
        try:
            descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
        except FileNotFoundError:
            yield False
            return
    try:
        yield _is_locked(descriptor)
    finally:
        os.close(descriptor)


def _is_locked(descriptor: int, *, wait: bool = False) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except OSError:
        return False
    return True


def _sweep(output: Path, *, unmarked: bool) -> None:
    """Remove what is marked and not locked; and if it is sure that nobody just made it, what is empty."""
    with files.reading(output):
        left = [path for path in output.glob(".tmp-*") if _NAME.fullmatch(path.name)]
    for path in left:
        if path.is_symlink() or not path.is_dir():
            continue
        marked = (path / volume.CHUNKS).is_dir()
        with hold(path) as held:
            if held and marked:
                _clear(path)
            elif held and unmarked:  # killed before there was a mark, or after
                files.remove_empty(path)


def _clear(folder: Path) -> None:
    """Remove a staging folder, and what marks it last: if that is interrupted, the next command knows it still."""
    with files.writing(folder):
        children = sorted(folder.iterdir()) if folder.is_dir() else []
    for path in children:
        if path.name != volume.CHUNKS:
            files.remove(path)
    files.remove(folder)
