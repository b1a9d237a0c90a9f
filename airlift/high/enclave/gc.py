"""Garbage collection: the only thing that deletes releases and content (SPEC 8.5)."""

from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path

from airlift import files
from airlift.bundle.release import Release
from airlift.errors import UsageError
from airlift.high.enclave import policy
from airlift.high.enclave.enclave import Enclave, Operator
from airlift.high.enclave.outlook import hopeless
from airlift.high.enclave.recover import recover
from airlift.high.enclave.staged import StagedBundle, staged_bundles
from airlift.ledger.entries.administration import Gc
from airlift.ledger.state import State


@dataclass(frozen=True, slots=True)
class GcResult:
    """What was removed (or would be): releases by name, files and bytes of content, staged bundles and their bytes.

    ``pinned`` are releases that are kept only because a staged bundle builds on them.
    """

    removed: tuple[str, ...]
    kept: tuple[str, ...]
    files: int
    bytes: int
    staged_bytes: int
    staged: tuple[str, ...] = ()
    pinned: tuple[str, ...] = ()
    recovered: tuple[str, ...] = ()


def collect_garbage(
    enclave: Enclave, keep: int | None = None, *, operator: Operator, dry_run: bool = False
) -> GcResult:
    """Remove all but the active, the previous and the newest ``keep`` releases (policy's number by default).

    The ledger's entry comes first: a crash after it leaves trees that recovery removes, and never a release that the
    ledger still counts on. Staged work that cannot be completed goes as well; what a staged bundle that may be builds
    on stays (SPEC 8.5).

    Raises:
        UsageError: ``keep`` is less than 1.
        BusyError: another command holds the lock, or reads content.
    """
    with (
        nullcontext() if dry_run else enclave.lock(),
        nullcontext() if dry_run else files.in_use(enclave.content.folder, alone=True),
    ):
        recovered = () if dry_run else recover(enclave, operator)
        state = enclave.state()
        count = policy.load(enclave, state).keep if keep is None else keep
        if count < 1:
            raise UsageError("at least one release must be kept", found=str(count))
        lost, resumable = _staged(enclave, state, operator)
        pinned = _baselines(resumable)
        doomed = [digest for digest in _doomed(state, count) if digest not in pinned]
        installed = {digest: enclave.load_release(digest) for digest in state.installed}
        labels = {digest: release.label for digest, release in installed.items()}
        kept = [digest for digest in state.installed if digest not in doomed]
        garbage = _unreferenced(enclave, [installed[digest] for digest in kept])
        result = GcResult(
            removed=tuple(labels[digest] for digest in doomed),
            kept=tuple(labels[digest] for digest in kept),
            files=len(garbage),
            bytes=sum(Path(place).stat().st_size for place in garbage),
            staged_bytes=sum(item.size for item in lost),
            staged=tuple(item.name for item in lost),
            pinned=tuple(labels[digest] for digest in _doomed(state, count) if digest in pinned),
            recovered=recovered,
        )
        if not dry_run:
            _collect(enclave, operator, _trees(state, doomed), garbage, [item.folder for item in lost])
        return result


def _doomed(state: State, keep: int) -> list[str]:
    sacred = {state.active, state.previous, *state.installed[-keep:]}
    return [digest for digest in state.installed if digest not in sacred]


def _staged(
    enclave: Enclave, state: State, operator: Operator
) -> tuple[list[StagedBundle], list[StagedBundle]]:
    """Return the staged bundles that will not be completed, and the others."""
    parts: tuple[list[StagedBundle], list[StagedBundle]] = ([], [])
    for item in staged_bundles(enclave, state):
        parts[0 if hopeless(enclave, state, item, operator.now) else 1].append(item)
    return parts


def _baselines(staged: list[StagedBundle]) -> set[str]:
    return {item.own.baseline.digest for item in staged if item.own and item.own.baseline}


def _unreferenced(enclave: Enclave, kept: Sequence[Release]) -> list[str]:
    wanted = {digest for release in kept for digest in release.contents()}
    return [place for place in enclave.content.places() if place.rpartition("/")[2] not in wanted]


def _trees(state: State, doomed: list[str]) -> dict[str, list[Sequence[str]]]:
    found: dict[str, list[Sequence[str]]] = {digest: [] for digest in doomed}
    for digest, chosen in state.trees():
        if digest in found:
            found[digest].append(chosen)
    return found


def _collect(
    enclave: Enclave,
    operator: Operator,
    trees: Mapping[str, Sequence[Sequence[str]]],
    garbage: Sequence[str],
    staged: Sequence[Path],
) -> None:
    """Remove releases, each with the choices of variants that it is laid out in, content, and what is staged."""
    if trees:
        enclave.record(operator, Gc(tuple(trees)))
    for digest in trees:
        for chosen in trees[digest]:
            files.remove(enclave.release_path(digest, chosen))
    with files.naming() as names:
        for place in garbage:
            names.remove(place)
    for folder in staged:
        files.remove(folder)
