"""The proof of verification as a type: ``stage`` accepts nothing but a :class:`VerifiedBundle` (SPEC 7.2).

Its metadata, manifests and inventory are verified when it exists; its chunk reader yields only verified bytes, each
read once from a medium or from staging.
"""

from collections.abc import Callable, Mapping
from dataclasses import InitVar, dataclass
from pathlib import Path

from airlift.bundle import volume
from airlift.bundle.fields import FileDigest
from airlift.bundle.manifest import Bundle
from airlift.bundle.own import Own
from airlift.bundle.parity.stripe import lost_for_good, repairable
from airlift.bundle.release import Release
from airlift.errors import AirliftError, DigestError, IncompleteError, UncheckedError
from airlift.media.claims import ListedChunks
from airlift.media.volume_reader import read_chunk
from airlift.trust.tuf.trusted_metadata import TrustedMetadata

SEAL = object()
"""Named by the one module that verifies bundles, and by no other: tests/arch/test_seal.py checks it."""


@dataclass(frozen=True, slots=True)
class VerifiedBundle:
    """A bundle whose signatures, digests and inventory were verified.

    ``own`` is what this enclave takes of it, all of it if it is ``foreign``. ``trusted`` is None for one that was
    recognised as what this enclave committed before. ``chunk_paths`` lists, for each chunk of the manifest, parity
    included, the files that claim to be it, and ``sums`` the SHA-256
    (hex) that volumes state of their chunks; ``volume_names`` are those of the given volumes, ``volumes`` what these
    list, ``lacking`` the folders of those that list a chunk and lack it. ``documents`` maps SHA-512 to bytes of the
    verified manifests, of vendors' signatures, of the table of pieces and of the ``attestations`` (by SHA-512) that
    the bundler listed with the bundle; ``passed_over`` are leftovers of desktops on the media. One that is
    ``foreign`` was verified to be handed on, whomever it is for, and cannot be installed. ``seal`` is not kept, so
    that nobody makes another bundle out of this one.
    """

    bundle: Bundle
    own: Own
    digest: str
    release: Release | None
    documents: Mapping[str, bytes]
    trusted: TrustedMetadata | None
    chunk_paths: Mapping[str, tuple[Path, ...]]
    sums: Mapping[Path, str]
    volumes_present: int
    volumes_total: int
    volume_names: tuple[str, ...]
    volumes: tuple[ListedChunks, ...]
    attestations: tuple[str, ...]
    passed_over: tuple[Path, ...]
    lacking: tuple[Path, ...]
    foreign: bool
    seal: InitVar[object]

    def __post_init__(self, seal: object) -> None:
        if seal is not SEAL:
            raise TypeError("only the verifier makes a VerifiedBundle")

    @property
    def missing(self) -> tuple[str, ...]:
        """SHA-512 of the own data chunks that no given volume claims to hold, and that parity does not give back."""
        return self.own.only(lost_for_good(self.bundle.parity, self.bundle.chunks, self._present))

    @property
    def repairable(self) -> tuple[str, ...]:
        """SHA-512 of the own data chunks that no given volume claims to hold, and that parity gives back."""
        return self.own.only(repairable(self.bundle.parity, self.bundle.chunks, self._present))

    @property
    def _present(self) -> frozenset[str]:
        return frozenset(sha512 for sha512, paths in self.chunk_paths.items() if paths)

    def read_chunk(
        self,
        chunk: FileDigest,
        also: Path | None = None,
        damaged: Callable[[Path], object] = lambda _path: None,
    ) -> memoryview:
        """Return a chunk's bytes, read once and verified; a damaged copy is passed over if another one is good.

        A copy of which its volume states another SHA-256 counts as damaged. ``also`` is a further folder to look into
        first (staging); ``damaged`` is told of every copy that is damaged or cannot be read.

        Raises:
            IncompleteError: nothing claims to be this chunk, or nothing but a staged copy that has rotted.
            DigestError: every copy is damaged.
            UncheckedError: a copy cannot be read.
        """
        failure: AirliftError | None = None
        for path in self._candidates(chunk, also):
            try:
                return read_chunk(path, chunk, self.sums.get(path))
            except (DigestError, UncheckedError) as error:
                damaged(path)
                failure = error
        if failure is None or not self.chunk_paths[chunk.sha512]:
            raise IncompleteError(
                "a chunk is missing" if failure is None else "a chunk that was staged is damaged",
                expected=volume.chunk_name(chunk.sha512),
                data={"missing": [chunk.sha512]},
            ) from failure
        raise failure

    def _candidates(self, chunk: FileDigest, also: Path | None) -> tuple[Path, ...]:
        paths = self.chunk_paths[chunk.sha512]
        staged = also / volume.chunk_name(chunk.sha512) if also else None
        return (staged, *paths) if staged and staged.exists() else paths
