"""Check volumes before they leave: re-read every byte that was written or burnt (SPEC 6.7).

Needs no depot; with one, the bundle must also be among those that it has published. Nothing is written.
"""

import hashlib
import os
import stat
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from airlift import files
from airlift import progress as progress_module
from airlift.bundle import baseline, manifest, volume
from airlift.bundle.manifest import Bundle
from airlift.bundle.volume import CHUNKS, INDEX, LABEL, MANIFESTS, METADATA, SUMS, Index
from airlift.errors import (
    DigestError,
    InventoryError,
    MixedVolumesError,
    NotHeldError,
    UncheckedError,
    UsageError,
)
from airlift.low import outstanding
from airlift.low.content import Tally
from airlift.low.depot import Depot
from airlift.low.volumes import VolumeInfo
from airlift.progress import Progress
from airlift.trust import carried
from airlift.trust.metadata import MAX_BYTES, TIMESTAMP

MAX_FILES = (1 << 20) + 4096


@dataclass(frozen=True, slots=True)
class CheckResult:
    """What is on the volumes, all of it good; ``missing`` are the chunks (SHA-512) on volumes that were not given.

    ``published`` says whether the depot lists the bundle; None without a depot.
    """

    bundle: str
    sequence: int
    enclave: str | None
    baseline: str | None
    target: str | None
    marking: str
    volumes: tuple[VolumeInfo, ...]
    volumes_present: int
    volumes_total: int
    missing: tuple[str, ...]
    published: bool | None


@dataclass(frozen=True, slots=True)
class _Volume:
    folder: Path
    index: Index
    bundle: Bundle
    sizes: Mapping[str, int]


def check(
    paths: Sequence[Path], *, depot: Depot | None = None, progress: Progress = progress_module.silent
) -> CheckResult:
    """Re-read the volumes of one bundle, or folders that hold them.

    Raises:
        DigestError, InventoryError, MalformedError: a volume is not as it was written.
        MixedVolumesError: the volumes belong to different bundles.
        NotHeldError: the depot does not list the bundle.
        UncheckedError: there is no volume, or it cannot be read.
        UsageError: no volume was named.
    """
    if not paths:
        raise UsageError("there is nothing to check", expected="at least one volume")
    found = [_open(folder) for path in paths for folder in _find(path)]
    first = found[0]
    for other in found[1:]:
        if other.index.manifest != first.index.manifest:
            raise MixedVolumesError(
                "the volumes belong to different bundles",
                expected=first.index.bundle,
                found=other.index.bundle,
            )
    published = None if depot is None else _published(depot, first)
    tally = Tally("checking", sum(sum(item.sizes.values()) for item in found), progress)
    for item in found:
        _check_files(item, tally)
    return _result(first.bundle, found, published)


def _result(bundle: Bundle, found: Sequence[_Volume], published: bool | None) -> CheckResult:
    present = {path for item in found for path in item.sizes}
    missing = (
        one.sha512 for one in bundle.chunks if f"{CHUNKS}/{volume.chunk_name(one.sha512)}" not in present
    )
    return CheckResult(
        bundle=bundle.id,
        sequence=bundle.sequence,
        enclave=bundle.enclave,
        baseline=bundle.baseline.label if bundle.baseline else None,
        target=bundle.target.label if bundle.target else None,
        marking=str(bundle.marking),
        volumes=tuple(VolumeInfo(item.folder, sum(item.sizes.values())) for item in found),
        volumes_present=len({item.index.volume for item in found}),
        volumes_total=found[0].index.volumes,
        missing=tuple(missing),
        published=published,
    )


def _published(depot: Depot, first: _Volume) -> bool:
    listed = {item.bundle.digest for item in outstanding.load(depot)}
    if first.index.manifest not in listed:
        raise NotHeldError(
            f"bundle {first.bundle.id} is not one that this depot has published and not withdrawn"
        )
    if first.bundle.baseline is not None:
        baseline.check(first.bundle, depot.load_release(first.bundle.baseline.digest))
    return True


# -- one volume ----------------------------------------------------------------------------------------------------


