"""Put another policy in force, and do what follows from it for what is active (SPEC 7.9-3, 8.2)."""

from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from airlift import files
from airlift.errors import LedgerError
from airlift.high.activation.enforce import Enforced, enforce
from airlift.high.enclave import policy
from airlift.high.enclave.enclave import Enclave, Operator
from airlift.high.enclave.policy import PolicyDocument
from airlift.high.enclave.recover import recover
from airlift.ledger.enclave_folder import MAX_CONFIG_BYTES
from airlift.ledger.entries.administration import PolicyChange
from airlift.ledger.state import State
from airlift.policy import floors


@dataclass(frozen=True, slots=True)
class PolicyResult:
    """The policy that is in force now, or would be, and what became of an active release that is revoked."""

    document: PolicyDocument
    enforced: Enforced | None = None


def change_policy(enclave: Enclave, path: Path, *, operator: Operator, dry_run: bool = False) -> PolicyResult:
    """Put a new policy in force: checked and written first, then recorded, then pointed at.

    It lowers no floor: those that were in force stay so (SPEC 8.2-10).

    Raises:
        ManifestError: it is not valid, or for another enclave.
        UncheckedError: a key that it names cannot be read.
    """
    document = policy.read(files.read_bounded(path, MAX_CONFIG_BYTES), str(path), enclave.name, path.parent)
    if dry_run:
        return PolicyResult(document)
    with enclave.lock():
        recover(enclave, operator)
        policy.write(enclave, document)
        state = enclave.state()
        if state.policy != document.digest:
            kept = _ratchet(enclave, state, document)
            enclave.record(operator, PolicyChange(document.digest, document.fingerprints, kept))
        files.point_link(enclave.policy_link, enclave.policy_target(document.digest))
        return PolicyResult(document, enforce(enclave, operator))


def _ratchet(enclave: Enclave, state: State, document: PolicyDocument) -> dict[str, str]:
    """Return all floors that are in force with a new policy."""
    found = dict(state.floors)
    with suppress(
        LedgerError
    ):  # the policy before was changed: this one is the remedy; its floors were recorded
        found = floors.higher(found, dict(policy.load(enclave, state).floors))
    return floors.higher(found, dict(document.policy.floors))
