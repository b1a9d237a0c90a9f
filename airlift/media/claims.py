"""What volumes claim: the bundle manifest that they carry, and what it names, held against them (SPEC 6.4, 6.6).

Nothing of it is proven. A caller that may parse only what is signed takes the bytes (:func:`bundle_document`),
verifies and parses them, and calls :func:`check_claims` with the bundle.
"""

import hashlib
from collections.abc import Collection, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from pathlib import Path

from airlift.bundle import agreement, choice, manifest, own, piece_table, volume
from airlift.bundle import release as releases
from airlift.bundle.fields import FileDigest
from airlift.bundle.manifest import Bundle
from airlift.bundle.release import Release
from airlift.bundle.volume import CHUNKS, INDEX, LABEL, MANIFESTS, METADATA
from airlift.errors import DigestError, InventoryError
from airlift.media.volume_reader import Volume
from airlift.trust.tuf import metadata, targets
from airlift.trust.tuf.roles import BUNDLER


@dataclass(frozen=True, slots=True)
class Claims:
    """The bundle that volumes say they are of, and its release, None without one. Nothing is proven."""

    bundle: Bundle
    release: Release | None

    @property
    def carried(self) -> Release | None:
        """The release without the variants that the bundle leaves out."""
        return choice.carried_by_any(self.bundle, self.release) if self.release is not None else None


def read_claims(volumes: Sequence[Volume]) -> Claims:
    """Return what volumes of one bundle claim, held against what they carry.

    Raises:
        InventoryError, DigestError, MalformedError: they contradict themselves.
        FormatTooNewError: made by a newer airlift.
    """
    first = volumes[0]
    bundle = manifest.parse(bundle_document(first))
    check_claims(volumes, bundle)
    _document(first, bundle.revocations, "the list of revocations")
    release = None
    if bundle.target is not None:
        release = releases.parse(_document(first, bundle.target.digest, "the release manifest"))
        for item in own.every(bundle):
            agreement.check_target(item, release)
            agreement.check_release(item, release)
    _check_documents(first, bundle, release)
    return Claims(bundle, release)


def bundle_document(first: Volume) -> bytes:
    """Return the bytes of the bundle manifest that a volume names.

    Raises:
        InventoryError: it is not there.
        DigestError: it is another.
    """
    return _document(first, first.index.manifest, "the bundle manifest")


def check_claims(volumes: Sequence[Volume], bundle: Bundle) -> None:
    """Check that the volumes claim what the bundle manifest says: their labels, ids and chunks.

    Raises:
        InventoryError: one says something else, has or lists a chunk that is not of the bundle, or counts wrongly.
    """
    sizes = {volume.chunk_name(chunk.sha512): chunk.size for chunk in bundle.all_chunks}
    for item in volumes:
        label = volume.render_label(bundle, item.index.volume, item.index.volumes)
        if item.index.bundle != bundle.id or item.small[LABEL] != label:
            raise InventoryError(f"{item.folder}: {LABEL} or {INDEX} says something else than the manifest")
        odd = sorted(set(item.sums) - set(sizes))
        if odd:
            raise InventoryError(f"{item.folder} lists a chunk that is not the bundle's", found=ascii(odd[0]))
        _check_counts(item, sizes, parity=bool(bundle.parity))


@dataclass(frozen=True, slots=True)
class ListedChunks:
    """What one volume claims of itself: its number, of how many, and the names of the chunks that it lists."""

    volume: int
    volumes: int
    names: Collection[str]


def listed_chunks(volumes: Sequence[Volume]) -> tuple[ListedChunks, ...]:
    """Return the chunks that volumes list, whether they are there or not."""
    return tuple(ListedChunks(item.index.volume, item.index.volumes, item.sums.keys()) for item in volumes)


def stated_sums(volumes: Sequence[Volume]) -> dict[Path, str]:
    """Return the SHA-256 (hex) that volumes list of their chunks, by the path of each."""
    return {item.folder / CHUNKS / name: sha256 for item in volumes for name, sha256 in item.sums.items()}


def chunk_files(volumes: Sequence[Volume], chunk: FileDigest) -> tuple[Path, ...]:
    """Return the files that claim to be a chunk."""
    name = volume.chunk_name(chunk.sha512)
    return tuple(item.folder / CHUNKS / name for item in volumes if name in item.chunks)


def missing_chunks(volumes: Sequence[Volume], chunks: Sequence[FileDigest]) -> tuple[str, ...]:
    """Return the SHA-512 of those chunks that no volume claims to hold, each once."""
    present = {name for item in volumes for name in item.chunks}
    return tuple(dict.fromkeys(c.sha512 for c in chunks if volume.chunk_name(c.sha512) not in present))


def lacking_volumes(volumes: Sequence[Volume]) -> tuple[Path, ...]:
    """Return the volumes that list a chunk and do not hold it."""
    return tuple(item.folder for item in volumes if set(item.sums) - set(item.chunks))


