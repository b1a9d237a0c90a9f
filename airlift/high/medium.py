"""The medium: finds volumes, reads each small file once into memory, checks every volume against itself (SPEC 6.4).

Nothing on a medium is trusted here, followed or written. Links, special files, nested folders, mount points and
undeclared files are refused. What a volume says of itself must be consistent to the byte: ``volume.json`` pins
``SHA256SUMS``, which pins every other small file; chunks are verified later, against the signed manifest.
"""

import hashlib
import os
import stat
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from airlift import files
from airlift.bundle import volume
from airlift.bundle.manifest import MAX_BYTES as MAX_MANIFEST_BYTES
from airlift.bundle.manifest import Bundle
from airlift.bundle.volume import CHUNKS, INDEX, LABEL, MANIFESTS, METADATA, SUMS, Index
from airlift.errors import DigestError, InventoryError, MixedVolumesError, UncheckedError

MAX_METADATA_FILES = 1100
MAX_MANIFEST_FILES = 2048
MAX_CHUNK_FILES = 1 << 20
MAX_METADATA_BYTES = 8 << 20
MAX_VOLUMES_GIVEN = 256
MAX_SMALL_BYTES = 512 << 20
_LIMITS = {
    LABEL: volume.MAX_LABEL_BYTES,
    INDEX: volume.MAX_INDEX_BYTES,
    SUMS: volume.MAX_SUMS_BYTES,
    METADATA: MAX_METADATA_BYTES,
    MANIFESTS: MAX_MANIFEST_BYTES,
}


@dataclass(frozen=True, slots=True)
class Volume:
    """One volume in memory, but for its chunks: ``small`` maps relative paths to bytes, ``chunks`` names to sizes."""

    folder: Path
    index: Index
    small: Mapping[str, bytes]
    chunks: Mapping[str, int]

    def part(self, folder: str) -> dict[str, bytes]:
        """Return the files of ``metadata`` or ``manifests`` by name."""
        prefix = f"{folder}/"
        return {path[len(prefix) :]: data for path, data in self.small.items() if path.startswith(prefix)}


def read_volumes(paths: Sequence[Path]) -> tuple[Volume, ...]:
    """Return the volumes in ``paths`` (volume folders, or folders that hold them), each self-consistent.

    Raises:
        UncheckedError: nothing there, or unreadable.
        InventoryError, MalformedError, DigestError: a volume contradicts itself.
        MixedVolumesError: they belong to different bundles.
        FormatTooNewError: made by a newer airlift.
    """
    folders = [folder for path in paths for folder in _find(path)]
    if len(folders) > MAX_VOLUMES_GIVEN:
        raise UncheckedError(
            "too many volumes", expected=f"at most {MAX_VOLUMES_GIVEN}", found=str(len(folders))
        )
    if not folders:
        raise UncheckedError("no volume was given")
    first, *others = dict.fromkeys(folders)
    volumes = [_read(first)]
    for folder in others:
        volumes.append(_same_bundle(_read(folder), volumes[0]))
    return tuple(volumes)


def _same_bundle(other: Volume, first: Volume) -> Volume:
    """Check that two volumes belong together; what both carry is kept in memory once."""
    if other.index.manifest != first.index.manifest:
        raise MixedVolumesError(
            "the volumes belong to different bundles", expected=first.index.bundle, found=other.index.bundle
        )
    for part in (METADATA, MANIFESTS):
        if other.part(part) != first.part(part):
            raise InventoryError(f"{other.folder} and {first.folder} differ in {part}/")
    own = {LABEL, INDEX, SUMS}
    shared = {path: data for path, data in first.small.items() if path not in own}
    return replace(other, small=shared | {path: other.small[path] for path in own})


def check_claims(volumes: Sequence[Volume], bundle: Bundle) -> None:
    """Check that the volumes claim what the bundle manifest says: their labels, ids and chunks.

    Raises:
        InventoryError: one says something else, or holds a chunk that is not listed.
    """
    names = {volume.chunk_name(chunk.sha512) for chunk in bundle.chunks}
    for item in volumes:
        label = volume.render_label(bundle, item.index.volume, item.index.volumes)
        if item.index.bundle != bundle.id or item.small[LABEL] != label:
            raise InventoryError(f"{item.folder}: {LABEL} or {INDEX} says something else than the manifest")
        odd = sorted(set(item.chunks) - names)
        if odd:
            raise InventoryError(f"{item.folder} holds a chunk that is not listed", found=ascii(odd[0]))


