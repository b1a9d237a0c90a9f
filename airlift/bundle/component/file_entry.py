"""One file of a component, as a release manifest lists it (SPEC 5.1-4)."""

from dataclasses import dataclass
from typing import Any

from airlift import strict
from airlift.bundle import fields
from airlift.bundle.fields import FileDigest
from airlift.bundle.paths import check_relative

MAX_FILES = 200_000
"""How many files a release may have, and a vendor's signature may list."""

_KEYS = frozenset({"path", "size", "sha512", "sha256"})


@dataclass(frozen=True, slots=True)
class FileEntry:
    """One file of a component: relative path, size in bytes, both digests as lower-case hex."""

    path: str
    size: int
    sha512: str
    sha256: str

    @property
    def content(self) -> FileDigest:
        """What identifies the bytes, whatever the path."""
        return FileDigest(self.sha512, self.size)

    def to_json(self) -> dict[str, Any]:
        """Return the document form."""
        return {"path": self.path, "size": self.size, "sha512": self.sha512, "sha256": self.sha256}


def from_json(document: Any) -> FileEntry:
    """Parse a file.

    Raises:
        MalformedError: an unknown or missing key, a path that is not portable, or a wrong value.
    """
    what = "release manifest: file"
    strict.only(document, _KEYS, what)
    return FileEntry(
        path=check_relative(strict.member(document, "path", str, what)),
        size=fields.count(document, "size", what),
        sha512=fields.digest(document, "sha512", what),
        sha256=fields.digest(document, "sha256", what, bits=256),
    )
