"""The attestation entry; an import's commit entry lists what its bundle carried in the same form (SPEC 4.5, 9.2)."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from airlift import strict
from airlift.ledger.entries import shape


@dataclass(frozen=True, slots=True)
class RecordedAttestation:
    """An attestation by the SHA-512 of its envelope: kind, what it is about (SHA-512), whether it passes.

    ``signers`` are the ids of the known keys that signed, ``holders`` who holds them.
    """

    TYPE: ClassVar[str] = "attestation"

    sha512: str
    kind: str
    subject: str
    passes: bool
    signers: tuple[str, ...]
    holders: Mapping[str, str]

    @classmethod
    def parse(cls, detail: Any, what: str) -> "RecordedAttestation":
        """Parse a detail; errors as of :meth:`airlift.ledger.entries.shape.Detail.parse`."""
        return cls(
            sha512=shape.digest(detail, "sha512", what),
            kind=strict.member(detail, "kind", str, what),
            subject=shape.digest(detail, "subject", what),
            passes=strict.member(detail, "passes", bool, what),
            signers=shape.texts(detail, "signers", what),
            holders=shape.table(detail, "holders", str, what),
        )

    def format(self) -> dict[str, Any]:
        """Return the detail."""
        return {
            "sha512": self.sha512,
            "kind": self.kind,
            "subject": self.subject,
            "passes": self.passes,
            "signers": list(self.signers),
            "holders": dict(self.holders),
        }
