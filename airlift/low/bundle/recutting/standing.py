"""Volumes of a re-cut that stand in the output folder already: an interrupted run put them there (SPEC L4.14).

They are left as they are. What has the name of one, and is not what this run would write, is an error.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

from airlift import files
from airlift.bundle import volume
from airlift.bundle.manifest import MAX_BYTES, Bundle
from airlift.errors import AirliftError, ExistsError
from airlift.low.bundle.recutting import at_hand
from airlift.media import volume_writer
from airlift.media.volume_reader import Volume
from airlift.media.volume_writer import VolumeInfo


def find(
    folders: Sequence[Path], bundle: Bundle, shares: Sequence[frozenset[str]], metadata: Mapping[str, bytes]
) -> tuple[Volume, ...]:
    """Return those of the ``folders`` of a cut that stand: one for each of its ``shares`` of chunks (SHA-512).

    Raises:
        ExistsError: something else has the name of one.
    """
    found = []
    for folder, share in zip(folders, shares, strict=True):
        if folder.exists() or folder.is_symlink():
            item = _read(folder, bundle)
            names = {volume.chunk_name(sha512) for sha512 in share}
            if set(item.chunks) != names or item.part(volume.METADATA) != metadata:
                raise _other(folder)
            found.append(item)
    return tuple(found)


def put(written: Sequence[Path], output: Path) -> tuple[tuple[VolumeInfo, ...], int]:
    """Rename volumes to their places, but for those that stand there; return all, and how many were put.

    Raises:
        ExistsError: one that stands there is not the same to the byte.
    """
    new = [folder for folder in written if not _stands(folder, output / folder.name)]
    placed = {item.path: item for item in volume_writer.move_into_place(new, output)}
    files.sync_folder(output)  # the names of those that stood may be visible without being durable
    places = [output / folder.name for folder in written]
    return tuple(placed.get(path) or VolumeInfo(path, _size(path)) for path in places), len(placed)


def _read(folder: Path, bundle: Bundle) -> Volume:
    if folder.is_symlink():
        raise _other(folder)
    try:
        return at_hand.read(folder, bundle)
    except AirliftError as error:
        raise _other(folder) from error


def _other(folder: Path) -> ExistsError:
    return ExistsError(
        f"{folder} exists, and is not what would be written there", hint="choose another --output"
    )


def _stands(made: Path, place: Path) -> bool:
    """Say whether a volume has its place already; compare every byte if so."""
    if not place.exists():
        return False
    ours, theirs = (
        sorted(path.relative_to(folder) for path in folder.rglob("*")) for folder in (made, place)
    )
    for path in ours:
        if ours != theirs or not _same(made / path, place / path):
            raise _other(place)
    return True


def _same(one: Path, other: Path) -> bool:
    if one.is_dir():
        return other.is_dir()
    return files.read_bounded(one, MAX_BYTES) == files.read_bounded(other, MAX_BYTES)


def _size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
