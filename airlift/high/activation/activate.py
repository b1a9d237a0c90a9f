"""Activate a release, or roll back to one: policy is asked, then the link that model servers follow moves (SPEC 7.5).

The set moves at once: models, guards and policies are one folder behind one link.
"""

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass

from airlift import files
from airlift.bundle.release import Release
from airlift.errors import (
    AcceptanceError,
    AirliftError,
    ContentDamagedError,
    HookError,
    NotHeldError,
    StaleError,
)
from airlift.high.activation.left_behind import left_behind
from airlift.high.enclave.enclave import Enclave, Operator, release_ref
from airlift.high.enclave.recover import points_at, recover, take_back
from airlift.high.enclave.switching import follow, hooks
from airlift.high.governance import gate
from airlift.high.governance.acceptance import accept
from airlift.high.governance.choose import choose
from airlift.high.governance.consent import Consent
from airlift.high.governance.emergency import accept_stale
from airlift.ledger.entries.activations import (
    Abort,
    ActivatePrepare,
    RollbackPrepare,
    SwitchPrepare,
    WithdrawPrepare,
)
from airlift.ledger.entries.shape import Accepted
from airlift.ledger.entry import Entry
from airlift.ledger.state import State
from airlift.store.release_tree import lay_out


@dataclass(frozen=True, slots=True)
class SwitchResult:
    """Which release is active now, and which one was before.

    ``left_behind`` are components that were trained inside and ran until now (SPEC 8.6-10).
    """

    active: str
    digest: str
    previous: str | None
    already: bool
    recovered: tuple[str, ...] = ()
    left_behind: tuple[str, ...] = ()


def activate(
    enclave: Enclave,
    reference: str,
    *,
    operator: Operator,
    stale: Consent | None = None,
    dry_run: bool = False,
) -> SwitchResult:
    """Activate the installed release named ``reference`` (``name@version`` or digest).

    ``stale`` is the word of two people that what the enclave knows may be older than policy allows (SPEC 8.2-12).

    Raises:
        NotHeldError: it is not installed.
        RefusedError: requirements, floors, marking, revocations, quorum or age are against it.
    """
    with nullcontext() if dry_run else enclave.lock():
        recovered = () if dry_run else recover(enclave, operator)
        state = enclave.state()
        release = enclave.find_release(reference, state)
        refused = gate.activation_refusals(enclave, release, state, now=operator.now)
        gate.insist(refused, AcceptanceError, *([StaleError] if stale is not None else []))
        old = any(isinstance(error, StaleError) for error in refused)
        accepted = accept_stale(enclave, state, release, stale) if stale is not None and old else None
        chosen = choose(enclave, state, release)
        already = runs(state, chosen)
        if not already and not dry_run:
            with laid_out(enclave, chosen):
                accept(enclave, chosen, operator)
                switch(enclave, chosen, state, operator, accepted=accepted)
        return _result(enclave, release, state, already=already, recovered=recovered)


def roll_back(
    enclave: Enclave, to: str | None = None, *, operator: Operator, dry_run: bool = False
) -> SwitchResult:
    """Return to ``to``, or to the release that was active before the current one; policy is asked again.

    Raises:
        NotHeldError: there is none.
        RefusedError: floors and requirements hold for a roll back as for any activation; and age as well, if ``to``
            was never active (SPEC 8.2-12).
    """
    with nullcontext() if dry_run else enclave.lock():
        recovered = () if dry_run else recover(enclave, operator)
        state = enclave.state()
        reference = to or state.previous
        if reference is None:
            raise NotHeldError("no release was active before this one", expected="a release to roll back to")
        release = enclave.find_release(reference, state)
        refused = gate.return_refusals(enclave, release, state, now=operator.now)
        gate.insist(refused, AcceptanceError)
        chosen = choose(enclave, state, release)
        already = runs(state, chosen)
        if not already and not dry_run:
            with laid_out(enclave, chosen):
                accept(enclave, chosen, operator)
                switch(enclave, chosen, state, operator, RollbackPrepare)
        return _result(enclave, release, state, already=already, recovered=recovered)


def runs(state: State, release: Release) -> bool:
    """Say whether a release is the active one, in the choice that it is in."""
    return (state.active, state.chosen) == (release.digest, release.chosen)


@contextmanager
def laid_out(enclave: Enclave, release: Release) -> Iterator[None]:
    """Have the tree of an installed release in its choice while it is made active (SPEC 7.14-5).

    One that was made for it goes again if it does not become active.

    Raises:
        ContentDamagedError: content of it has vanished.
    """
    place = enclave.release_path(release.digest, release.chosen)
    new = bool(release.chosen) and not place.is_dir()
    if new:
        lay_out(enclave.content, place, release)
    try:
        yield
    except AirliftError:
        if new and points_at(enclave.active) != enclave.active_target(release.digest, release.chosen):
            files.remove(place)
        raise


