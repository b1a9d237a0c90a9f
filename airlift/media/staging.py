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

    One that a killed command left there, which nobody holds any more, is removed first.
    """
    made = not output.exists()
    folder = files.make_folder(output) / f".tmp-{secrets.token_hex(8)}"
    try:
        _sweep(output)
        with hold(files.make_folder(folder)):
            files.make_folder(folder / volume.CHUNKS)  # what has it, is or was held
            yield folder
    except BaseException:
        files.remove(folder)
        if made and not any(output.iterdir()):
            files.remove(output)
        raise
    files.remove(folder)


@contextmanager
def hold(folder: Path) -> Iterator[bool]:
    """Hold a folder, if nobody else does, as long as work goes on inside; give whether it is held now.

    Where a file system cannot tell, nobody holds anything.
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


def _sweep(output: Path) -> None:
    with files.reading(output):
        left = [path for path in output.glob(".tmp-*") if _NAME.fullmatch(path.name)]
    for path in left:
        if not path.is_symlink() and (path / volume.CHUNKS).is_dir():
            with hold(path) as held:
                if held:
                    files.remove(path)
