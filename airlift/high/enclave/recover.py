"""Recover: derive every pointer from the ledger after an interruption (SPEC 7.6).

:func:`unfinished_steps` compares what the ledger says with what lies on disk and lists what is left to do; it changes
nothing, so that read-only commands can report it. :func:`recover` does it, under the lock, before any state-changing
command.
"""

import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from airlift import files
from airlift.bundle.fields import NAME_HEX
from airlift.high.enclave.enclave import Enclave, Operator, tree_name
from airlift.high.enclave.switching import follow, hooks
from airlift.ledger import details, kept_state
from airlift.ledger.entries.activations import Abort, SwitchPrepare, WithdrawPrepare
from airlift.ledger.entries.exports import Export
from airlift.ledger.entries.imports import ImportPrepare
from airlift.ledger.entries.shape import Detail
from airlift.ledger.entry import Entry
from airlift.ledger.state import State, release_of

NOT_SWITCHED = "the switch was interrupted before it took place"


@dataclass(frozen=True, slots=True)
class Step:
    """One thing that recovery would do: a text for people, and the act, which returns False if it could not be."""

    text: str
    act: Callable[[Operator], object]


def recover(enclave: Enclave, operator: Operator) -> tuple[str, ...]:
    """Finish or undo interrupted work; return what was done. The caller holds the lock.

    Raises:
        StorageError: it could not be done; running any state-changing command again continues.
    """
    steps = unfinished_steps(enclave, _settled_state(enclave, operator))
    return tuple(step.text for step in steps if step.act(operator) is not False)


def unfinished_steps(enclave: Enclave, state: State) -> list[Step]:
    """Return what an interrupted command left to finish or to undo."""
    return [
        *_intents(enclave, state),
        *_pointers(enclave, state),
        *_followers(enclave, state),
        *_strays(enclave, state),
    ]


def _settled_state(enclave: Enclave, operator: Operator) -> State:
    """Return the ledger's state after an interrupted transaction was rolled back by opening it for writing."""
    with enclave.ledger(writable=True) as log:
        return kept_state.keep(log, enclave.state_path, operator.signer)


def _intents(enclave: Enclave, state: State) -> list[Step]:
    steps = []
    for intent in state.open:
        if intent.type == ImportPrepare.TYPE:
            steps.append(_abort(enclave, intent, "the import was interrupted"))
        elif points_at(enclave.active) == _aim(enclave, intent):
            steps.append(_finish(enclave, state, intent))
        else:
            steps.append(_abort(enclave, intent, NOT_SWITCHED))
    return steps


def _aim(enclave: Enclave, intent: Entry) -> str | None:
    """Return what `active` points at once the switch of an intent has taken place: nothing after a withdrawal."""
    if intent.type == WithdrawPrepare.TYPE:
        return None
    return enclave.active_target(release_of(intent), details.read(intent, SwitchPrepare).variants)


def _abort(enclave: Enclave, intent: Entry, reason: str) -> Step:
    def act(operator: Operator) -> None:
        detail = Abort(intent.index, reason)
        enclave.record(operator, detail, release=intent.release, bundle=intent.bundle)

    return Step(f"close {intent.type} of entry {intent.index}: {reason}", act)


def _finish(enclave: Enclave, state: State, intent: Entry) -> Step:
    """The link was switched and the commit is missing: model servers may have seen it, so it is the truth.

    Unless a command after it, which may not have run, does not accept it: then the switch is taken back.
    """

    def act(operator: Operator) -> None:
        to = None if intent.type == WithdrawPrepare.TYPE else intent.release
        said = details.read(intent, SwitchPrepare)
        failed = hooks.run_after(enclave, state, hooks.action_of(intent.type), to, said.variants)
        if failed is not None and to is not None:
            take_back(enclave, state)
            detail: Detail = Abort(intent.index, f"{failed.name}: {failed.verdict}")
        else:
            detail = said.commit(recovered=intent.index)
        enclave.record(operator, detail, release=intent.release)

    return Step(f"commit {intent.type} of entry {intent.index}: the switch had taken place", act)


def take_back(enclave: Enclave, state: State) -> None:
    """Let ``active`` point at what it did in ``state``, and tell the commands after a switch; they cannot refuse."""
    if state.active is None:
        files.remove(enclave.active)
    else:
        files.point_link(enclave.active, enclave.active_target(state.active, state.chosen))
    follow.point(state, state.active, state.chosen)
    hooks.run_after(enclave, state, hooks.RESTORE, state.active, state.chosen)


