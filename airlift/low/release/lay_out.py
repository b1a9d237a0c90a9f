"""Lay a release out for those who look at it: its files as a tree, in a private folder of the depot (SPEC L3.9)."""

import re
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from airlift import files
from airlift.bundle.release import Release
from airlift.low.depot.depot import Depot
from airlift.media.staging import hold

TREE = "release"
_NAME = re.compile(r"\.tmp-[0-9a-f]{16}")


@contextmanager
def laid_out(depot: Depot, release: Release, *, shared: bool) -> Iterator[Path]:
    """Give the files of a release as ``<component>/...`` below a folder that is gone afterwards.

    ``shared`` says that nobody can write through it: then files are hard links to content. Otherwise, and where the
    file system has no links, they are copies, whose blocks are shared where it can. What a killed command left is
    removed first: no process holds it any more.

    Raises:
        UncheckedError: content is missing.
        StorageError: there is no space, or an I/O error.
    """
    files.make_folder(depot.scans, 0o700)
    _sweep(depot.scans)
    folder = files.make_folder(depot.scans / f".tmp-{secrets.token_hex(8)}", 0o700)
    try:
        with hold(folder):
            tree = files.make_folder(folder / TREE)  # marks the folder for _sweep
            for component, entry in release.files():
                target = tree / component.name / entry.path
                files.make_folder(target.parent)
                _put(depot.content.path(entry.sha512), target, shared=shared)
            yield tree.resolve()
    finally:
        files.remove(folder)


def _put(source: Path, target: Path, *, shared: bool) -> None:
    if not (shared and files.link_if_possible(source, target)):
        _copy(source, target)


def _copy(source: Path, target: Path) -> None:
    offset = 0
    with files.opened(source) as descriptor, files.writer(target, durable=False) as out:
        while data := files.read_at(descriptor, offset, files.COPY_BYTES):
            out.share(data, descriptor, offset)
            offset += len(data)


def _sweep(scans: Path) -> None:
    with files.reading(scans):
        left = [path for path in scans.glob(".tmp-*") if _NAME.fullmatch(path.name)]
    for path in left:
        if not path.is_symlink() and (path / TREE).is_dir():
            with hold(path) as held:
                if held:
                    files.remove(path)
