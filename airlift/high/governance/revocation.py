"""The revocations that a verified bundle brings: in force at once, whatever becomes of its import (SPEC 7.9-2)."""

from airlift.bundle import revocations
from airlift.bundle.revocations import Revocation
from airlift.high.enclave import revoked
from airlift.high.enclave.enclave import Enclave
from airlift.high.verification.verified import VerifiedBundle
from airlift.ledger.entries.governance import RevocationsKnown
from airlift.ledger.state import State
from airlift.policy.revocation import Revoked


def in_force(enclave: Enclave, state: State, verified: VerifiedBundle | None = None) -> Revoked:
    """Return the revocations in force; ``verified`` adds what a bundle that was verified says.

    Raises:
        LedgerError: a recorded list is missing or changed.
    """
    if verified is None or verified.trusted is None:
        return revoked.in_force(enclave, state)
    return revoked.in_force(enclave, state, brought_by(verified)[1], verified.trusted.roots)


def brought_by(verified: VerifiedBundle) -> tuple[str | None, tuple[Revocation, ...]]:
    """Return the list that the release authority signed and a bundle carries: its SHA-512 and what it says.

    The list of an overtaken bundle, which only the bundler named, is none.
    """
    listed = verified.trusted.target(revocations.TARGET) if verified.trusted is not None else None
    if listed is None or listed.sha512 not in verified.documents:
        return None, ()
    return listed.sha512, revocations.parse(verified.documents[listed.sha512])


def news(enclave: Enclave, state: State, verified: VerifiedBundle) -> tuple[Revocation, ...]:
    """Return what a verified bundle revokes that is not recorded here yet."""
    before = {item.subject for item in revoked.recorded(enclave, state)}
    return tuple(item for item in brought_by(verified)[1] if item.subject not in before)


def learn(enclave: Enclave, state: State, verified: VerifiedBundle) -> RevocationsKnown | None:
    """Keep the list that a verified bundle carries, if it says what is not recorded yet; return what to record.

    The caller holds the lock, and records it at once.
    """
    digest, listed = brought_by(verified)
    before = {item.subject for item in revoked.recorded(enclave, state)}
    said = {item.subject for item in listed}
    if digest is None or said <= before:
        return None
    enclave.history.keep(verified.documents[digest])
    return RevocationsKnown(digest, covers=before <= said)
