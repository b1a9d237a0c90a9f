"""What is staged: bundles of which an import has kept chunks or files, and the room that is held for them (SPEC 7.8).

Everything here reads; chunks are judged by name and size, and by their digest only when an import uses them.
"""

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path

from airlift import files
from airlift.bundle import manifest, volume
from airlift.bundle import own as owned
from airlift.bundle.fields import NAME_HEX
from airlift.bundle.manifest import Bundle
from airlift.bundle.own import Own
from airlift.errors import AirliftError
from airlift.high.enclave import staged_record
from airlift.high.enclave.enclave import Enclave
from airlift.high.enclave.recover import children
from airlift.high.enclave.staged_record import Record
from airlift.ledger.state import State

MANIFEST, RECORD, RESERVED = "bundle.json", "staged.json", "reserved"


@dataclass(frozen=True, slots=True)
class StagedBundle:
    """A bundle in staging; ``bundle`` and ``digest`` are None if there is no manifest of it.

    ``own`` is what this enclave takes of it; ``missing`` are indices of its chunks that are not there.
    ``chunk_bytes`` and ``file_bytes`` lie there, ``reserved`` bytes are held for more.
    """

    folder: Path
    digest: str | None
    bundle: Bundle | None
    record: Record | None
    missing: tuple[int, ...]
    chunks: int
    chunk_bytes: int
    file_bytes: int
    reserved: int
    own: Own | None = None

    @property
    def size(self) -> int:
        """The bytes that discarding it frees."""
        return self.chunk_bytes + self.file_bytes + self.reserved

    @property
    def name(self) -> str:
        """What people call it: the bundle's id, or the beginning of its digest."""
        return self.bundle.id if self.bundle else self.folder.name


def staged_bundles(enclave: Enclave, state: State) -> tuple[StagedBundle, ...]:
    """Return what is staged, by digest; what is left of committed bundles is not, recovery removes it."""
    committed = {bundle.manifest[:NAME_HEX] for bundle in state.bundles}
    return tuple(
        load_staged(path, enclave.name) for path in staged_folders(enclave) if path.name not in committed
    )


def staged_folders(enclave: Enclave) -> list[Path]:
    """Return the folder of every staged bundle, committed or not."""
    return [path for path in children(enclave.staging) if path.is_dir() and not path.name.startswith(".tmp-")]


def load_staged(folder: Path, name: str) -> StagedBundle:
    """Return what is staged in a folder, in the enclave ``name``."""
    bundle, sizes = load_manifest(folder), _sizes(folder / volume.CHUNKS)
    own = owned.of(bundle, name) if bundle else None
    missing = _missing(own, sizes) if own else ()
    return StagedBundle(
        folder=folder,
        digest=bundle.digest if bundle else None,
        bundle=bundle,
        record=load_record(folder),
        missing=missing,
        chunks=len(own.chunks) - len(missing) if own else len(sizes),
        chunk_bytes=sum(sizes.values()),
        file_bytes=sum(
            sum(_sizes(path).values()) for path in children(folder) if path.name.startswith("files")
        ),
        reserved=files.held_bytes(folder / RESERVED)[0],
        own=own,
    )


def load_manifest(folder: Path) -> Bundle | None:
    """Return the bundle manifest that was verified when it was staged, if it still is the one of this folder."""
    try:
        data = files.read_bounded(folder / MANIFEST, manifest.MAX_BYTES)
        right = hashlib.sha512(data).hexdigest()[:NAME_HEX] == folder.name
        return manifest.parse(data) if right else None
    except AirliftError:
        return None


def load_record(folder: Path) -> Record | None:
    """Return what is remembered of a staged bundle, or None if nothing usable is."""
    try:
        return staged_record.parse(files.read_bounded(folder / RECORD, staged_record.MAX_BYTES))
    except AirliftError:
        return None


def staged_sizes(folder: Path) -> dict[str, int]:
    """Return the sizes of the chunks that lie in the folder of a staged bundle, by name."""
    return _sizes(folder / volume.CHUNKS)


def _missing(own: Own, sizes: dict[str, int]) -> tuple[int, ...]:
    pairs = zip(own.chunk_numbers, own.chunks, strict=True)
    return tuple(index for index, item in pairs if sizes.get(volume.chunk_name(item.sha512)) != item.size)


def _sizes(folder: Path) -> dict[str, int]:
    """Return the sizes of the plain files in a folder by name, temporary ones aside; nothing if it is missing."""
    with files.reading(folder):
        if not folder.is_dir():
            return {}
        with os.scandir(folder) as entries:
            return {
                entry.name: entry.stat(follow_symlinks=False).st_size
                for entry in entries
                if entry.is_file(follow_symlinks=False) and not entry.name.startswith(".tmp-")
            }
