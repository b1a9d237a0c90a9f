"""Write the volumes of a bundle: one plain folder per medium, complete or not there at all (SPEC 6.4, 6.5)."""

import hashlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from airlift import files
from airlift.bundle import media_sizes, volume
from airlift.bundle.fields import FileDigest
from airlift.bundle.manifest import MAX_CHUNK_BYTES, Bundle
from airlift.bundle.media_sizes import Medium
from airlift.bundle.volume import CHUNKS, INDEX, LABEL, MANIFESTS, METADATA, SUMS, Index
from airlift.errors import ExistsError, VolumeTooSmallError

_ANY_DIGEST = "0" * 128
_ANY_SUM = "0" * 64


@dataclass(frozen=True, slots=True)
class VolumeInfo:
    """A volume that was written, or that was checked: its folder and the bytes of its files."""

    path: Path
    bytes: int


@dataclass(frozen=True, slots=True)
class StagedChunk:
    """A chunk that stands in staging: its SHA-512 and size, and its SHA-256 (hex) for SHA256SUMS.

    ``packed`` says that its table is.
    """

    digest: FileDigest
    sha256: str
    packed: bool = False


@dataclass(frozen=True, slots=True)
class SmallFiles:
    """What every volume carries beside its chunks, by file name."""

    metadata: Mapping[str, bytes]
    manifests: Mapping[str, bytes]


def share_out_chunks(
    bundle: Bundle,
    medium: Medium,
    metadata_sizes: Mapping[str, int],
    manifests: Mapping[str, bytes],
    chunks: Sequence[FileDigest] | None = None,
) -> list[frozenset[str]]:
    """Return which chunks (SHA-512) go on which volume, before anything is signed.

    ``chunks`` are those of the bundle that go out, in its order; None: all of them.

    Raises:
        VolumeTooSmallError: they do not fit.
    """
    shares = media_sizes.cut_into_volumes(
        bundle.all_chunks if chunks is None else chunks,
        medium,
        _fixed_sizes(bundle, metadata_sizes, manifests),
    )
    return [frozenset(item.sha512 for item in share) for share in shares]


def fit(
    bundle: Bundle,
    shares: Sequence[Sequence[int]],
    medium: Medium,
    metadata_sizes: Mapping[str, int],
    manifests: Mapping[str, bytes],
) -> bool:
    """Say whether volumes hold these shares: the sizes of the chunks of each, parity included."""
    fixed = _fixed_sizes(bundle, metadata_sizes, manifests)
    return all(media_sizes.fits(share, medium, fixed) for share in shares)


def check_no_volume(bundle: Bundle, volumes: int, output: Path) -> None:
    """Check that no volume of this bundle stands in ``output``.

    Raises:
        ExistsError: one does.
    """
    for number in range(1, volumes + 1):
        path = output / volume.folder_name(bundle, number, volumes)
        if path.exists() or path.is_symlink():
            raise ExistsError(f"{path} exists", hint="choose another --output")


def write_volumes(
    bundle: Bundle,
    shares: Sequence[frozenset[str]],
    small: SmallFiles,
    chunks: Sequence[StagedChunk],
    staging: Path,
    *,
    cut: str = "",
) -> list[Path]:
    """Write the volumes into ``staging``, whose ``chunks`` folder gives up its files to them; return their folders.

    In each volume: everything, then SHA256SUMS, then volume.json. A chunk of several shares is copied for all but the
    last. ``cut`` marks a re-cut.
    """
    by_digest = {item.digest.sha512: item for item in chunks}
    left = Counter(sha512 for share in shares for sha512 in share)
    written = []
    for number, share in enumerate(shares, 1):
        mine = [by_digest[item.sha512] for item in bundle.all_chunks if item.sha512 in share]
        folder = files.make_folder(staging / volume.folder_name(bundle, number, len(shares), cut))
        sums = _write_small(folder, small, volume.render_label(bundle, number, len(shares)))
        files.make_folder(folder / CHUNKS)
        for item in mine:
            name = volume.chunk_name(item.digest.sha512)
            left[item.digest.sha512] -= 1
            _place(staging / CHUNKS / name, folder / CHUNKS / name, copy=left[item.digest.sha512] > 0)
            sums[f"{CHUNKS}/{name}"] = item.sha256
        lines = volume.format_sums(sums)
        files.write_durable(folder / SUMS, lines)
        index = _index(bundle, number, len(shares), mine, hashlib.sha512(lines).hexdigest())
        files.write_durable(folder / INDEX, volume.format_index(index))
        written.append(folder)
    return written


