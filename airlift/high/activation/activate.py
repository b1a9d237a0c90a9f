"""Activate: make an installed release the active one, if policy allows it (SPEC 7.5)."""

from contextlib import nullcontext
from dataclasses import dataclass

from airlift.high.activation.switch import switch
from airlift.high.enclave.enclave import Enclave, Operator
from airlift.high.enclave.recover import recover
from airlift.high.governance import gate
from airlift.ledger.entries.activations import ActivatePrepare, SwitchPrepare


@dataclass(frozen=True, slots=True)
class SwitchResult:
    """Which release is active now, and which one was before."""

    active: str
    digest: str
    previous: str | None
    already: bool
    recovered: tuple[str, ...] = ()


def activate(enclave: Enclave, reference: str, *, operator: Operator, dry_run: bool = False) -> SwitchResult:
    """Activate the installed release named ``reference`` (``name@version`` or digest).

    Raises:
        NotHeldError: it is not installed.
        RefusedError: requirements, floors, marking, revocations or quorum are against it.
    """
    with nullcontext() if dry_run else enclave.lock():
        recovered = () if dry_run else recover(enclave, operator)
        return to_release(enclave, reference, operator, ActivatePrepare, dry_run=dry_run, recovered=recovered)


def to_release(
    enclave: Enclave,
    reference: str,
    operator: Operator,
    kind: type[SwitchPrepare],
    *,
    dry_run: bool,
    recovered: tuple[str, ...],
) -> SwitchResult:
    """Switch to a release after asking policy; ``kind`` says as what. The caller has the lock."""
    state = enclave.state()
    release = enclave.find_release(reference, state)
    gate.insist(gate.activation_refusals(enclave, release, state, enclave.load_revocations()))
    already = state.active == release.digest
    if not already and not dry_run:
        switch(enclave, release, state, operator, kind)
    previous = enclave.load_release(state.active).label if state.active else None
    return SwitchResult(release.label, release.digest, previous, already, recovered)
