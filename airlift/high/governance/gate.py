"""Permit: may this bundle come in, may this release run? Gathers the facts that the policy room judges."""

from datetime import datetime

from airlift.bundle.release import Release
from airlift.bundle.revocations import Revocation
from airlift.errors import RefusedError
from airlift.high.enclave import policy
from airlift.high.enclave.enclave import Enclave, reference_time
from airlift.high.governance import attestations
from airlift.high.verification.verified import VerifiedBundle
from airlift.ledger.state import State
from airlift.policy.objections import activation_objections, import_objections


def import_refusals(
    enclave: Enclave, verified: VerifiedBundle, state: State, now: datetime
) -> list[RefusedError]:
    """Return what policy has against letting the bundle in."""
    keys = verified.trusted.bundler_key_ids if verified.trusted else ()
    return import_objections(verified.bundle, policy.load(enclave, state), reference_time(state, now, keys))


def activation_refusals(
    enclave: Enclave,
    release: Release,
    state: State,
    revocations: tuple[Revocation, ...],
    verified: VerifiedBundle | None = None,
) -> list[RefusedError]:
    """Return what policy has against running the release, revocations included.

    Attestations are counted from the record, and from the bundle that is about to bring the release.
    """
    revoked = frozenset(item.digest for item in revocations)
    held = attestations.count(enclave, state, release.digest, verified)
    return activation_objections(release, policy.load(enclave, state), held, revoked)


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
