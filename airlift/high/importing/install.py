"""Install: rebuild in staging what a verified bundle brings and the enclave lacks, then lay it out (SPEC 7.3, 7.4).

Nothing here is visible to a model server, and nothing counts until the ledger's commit entry: recovery removes a tree
that the ledger does not know. Content that nobody refers to is harmless; a later run uses it, ``gc`` removes it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from airlift import files
from airlift.bundle import agreement, choice, volume
from airlift.bundle import own as owned
from airlift.bundle.fields import FileDigest
from airlift.bundle.release import Release
from airlift.errors import BaselineError, IncompleteError
from airlift.high.enclave.enclave import Enclave
from airlift.high.enclave.expected import Expected
from airlift.high.importing.keep_chunks import keep_chunks, take_stock
from airlift.high.importing.reserve import begun, begun_apart, give_back, reserve
from airlift.high.verification.read_chunks import ChunkReader
from airlift.high.verification.verified import VerifiedBundle
from airlift.ledger.entries.imports import SHA512
from airlift.ledger.state import State
from airlift.progress import Progress
from airlift.store.release_tree import lay_out

# -- what is needed ------------------------------------------------------------------------------------------------


def needed_files(enclave: Enclave, verified: VerifiedBundle) -> tuple[FileDigest, ...]:
    """Return the files of the bundle that the enclave does not hold, after checking that it holds all the rest.

    Of variants those that the bundle carries are to be there afterwards, chosen or not (SPEC 6.2-6, 6.2-7).

    Raises:
        BaselineError: the release has files that neither the enclave nor the bundle has, or a base is not held.
    """
    if verified.release is None:
        return ()
    contents = choice.carried_part(verified.own, verified.release).contents()
    missing = {digest for digest, size in contents.items() if not enclave.content.holds(digest, size)}
    needed = tuple(item for item in verified.own.files if item.sha512 in missing)
    if len(needed) < len(missing):
        raise _no_baseline(verified, len(missing) - len(needed))
    if needed:
        needed_bases(enclave, verified)
    return needed


def check_baseline(enclave: Enclave, verified: VerifiedBundle, state: State) -> None:
    """Check what a bundle says of its baseline, which must have been imported here (SPEC 6.2-4 to 6.2-6).

    It may have been collected since: whether the content that the bundle needs is held is asked by
    :func:`needed_files`.

    Raises:
        BaselineError: it was never imported.
        MalformedError: it is the target, or not what the bundle says it is.
    """
    own = verified.own
    for item in owned.every(verified.bundle):
        agreement.check_target(item, verified.release)
    if own.baseline is None:
        return
    if own.baseline.digest not in {known.release for known in state.bundles}:
        raise BaselineError(
            "the bundle is a delta whose baseline was never imported here",
            expected=f"baseline {own.baseline.label}",
        )
    agreement.check_baseline(own, enclave.load_release(own.baseline.digest))


def needed_bases(enclave: Enclave, verified: VerifiedBundle) -> None:
    """Check that every base that the bundle needs here is held.

    Raises:
        BaselineError: one is not.
    """
    absent = sum(not enclave.content.holds(base.sha512, base.size) for base in verified.own.bases)
    if absent:
        raise _no_baseline(verified, absent)


def _no_baseline(verified: VerifiedBundle, absent: int) -> BaselineError:
    named = verified.own.baseline
    return BaselineError(
        "the bundle is a delta whose baseline is not held here",
        expected=f"baseline {named.label if named else 'none'}",
        found=f"{absent} of its files missing",
    )


# -- staging -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class StagedRelease:
    """A release whose every file is held already or stands verified in ``folder``; ``built`` are the latter.

    Of variants it has those that the bundle carries, and those that are chosen; ``chosen`` has the latter alone.
    ``algorithm`` names the digest that they were verified with. ``codecs`` counts the bytes that were rebuilt in this
    run, by the name of their codec; ``repaired`` are the chunks (SHA-512) that it rebuilt from parity, ``damaged``
    the volumes with a chunk that is damaged or lacking.
    """

    verified: VerifiedBundle
    release: Release
    chosen: Release
    folder: Path
    built: tuple[FileDigest, ...]
    algorithm: str
    codecs: Mapping[str, int]
    repaired: tuple[str, ...] = ()
    damaged: tuple[Path, ...] = ()

    @property
    def file_digest(self) -> str | None:
        """What entries say of the digest that rebuilt files were verified with: nothing if there are none."""
        return self.algorithm if self.built else None


def stage(
    enclave: Enclave,
    verified: VerifiedBundle,
    progress: Progress,
    *,
    expected: Expected,
    chosen: Release | None = None,
    now: datetime,
    workers: int = 2,
) -> StagedRelease:
    """Rebuild every needed file of a verified bundle in staging, unless a run before did with the same digest.

    ``chosen`` is its release in the choice that policy makes, None if it has no variants.

    Raises:
        BaselineError, BaselineDamagedError: the baseline is not held, or not intact: exit 5.
        DigestError, MalformedError: a chunk, or what came out of it, is not what was signed: exit 3.
        IncompleteError: chunks are missing: exit 4; those that are there were staged.
        StorageError: no space, I/O error: exit 8.
    """
    if verified.release is None or verified.foreign:
        raise ValueError("a bundle without a target, or one to be handed on, has nothing to stage")
    if chosen is None:
        if verified.release.variants():
            raise ValueError("of a release with variants it has to be said which are chosen")
        chosen = verified.release
    folder = staging_folder(enclave, verified, expected)
    needed = needed_files(enclave, verified)
    there = files.names_in(folder)
    todo = {item.sha512 for item in needed if item.sha512 not in there}
    codecs: Mapping[str, int] = {}
    chunks = ChunkReader(verified, enclave.staging_path(verified.digest) / volume.CHUNKS)
    if not todo:
        give_back(enclave, verified.digest)
    else:
        work = sum(files.in_blocks(item.size) for item in needed if item.sha512 in todo)
        _insist_complete(enclave, chunks, progress, work=work, now=now, workers=workers)
        again = [item.size for item in verified.own.chunks if not chunks.is_there(item)]
        need = work + sum(map(files.in_blocks, again))
        sizes = {item.sha512: item.size for item in needed if item.sha512 in todo}
        large = begun_apart(enclave, verified.digest, sizes)
        apart = sum(map(files.in_blocks, large.values()))
        try:
            with (
                reserve(enclave, verified.digest, need, apart=apart) as room,
                begun(folder, large) as targets,
            ):
                # it takes a tenth of a second to load, in which room is set aside
                from airlift.high.importing.rebuild import Task, rebuild

                task = Task(todo, folder, room, targets)
                codecs = rebuild(enclave, chunks, task, progress, expected=expected, workers=workers)
        except IncompleteError:
            _insist_complete(enclave, chunks, progress, work=work, now=now, workers=workers)
            raise
    repaired, damaged = tuple(chunks.repaired), tuple(sorted(chunks.damaged))
    brought = choice.carried(verified.own, verified.release) | set(chosen.chosen)
    return StagedRelease(
        verified=verified,
        release=verified.release.only(brought),
        chosen=chosen,
        folder=folder,
        built=needed,
        algorithm=expected.algorithm,
        codecs=codecs,
        repaired=repaired,
        damaged=damaged,
    )


def _insist_complete(
    enclave: Enclave, chunks: ChunkReader, progress: Progress, *, work: int, now: datetime, workers: int
) -> None:
    """Check that every chunk is at hand, or parity for it; if not, stage those that are there.

    Raises:
        IncompleteError: chunks are missing; ``data`` lists them.
    """
    staged = take_stock(enclave, chunks.verified, workers)
    if chunks.missing():
        raise keep_chunks(enclave, chunks, staged, progress, work=work, now=now)


def staging_folder(enclave: Enclave, verified: VerifiedBundle, expected: Expected) -> Path:
    """Where files of a bundle stand that were verified with the digest that is expected now (SPEC 7.3-6)."""
    name = "files" if expected.algorithm == SHA512 else f"files-{expected.algorithm}"
    return enclave.staging_path(verified.digest) / name


# -- installing ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class InstalledRelease:
    """A release whose tree stands complete at ``path``; it counts once the ledger says so."""

    release: Release
    path: Path


def install(enclave: Enclave, staged: StagedRelease) -> InstalledRelease:
    """Make a staged release complete on disk, durably, without activating it.

    Raises:
        ContentDamagedError: content that the release shares with older ones has vanished.
        StorageError: no space, I/O error.
    """
    enclave.content.adopt_all(staged.folder, [item.sha512 for item in staged.built])
    chosen = staged.chosen
    place = enclave.release_path(chosen.digest, chosen.chosen)
    if not (chosen.chosen and place.is_dir()):  # an earlier bundle of the same release may have brought it
        lay_out(enclave.content, place, chosen)
    return InstalledRelease(chosen, place)
