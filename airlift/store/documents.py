"""Documents by digest: manifests, lists and envelopes, each kept once, never changed (SPEC 5.1, 8.1)."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from airlift import files
from airlift.bundle import release, volume
from airlift.errors import AirliftError

Fault = Callable[[Path], AirliftError]
"""Makes the error about the document at a path."""


@dataclass(frozen=True, slots=True)
class DocumentFolder:
    """A folder of documents, named by the first 64 hex digits of their SHA-512.

    ``changed`` makes the error about a document whose bytes have another digest, ``missing`` the one about a document
    that is not there. Without ``missing`` that is an UncheckedError.
    """

    folder: Path
    changed: Fault
    missing: Fault | None = None

    def path(self, digest: str) -> Path:
        """Return where the document with this SHA-512 (hex) lies, whether it is there or not."""
        return self.folder / volume.manifest_name(digest)

    def keep(self, data: bytes) -> str:
        """Keep a document durably, once, under its digest, which is returned (SHA-512, hex)."""
        digest = hashlib.sha512(data).hexdigest()
        path = self.path(digest)
        if not path.exists():
            files.write_durable(path, data)
        return digest

    def load(self, digest: str, limit: int = release.MAX_BYTES) -> bytes:
        """Return the document with this SHA-512 (hex), verified.

        Raises:
            AirliftError: it is missing or has changed: what ``missing`` and ``changed`` make.
            DigestError: it is longer than ``limit`` (bytes).
            UncheckedError: it cannot be read.
        """
        path = self.path(digest)
        if self.missing is not None and not path.is_file():
            raise self.missing(path)
        data = files.read_bounded(path, limit)
        if hashlib.sha512(data).hexdigest() != digest:
            raise self.changed(path)
        return data