def check_sizes(folders: Sequence[Path], medium: Medium) -> None:
    """Measure what was written: no volume may take up more than the medium holds, the reserve included.

    Raises:
        VolumeTooSmallError: one would.
    """
    for folder in folders if medium.volume_bytes is not None else ():
        taken = media_sizes.RESERVE + media_sizes.FOLDER_SECTORS * medium.unit
        taken += sum(media_sizes.occupied(path.stat().st_size, medium.unit) for path in _all_files(folder))
        if medium.volume_bytes is not None and taken > medium.volume_bytes:
            raise VolumeTooSmallError(
                f"volume {folder.name} is too large",
                expected=f"at most {medium.volume_bytes} bytes",
                found=f"{taken} bytes with the reserve",
            )


def move_into_place(folders: Sequence[Path], output: Path) -> tuple[VolumeInfo, ...]:
    """Rename the volumes to their places; if that fails half-way, take all of them away again."""
    placed: list[Path] = []
    try:
        for folder in folders:
            files.rename_durable(folder, output / folder.name)
            placed.append(output / folder.name)
    except BaseException:
        for path in placed:
            files.remove(path)
        raise
    return tuple(VolumeInfo(path, sum(item.stat().st_size for item in _all_files(path))) for path in placed)


# -- inside --------------------------------------------------------------------------------------------------------


def _fixed_sizes(bundle: Bundle, metadata: Mapping[str, int], manifests: Mapping[str, bytes]) -> list[int]:
    """Return the sizes of the files that every volume carries, at their largest, without SHA256SUMS' chunk lines."""
    most = volume.MAX_VOLUMES
    paths = [
        LABEL,
        *(f"{METADATA}/{name}" for name in metadata),
        *(f"{MANIFESTS}/{name}" for name in manifests),
    ]
    label = volume.render_label(bundle, most, most)
    index = Index(bundle.id, _ANY_DIGEST, most, most, 2**53 - 1, 2**53 - 1, _ANY_DIGEST)
    sums = volume.format_sums(dict.fromkeys(paths, _ANY_SUM))
    small = [len(label), len(volume.format_index(index)), len(sums)]
    return [*small, *metadata.values(), *map(len, manifests.values())]


def _write_small(folder: Path, small: SmallFiles, label: bytes) -> dict[str, str]:
    """Write all small files but SHA256SUMS and volume.json; return their SHA-256 (hex) by path."""
    named = {LABEL: label}
    named |= {f"{METADATA}/{name}": data for name, data in small.metadata.items()}
    named |= {f"{MANIFESTS}/{name}": data for name, data in small.manifests.items()}
    for path, data in named.items():
        files.make_folder((folder / path).parent)
        files.write_durable(folder / path, data)
    return {path: hashlib.sha256(data).hexdigest() for path, data in named.items()}


def _place(source: Path, target: Path, *, copy: bool) -> None:
    if copy:
        files.write_durable(target, files.read_bounded(source, MAX_CHUNK_BYTES))
    else:
        files.rename_durable(source, target)


def _index(bundle: Bundle, number: int, total: int, mine: Sequence[StagedChunk], sums: str) -> Index:
    return Index(
        bundle=bundle.id,
        manifest=bundle.digest,
        volume=number,
        volumes=total,
        chunks=len(mine),
        chunk_bytes=sum(item.digest.size for item in mine),
        sums=sums,
    )


def _all_files(folder: Path) -> Iterator[Path]:
    return (path for path in folder.rglob("*") if path.is_file())