def count_volumes(volumes: Sequence[Volume], parity: Sequence[FileDigest] = ()) -> tuple[int, int]:
    """Return how many volumes are there, and how many there should be in all the cuts that they are of (6.8-6).

    Copies count once. ``parity`` are the bundle's parity chunks: one may be what a data chunk is too. What is missing
    is another question (:func:`missing_chunks`): volumes of one cut may make up for those of another.
    """
    distinct = {_place(item): item for item in volumes}
    twice = {volume.chunk_name(item.sha512) for item in parity}
    cuts: list[_Cut] = []
    for _, item in sorted(distinct.items()):
        cut = next((cut for cut in cuts if cut.goes_on_with(item, twice)), None)
        if cut is None:
            cuts.append(cut := _Cut(item.index.volumes))
        cut.add(item)
    return len(distinct), sum(cut.volumes for cut in cuts)


def _place(item: Volume) -> tuple[int, int, str]:
    """Return what tells volumes of a bundle apart, and copies not: count, number, and digest of SHA256SUMS."""
    return item.index.volumes, item.index.volume, item.index.sums


@dataclass(frozen=True, slots=True)
class _Cut:
    """Volumes that may be of one cut: how many it has, the numbers that are there, the names of their chunks."""

    volumes: int
    numbers: set[int] = field(default_factory=set)
    chunks: set[str] = field(default_factory=set)

    def goes_on_with(self, item: Volume, twice: AbstractSet[str]) -> bool:
        """Say whether a volume may be of this cut: it has the count, a number of its own, and no chunk again.

        Chunks in ``twice`` may be on several volumes.
        """
        index = item.index
        return (
            index.volumes == self.volumes
            and index.volume not in self.numbers
            and self.chunks.isdisjoint(item.sums.keys() - twice)
        )

    def add(self, item: Volume) -> None:
        """Count a volume as one of this cut."""
        self.numbers.add(item.index.volume)
        self.chunks.update(item.sums)


def _check_counts(item: Volume, sizes: Mapping[str, int], *, parity: bool) -> None:
    """Hold the numbers in volume.json against the chunks; if all files are there, they say how many bytes it is.

    Where there is parity the ``sizes`` of the manifest say it: a file that is cut short is then damaged like any
    other, and perhaps made up for.
    """
    index, size = item.index, item.index.chunk_bytes
    if parity:
        size = sum(sizes[name] for name in item.sums)
    elif set(item.chunks) == set(item.sums):
        size = sum(item.chunks.values())
    if (len(item.sums), size) != (index.chunks, index.chunk_bytes):
        raise InventoryError(
            f"{item.folder} does not hold what {INDEX} counts",
            expected=f"{index.chunks} chunks, {index.chunk_bytes} bytes",
            found=f"{len(item.sums)} chunks, {size} bytes",
            hint="copy the volume again from its source; the medium is damaged",
        )


def _check_documents(first: Volume, bundle: Bundle, release: Release | None) -> None:
    """Check that every document that something names is in ``manifests/``, and no other."""
    named = {bundle.digest, bundle.revocations, *([release.digest] if release else [])}
    for stated in release.vendor_signatures() if release else ():
        _document(first, stated.sha512, "a vendor's signature")
        named.add(stated.sha512)
    if release is not None and release.pieces:
        piece_table.parse(_document(first, release.pieces, "the table of pieces"), release)
        named.add(release.pieces)
    for digest in _attestations(first, bundle):
        _document(first, digest, "an attestation")
        named.add(digest)
    odd = sorted(set(first.part(MANIFESTS)) - {volume.manifest_name(digest) for digest in named})
    if odd:
        raise InventoryError(f"{first.folder} carries a manifest that nothing names", found=ascii(odd[0]))


def _attestations(first: Volume, bundle: Bundle) -> tuple[str, ...]:
    """Return the SHA-512 of the attestations that the bundler's metadata on the volume lists with the bundle."""
    for name, data in first.part(METADATA).items():
        if name.endswith(f".{BUNDLER}.json"):
            listed = targets.listed(metadata.check(BUNDLER, data), BUNDLER)
            found = listed.get(manifest.target_name(bundle.digest))
            return found.attestations if found else ()
    return ()


def _document(first: Volume, digest: str, kind: str) -> bytes:
    """Return a file of ``manifests/`` by its SHA-512."""
    path = f"{MANIFESTS}/{volume.manifest_name(digest)}"
    data = first.small.get(path)
    if data is None:
        raise InventoryError(f"{first.folder} lacks {kind}", expected=path)
    found = hashlib.sha512(data).hexdigest()
    if found != digest:
        raise DigestError(f"{first.folder / path} is not {kind}", expected=digest, found=found)
    return data
