"""Volumes of a bundle that are at hand: which chunks they claim to hold, and those chunks, verified (SPEC 6.8-4)."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from airlift.bundle import volume
from airlift.bundle.fields import FileDigest
from airlift.bundle.manifest import Bundle
from airlift.errors import AirliftError, DigestError, InventoryError, UncheckedError
from airlift.media import claims
from airlift.media.volume_reader import Volume, read_chunk, read_volumes, volumes_of
from airlift.trust.tuf import metadata


@dataclass(slots=True)
class AtHand:
    """What volumes of a bundle hold: files by the name of the chunk that each claims to be, and their timestamps.

    ``sums`` are the SHA-256 (hex) that volumes state of their chunks. ``unusable`` says in a line for each what could
    not be used: a volume that is not as it was written, or a copy of a chunk.
    """

    copies: dict[str, list[Path]] = field(default_factory=dict)
    sums: dict[Path, str] = field(default_factory=dict)
    timestamps: list[bytes] = field(default_factory=list)
    volumes: list[Path] = field(default_factory=list)
    unusable: list[str] = field(default_factory=list)

    def has(self, chunk: FileDigest) -> bool:
        """Say whether a volume claims to hold a chunk."""
        return volume.chunk_name(chunk.sha512) in self.copies

    def read(self, chunk: FileDigest) -> memoryview | None:
        """Return the bytes of a chunk with its signed digest, or None if no volume has a good copy."""
        for path in self.copies.get(volume.chunk_name(chunk.sha512), ()):
            try:
                return read_chunk(path, chunk, self.sums.get(path))
            except (DigestError, InventoryError, UncheckedError) as error:
                self.unusable.append(error.message)
        return None

    def add(self, item: Volume) -> None:
        """Take note of what a volume holds."""
        self.volumes.append(item.folder)
        timestamp = item.part(volume.METADATA)[metadata.NEWEST]
        if timestamp not in self.timestamps:
            self.timestamps.append(timestamp)
        self.sums |= claims.stated_sums([item])
        for name in item.chunks:
            self.copies.setdefault(name, []).append(item.folder / volume.CHUNKS / name)


def look(bundle: Bundle, given: Sequence[Path], known: Iterable[Path]) -> AtHand:
    """Return what is at hand of a bundle: on the volumes that were ``given``, and where it is ``known`` to have been.

    Volumes of other bundles that lie beside those given are left alone. Of known folders those that are gone, or that
    are not what they were, are passed over.

    Raises:
        UncheckedError: there is no volume of the bundle in a place that was given, or it cannot be read.
        ProvenBadError: a volume that was given contradicts itself.
    """
    found = AtHand()
    folders = [folder for path in given for folder in volumes_of(path, bundle.digest)]
    for folder in dict.fromkeys(folder.resolve() for folder in folders):
        found.add(read(folder, bundle))
    for folder in _others(known, found.volumes):
        try:
            found.add(read(folder, bundle))
        except AirliftError as error:
            found.unusable.append(error.message)
    return found


def read(folder: Path, bundle: Bundle) -> Volume:
    """Return a volume, held against the bundle that it should be of.

    Raises:
        UncheckedError: it is none, or of another bundle, or it cannot be read.
        ProvenBadError: it contradicts itself or the bundle.
    """
    (item,) = read_volumes(volumes_of(folder, bundle.digest))
    claims.check_claims([item], bundle)
    return item


def _others(known: Iterable[Path], given: Sequence[Path]) -> Iterator[Path]:
    """Yield the folders that are there still, each once."""
    seen = set(given)
    for folder in known:
        if folder not in seen and folder.is_dir():
            seen.add(folder)
            yield folder
