"""Which digest a file is verified with: the SHA-512 that names it, or SHA-256 if policy says so (SPEC 7.3-5).

The SHA-256 is the one that signed release manifests state of the same content. Where none states it, or two state
different ones, the SHA-512 decides.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from airlift.bundle.release import Release
from airlift.errors import MalformedError
from airlift.high.enclave import policy
from airlift.high.enclave.enclave import Enclave
from airlift.ledger.entries.imports import SHA256, SHA512
from airlift.ledger.state import State
from airlift.store.content import CountBytes, digest_file

NOT_CNSA = "files are verified with SHA-256, which is not a CNSA 2.0 algorithm"


@dataclass(frozen=True, slots=True)
class Expected:
    """The digests that files must have; ``algorithm`` names the one that policy asks for.

    ``sha256`` maps the SHA-512 (hex) of contents to their SHA-256 (hex); it is empty where policy asks for SHA-512.
    """

    algorithm: str = SHA512
    sha256: Mapping[str, str] = field(default_factory=dict)

    def of(self, sha512: str) -> tuple[str, str]:
        """Return the algorithm by which the content named ``sha512`` is verified, and the digest (hex) due."""
        stated = self.sha256.get(sha512)
        return (SHA512, sha512) if stated is None else (SHA256, stated)

    def fits(self, path: Path, sha512: str, read: CountBytes = lambda _count: None) -> bool:
        """Say whether a file at rest is the content named ``sha512``; ``read`` counts its bytes, all are read."""
        algorithm, digest = self.of(sha512)
        return digest_file(path, algorithm, read) == digest


def load_expected(enclave: Enclave, state: State, target: Release | None = None) -> Expected:
    """Return the digests that policy asks for: of content at rest, and of the ``target`` that is to be rebuilt.

    Raises:
        LedgerError: policy, or the manifest of an installed release, is not what the ledger recorded.
        MalformedError: ``target`` contradicts an installed release.
    """
    if policy.load(enclave, state).digest == SHA512:
        return Expected()
    installed = [enclave.load_release(digest) for digest in state.installed]
    found = stated([*installed, target] if target else installed)
    if target and not target.contents().keys() <= found.keys():
        raise MalformedError(
            "release manifest: an installed release states another SHA-256 of the same content"
        )
    return Expected(SHA256, found)


def stated(releases: Iterable[Release]) -> dict[str, str]:
    """Return the SHA-256 of contents by SHA-512; content for which manifests state different ones is left out."""
    found: dict[str, set[str]] = {}
    for release in releases:
        for _, entry in release.files():
            found.setdefault(entry.sha512, set()).add(entry.sha256)
    return {sha512: min(digests) for sha512, digests in found.items() if len(digests) == 1}
