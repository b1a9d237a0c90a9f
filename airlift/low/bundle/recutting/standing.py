"""Volumes of a re-cut that stand in the output folder already: an interrupted run put them there (SPEC L4.14)."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from airlift.bundle import volume
from airlift.bundle.manifest import Bundle
from airlift.errors import AirliftError
from airlift.low.bundle.recutting import at_hand
from airlift.media import standing_volumes
from airlift.media.volume_reader import Volume


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
                raise standing_volumes.another(folder)
            found.append(item)
    return tuple(found)


def _read(folder: Path, bundle: Bundle) -> Volume:
    if folder.is_symlink():
        raise standing_volumes.another(folder)
    try:
        return at_hand.read(folder, bundle)
    except AirliftError as error:
        raise standing_volumes.another(folder) from error
