"""Volumes that stand in the output folder already: an interrupted run put them there (SPEC 7.12-7, L4.14).

They are left as they are. What has the name of one, and is not the same to the byte, is an error.
"""

from collections.abc import Sequence
from pathlib import Path

from airlift import files
from airlift.bundle.manifest import MAX_BYTES
from airlift.errors import AirliftError, ExistsError, ProvenBadError
from airlift.media.volume_reader import Volume
from airlift.media.volume_writer import VolumeInfo, move_into_place


def check_place(folder: Path, volume: Volume) -> None:
    """Check that a volume's place is free, or seems to have that volume: all of it that is small is the same.

    Raises:
        ExistsError: something else stands there.
    """
    if folder.is_symlink() or (folder.exists() and not folder.is_dir()):
        raise another(folder)
    if not folder.exists():
        return
    for path, data in volume.small.items():
        try:
            same = files.read_bounded(folder / path, MAX_BYTES) == data
        except AirliftError as error:
            raise another(folder) from error
        if not same:
            raise another(folder)


def lacking(written: Sequence[Path], output: Path) -> list[Path]:
    """Return those of the written volumes that do not stand in their places yet.

    Raises:
        ExistsError: one that stands there is not the same to the byte.
    """
    return [folder for folder in written if not _stands(folder, output / folder.name)]


def place(new: Sequence[Path], output: Path) -> tuple[VolumeInfo, ...]:
    """Rename volumes to their places, all or none, beside those that stand there; return them."""
    placed = move_into_place(new, output)
    files.sync_folder(output)  # the names of those that stood may be visible without being durable
    return placed


def put(written: Sequence[Path], output: Path) -> tuple[tuple[VolumeInfo, ...], int]:
    """Rename volumes to their places, but for those that stand there; return all, and how many were put.

    Raises:
        ExistsError: one that stands there is not the same to the byte.
    """
    placed = {item.path: item for item in place(lacking(written, output), output)}
    places = [output / folder.name for folder in written]
    return tuple(placed.get(path) or VolumeInfo(path, _size(path)) for path in places), len(placed)


def another(folder: Path) -> ExistsError:
    """Return the error that something else than a volume stands in its place."""
    return ExistsError(
        f"{folder} exists, and is not what would be written there", hint="choose another --output"
    )


def _stands(made: Path, standing: Path) -> bool:
    """Say whether a volume has its place already; compare every byte if so."""
    if not standing.exists():
        return False
    ours, theirs = (
        sorted(path.relative_to(folder) for path in folder.rglob("*")) for folder in (made, standing)
    )
    try:
        same = ours == theirs and all(_same(made / path, standing / path) for path in ours)
    except ProvenBadError as error:  # a link, or longer than what was written
        raise another(standing) from error
    if not same:
        raise another(standing)
    return True


def _same(one: Path, other: Path) -> bool:
    if one.is_dir():
        return other.is_dir()
    return files.read_bounded(one, MAX_BYTES) == files.read_bounded(other, MAX_BYTES)


def _size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
