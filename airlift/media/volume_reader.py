"""The reader of volumes: finds them, reads each small file once into memory, checks each against itself (SPEC 6.4).

Nothing on a medium is trusted here, followed or written. What a volume says of itself must be consistent to the byte:
``volume.json`` pins ``SHA256SUMS``, which pins every other small file; a file in ``manifests/`` has the digest that
names it; chunks are digested later, against the bundle manifest.
"""

import hashlib
import os
import stat
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path

from airlift import files
from airlift.bundle import volume
from airlift.bundle.fields import FileDigest
from airlift.bundle.manifest import MAX_BYTES as MAX_MANIFEST_BYTES
from airlift.bundle.volume import CHUNKS, INDEX, LABEL, MANIFESTS, METADATA, SUMS, Index
from airlift.errors import DigestError, InventoryError, MixedVolumesError, UncheckedError
from airlift.media import leftovers
from airlift.media.inventory import take_inventory
from airlift.media.patience import Beat, within_limit
from airlift.trust.tuf import metadata, metadata_folder

MAX_METADATA_BYTES = 8 << 20
MAX_VOLUMES_GIVEN = 256
MAX_SMALL_BYTES = 512 << 20
MAX_LOOKED_AT = 64
NAMES_LOST = (
    "the medium does not keep names as they are: write it anew as UDF, as ISO 9660 with Rock Ridge, or on a file "
    "system with long names (exFAT, FAT32, ext4)"
)
_FOLDED = "VOLUME.JS"
_LIMITS = {
    LABEL: volume.MAX_LABEL_BYTES,
    INDEX: volume.MAX_INDEX_BYTES,
    SUMS: volume.MAX_SUMS_BYTES,
    METADATA: MAX_METADATA_BYTES,
    MANIFESTS: MAX_MANIFEST_BYTES,
}


@dataclass(frozen=True, slots=True)
class Volume:
    """One volume in memory, but for its chunks.

    ``small`` maps relative paths to bytes. ``chunks`` maps the names of the chunks that are there to their sizes, and
    ``sums`` the names of those that SHA256SUMS lists to their SHA-256 (hex); only the former may be fewer.
    ``passed_over`` are leftovers of desktops in the volume, ``beside`` those in the folder in which it was found.
    """

    folder: Path
    index: Index
    small: Mapping[str, bytes]
    chunks: Mapping[str, int]
    sums: Mapping[str, str]
    passed_over: tuple[Path, ...] = ()
    beside: tuple[Path, ...] = ()

    @property
    def small_bytes(self) -> int:
        """The bytes of all files but the chunks."""
        return sum(map(len, self.small.values()))

    @property
    def size(self) -> int:
        """The bytes of all files."""
        return self.small_bytes + sum(self.chunks.values())

    def part(self, folder: str) -> dict[str, bytes]:
        """Return the files of ``metadata`` or ``manifests`` by name."""
        return {
            path.split("/")[1]: data for path, data in self.small.items() if path.startswith(f"{folder}/")
        }


def read_volumes(paths: Sequence[Path]) -> tuple[Volume, ...]:
    """Return the volumes in ``paths`` (volume folders, or folders that hold them), each self-consistent.

    Raises:
        UncheckedError: nothing there, or unreadable.
        InventoryError, MalformedError, DigestError: a volume contradicts itself.
        MixedVolumesError: they belong to different bundles.
        FormatTooNewError: made by a newer airlift.
        StalledError: the medium does not answer (here as in all that reads it).
    """
    found = [_search(path) for path in paths]
    folders = [folder for there, _ in found for folder in there]
    if len(folders) > MAX_VOLUMES_GIVEN:
        raise UncheckedError(
            "too many volumes", expected=f"at most {MAX_VOLUMES_GIVEN}", found=str(len(folders))
        )
    if not folders:
        raise UncheckedError("no volume was given")
    beside: dict[Path, tuple[Path, ...]] = {}
    for there, left in found:
        beside |= {folder: beside.get(folder, ()) + left for folder in there}
    first, *others = dict.fromkeys(folders)
    volumes = [_read(first, beside[first])]
    for folder in others:
        volumes.append(_same_bundle(_read(folder, beside[folder]), volumes[0]))
    return tuple(volumes)


