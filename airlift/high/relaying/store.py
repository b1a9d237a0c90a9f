"""Keep the original volumes of a bundle, whole or not at all, to hand them on later; or drop them (SPEC 7.12-2)."""

from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path

from airlift import files
from airlift.high.enclave import policy
from airlift.high.enclave.enclave import Enclave, Operator
from airlift.high.enclave.kept import find_kept
from airlift.high.enclave.recover import recover
from airlift.high.relaying.judge import Looked, Viewer, look_at
from airlift.ledger.state import State
from airlift.media import volume_copies
from airlift.media.volume_reader import passed_over
from airlift.progress import Progress, Tally, silent
from airlift.store.whole_folders import building


@dataclass(frozen=True, slots=True)
class StoreResult:
    """What is kept, or dropped, or would be: a bundle, how many volumes, and their bytes."""

    bundle: str
    manifest: str
    target: str | None
    volumes: int
    bytes: int
    already: bool = False
    passed_over: tuple[Path, ...] = ()
    recovered: tuple[str, ...] = ()


def store(
    enclave: Enclave,
    paths: Sequence[Path],
    *,
    operator: Operator,
    progress: Progress = silent,
    dry_run: bool = False,
) -> StoreResult:
    """Keep the volumes of a bundle that policy may hand on; one that is kept already stays as it is.

    Raises:
        ProvenBadError: exit 3. IncompleteError: exit 4. RefusedError: exit 6. UncheckedError: exit 7.
        StorageError: exit 8. Nothing of it is kept then.
    """
    with nullcontext() if dry_run else enclave.lock():
        recovered = () if dry_run else recover(enclave, operator)

        def look(state: State) -> Looked:
            viewer = Viewer(enclave, state, operator.now, keep_roots=not dry_run)
            return look_at(viewer, [paths], policy.load(enclave, state).relay)[0]

        looked = enclave.look(look)
        verified = looked.insist()
        bundle = verified.bundle
        copies = volume_copies.plan_copies(looked.volumes, bundle)
        total = sum(sum(item.volume.chunks.values()) for item in copies)
        place = enclave.relay_path(verified.digest)
        already, count = place.exists(), Tally("keep", total, progress).add
        if dry_run:
            volume_copies.check_chunks(copies, bundle, count)
        elif not already:
            with building(place) as folder:
                volume_copies.write_copies(copies, bundle, folder, count)
    return StoreResult(
        bundle=bundle.id,
        manifest=verified.digest,
        target=bundle.target.label if bundle.target else None,
        volumes=len(copies),
        bytes=sum(item.volume.size for item in copies),
        already=already,
        passed_over=passed_over(looked.volumes),
        recovered=recovered,
    )


def drop(enclave: Enclave, reference: str, *, operator: Operator, dry_run: bool = False) -> StoreResult:
    """Remove what is kept of a bundle, named by its id or 12 or more hex digits of its manifest's digest.

    Raises:
        NotHeldError: nothing is kept of it.
    """
    with nullcontext() if dry_run else enclave.lock():
        recovered = () if dry_run else recover(enclave, operator)
        kept = find_kept(enclave, reference)
        if not dry_run:
            doomed = enclave.relay / f".tmp-{kept.folder.name}"
            files.rename_durable(kept.folder, doomed)
            files.remove(doomed)
    bundle = kept.bundle
    return StoreResult(
        bundle=kept.name,
        manifest=bundle.digest if bundle else kept.folder.name,
        target=bundle.target.label if bundle and bundle.target else None,
        volumes=kept.volumes,
        bytes=kept.bytes,
        recovered=recovered,
    )
