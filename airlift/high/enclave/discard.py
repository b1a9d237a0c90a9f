"""Discard: free what an import that will not be completed has staged (SPEC 7.8-8)."""

from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass

from airlift import files
from airlift.bundle.fields import is_hex
from airlift.errors import NotHeldError, UsageError
from airlift.high.enclave.enclave import Enclave, Operator
from airlift.high.enclave.recover import recover
from airlift.high.enclave.staged import StagedBundle, staged_bundles
from airlift.ledger.state import State
from airlift.store.release_lookup import MIN_PREFIX


@dataclass(frozen=True, slots=True)
class DiscardResult:
    """What was discarded, or would be: how many chunks, and bytes of chunks, files and reserved room."""

    bundle: str | None
    manifest: str
    target: str | None
    chunks: int
    bytes: int
    reserved: int
    recovered: tuple[str, ...] = ()


def discard(enclave: Enclave, reference: str, *, operator: Operator, dry_run: bool = False) -> DiscardResult:
    """Free what is staged of a bundle, named by its id or by 12 or more hex digits of its manifest's digest.

    Raises:
        NotHeldError: nothing is staged of it, or more than one bundle has this name.
        UsageError: it was committed.
    """
    with nullcontext() if dry_run else enclave.lock():
        recovered = () if dry_run else recover(enclave, operator)
        state = enclave.state()
        staged = _find(reference, staged_bundles(enclave, state), state)
        if not dry_run:
            _remove(enclave, staged)
    bundle = staged.bundle
    return DiscardResult(
        bundle=bundle.id if bundle else None,
        manifest=staged.digest or staged.folder.name,
        target=bundle.target.label if bundle and bundle.target else None,
        chunks=staged.chunks,
        bytes=staged.chunk_bytes + staged.file_bytes,
        reserved=staged.reserved,
        recovered=recovered,
    )


def _find(reference: str, known: Sequence[StagedBundle], state: State) -> StagedBundle:
    """Return the one staged bundle that is meant."""
    is_prefix = len(reference) >= MIN_PREFIX and is_hex(reference, len(reference))

    def meant(name: str | None, digest: str) -> bool:
        return name == reference or (is_prefix and digest.startswith(reference))

    found = [item for item in known if meant(item.name, item.digest or item.folder.name)]
    if len(found) == 1:
        return found[0]
    if found:
        raise NotHeldError(
            f"more than one staged bundle is named {reference!a}",
            found=", ".join(item.folder.name[:16] for item in found),
            hint="name it by its digest: see `airlift high status --format json`",
        )
    if any(meant(bundle.bundle, bundle.manifest) for bundle in state.bundles):
        raise UsageError(
            f"bundle {reference} was imported: nothing of it is staged",
            hint="`airlift high gc` removes releases that are no longer kept",
        )
    raise NotHeldError(
        f"nothing is staged of a bundle named {reference!a}",
        expected="one of " + (", ".join(item.name for item in known) or "none"),
        hint="see what is staged: `airlift high status`",
    )


def _remove(enclave: Enclave, staged: StagedBundle) -> None:
    """Take the folder away in one step, and then remove it: recovery finishes what was interrupted."""
    doomed = enclave.staging / f".tmp-{staged.folder.name}"
    files.rename_durable(staged.folder, doomed)
    files.remove(doomed)
