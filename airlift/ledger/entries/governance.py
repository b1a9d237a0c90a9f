"""The entries of who is in charge: floors, revocations that became known, bundles handed on (SPEC 7.9, 7.12, 8.2)."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from airlift import strict
from airlift.ledger.entries import shape


@dataclass(frozen=True, slots=True)
class FloorChange:
    """No activation below ``version`` of what ``name`` says, from here on; None ends the floor (SPEC 8.2-10).

    ``previous`` is the floor that was in force. ``signatures`` (hex, by key id) are those of the two people who
    lowered it; a floor that is raised needs none.
    """

    TYPE: ClassVar[str] = "floor"

    name: str
    version: str | None
    previous: str | None
    reason: str
    signatures: Mapping[str, str]

    @classmethod
    def parse(cls, detail: Any, what: str) -> "FloorChange":
        """Parse a detail; errors as of :meth:`airlift.ledger.entries.shape.Detail.parse`."""
        return cls(
            name=strict.member(detail, "name", str, what),
            version=shape.optional(detail, "version", _text, what),
            previous=shape.optional(detail, "previous", _text, what),
            reason=strict.member(detail, "reason", str, what),
            signatures=shape.table(detail, "signatures", str, what),
        )

    def format(self) -> dict[str, Any]:
        """Return the detail."""
        return {
            "name": self.name,
            "version": self.version,
            "previous": self.previous,
            "reason": self.reason,
            "signatures": dict(self.signatures),
        }


@dataclass(frozen=True, slots=True)
class RevocationsKnown:
    """A list of revocations (SHA-512) is in force from here on, whatever becomes of the import that brought it.

    ``covers`` says that it revokes all that was in force before, so that older lists need not be read any more.
    """

    TYPE: ClassVar[str] = "revocations"

    sha512: str
    covers: bool

    @classmethod
    def parse(cls, detail: Any, what: str) -> "RevocationsKnown":
        """Parse a detail; errors as of :meth:`airlift.ledger.entries.shape.Detail.parse`."""
        return cls(shape.digest(detail, "sha512", what), strict.member(detail, "covers", bool, what))

    def format(self) -> dict[str, Any]:
        """Return the detail."""
        return {"sha512": self.sha512, "covers": self.covers}


@dataclass(frozen=True, slots=True)
class Relayed:
    """A bundle (by SHA-512 of its manifest) is handed on ``to`` a sub-enclave, in volumes of these names (SPEC 7.12).

    ``receipt`` is the SHA-512 of the receipt's envelope that was gone by, None without one.
    """

    TYPE: ClassVar[str] = "relay"

    bundle_manifest: str
    to: str
    volume_names: tuple[str, ...]
    receipt: str | None

    @classmethod
    def parse(cls, detail: Any, what: str) -> "Relayed":
        """Parse a detail; errors as of :meth:`airlift.ledger.entries.shape.Detail.parse`."""
        return cls(
            bundle_manifest=shape.digest(detail, "bundle_manifest", what),
            to=strict.member(detail, "to", str, what),
            volume_names=shape.texts(detail, "volume_names", what),
            receipt=shape.optional(detail, "receipt", _digest, what),
        )

    def format(self) -> dict[str, Any]:
        """Return the detail."""
        return {
            "bundle_manifest": self.bundle_manifest,
            "to": self.to,
            "volume_names": list(self.volume_names),
            "receipt": self.receipt,
        }


def _digest(value: Any, what: str) -> str:
    return shape.check_digest(value, "receipt", what)


def _text(value: Any, what: str) -> str:
    return shape.check_text(value, what)
