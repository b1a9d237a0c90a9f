"""The entries about an enclave itself: enrolment, policy, what was removed, and two reserved types (SPEC 8, 9.2)."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from airlift import strict
from airlift.ledger.entries import shape


@dataclass(frozen=True, slots=True)
class Enroll:
    """An enclave was made: its name, the pinned root, the ledger's key, the first policy, the least sequence.

    Fingerprints and digests are in hex; ``floors`` are the policy's, None where nobody said them (SPEC 8.2-10).
    """

    TYPE: ClassVar[str] = "enroll"

    enclave: str
    root_fingerprint: str
    root_version: int
    ledger_key: str
    policy: str
    minimum_sequence: int
    floors: Mapping[str, str] | None = None

    @classmethod
    def parse(cls, detail: Any, what: str) -> "Enroll":
        """Parse a detail; errors as of :meth:`airlift.ledger.entries.shape.Detail.parse`."""
        return cls(
            enclave=strict.member(detail, "enclave", str, what),
            root_fingerprint=strict.member(detail, "root_fingerprint", str, what),
            root_version=strict.member(detail, "root_version", int, what),
            ledger_key=strict.member(detail, "ledger_key", str, what),
            policy=shape.digest(detail, "policy", what),
            minimum_sequence=strict.member(detail, "minimum_sequence", int, what),
            floors=_floors(detail, what),
        )

    def format(self) -> dict[str, Any]:
        """Return the detail."""
        return {
            "enclave": self.enclave,
            "root_fingerprint": self.root_fingerprint,
            "root_version": self.root_version,
            "ledger_key": self.ledger_key,
            "policy": self.policy,
            "minimum_sequence": self.minimum_sequence,
            **_stated(self.floors),
        }


@dataclass(frozen=True, slots=True)
class PolicyChange:
    """Another policy is in force: its digest (SPEC 8.2), and the fingerprints of its keys by file name.

    ``floors`` are all that are in force from here on; None where nobody said them (SPEC 8.2-10).
    """

    TYPE: ClassVar[str] = "policy"

    sha512: str
    keys: Mapping[str, str]
    floors: Mapping[str, str] | None = None

    @classmethod
    def parse(cls, detail: Any, what: str) -> "PolicyChange":
        """Parse a detail; errors as of :meth:`airlift.ledger.entries.shape.Detail.parse`."""
        keys = shape.table(detail, "keys", str, what)
        return cls(shape.digest(detail, "sha512", what), keys, _floors(detail, what))

    def format(self) -> dict[str, Any]:
        """Return the detail."""
        return {"sha512": self.sha512, "keys": dict(self.keys), **_stated(self.floors)}


@dataclass(frozen=True, slots=True)
class Gc:
    """These releases (digests) were removed."""

    TYPE: ClassVar[str] = "gc"

    releases: tuple[str, ...]

    @classmethod
    def parse(cls, detail: Any, what: str) -> "Gc":
        """Parse a detail; errors as of :meth:`airlift.ledger.entries.shape.Detail.parse`."""
        named = shape.texts(detail, "releases", what)
        return cls(tuple(shape.check_digest(digest, "releases", what) for digest in named))

    def format(self) -> dict[str, Any]:
        """Return the detail."""
        return {"releases": list(self.releases)}


@dataclass(frozen=True, slots=True)
class Witness:
    """Reserved: nothing writes this entry; a witness's note speaks for itself (SPEC 9.10)."""

    TYPE: ClassVar[str] = "witness"

    @classmethod
    def parse(cls, _detail: Any, _what: str) -> "Witness":
        """Return the value: nothing in the detail is read."""
        return cls()

    def format(self) -> dict[str, Any]:
        """Return the detail: empty."""
        return {}


@dataclass(frozen=True, slots=True)
class Roots:
    """Reserved: nothing writes this entry."""

    TYPE: ClassVar[str] = "roots"

    @classmethod
    def parse(cls, _detail: Any, _what: str) -> "Roots":
        """Return the value: nothing in the detail is read."""
        return cls()

    def format(self) -> dict[str, Any]:
        """Return the detail: empty."""
        return {}


def _floors(detail: Any, what: str) -> Mapping[str, str] | None:
    return shape.table(detail, "floors", str, what) if "floors" in detail else None


def _stated(floors: Mapping[str, str] | None) -> dict[str, Any]:
    return {} if floors is None else {"floors": dict(floors)}
