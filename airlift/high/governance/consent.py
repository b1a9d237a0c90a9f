"""The word of two people: what one person may not do alone is signed by two whom policy lists (SPEC 7.7, 8.2-10)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from airlift import strict
from airlift.errors import QuorumError, UsageError
from airlift.high.enclave import policy, revoked
from airlift.high.enclave.enclave import Enclave
from airlift.high.governance.standing import key_names
from airlift.ledger.state import State
from airlift.policy.holders import group_keys, holder_of
from airlift.trust.keys.public import Signer
from airlift.trust.statements.predicates import APPROVAL

PEOPLE = 2
MAX_REASON = 1024


def check_reason(reason: str) -> str:
    """Return a reason that can stand in the record.

    Raises:
        UsageError: it is empty, too long or not printable.
    """
    if not len(reason.strip()) > 0 or len(reason) > MAX_REASON or not reason.isprintable():
        raise UsageError("a reason is needed", expected=f"1 to {MAX_REASON} printable characters")
    return reason


@dataclass(frozen=True, slots=True)
class Consent:
    """Why something is done that takes two people, and the keys of those who sign for it."""

    reason: str
    signers: Sequence[Signer]

    def __post_init__(self) -> None:
        check_reason(self.reason)
        if len({signer.public.spki for signer in self.signers}) < PEOPLE:
            raise UsageError("two different people must sign for this", expected="--key K --key K")


def sign(
    enclave: Enclave, state: State, consent: Consent, statement: Mapping[str, Any], *, what: str, hint: str
) -> dict[str, str]:
    """Return the signatures (hex, by key id) of the people over ``statement``, its enclave and the reason.

    Raises:
        QuorumError: fewer than two are of those whom policy lists under ``attestations.approval``, with keys that are
            not revoked; ``what`` is what they would have allowed.
    """
    document = policy.load_document(enclave, state)
    approvers = {
        document.keys[name.rsplit("/", 1)[-1]].spki
        for kind, quorum in document.policy.attestations
        if kind == APPROVAL
        for name in quorum.keys
    }
    lost = revoked.in_force(enclave, state).keys()
    accepted = [
        signer
        for signer in consent.signers
        if signer.public.spki in approvers and signer.public.key_id not in lost
    ]
    known = group_keys(key_names(enclave, document))
    people = {holder_of(signer.public.key_id, known) for signer in accepted}
    if len(people) < PEOPLE:
        raise QuorumError(
            f"{what} only by two of the people whom policy lists under attestations.approval",
            expected=str(PEOPLE),
            found=str(len(people)),
            hint=hint,
        )
    said = strict.format({**statement, "enclave": enclave.name, "reason": consent.reason})
    return {signer.public.key_id: signer.sign(said).hex() for signer in accepted}