def volumes_of(path: Path, manifest: str) -> tuple[Path, ...]:
    """Return the volumes that ``path`` is or holds that say they are of the bundle with this manifest (SHA-512).

    Of others only ``volume.json`` is read.

    Raises:
        UncheckedError: there is no volume of this bundle, or it cannot be told.
        InventoryError, MalformedError, FormatTooNewError: a volume.json cannot be read as one.
    """
    found, _ = _search(path)
    mine = tuple(folder for folder in found if volume.parse_index(_small(folder, INDEX)).manifest == manifest)
    if not mine:
        raise UncheckedError(f"there is no volume of this bundle in {path}", found=f"{len(found)} of others")
    return mine


def passed_over(volumes: Sequence[Volume]) -> tuple[Path, ...]:
    """Return the leftovers of desktops in volumes and beside them, each once (SPEC 6.4-7)."""
    return tuple(sorted({path for item in volumes for path in (*item.passed_over, *item.beside)}))


def read_chunk(path: Path, chunk: FileDigest, listed: str | None = None) -> memoryview:
    """Return the bytes of a chunk, read once and digested; ``listed`` is its SHA-256 (hex) in SHA256SUMS.

    Raises:
        DigestError: it is another, or damaged.
        InventoryError: it is a link or a special file.
        UncheckedError: it cannot be read.
    """
    data = within_limit(lambda beat: files.read_large(path, chunk.size, beat), path)
    if len(data) != chunk.size or hashlib.sha512(data).hexdigest() != chunk.sha512:
        raise DigestError(
            f"chunk {path} is damaged",
            expected=f"{chunk.size} bytes with SHA-512 {chunk.sha512[:16]}...",
            found=f"{len(data)} bytes with another digest"
            if len(data) == chunk.size
            else f"{len(data)} bytes",
            data={"damaged": [chunk.sha512]},
        )
    if listed is not None and hashlib.sha256(data).hexdigest() != listed:
        raise DigestError(
            f"{SUMS} lists another digest for chunk {path}",
            expected=f"SHA-256 {listed[:16]}...",
            data={"damaged": [chunk.sha512]},
        )
    return data


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


def _search(path: Path) -> tuple[list[Path], tuple[Path, ...]]:
    """Return what :func:`_find` does, in time.

    Raises:
        StalledError: the medium does not answer.
    """
    return within_limit(lambda beat: _find(path, beat), path)


def _find(path: Path, beat: Beat) -> tuple[list[Path], tuple[Path, ...]]:
    """Return the volumes that ``path`` is or holds, and leftovers of desktops beside them.

    Only ``path`` itself, which the operator named, may be a link. Leftovers are neither looked into nor judged.
    """
    with files.reading(path):
        if not stat.S_ISDIR(path.stat().st_mode):
            raise UncheckedError(
                f"{path} is not a folder", expected="a volume, or a folder that holds volumes"
            )
        if _is_volume(path, beat):
            return [path], ()
        there = sorted(path.iterdir())
        left = [child for child in there if leftovers.is_leftover(child.name)]
        found = [
            child for child in there if not leftovers.is_leftover(child.name) and _is_volume(child, beat)
        ]
    if any(child.is_symlink() for child in found):
        raise InventoryError(f"{path} holds links to volumes", expected="plain folders")
    if not found:
        raise _no_volume(path, there)
    return found, tuple(left[: leftovers.MAX_LEFTOVERS])


