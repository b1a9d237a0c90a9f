"""Activate a release, or roll back to one: policy is asked, then the link that model servers follow moves (SPEC 7.5).

The set moves at once: models, guards and policies are one folder behind one link.
"""

from contextlib import nullcontext
from dataclasses import dataclass

from airlift import files
from airlift.bundle.release import Release
from airlift.errors import ContentDamagedError, NotHeldError
from airlift.high.enclave.enclave import Enclave, Operator, release_ref
from airlift.high.enclave.recover import recover
from airlift.high.governance import gate
from airlift.ledger.entries.activations import ActivatePrepare, RollbackPrepare, SwitchPrepare
from airlift.ledger.state import State


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
        return _to_release(
            enclave, reference, operator, ActivatePrepare, dry_run=dry_run, recovered=recovered
        )


def roll_back(
    enclave: Enclave, to: str | None = None, *, operator: Operator, dry_run: bool = False
) -> SwitchResult:
    """Return to ``to``, or to the release that was active before the current one; policy is asked again.

    Raises:
        NotHeldError: there is none.
        RefusedError: floors and requirements hold for a roll back as for any activation.
    """
    with nullcontext() if dry_run else enclave.lock():
        recovered = () if dry_run else recover(enclave, operator)
        reference = to or enclave.state().previous
        if reference is None:
            raise NotHeldError("no release was active before this one", expected="a release to roll back to")
        return _to_release(
            enclave, reference, operator, RollbackPrepare, dry_run=dry_run, recovered=recovered
        )


def _to_release(
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
    listed = enclave.load_revocations()
    gate.insist(gate.activation_refusals(enclave, release, state, listed, now=operator.now))
    already = state.active == release.digest
    if not already and not dry_run:
        switch(enclave, release, state, operator, kind)
    previous = enclave.load_release(state.active).label if state.active else None
    return SwitchResult(release.label, release.digest, previous, already, recovered)


def switch(
    enclave: Enclave,
    release: Release,
    state: State,
    operator: Operator,
    kind: type[SwitchPrepare] = ActivatePrepare,
) -> None:
    """Make an installed release the active one without asking policy; the caller asked it, and holds the lock.

    Intent in the ledger (``kind`` says of what), one atomic rename, commit in the ledger.

    Raises:
        ContentDamagedError: the release's tree has vanished.
    """
    if not enclave.release_path(release.digest).is_dir():
        raise ContentDamagedError(
            f"the tree of release {release.label} has vanished",
            expected=str(enclave.release_path(release.digest)),
        )
    intent = kind(state.active, release_ref(release))
    enclave.record(operator, intent, release=release.digest)
    files.point_link(enclave.active, enclave.active_target(release.digest))
    enclave.record(operator, intent.commit(), release=release.digest)
