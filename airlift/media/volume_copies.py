"""Copies of volumes, byte for byte: every chunk is digested, and what is written are the bytes that were digested."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from airlift import files
from airlift.bundle import volume
from airlift.bundle.fields import FileDigest
from airlift.bundle.manifest import Bundle
from airlift.errors import IncompleteError, MixedVolumesError
from airlift.media.claims import lacking_volumes, missing_chunks
from airlift.media.volume_reader import Volume, read_chunk

_CUT = re.compile(r"-c[0-9a-f]{8}")
Copied = Callable[[int], object]
"""What is told of every chunk that was read: its bytes."""


@dataclass(frozen=True, slots=True)
class Copy:
    """A volume that is to be copied, and the name of the copy's folder."""

    volume: Volume
    name: str


def plan_copies(volumes: Sequence[Volume], bundle: Bundle) -> tuple[Copy, ...]:
    """Return what is to be copied of a bundle's volumes: each once, however often it was given (SPEC 7.12-7).

    Raises:
        IncompleteError: a chunk of the bundle is on none of them, or one of them lacks a chunk that it lists.
        MixedVolumesError: two of them would have one name.
    """
    missing, lacking = missing_chunks(volumes, bundle.chunks), lacking_volumes(volumes)
    if missing or lacking:
        raise IncompleteError(
            f"{len(missing)} chunks are missing" if missing else f"{lacking[0]} lacks a chunk that it lists",
            expected=f"all volumes of {bundle.id}, whole",
            found=", ".join(
                sorted(f"volume {item.index.volume} of {item.index.volumes}" for item in volumes)
            ),
            data={"missing": list(missing), "damaged_volumes": [str(path) for path in lacking]},
        )
    found: dict[str, Volume] = {}
    for item in volumes:
        known = found.setdefault(_name(item, bundle), item)
        if known.small != item.small:
            raise MixedVolumesError(
                f"{known.folder} and {item.folder} are different volumes of one name",
                hint="hand them on one after the other",
            )
    return tuple(Copy(item, name) for name, item in sorted(found.items()))


def check_chunks(copies: Sequence[Copy], bundle: Bundle, copied: Copied) -> None:
    """Read and digest every chunk that copying would read.

    Raises:
        DigestError: one is damaged, or another than its volume lists.
        InventoryError, UncheckedError: one cannot be read as a plain file.
    """
    for item in copies:
        for _, data in _chunks(item.volume, _by_name(bundle)):
            copied(len(data))


def write_copies(copies: Sequence[Copy], bundle: Bundle, folder: Path, copied: Copied) -> list[Path]:
    """Write copies of volumes durably into ``folder``, without leftovers of desktops; return their folders.

    Raises:
        AirliftError: as :func:`check_chunks`; or nothing more can be written.
    """
    return [_write(item, folder / item.name, _by_name(bundle), copied) for item in copies]


def _write(copy: Copy, folder: Path, chunks: Mapping[str, FileDigest], copied: Copied) -> Path:
    for part in (volume.METADATA, volume.MANIFESTS, volume.CHUNKS):
        files.make_folder(folder / part)
    for name, data in _chunks(copy.volume, chunks):
        files.write_durable(folder / volume.CHUNKS / name, data)
        copied(len(data))
    for path, small in copy.volume.small.items():
        files.write_durable(folder / path, small)
    return folder


def _chunks(item: Volume, chunks: Mapping[str, FileDigest]) -> Iterator[tuple[str, memoryview]]:
    """Yield the chunks of a volume by name, each read once and digested."""
    for name in sorted(item.chunks):
        yield name, read_chunk(item.folder / volume.CHUNKS / name, chunks[name], item.sums[name])


def _by_name(bundle: Bundle) -> dict[str, FileDigest]:
    return {volume.chunk_name(chunk.sha512): chunk for chunk in bundle.all_chunks}


def _name(item: Volume, bundle: Bundle) -> str:
    """Return the name of a copy's folder: the volume's own, where that is a name that a volume has."""
    name, own = volume.folder_name(bundle, item.index.volume, item.index.volumes), item.folder.name
    return own if own.startswith(name) and _CUT.fullmatch(own[len(name) :]) else name