def _no_volume(path: Path, there: Sequence[Path]) -> UncheckedError:
    """Return the error of a folder without volumes, which says so if the medium folded the name of their index."""
    with files.reading(path):
        folders = [child for child in there[:MAX_VOLUMES_GIVEN] if child.is_dir() and not child.is_symlink()]
        names = [item.name for folder in (path, *folders) for item in islice(folder.iterdir(), MAX_LOOKED_AT)]
    folded = next((name for name in sorted(names) if name.upper().startswith(_FOLDED)), None)
    return UncheckedError(
        f"there is no volume in {path}",
        expected=f"a folder with {INDEX}",
        found=ascii(folded) if folded else None,
        hint=NAMES_LOST if folded else None,
    )


def _is_volume(folder: Path, beat: Beat) -> bool:
    """Say whether this is a folder with a volume.json; a dangling link is one, and is refused later.

    Raises:
        UncheckedError: it cannot be told: what cannot be read must not pass for what is not there.
    """
    beat()
    with files.reading(folder):
        try:
            os.lstat(folder / INDEX)
        except (FileNotFoundError, NotADirectoryError):
            return False
        return True


def _read(folder: Path, beside: tuple[Path, ...]) -> Volume:
    inventory = within_limit(lambda beat: take_inventory(folder, beat), folder)
    listing = inventory.sizes
    chunks = {path.split("/")[1]: size for path, size in listing.items() if path.startswith(f"{CHUNKS}/")}
    paths = [path for path in listing if not path.startswith(f"{CHUNKS}/")]
    if sum(listing[path] for path in paths) > MAX_SMALL_BYTES:
        raise InventoryError(
            f"{folder} carries too much beside its chunks", expected=f"at most {MAX_SMALL_BYTES} bytes"
        )
    small = {path: _small(folder, path) for path in paths}
    index = volume.parse_index(small[INDEX])
    sums = _check_sums(folder, index, small, chunks)
    left = tuple(folder / path for path in inventory.passed_over)
    found = Volume(folder, index, small, chunks, sums, left, beside)
    carried = found.part(METADATA)
    metadata_folder.check_complete(carried, carried.get(metadata.NEWEST))
    _check_manifest_names(found)
    return found


def _small(folder: Path, path: str) -> bytes:
    limit = _LIMITS[path.split("/", maxsplit=1)[0]]
    return bytes(within_limit(lambda beat: files.read_large(folder / path, limit, beat), folder / path))


def _check_sums(
    folder: Path, index: Index, small: Mapping[str, bytes], chunks: Mapping[str, int]
) -> dict[str, str]:
    """Hold volume.json, SHA256SUMS and the files against each other; return {name: SHA-256} of the chunks listed."""
    if hashlib.sha512(small[SUMS]).hexdigest() != index.sums:
        raise DigestError(f"{folder / SUMS} is not the one that {INDEX} names")
    sums = volume.parse_sums(small[SUMS])
    listed = {path.split("/", 1)[1]: sums[path] for path in sums if path.startswith(f"{CHUNKS}/")}
    others = {path for path in sums if not path.startswith(f"{CHUNKS}/")}
    odd = sorted((set(chunks) - set(listed)) | (others ^ (set(small) - {INDEX, SUMS})))
    if odd:
        cut = next((name for name in odd if any(path.startswith(name) for path in (*others, *listed))), None)
        raise InventoryError(
            f"{folder}: {SUMS} and the files differ",
            found=ascii(cut or odd[0]),
            hint=NAMES_LOST if cut else None,
        )
    for path in sorted(others):
        if hashlib.sha256(small[path]).hexdigest() != sums[path]:
            raise DigestError(f"{folder / path} does not have the digest that {SUMS} lists")
    return listed


def _check_manifest_names(found: Volume) -> None:
    """Check that every file in manifests/ is named by its digest."""
    for name, data in sorted(found.part(MANIFESTS).items()):
        expected = volume.manifest_name(hashlib.sha512(data).hexdigest())
        if name != expected:
            raise DigestError(
                f"{found.folder}: {MANIFESTS}/{name} is not named by its digest",
                expected=expected,
                found=ascii(name),
            )
