"""What is revoked here: every list that the ledger recorded, but for what the newest root lifts (SPEC 5.4, 7.9-1)."""

from collections.abc import Iterable, Mapping

from airlift.bundle import revocations
from airlift.bundle.release import Release
from airlift.bundle.revocations import Revocation
from airlift.high.enclave.enclave import Enclave
from airlift.ledger.state import State
from airlift.policy.revocation import Finding, Revoked
from airlift.trust.statements.vendors import vendor_keys
from airlift.trust.tuf import root


def recorded(enclave: Enclave, state: State) -> tuple[Revocation, ...]:
    """Return all that the recorded lists say, whether it was lifted or not.

    Raises:
        LedgerError: a list is missing or changed.
    """
    found = (enclave.history.load(digest, revocations.MAX_BYTES) for digest in state.revocations)
    return tuple(item for data in found for item in revocations.parse(data))


def in_force(
    enclave: Enclave,
    state: State,
    brought: Iterable[Revocation] = (),
    roots: Mapping[int, bytes] | None = None,
) -> Revoked:
    """Return the revocations in force, with those that a bundle ``brought``, and the verified ``roots`` on it.

    Raises:
        LedgerError: a list is missing or changed.
    """
    listed = [*recorded(enclave, state), *brought]
    if not listed:
        return Revoked()
    known = enclave.load_roots() | dict(roots or {})
    return Revoked.in_force(listed, root.lifted(known[max(known)]))


def findings(revoked: Revoked, release: Release) -> tuple[Finding, ...]:
    """Return what is revoked of a release, what its vendors' signatures are verified with included."""
    return revoked.of_release(release, vendor_keys(release) if revoked.keys() else {})
