"""The entries of an activation or roll back: intent and commit, and an intent that was undone (SPEC 7.5, 9.2)."""

from dataclasses import dataclass
from typing import Any, ClassVar, Self

from airlift import strict
from airlift.bundle.manifest import ReleaseRef
from airlift.ledger.entries import shape


@dataclass(frozen=True, slots=True)
class SwitchPrepare:
    """Another release is about to become active: ``previous`` (digest) is the one that is, None if none is."""

    TYPE: ClassVar[str]
    COMMITTED: ClassVar[type["SwitchCommit"]]

    previous: str | None
    release: ReleaseRef

    @classmethod
    def parse(cls, detail: Any, what: str) -> Self:
        """Parse a detail; errors as of :meth:`airlift.ledger.entries.shape.Detail.parse`."""
        return cls(_previous(detail, what), _release(detail, what))

    def format(self) -> dict[str, Any]:
        """Return the detail."""
        return {"previous": self.previous, "release": self.release.to_json()}

    def commit(self, recovered: int | None = None) -> "SwitchCommit":
        """Return what the commit says that closes this intent; see :class:`SwitchCommit`."""
        return self.COMMITTED(self.previous, self.release, recovered)


@dataclass(frozen=True, slots=True)
class SwitchCommit:
    """Another release became active; ``recovered`` is the index of the intent if recovery finished it, else None."""

    TYPE: ClassVar[str]

    previous: str | None
    release: ReleaseRef
    recovered: int | None = None

    @classmethod
    def parse(cls, detail: Any, what: str) -> Self:
        """Parse a detail; errors as of :meth:`airlift.ledger.entries.shape.Detail.parse`."""
        recovered = strict.member(detail, "recovered", int, what) if "recovered" in detail else None
        return cls(_previous(detail, what), _release(detail, what), recovered)

    def format(self) -> dict[str, Any]:
        """Return the detail."""
        detail = {"previous": self.previous, "release": self.release.to_json()}
        return detail if self.recovered is None else {**detail, "recovered": self.recovered}


@dataclass(frozen=True, slots=True)
class ActivateCommit(SwitchCommit):
    """A release was activated."""

    TYPE: ClassVar[str] = "activate-commit"


@dataclass(frozen=True, slots=True)
class ActivatePrepare(SwitchPrepare):
    """A release is about to be activated."""

    TYPE: ClassVar[str] = "activate-prepare"
    COMMITTED: ClassVar[type[SwitchCommit]] = ActivateCommit


@dataclass(frozen=True, slots=True)
class RollbackCommit(SwitchCommit):
    """The enclave returned to a release."""

    TYPE: ClassVar[str] = "rollback-commit"


@dataclass(frozen=True, slots=True)
class RollbackPrepare(SwitchPrepare):
    """The enclave is about to return to a release."""

    TYPE: ClassVar[str] = "rollback-prepare"
    COMMITTED: ClassVar[type[SwitchCommit]] = RollbackCommit


@dataclass(frozen=True, slots=True)
class Abort:
    """The intent of entry ``undoes`` came to nothing; ``reason`` is for people."""

    TYPE: ClassVar[str] = "abort"

    undoes: int
    reason: str

    @classmethod
    def parse(cls, detail: Any, what: str) -> "Abort":
        """Parse a detail; errors as of :meth:`airlift.ledger.entries.shape.Detail.parse`."""
        return cls(strict.member(detail, "undoes", int, what), strict.member(detail, "reason", str, what))

    def format(self) -> dict[str, Any]:
        """Return the detail."""
        return {"undoes": self.undoes, "reason": self.reason}


def _previous(detail: Any, what: str) -> str | None:
    return shape.optional(
        detail, "previous", lambda value, _: shape.check_digest(value, "previous", what), what
    )


def _release(detail: Any, what: str) -> ReleaseRef:
    return ReleaseRef.from_json(strict.member(detail, "release", dict, what), f"{what}: release")
