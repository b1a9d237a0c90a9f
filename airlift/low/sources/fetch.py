"""Fetch the files of a source into a depot: found where they are held, else streamed in (SPEC L2.19)."""

import os
import time
from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from airlift import files
from airlift import progress as progress_module
from airlift.bundle.component import source as sources
from airlift.bundle.component.file_entry import FileEntry
from airlift.errors import BusyError
from airlift.low.depot.depot import Depot
from airlift.low.sources import land
from airlift.low.sources.land import Landed, Meter, Sleep
from airlift.low.sources.order import order
from airlift.low.sources.plan import Wanted
from airlift.progress import Progress
from airlift.store import content
from airlift.store.content import ContentFolder, CountBytes
from airlift.store.digests import Digested

LOCK = "lock"


@dataclass(frozen=True, slots=True)
class Fetched:
    """The files of a source, by relative path, sorted: where they lie, and what they were digested to.

    ``stated`` is what the release manifest says of the source, without patterns; ``bytes`` is the size of all files.
    ``skipped`` are leftovers, ``left_out`` files that the patterns leave out; none was fetched.
    """

    stated: Mapping[str, Any]
    paths: Mapping[str, Path]
    digested: Mapping[str, Digested]
    bytes: int
    skipped: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()


def fetch(
    depot: Depot,
    source: Mapping[str, Any],
    folder: Path,
    progress: Progress = progress_module.silent,
    *,
    sleep: Sleep = time.sleep,
) -> Fetched:
    """Bring the files of an authored source, of a manifest in ``folder``, into the depot; what is there is kept.

    Raises:
        ManifestError: the source cannot be fetched as it is written.
        ForbiddenFileError: an image cannot be told as files; a pattern of ``exclude`` fits nothing.
        UsageError: obstore is not installed.
        DigestError: a file does not have its digest or length; nothing of it stays.
        NotHeldError: a server does not have a file, or the patterns leave none.
        BusyError: another command fetches into this depot.
        UncheckedError: a server cannot be asked, denies it, or breaks off; what came stays.
        StorageError: the depot cannot be written, or has no room.
    """
    files.make_folder(depot.fetched)
    with files.lock(depot.fetched / LOCK):
        ordered = order(source, folder, sleep)
        meter = Meter(f"fetching {sources.address(dict(ordered.stated))}", ordered.wanted, progress)
        held, landed = held_files(depot), dict[str, Landed]()
        for item in ordered.wanted:
            landed[item.path] = (
                _find(depot, item, held, meter)
                or land.find_landed(depot.fetched, item, meter)
                or land.land(depot.fetched, item, ordered.origin, meter, sleep)
            )
    return Fetched(
        ordered.stated,
        {path: found.path for path, found in landed.items()},
        {path: found.digested for path, found in landed.items()},
        sum(found.digested.size for found in landed.values()),
        ordered.chosen.skipped,
        ordered.chosen.left_out,
    )


@dataclass(frozen=True, slots=True)
class Taking:
    """How fetched files, digested as they are, are taken into a folder; as ``intake.collect.Taking``."""

    known: Mapping[Path, Digested]
    content: ContentFolder
    new: dict[str, int]
    names: files.Names | None
    pieces: dict[str, bytes]

    def one(self, _descriptor: int, path: Path, read: CountBytes) -> Digested:
        """Take an open file."""
        found = self.known[path]
        is_new = not self.content.has(found.sha512)
        if is_new and self.names is not None:
            self.content.make_folders(self.names, [found.sha512])
            self.names.link(os.fspath(path), self.content.place(found.sha512))
        if is_new:
            self.new[found.sha512] = found.size
        if found.pieces:
            self.pieces[found.sha512] = found.pieces
        read(found.size)
        return replace(found, new=is_new)

    def many(self, found: Sequence[tuple[Path, bytes]], read: CountBytes) -> list[Digested]:
        """Take small files."""
        return [self.one(-1, path, read) for path, _ in found]


def taking(
    fetched: Fetched,
    folder: ContentFolder,
    new: dict[str, int],
    names: files.Names | None,
    pieces: dict[str, bytes],
) -> Taking:
    """Return how the files of a source are taken into ``folder``, without ``names`` only told."""
    known = {path: fetched.digested[name] for name, path in fetched.paths.items()}
    return Taking(known, folder, new, names, pieces)


def forget_held(depot: Depot, contents: Container[str]) -> None:
    """Remove what was fetched and is content of a release now, unless another command fetches at the moment."""
    if not depot.fetched.is_dir():
        return
    try:
        with files.lock(depot.fetched / LOCK):
            land.forget(depot.fetched, lambda sha512: sha512 in contents)
    except BusyError:
        return  # what stays is found again, or forgotten by the next release


# -- what is held already ------------------------------------------------------------------------------------------


def held_files(depot: Depot) -> dict[str, FileEntry]:
    """Return the files of all releases by both of their digests."""
    found: dict[str, FileEntry] = {}
    for reference in depot.releases():
        for _, file in depot.load_release(reference.digest).files():
            found[file.sha256] = found[file.sha512] = file
    return found


def find_held(depot: Depot, wanted: Wanted, held: Mapping[str, FileEntry]) -> FileEntry | None:
    """Return the file of ``held`` that has the digest that is wanted, and is in the depot; it is not read."""
    file = None if wanted.pin is None or wanted.version is not None else held.get(wanted.pin.digest)
    return file if file is not None and depot.content.holds(file.sha512, file.size) else None


def _find(depot: Depot, wanted: Wanted, held: Mapping[str, FileEntry], meter: Meter) -> Landed | None:
    """Return the content of the depot that has the digest that is wanted; it is read to be sure."""
    file = find_held(depot, wanted, held)
    if file is None:
        return None
    meter.expect(wanted, file.size)
    path = depot.content.path(file.sha512)
    with files.opened(path) as descriptor:
        found = content.digest(descriptor, path, meter.add, pieces=True)
    return Landed(path, found) if (found.sha512, found.sha256) == (file.sha512, file.sha256) else None
