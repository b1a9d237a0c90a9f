"""The entries of an activation, roll back or withdrawal: intent and commit, and what was undone (SPEC 7.5, 9.2)."""

from dataclasses import dataclass
from typing import Any, ClassVar, Self

from airlift import strict
from airlift.bundle.manifest import ReleaseRef
from airlift.ledger.entries import shape
from airlift.ledger.entries.shape import Accepted


@dataclass(frozen=True, slots=True)
class SwitchPrepare:
    """Another release is about to become active: ``previous`` (digest) is the one that is, None if none is.

    ``because`` says why, if no person asked for it: ``revoked``; ``insecure_stale`` who accepted that what the
    enclave knows is too old; ``variants`` are the names of those that were chosen (SPEC 7.14).
    """

    TYPE: ClassVar[str]
    COMMITTED: ClassVar[type["SwitchCommit"]]

    previous: str | None
    release: ReleaseRef
    because: str | None = None
    insecure_stale: Accepted | None = None
    variants: tuple[str, ...] = ()

    @classmethod
    def parse(cls, detail: Any, what: str) -> Self:
        """Parse a detail; errors as of :meth:`airlift.ledger.entries.shape.Detail.parse`."""
        return cls(
            _previous(detail, what),
            _release(detail, what),
            _because(detail, what),
            _accepted(detail, what),
            shape.choice(detail, what),
        )

    def format(self) -> dict[str, Any]:
        """Return the detail."""
        return _format(self.previous, self.release, self.because, self.insecure_stale, self.variants)

    def commit(self, recovered: int | None = None) -> "SwitchCommit":
        """Return what the commit says that closes this intent; see :class:`SwitchCommit`."""
        return self.COMMITTED(
            self.previous, self.release, recovered, self.because, self.insecure_stale, self.variants
        )


@dataclass(frozen=True, slots=True)
class SwitchCommit:
    """Another release became active; ``recovered`` is the index of the intent if recovery finished it, else None."""

    TYPE: ClassVar[str]

    previous: str | None
    release: ReleaseRef
    recovered: int | None = None
    because: str | None = None
    insecure_stale: Accepted | None = None
    variants: tuple[str, ...] = ()

    @classmethod
    def parse(cls, detail: Any, what: str) -> Self:
        """Parse a detail; errors as of :meth:`airlift.ledger.entries.shape.Detail.parse`."""
        recovered = strict.member(detail, "recovered", int, what) if "recovered" in detail else None
        return cls(
            _previous(detail, what),
            _release(detail, what),
            recovered,
            _because(detail, what),
            _accepted(detail, what),
            shape.choice(detail, what),
        )

    def format(self) -> dict[str, Any]:
        """Return the detail."""
        detail = _format(self.previous, self.release, self.because, self.insecure_stale, self.variants)
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
class WithdrawCommit(SwitchCommit):
    """The active release, ``release``, was withdrawn: nothing is active."""

    TYPE: ClassVar[str] = "withdraw-commit"


@dataclass(frozen=True, slots=True)
class WithdrawPrepare(SwitchPrepare):
    """The active release, ``release``, is about to be withdrawn."""

    TYPE: ClassVar[str] = "withdraw-prepare"
    COMMITTED: ClassVar[type[SwitchCommit]] = WithdrawCommit


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


def _because(detail: Any, what: str) -> str | None:
    return strict.member(detail, "because", str, what) if "because" in detail else None


def _accepted(detail: Any, what: str) -> Accepted | None:
    return Accepted.parse(detail["insecure_stale"], what) if "insecure_stale" in detail else None


def _format(
    previous: str | None,
    release: ReleaseRef,
    because: str | None,
    accepted: Accepted | None,
    variants: tuple[str, ...],
) -> dict[str, Any]:
    return {
        "previous": previous,
        "release": release.to_json(),
        **({"because": because} if because is not None else {}),
        **({"insecure_stale": accepted.format()} if accepted is not None else {}),
        **({"variants": list(variants)} if variants else {}),
    }


def _release(detail: Any, what: str) -> ReleaseRef:
    return ReleaseRef.from_json(strict.member(detail, "release", dict, what), f"{what}: release")
