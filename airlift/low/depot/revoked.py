"""What is revoked: the published list, less what the newest published root lifts (SPEC 5.4-4, 5.4-5)."""

from dataclasses import dataclass

from airlift.bundle import revocations
from airlift.bundle.release import Release
from airlift.bundle.revocations import Revocation
from airlift.low.depot import known
from airlift.low.depot.depot import Depot
from airlift.policy.revocation import Finding, Revoked
from airlift.trust.statements.vendors import vendor_keys
from airlift.trust.tuf import root
from airlift.trust.tuf.metadata import ROOT, TARGETS
from airlift.trust.tuf.roles import Document

HINT = (
    "release a version without it; see what is revoked with `airlift low list`, and let root lift what should not be "
    "with `airlift low revoke SUBJECT --lift --reason R`"
)


@dataclass(frozen=True, slots=True)
class InForce:
    """A revocation with what people call the thing here, if the depot knows it; see :class:`Revocation`."""

    kind: str
    digest: str
    serial: int
    type: str
    reason: str
    names: tuple[str, ...]

    @classmethod
    def of(cls, item: Revocation, names: tuple[str, ...]) -> "InForce":
        """Return a revocation with names."""
        return cls(item.kind, item.digest, item.serial, item.type, item.reason, names)


def listed(depot: Depot, document: Document | None) -> tuple[Revocation, ...]:
    """Return the list that targets metadata names.

    Raises:
        DigestError, UncheckedError: it is damaged or missing.
    """
    data = depot.store.revocations(document)
    return () if data is None else revocations.parse(data)


def in_force(depot: Depot) -> Revoked:
    """Return what is revoked.

    Raises:
        DigestError, UncheckedError: the list is damaged or missing.
    """
    newest = depot.store.newest(ROOT)
    lifted = frozenset() if newest is None else root.lifted(newest)
    return Revoked.in_force(listed(depot, depot.store.newest(TARGETS)), lifted)


def named(depot: Depot) -> tuple[InForce, ...]:
    """Return what is revoked, with the names that it has here."""
    entries = in_force(depot).entries
    names = known.names_of(depot, {item.digest for item in entries})
    return tuple(InForce.of(item, names.get(item.digest, ())) for item in entries)


def check_release(release: Release, revoked: Revoked, hint: str = HINT) -> None:
    """Check that nothing in a release is revoked.

    Raises:
        RevokedError: something is; ``data`` has all of it.
    """
    found = findings(release, revoked)
    if found:
        error = found[0].error()
        error.hint = hint
        error.data["revoked"] = [finding.error().message for finding in found]
        raise error


def findings(release: Release, revoked: Revoked) -> tuple[Finding, ...]:
    """Return what is revoked of a release, what its vendors' signatures were verified with included."""
    return revoked.of_release(release, vendor_keys(release) if revoked.keys() else {})
