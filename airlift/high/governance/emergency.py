"""Importing a bundle whose metadata has expired, on the word of two people: the one bypass (SPEC 7.7).

Signatures, versions, digests, policy and requirements are checked as ever; only the dates are judged at the time of
the bundle's issue. The reason and both signatures go into the ledger.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from airlift import strict
from airlift.errors import QuorumError, UsageError
from airlift.high.enclave import policy
from airlift.high.enclave.enclave import Enclave
from airlift.high.governance.standing import key_names
from airlift.high.verification.verified import VerifiedBundle
from airlift.ledger.entries.imports import ExpiredAccepted
from airlift.ledger.state import State
from airlift.policy.holders import group_keys, holder_of
from airlift.trust.keys.public import Signer

PEOPLE = 2
MAX_REASON = 1024


@dataclass(frozen=True, slots=True)
class Emergency:
    """Why expired metadata is accepted, and the keys of the people who accept it."""

    reason: str
    signers: Sequence[Signer]

    def __post_init__(self) -> None:
        if not 0 < len(self.reason) <= MAX_REASON or not self.reason.isprintable():
            raise UsageError("a reason is needed", expected=f"1 to {MAX_REASON} printable characters")
        if len({signer.public.spki for signer in self.signers}) < PEOPLE:
            raise UsageError("two different people must accept expired metadata", expected="--key K --key K")


def accept_expired(
    enclave: Enclave, state: State, verified: VerifiedBundle, emergency: Emergency
) -> ExpiredAccepted:
    """Return the signed statement for the ledger after checking that policy knows both people as approvers.

    Raises:
        QuorumError: a key is not one of the policy's approval keys.
    """
    document = policy.load_document(enclave, state)
    approvers = {
        document.keys[name.rsplit("/", 1)[-1]].spki
        for kind, quorum in document.policy.attestations
        if kind == "approval"
        for name in quorum.keys
    }
    accepted = [signer for signer in emergency.signers if signer.public.spki in approvers]
    known = group_keys(key_names(enclave, document))
    people = {holder_of(signer.public.key_id, known) for signer in accepted}
    if len(people) < PEOPLE:
        raise QuorumError(
            "expired metadata is accepted only by two of the people whom policy lists under attestations.approval",
            expected=str(PEOPLE),
            found=str(len(people)),
            hint="list their keys in the policy, or ask the low side for fresh metadata (`airlift low renew`)",
        )
    statement = strict.format(
        {"accept_expired": verified.digest, "enclave": enclave.name, "reason": emergency.reason}
    )
    signatures = {signer.public.key_id: signer.sign(statement).hex() for signer in accepted}
    return ExpiredAccepted(emergency.reason, signatures)
