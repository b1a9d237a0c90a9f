"""Importing a bundle whose metadata has expired, on the word of two people: the one bypass (SPEC 7.7).

Signatures, versions, digests, policy and requirements are checked as ever; only the dates are judged at the time of
the bundle's issue. The reason and both signatures go into the ledger.
"""

from airlift.high.enclave.enclave import Enclave
from airlift.high.governance import consent
from airlift.high.governance.consent import Consent
from airlift.high.verification.verified import VerifiedBundle
from airlift.ledger.entries.imports import ExpiredAccepted
from airlift.ledger.state import State


def accept_expired(
    enclave: Enclave, state: State, verified: VerifiedBundle, word: Consent
) -> ExpiredAccepted:
    """Return the signed statement for the ledger after checking that policy knows both people as approvers.

    Raises:
        QuorumError: a key is not one of the policy's approval keys.
    """
    signatures = consent.sign(
        enclave,
        state,
        word,
        {"accept_expired": verified.digest},
        what="expired metadata is accepted",
        hint="list their keys in the policy, or ask the low side for fresh metadata (`airlift low renew`)",
    )
    return ExpiredAccepted(word.reason, signatures)