def _find(path: Path) -> list[Path]:
    with files.reading(path):
        if (path / INDEX).exists():
            return [path]
        found = sorted(child for child in path.iterdir() if child.is_dir() and (child / INDEX).exists())
    if not found:
        raise UncheckedError(f"there is no volume in {path}", expected=f"a folder with {INDEX}")
    return found


def _open(folder: Path) -> _Volume:
    """Read a volume's small texts and hold them, its inventory and its bundle manifest against each other."""
    sizes = _inventory(folder)
    _check_metadata(folder, sizes)
    index = volume.parse_index(files.read_bounded(folder / INDEX, volume.MAX_INDEX_BYTES))
    path = folder / MANIFESTS / volume.manifest_name(index.manifest)
    data = files.read_bounded(path, manifest.MAX_BYTES)
    if hashlib.sha512(data).hexdigest() != index.manifest:
        raise DigestError(f"{path} does not have the digest in {INDEX}", expected=index.manifest[:32])
    bundle = manifest.parse(data)
    baseline.check_target(bundle)
    label = volume.render_label(bundle, index.volume, index.volumes)
    if files.read_bounded(folder / LABEL, volume.MAX_LABEL_BYTES) != label or index.bundle != bundle.id:
        raise InventoryError(f"{folder}: {LABEL} or {INDEX} says something else than the bundle manifest")
    return _Volume(folder, index, bundle, sizes)


def _check_metadata(folder: Path, sizes: Mapping[str, int]) -> None:
    prefix, path = f"{METADATA}/", folder / METADATA / carried.NEWEST
    names = {name.removeprefix(prefix) for name in sizes if name.startswith(prefix)}
    held = carried.NEWEST in names
    carried.check(names, files.read_bounded(path, MAX_BYTES[TIMESTAMP]) if held else None)


def _inventory(folder: Path) -> dict[str, int]:
    """Return the size of every file by relative path; nothing but files in the folders of a volume may be there."""
    sizes: dict[str, int] = {}
    for prefix in ("", f"{METADATA}/", f"{MANIFESTS}/", f"{CHUNKS}/"):
        with files.reading(folder / prefix), os.scandir(folder / prefix) as entries:
            for entry in entries:
                status = entry.stat(follow_symlinks=False)
                if (
                    not prefix
                    and entry.name in {METADATA, MANIFESTS, CHUNKS}
                    and stat.S_ISDIR(status.st_mode)
                ):
                    continue
                if not stat.S_ISREG(status.st_mode) or len(sizes) >= MAX_FILES:
                    raise InventoryError(f"{entry.path!a} does not belong on a volume")
                sizes[prefix + entry.name] = status.st_size
    return sizes


def _check_files(item: _Volume, tally: Tally) -> None:
    """Digest every file of a volume against SHA256SUMS, and every chunk against the bundle manifest."""
    data = files.read_bounded(item.folder / SUMS, volume.MAX_SUMS_BYTES)
    if hashlib.sha512(data).hexdigest() != item.index.sums:
        raise DigestError(f"{item.folder / SUMS} is not the one that {INDEX} names")
    sums = volume.parse_sums(data)
    odd = sorted(set(sums) ^ (set(item.sizes) - {INDEX, SUMS}))
    if odd:
        raise InventoryError(f"{item.folder}: {SUMS} and the files differ", found=ascii(odd[0]))
    named = {f"{CHUNKS}/{volume.chunk_name(one.sha512)}": one for one in item.bundle.chunks}
    mine = [path for path in sums if path.startswith(f"{CHUNKS}/")]
    if set(mine) - set(named) or len(mine) != item.index.chunks:
        raise InventoryError(f"{item.folder} does not hold the chunks that its manifest and {INDEX} name")
    for path in sums:
        read = files.read_bounded(item.folder / path, manifest.MAX_CHUNK_BYTES if path in named else 1 << 30)
        if hashlib.sha256(read).hexdigest() != sums[path]:
            raise DigestError(f"{item.folder / path} does not have the digest that {SUMS} lists")
        if path in named and hashlib.sha512(read).hexdigest() != named[path].sha512:
            raise DigestError(f"{item.folder / path} does not have its signed digest")
        tally.add(len(read))
