"""The gate: may this bundle come in, may this release run? Gathers the facts that the policy room judges."""

from datetime import datetime

from airlift.bundle import revocations
from airlift.bundle.release import Release
from airlift.bundle.revocations import Revocation
from airlift.errors import OvertakenError, RefusedError
from airlift.high.enclave import policy
from airlift.high.enclave.enclave import Enclave, reference_time
from airlift.high.governance.standing import judge_release
from airlift.high.verification.verified import VerifiedBundle
from airlift.ledger.state import State
from airlift.policy.objections import activation_objections, import_objections
from airlift.policy.quorum import quorum_objections
from airlift.trust.statements.predicates import APPROVAL


def import_refusals(
    enclave: Enclave, verified: VerifiedBundle, state: State, now: datetime
) -> list[RefusedError]:
    """Return what policy has against letting the bundle in."""
    keys = verified.trusted.bundler_key_ids if verified.trusted else ()
    rules, moment = policy.load(enclave, state), reference_time(state, now, keys)
    return import_objections(verified.bundle, rules, moment, verified.release)


def activation_refusals(
    enclave: Enclave,
    release: Release,
    state: State,
    listed: tuple[Revocation, ...],
    verified: VerifiedBundle | None = None,
    *,
    now: datetime,
) -> list[RefusedError]:
    """Return what policy has against running the release, and whether a revocation is ``listed`` against it.

    Attestations are counted from the record, and from the bundle that is about to bring the release.
    """
    revoked = frozenset(item.digest for item in listed)
    rules = policy.load(enclave, state)
    standing = judge_release(enclave, state, release.digest, now, verified)
    unmet = quorum_objections(rules.demands, standing, lambda kind: _how(kind, release.label))
    return activation_objections(release, rules, unmet, revoked)


def _how(kind: str, label: str) -> str:
    """Return what to do for want of an attestation."""
    if kind == APPROVAL:
        return f"approve it: `airlift high approve {label} --key KEY`; see `airlift high policy show`"
    return f"record one by a key that policy lists: `airlift high attest FILE` ({kind} of {label})"


def new_release_refusals(
    enclave: Enclave, verified: VerifiedBundle, state: State, now: datetime
) -> list[RefusedError]:
    """Return what stands against activating this bundle's release right after installing it."""
    refusals: list[RefusedError] = []
    if verified.trusted is not None and verified.trusted.overtaken:
        refusals.append(
            OvertakenError("the bundle was overtaken by a newer one: it is not activated by itself")
        )
    if verified.release is not None:
        listed = _newest_revocations(enclave, verified)
        refusals += activation_refusals(enclave, verified.release, state, listed, verified, now=now)
    return refusals


def _newest_revocations(enclave: Enclave, verified: VerifiedBundle) -> tuple[Revocation, ...]:
    """Return the newest signed list of revocations: the bundle's, unless the enclave already has a newer one."""
    trusted = verified.trusted
    listed = trusted.target(revocations.TARGET) if trusted else None
    if listed is None or listed.sha512 not in verified.documents:
        return enclave.load_revocations()
    return revocations.parse(verified.documents[listed.sha512])


def replay_refusals(
    enclave: Enclave, verified: VerifiedBundle, state: State, now: datetime
) -> list[RefusedError]:
    """Return what stands against activating the release of a bundle that was committed before."""
    known, release = state.committed(verified.digest), verified.release
    if known is None or release is None or state.active == release.digest:
        return []
    refusals: list[RefusedError] = []
    if known.overtaken or any(b.index > known.index and b.release and not b.overtaken for b in state.bundles):
        refusals.append(
            OvertakenError("a newer bundle was imported since: this one is not activated by itself")
        )
    return refusals + activation_refusals(enclave, release, state, enclave.load_revocations(), now=now)


def insist(objections: list[RefusedError]) -> None:
    """Raise the first objection, telling of the others.

    Raises:
        RefusedError: there is one.
    """
    if not objections:
        return
    first = objections[0]
    first.data["objections"] = [{"code": item.code, "message": item.message} for item in objections]
    raise first