def _result(
    enclave: Enclave, release: Release, state: State, *, already: bool, recovered: tuple[str, ...]
) -> SwitchResult:
    """Return the result of a switch from what was active in ``state``."""
    previous = enclave.load_release(state.active).label if state.active else None
    left = left_behind(enclave, state, release)
    return SwitchResult(release.label, release.digest, previous, already, recovered, left)


def switch(
    enclave: Enclave,
    release: Release,
    state: State,
    operator: Operator,
    kind: type[SwitchPrepare] = ActivatePrepare,
    *,
    because: str | None = None,
    accepted: Accepted | None = None,
) -> tuple[str, ...]:
    """Make an installed release, in a choice, the active one without asking policy: the caller did, and has the lock.

    What follows goes along (SPEC 8.7-6). A switch that nobody asked for, but that must be, is not held up by what
    cannot: its outputs, which serve nothing since, are returned.

    Intent in the ledger (``kind`` says of what, ``because`` why if nobody asked, ``accepted`` who accepted that what
    the enclave knows is too old), one atomic rename, commit.

    Raises:
        ContentDamagedError: the release's tree has vanished.
        HookError: a command of the policy before or after does not accept it; what was active is active again.
        LayoutError, StorageError: something that follows cannot go along; what was active is active (again).
    """
    digest, chosen = release.digest, release.chosen
    if not enclave.release_path(digest, chosen).is_dir():
        raise ContentDamagedError(
            f"the tree of release {release.label} has vanished",
            expected=str(enclave.release_path(digest, chosen)),
        )
    action = hooks.action_of(kind.TYPE)
    hooks.run_before(enclave, state, action, digest, chosen)
    with nullcontext() if because is None else suppress(AirliftError):
        follow.prepare(enclave, state, digest, chosen)
    intent = kind(state.active, release_ref(release), because, accepted, chosen)
    entry = enclave.record(operator, intent, release=digest)
    files.point_link(enclave.active, enclave.active_target(digest, chosen))
    unserved = follow.point(state, digest, chosen)
    if unserved and because is None:
        output, cause = next(iter(unserved.items()))
        reason = f"the export at {output} does not follow"
        again = _taken_back(enclave, state, release, operator, intent=entry, reason=reason)
        raise type(cause)(f"{reason}: {again}", found=cause.message, data={"unserved": list(unserved)})
    failed = hooks.run_after(enclave, state, action, digest, chosen)
    if failed is not None:
        reason = f"{failed.name}: {failed.verdict}"
        again = _taken_back(enclave, state, release, operator, intent=entry, reason=reason)
        raise HookError(
            f"the command {failed.name} after the switch to {release.label} failed: {again}",
            expected="exit 0",
            found=failed.verdict,
            data={
                "said": failed.said,
                "active": enclave.load_release(state.active).label if state.active else None,
            },
        )
    enclave.record(operator, intent.commit(), release=release.digest)
    follow.tidy(enclave.state())
    return tuple(unserved)


def _taken_back(
    enclave: Enclave, state: State, release: Release, operator: Operator, *, intent: Entry, reason: str
) -> str:
    """Take a switch back, and close its intent (SPEC 7.10-5, 8.7-7); return for people what is active."""
    take_back(enclave, state)
    enclave.record(operator, Abort(intent.index, reason), release=release.digest)
    if state.active is None:
        return "nothing is active, as before"
    return f"{enclave.load_release(state.active).label} is active again"


def withdraw(enclave: Enclave, release: Release, operator: Operator, because: str) -> tuple[str, ...]:
    """Make the active release, ``release``, inactive, and nothing active; the caller holds the lock (SPEC 7.5-3).

    What follows serves nothing since; the outputs whose links could not be removed are returned.

    The commands of a switch are told; what they say holds nothing up.
    """
    state, action = enclave.state(), hooks.action_of(WithdrawPrepare.TYPE)
    with suppress(HookError):
        hooks.run_before(enclave, state, action, None)
    intent = WithdrawPrepare(release.digest, release_ref(release), because)
    enclave.record(operator, intent, release=release.digest)
    files.remove(enclave.active)
    unserved = follow.point(state, None)
    hooks.run_after(enclave, state, action, None)
    enclave.record(operator, intent.commit(), release=release.digest)
    return tuple(unserved)
