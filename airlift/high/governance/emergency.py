"""What two people may accept: metadata that has expired, knowledge that is too old (SPEC 7.7, 8.2-12).

Signatures, versions, digests, policy and requirements are checked as ever; only the dates give way. The reason and
both signatures go into the ledger.
"""

from airlift.bundle.release import Release
from airlift.high.enclave.enclave import Enclave
from airlift.high.governance import consent
from airlift.high.governance.consent import Consent
from airlift.high.verification.verified import VerifiedBundle
from airlift.ledger.entries.shape import Accepted
from airlift.ledger.state import State

_HINT = "list their keys in the policy, or ask the low side for fresh metadata (`airlift low renew`)"


def accept_expired(enclave: Enclave, state: State, verified: VerifiedBundle, word: Consent) -> Accepted:
    """Return the signed statement that a bundle comes in although its metadata has expired.

    Raises:
        QuorumError: a key is not one of the policy's approval keys.
    """
    said = {"accept_expired": verified.digest}
    what = "expired metadata is accepted"
    return Accepted(word.reason, consent.sign(enclave, state, word, said, what=what, hint=_HINT))


def accept_stale(enclave: Enclave, state: State, release: Release, word: Consent) -> Accepted:
    """Return the signed statement that a release is activated although what the enclave knows is too old.

    Raises:
        QuorumError: a key is not one of the policy's approval keys.
    """
    said = {"accept_stale": release.digest, "size": state.size}
    what = "an activation on knowledge that is too old is accepted"
    return Accepted(word.reason, consent.sign(enclave, state, word, said, what=what, hint=_HINT))
