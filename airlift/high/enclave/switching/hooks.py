"""What the owners of an enclave run before and after a switch, health checks included (SPEC 7.10-4)."""

from collections.abc import Mapping, Sequence

from airlift.commands.run import Outcome, run_plainly
from airlift.errors import HookError, LedgerError
from airlift.high.enclave import policy
from airlift.high.enclave.enclave import Enclave
from airlift.ledger.state import State
from airlift.policy.document import Command

BEFORE, AFTER = "before", "after"
RESTORE = "restore"
"""The action of hooks that run because a switch was taken back."""


def run_before(
    enclave: Enclave, state: State, action: str, release: str | None, chosen: Sequence[str] = ()
) -> None:
    """Run the commands before a switch to ``release`` (digest; None: to nothing); ``action`` is what it is called.

    ``chosen`` are the names of the variants that it is laid out with.

    Raises:
        HookError: one does not accept; nothing was changed, and none after it ran.
    """
    words = words_for(enclave, state, action, release, chosen)
    failed = _run(enclave, state, policy.load(enclave, state).before, words)
    if failed is not None:
        raise HookError(
            f"the command {failed.name} before the switch does not accept it",
            expected="exit 0",
            found=failed.verdict,
            data={"said": failed.said},
        )


def run_after(
    enclave: Enclave, state: State, action: str, release: str | None, chosen: Sequence[str] = ()
) -> Outcome | None:
    """Run the commands after a switch; return the first that fails, after which none ran, or None.

    A policy that is not the recorded one has no commands that anybody wants: recovery goes on without.
    """
    try:
        rules = policy.load(enclave, state)
    except LedgerError:
        return None
    return _run(enclave, state, rules.after, words_for(enclave, state, action, release, chosen))


def words_for(
    enclave: Enclave, state: State, action: str, release: str | None, chosen: Sequence[str] = ()
) -> dict[str, str]:
    """Return what stands in braces in a command, about ``release`` (digest; None: nothing), by its name."""
    return {
        "enclave": str(enclave.folder),
        "active": str(enclave.active),
        "release": str(enclave.release_path(release, chosen)) if release else "",
        "previous": str(enclave.release_path(state.active, state.chosen)) if state.active else "",
        "action": action,
    }


def action_of(intent: str) -> str:
    """Return what commands are told that an intent (the type of its entry) is: activate, rollback or withdraw."""
    return intent.removesuffix("-prepare")


def _run(
    enclave: Enclave, state: State, commands: tuple[Command, ...], words: Mapping[str, str]
) -> Outcome | None:
    folder = enclave.policy_path(state.policy or "")
    for command in commands:
        outcome = run_plainly(command, folder, words)
        if not outcome.passes:
            return outcome
    return None
