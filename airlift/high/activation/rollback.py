"""Roll back: return to the release that was active before, or to a named one; policy is asked again (SPEC 7.5)."""

from contextlib import nullcontext

from airlift.errors import NotHeldError
from airlift.high.activation.activate import SwitchResult, to_release
from airlift.high.enclave.enclave import Enclave, Operator
from airlift.high.enclave.recover import recover
from airlift.ledger.entries.activations import RollbackPrepare


def rollback(
    enclave: Enclave, to: str | None = None, *, operator: Operator, dry_run: bool = False
) -> SwitchResult:
    """Switch to ``to``, or to the release that was active before the current one.

    Raises:
        NotHeldError: there is none.
        RefusedError: floors and requirements hold for a roll back as for any activation.
    """
    with nullcontext() if dry_run else enclave.lock():
        recovered = () if dry_run else recover(enclave, operator)
        previous = enclave.state().previous
        reference = to or previous
        if reference is None:
            raise NotHeldError("no release was active before this one", expected="a release to roll back to")
        return to_release(enclave, reference, operator, RollbackPrepare, dry_run=dry_run, recovered=recovered)
