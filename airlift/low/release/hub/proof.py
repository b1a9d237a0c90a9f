"""What an endpoint lists of a file, and the proof that bytes are that file (SPEC L2.10)."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from airlift import files
from airlift.errors import DigestError


@dataclass(frozen=True, slots=True)
class Listed:
    """A file of a commit: size in bytes; SHA-256 if it is in LFS, else the id of its git blob (both in hex)."""

    path: str
    size: int
    digest: str
    lfs: bool

    @property
    def told(self) -> str:
        """The digest, for people."""
        return f"SHA-256 {self.digest}" if self.lfs else f"git blob {self.digest}"


class Proof:
    """Digests bytes of a listed file as they come: SHA-256, and the id of the git blob if that is what is known."""

    __slots__ = ("_blob", "_listed", "_sha256")

    def __init__(self, listed: Listed) -> None:
        self._listed = listed
        self._sha256 = hashlib.sha256()
        self._blob = None if listed.lfs else hashlib.sha1(b"blob %d\x00" % listed.size, usedforsecurity=False)

    def add(self, data: bytes) -> None:
        """Take the next bytes."""
        self._sha256.update(data)
        if self._blob is not None:
            self._blob.update(data)

    @property
    def sha256(self) -> str:
        """SHA-256 (hex) of the bytes so far."""
        return self._sha256.hexdigest()

    @property
    def digest(self) -> str:
        """The digest of the bytes so far that the listing has one of, in hex."""
        return (self._blob or self._sha256).hexdigest()

    @property
    def holds(self) -> bool:
        """Whether the bytes so far are the listed file."""
        return self.digest == self._listed.digest

    def insist(self, what: str, hint: str) -> None:
        """Refuse bytes that are not the listed file.

        Raises:
            DigestError: they are not.
        """
        if not self.holds:
            raise DigestError(
                f"{what} is not what the endpoint lists",
                expected=self._listed.told,
                found=self.digest,
                hint=hint,
            )


def prove_file(path: Path, listed: Listed, count: Callable[[int], None]) -> Proof:
    """Digest a file at rest; ``count`` is told of the bytes that are read.

    Raises:
        InventoryError: it is a link or a special file.
        UncheckedError: it cannot be read.
    """
    proof, offset = Proof(listed), 0
    with files.opened(path) as descriptor, files.reading(path):
        while data := files.read_at(descriptor, offset, files.COPY_BYTES):
            proof.add(data)
            offset += len(data)
            count(len(data))
    return proof