def _find(path: Path) -> list[Path]:
    with files.reading(path):
        if not path.is_dir():
            raise UncheckedError(
                f"{path} is not a folder", expected="a volume, or a folder that holds volumes"
            )
        if (path / INDEX).exists():
            return [path]
        found = sorted(child for child in path.iterdir() if child.is_dir() and (child / INDEX).exists())
        if any(child.is_symlink() for child in found):
            raise InventoryError(f"{path} holds links to volumes", expected="plain folders")
    if not found:
        raise UncheckedError(f"there is no volume in {path}", expected=f"a folder with {INDEX}")
    return found


def _read(folder: Path) -> Volume:
    listing = _inventory(folder)
    held = sum(size for path, size in listing.items() if not path.startswith(f"{CHUNKS}/"))
    if held > MAX_SMALL_BYTES:
        raise InventoryError(
            f"{folder} carries too much beside its chunks", expected=f"at most {MAX_SMALL_BYTES} bytes"
        )
    small = {path: _small(folder, path) for path in listing if not path.startswith(f"{CHUNKS}/")}
    index = volume.parse_index(small[INDEX])
    chunks = {path.split("/")[1]: size for path, size in listing.items() if path.startswith(f"{CHUNKS}/")}
    _check_sums(folder, index, small, chunks)
    return Volume(folder, index, small, chunks)


def _small(folder: Path, path: str) -> bytes:
    return files.read_bounded(folder / path, _LIMITS[path.split("/", maxsplit=1)[0]])


def _inventory(folder: Path) -> dict[str, int]:
    """Return {relative path: size} of exactly the files that a volume has."""
    listing: dict[str, int] = {}
    with files.reading(folder):
        device = folder.stat().st_dev
    for entry in _entries(folder, len(_LIMITS) + 1):
        if entry.name in {LABEL, INDEX, SUMS}:
            listing[entry.name] = _plain(entry, device, stat.S_IFREG, "a regular file")
        elif entry.name in {METADATA, MANIFESTS, CHUNKS}:
            _plain(entry, device, stat.S_IFDIR, "a plain folder")
            most = {METADATA: MAX_METADATA_FILES, MANIFESTS: MAX_MANIFEST_FILES}.get(
                entry.name, MAX_CHUNK_FILES
            )
            for child in _entries(Path(entry.path), most):
                listing[f"{entry.name}/{child.name}"] = _plain(child, device, stat.S_IFREG, "a regular file")
        else:
            raise InventoryError(
                f"{entry.path!a} does not belong to a volume", hint="remove nothing yourself; report it"
            )
    missing = {LABEL, INDEX, SUMS} - set(listing)
    if missing:
        raise InventoryError(f"{folder} lacks {', '.join(sorted(missing))}")
    return listing


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


def _check_sums(folder: Path, index: Index, small: Mapping[str, bytes], chunks: Mapping[str, int]) -> None:
    """Hold volume.json, SHA256SUMS and the files against each other; only chunks may be absent."""
    if hashlib.sha512(small[SUMS]).hexdigest() != index.sums:
        raise DigestError(f"{folder / SUMS} is not the one that {INDEX} names")
    sums = volume.parse_sums(small[SUMS])
    listed = {path.split("/", 1)[1] for path in sums if path.startswith(f"{CHUNKS}/")}
    others = {path for path in sums if not path.startswith(f"{CHUNKS}/")}
    odd = sorted((set(chunks) - listed) | (others ^ (set(small) - {INDEX, SUMS})))
    if odd:
        raise InventoryError(f"{folder}: {SUMS} and the files differ", found=ascii(odd[0]))
    for path in sorted(others):
        if hashlib.sha256(small[path]).hexdigest() != sums[path]:
            raise DigestError(f"{folder / path} does not have the digest that {SUMS} lists")
    counted = (len(listed), sum(chunks.values()) if set(chunks) == listed else index.chunk_bytes)
    if counted != (index.chunks, index.chunk_bytes):
        raise InventoryError(
            f"{folder} does not hold what {INDEX} counts",
            expected=f"{index.chunks} chunks, {index.chunk_bytes} bytes",
            found=f"{counted[0]} chunks, {counted[1]} bytes",
            hint="copy the volume again from its source; the medium is damaged",
        )
