"""Enforce revocations: what becomes of an active release that was revoked, as policy says (SPEC 7.9-3)."""

from contextlib import suppress
from dataclasses import asdict, dataclass
from typing import Any

from airlift.errors import ContentDamagedError, HookError
from airlift.high.activation.activate import laid_out, switch, withdraw
from airlift.high.enclave import revoked
from airlift.high.enclave.enclave import Enclave, Operator
from airlift.high.governance.gate import Gate
from airlift.ledger.entries.activations import RollbackPrepare
from airlift.policy.document import FALL_BACK, REPORT, WITHDRAW

REVOKED = "revoked"
"""Why, in the entries of a switch that nobody asked for."""


@dataclass(frozen=True, slots=True)
class Enforced:
    """What was done (fall-back, withdraw or report) about the active release, and what of it is revoked.

    ``active`` is the release that is active since, None for none; ``unserved`` is what follows but could not go
    along.
    """

    action: str
    release: str
    active: str | None
    because: tuple[str, ...]
    unserved: tuple[str, ...] = ()


def enforce(enclave: Enclave, operator: Operator) -> Enforced | None:
    """Do what policy says if the active release is revoked; return it, or None. The caller holds the lock.

    Raises:
        LedgerError: a document that the ledger names is missing or changed.
        StorageError: the switch could not be made.
    """
    state = enclave.state()
    if state.active is None or not state.revocations:
        return None
    active = enclave.load_release(state.active)
    found = revoked.findings(revoked.in_force(enclave, state), active)
    if not found:
        return None
    gate = Gate.open(enclave, state, operator.now)
    because = tuple(item.error().message for item in found)
    if gate.policy.revoked == REPORT:
        return Enforced(REPORT, active.label, active.label, because)
    for other in gate.fitting() if gate.policy.revoked == FALL_BACK else ():
        with suppress(HookError, ContentDamagedError):  # then another, or none
            with laid_out(enclave, other):
                unserved = switch(enclave, other, enclave.state(), operator, RollbackPrepare, because=REVOKED)
            return Enforced(FALL_BACK, active.label, other.label, because, unserved)
    unserved = withdraw(enclave, active, operator, REVOKED)
    return Enforced(WITHDRAW, active.label, None, because, unserved)


def told(enforced: Enforced | None) -> dict[str, Any]:
    """Return what was enforced as the data of an error; nothing if nothing was."""
    return {} if enforced is None else {"enforced": asdict(enforced)}
