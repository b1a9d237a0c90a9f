"""TUF targets: the signed digests of manifests and revocations, under opaque names (SPEC 4.2)."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from airlift.errors import DigestError, MalformedError
from airlift.trust.tuf.metadata import ATTESTATIONS, MAX_TARGET_BYTES
from airlift.trust.tuf.roles import Document

REVOCATIONS = "revocations"
RELEASE_PREFIX = "release-"
BUNDLE_PREFIX = "bundle-"


@dataclass(frozen=True, slots=True)
class Target:
    """A signed name for bytes; ``length`` in bytes, ``sha512`` in lower-case hex, ``custom`` as signed.

    ``beside`` are the further digests that were signed with it: algorithm and lower-case hex.
    """

    name: str
    role: str
    length: int
    sha512: str
    custom: Mapping[str, Any]
    beside: tuple[tuple[str, str], ...] = ()

    @property
    def attestations(self) -> tuple[str, ...]:
        """The SHA-512 (hex) of the attestations that go along with a bundle (SPEC 4.5-7)."""
        return tuple(self.custom.get(ATTESTATIONS, ()))

    def check_bytes(self, data: bytes) -> None:
        """Check that ``data`` is what was signed under this name.

        Raises:
            DigestError: its length or one of its digests differs.
        """
        if len(data) != self.length:
            raise DigestError(
                f"{self.name} has the wrong length",
                expected=f"{self.length} bytes",
                found=f"{len(data)} bytes",
            )
        for algorithm, expected in (("sha512", self.sha512), *self.beside):
            found = hashlib.new(algorithm, data).hexdigest()
            if found != expected:
                raise DigestError(f"{self.name} has the wrong {algorithm}", expected=expected, found=found)

    def entry(self) -> dict[str, Any]:
        """Return the target as TUF metadata spells it."""
        return {"length": self.length, "hashes": {"sha512": self.sha512}, "custom": dict(self.custom)}


def describe(name: str, role: str, data: bytes, custom: Mapping[str, Any]) -> Target:
    """Return the target that signs ``data`` under ``name``.

    Raises:
        MalformedError: ``data`` is longer than a target may be.
    """
    if len(data) > MAX_TARGET_BYTES:
        raise MalformedError(f"{name} is too long", expected=f"at most {MAX_TARGET_BYTES} bytes")
    return Target(name, role, len(data), hashlib.sha512(data).hexdigest(), custom)


def listed(document: Document, role: str) -> dict[str, Target]:
    """Return the targets of checked targets or bundler metadata by name."""
    return {
        name: Target(
            name,
            role,
            entry["length"],
            entry["hashes"]["sha512"],
            MappingProxyType(dict(entry.get("custom", {}))),
            tuple((key, value) for key, value in sorted(entry["hashes"].items()) if key != "sha512"),
        )
        for name, entry in document["signed"]["targets"].items()
    }
