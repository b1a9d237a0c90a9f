"""The proof of verification as a type: ``apply`` accepts nothing but a :class:`VerifiedBundle` (SPEC 7.2).

Its metadata, manifests and inventory are verified when it exists; its chunk reader yields only verified bytes, each
read once from a medium or from staging.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from airlift import files
from airlift.bundle import volume
from airlift.bundle.fields import FileDigest
from airlift.bundle.manifest import Bundle
from airlift.bundle.release import Release
from airlift.errors import AirliftError, DigestError, IncompleteError, UncheckedError
from airlift.trust.trusted import TrustedMetadata

SEAL = object()
"""Held by the verifier (airlift.high.verify) alone; tests/arch checks that nobody else names it."""


@dataclass(frozen=True, slots=True)
class VerifiedBundle:
    """A bundle whose signatures, digests and inventory were verified.

    ``trusted`` is None for a bundle that was recognised as one that this enclave committed before. ``chunk_paths``
    lists, for each chunk of the manifest, the files that claim to be it, and ``sums`` the SHA-256 (hex) that volumes
    state of their files; ``volume_names`` are those of the given volumes. ``documents`` maps SHA-512 to bytes of the
    verified manifests, of vendors' signatures, and of the ``attestations`` (by SHA-512) that the bundler listed with
    the bundle.
    """

    bundle: Bundle
    digest: str
    release: Release | None
    documents: Mapping[str, bytes]
    trusted: TrustedMetadata | None
    chunk_paths: Mapping[str, tuple[Path, ...]]
    sums: Mapping[Path, str]
    volumes_present: int
    volumes_total: int
    volume_names: tuple[str, ...]
    attestations: tuple[str, ...]
    seal: object = field(repr=False)

    def __post_init__(self) -> None:
        if self.seal is not SEAL:
            raise TypeError("only the verifier makes a VerifiedBundle")

    @property
    def missing(self) -> tuple[str, ...]:
        """SHA-512 of the chunks that no given volume claims to hold."""
        return tuple(chunk.sha512 for chunk in self.bundle.chunks if not self.chunk_paths[chunk.sha512])

    def read_chunk(self, chunk: FileDigest, also: Path | None = None) -> bytes:
        """Return a chunk's bytes, read once and verified; a damaged copy is passed over if another one is good.

        A copy of which its volume states another SHA-256 counts as damaged. ``also`` is a further folder to look into
        first (staging).

        Raises:
            IncompleteError: nothing claims to be this chunk.
            DigestError: every copy is damaged.
            UncheckedError: a copy cannot be read.
        """
        failure: AirliftError | None = None
        for path in self._candidates(chunk, also):
            try:
                return _read(path, chunk, self.sums.get(path))
            except (DigestError, UncheckedError) as error:
                failure = error
        if failure is None:
            raise IncompleteError("a chunk is missing", expected=volume.chunk_name(chunk.sha512))
        raise failure

    def _candidates(self, chunk: FileDigest, also: Path | None) -> tuple[Path, ...]:
        paths = self.chunk_paths[chunk.sha512]
        staged = also / volume.chunk_name(chunk.sha512) if also else None
        return (staged, *paths) if staged and staged.exists() else paths


def _read(path: Path, chunk: FileDigest, listed: str | None) -> bytes:
    data = files.read_bounded(path, chunk.size)
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
            f"{volume.SUMS} lists another digest for chunk {path}",
            expected=f"SHA-256 {listed[:16]}...",
            data={"damaged": [chunk.sha512]},
        )
    return data