def _pointers(enclave: Enclave, state: State) -> list[Step]:
    """Point the links at what the ledger says, unless an open intent explains what they point at."""
    explained = {_aim(enclave, intent) for intent in state.open if intent.type != ImportPrepare.TYPE}
    steps = []
    active = enclave.active_target(state.active, state.chosen) if state.active else None
    if points_at(enclave.active) not in {active, *explained}:
        steps.append(_repoint(enclave.active, active))
    policy = enclave.policy_target(state.policy) if state.policy else None
    if points_at(enclave.policy_link) != policy:
        steps.append(_repoint(enclave.policy_link, policy))
    return steps


def _followers(enclave: Enclave, state: State) -> list[Step]:
    """Let what follows serve what is active, and remove trees that serve nobody (SPEC 8.7-8)."""
    for intent in state.open:
        if intent.type != ImportPrepare.TYPE and points_at(enclave.active) == _aim(enclave, intent):
            state = _switched(state, intent)
    return [
        *(_restoration(enclave, export) for export in follow.out_of_step(state)),
        *(Step(f"remove leftover {path}", _removal(path)) for path in follow.leftovers(state)),
    ]


def _switched(state: State, intent: Entry) -> State:
    """Return the state after a switch that took place will have been committed."""
    if intent.type == WithdrawPrepare.TYPE:
        return replace(state, active=None, previous=intent.release, chosen=())
    again = state.active == intent.release  # in another choice: SPEC 7.14-6
    return replace(
        state,
        active=intent.release,
        previous=state.previous if again else state.active,
        chosen=details.read(intent, SwitchPrepare).variants,
    )


def _restoration(enclave: Enclave, export: Export) -> Step:
    """What cannot be restored holds nothing up: it is reported until it can, or follows no more."""
    return Step(
        f"let the export at {export.output} serve what is active",
        lambda _operator: follow.restore(enclave, enclave.state(), export),
    )


def _repoint(link: Path, target: str | None) -> Step:
    if target is None:
        return Step(
            f"remove the link `{link.name}`, which the ledger does not know", lambda _: files.remove(link)
        )
    return Step(f"point `{link.name}` at {target} again", lambda _: files.point_link(link, target))


def _strays(enclave: Enclave, state: State) -> list[Step]:
    """List what interrupted writes and imports left behind: temporary files, uncommitted trees, old trust states."""
    known = {tree_name(digest, chosen) for digest, chosen in state.trees()} | _switched_to(enclave, state)
    committed = {bundle.manifest[:NAME_HEX] for bundle in state.bundles}
    current = {"roots", *([state.trust.folder] if state.trust else [])}
    strays = [
        *(path for path in children(enclave.releases) if path.name not in known),
        *(path for path in children(enclave.trust) if path.name not in current),
        *(path for path in children(enclave.staging) if path.name in committed),
        *(folder / name for folder in _folders(enclave) for name in _temporary(folder)),
    ]
    return [
        Step(f"remove leftover {path.relative_to(enclave.folder)}", _removal(path))
        for path in dict.fromkeys(strays)
    ]


def _switched_to(enclave: Enclave, state: State) -> set[str]:
    """Return what the tree is called that an interrupted switch has made active: the commit that names it follows."""
    active = points_at(enclave.active)
    aims = (_aim(enclave, intent) for intent in state.open if intent.type != ImportPrepare.TYPE)
    return {Path(aim).name for aim in aims if aim is not None and aim == active}


def _removal(path: Path) -> Callable[[Operator], object]:
    return lambda _operator: files.remove(path)


def _folders(enclave: Enclave) -> list[Path]:
    """Return every folder that durable writes use temporary names in."""
    staged = [part for path in children(enclave.staging) for part in (path, *children(path)) if part.is_dir()]
    return [
        enclave.folder,
        enclave.roots,
        enclave.history.folder,
        *children(enclave.policies),
        enclave.staging,
        *staged,
        enclave.relay,
        enclave.content.folder,
        *children(enclave.content.folder),
    ]


def _temporary(folder: Path) -> list[str]:
    """Return the names of what interrupted writes left in a folder, which may hold very many."""
    with files.reading(folder):
        if not folder.is_dir():
            return []
        with os.scandir(folder) as entries:
            return sorted(entry.name for entry in entries if entry.name.startswith(".tmp-"))


def children(folder: Path) -> list[Path]:
    """Return what lies in a folder, sorted; nothing if it is missing."""
    with files.reading(folder):
        return sorted(folder.iterdir()) if folder.is_dir() else []


def points_at(link: Path) -> str | None:
    """Return the target of a symbolic link, or None if there is none."""
    try:
        return str(link.readlink())
    except OSError:
        return None
