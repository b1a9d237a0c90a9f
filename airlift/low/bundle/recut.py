"""Re-cut: write a finished bundle to another medium, or only chunks that are asked for, without a key (SPEC 6.8)."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from airlift import files
from airlift import progress as progress_module
from airlift.bundle import manifest, own, volume
from airlift.bundle.fields import FileDigest, Marking
from airlift.bundle.manifest import Bundle
from airlift.bundle.media_sizes import Medium
from airlift.bundle.returns.code import RequestCode
from airlift.bundle.returns.request import Request, asked_chunks
from airlift.errors import NotHeldError, VolumeTooSmallError, WrongEnclaveError
from airlift.low.bundle.publish import place
from airlift.low.bundle.recutting import at_hand, first_cut, standing
from airlift.low.bundle.recutting.at_hand import AtHand
from airlift.low.bundle.recutting.code_again import code_again
from airlift.low.bundle.recutting.first_cut import Carried, FirstCut
from airlift.low.depot import enclaves, outstanding, revoked
from airlift.low.depot.depot import Depot
from airlift.low.depot.digest_cache import open_digest_cache
from airlift.low.depot.events import record
from airlift.media import standing_volumes, volume_writer
from airlift.media.staging import staging
from airlift.media.volume_reader import read_volumes
from airlift.media.volume_writer import StagedChunk, VolumeInfo
from airlift.progress import Progress, Tally


@dataclass(frozen=True, slots=True)
class Asked:
    """What an enclave asks for, recognised as its own."""

    enclave: str
    stated: Request | RequestCode


@dataclass(frozen=True, slots=True)
class RecutRequest:
    """A bundle to cut again, by id or by a volume of it (or a folder that holds its volumes), and onto what.

    ``asked`` says which chunks are wanted, None: all. ``volumes`` are further places where volumes of it are.
    ``workers`` code what none of them has.
    """

    bundle: str
    output: Path
    medium: Medium = field(default_factory=Medium)
    asked: Asked | None = None
    volumes: tuple[Path, ...] = ()
    workers: int = 2


@dataclass(frozen=True, slots=True)
class RecutResult:
    """What was cut again.

    ``volumes`` is empty in a dry run, ``volumes_total`` says how many there are; ``cut`` marks their folders.
    ``chunks`` are on them, of ``chunks_total`` in the bundle; ``taken`` of them from volumes, ``coded`` again.
    ``of_first_cut`` says whether volumes of the first cut can be given together with these; ``unusable`` what could
    not be used.
    """

    bundle: str
    digest: str
    sequence: int
    enclave: str | None
    baseline: str | None
    target: str | None
    marking: Marking
    volumes: tuple[VolumeInfo, ...]
    volumes_total: int
    cut: str
    chunks: int
    chunks_total: int
    chunk_bytes: int
    taken: int
    coded: int
    of_first_cut: bool
    unusable: tuple[str, ...]
    enclaves: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Cut:
    """A re-cut that was planned: which chunks go where, with what, and where they come from."""

    bundle: Bundle
    request: RecutRequest
    wanted: tuple[FileDigest, ...]
    shares: tuple[frozenset[str], ...]
    carried: Carried
    known: FirstCut
    hand: AtHand
    mark: str


def recut(
    depot: Depot,
    request: RecutRequest,
    *,
    now: datetime,
    dry_run: bool = False,
    progress: Progress = progress_module.silent,
) -> RecutResult:
    """Write a bundle again, or those of its chunks that are asked for, in the order of its manifest.

    Raises:
        UsageError, SequenceReusedError, MalformedError: the request is for another bundle, or for what is not in it.
        WrongEnclaveError: it comes from another enclave than the bundle is for.
        MarkingError: the enclave may not hold it.
        RevokedError: its release, or something in it, is revoked.
        NotHeldError: the bundle is not outstanding.
        IncompleteError: chunks are on no volume, and cannot be coded again.
        RefusedError, ExpiredError: no metadata of the depot fits it.
        ExistsError: something else of that name stands in the output folder.
        VolumeTooSmallError: it does not fit.
        ProvenBadError: a volume that was named is not as it was written, or content of the depot has changed.
        UncheckedError: no volume of the bundle is where one was named, or something cannot be read.
    """
    if not dry_run:
        with depot.lock():
            pass  # finishes what an interrupted command began; copying takes long and needs no lock
    cut = _plan(depot, request, now)
    if dry_run:
        return _result(cut, sum(not cut.hand.has(item) for item in cut.wanted), ())
    with staging(request.output) as folder:
        return _write(depot, cut, folder, now, progress)


def find_bundle(depot: Depot, name: str) -> Bundle:
    """Return the outstanding bundle with this id, or the one whose volumes are in the folder ``name``.

    Raises:
        NotHeldError: it is not outstanding.
        UncheckedError, ProvenBadError: there is no volume, or it is not as it was written.
    """
    known = outstanding.load(depot)
    digest = None if manifest.is_id(name) else read_volumes([Path(name)])[0].index.manifest
    for item in known:
        if (item.bundle.id if digest is None else item.bundle.digest) in {name, digest}:
            return item.bundle
    raise _not_outstanding(depot, name, digest)


# -- inside --------------------------------------------------------------------------------------------------------


def _not_outstanding(depot: Depot, name: str, digest: str | None) -> NotHeldError:
    """Return the error that says why a bundle cannot be cut again."""
    said = [item.detail for item in first_cut.told(depot) if item.event == "withdraw"]
    if any(detail.get("digest") == digest or detail.get("bundle") == name for detail in said):
        return NotHeldError(
            f"bundle {name[:200]!a} was withdrawn",
            expected="a bundle that may still be imported",
            hint="make a new bundle: `airlift low bundle`",
        )
    return NotHeldError(
        f"bundle {name[:200]!a} is not one that this depot has published",
        expected="the id of an outstanding bundle, or volumes of one",
        hint="see what there is: `airlift low list`",
    )


def _wanted(bundle: Bundle, asked: Asked | None) -> tuple[FileDigest, ...]:
    """Return the chunks that go out: all, or those that are asked for (SPEC 6.8-7)."""
    if asked is None:
        return bundle.all_chunks
    mine = own.of(bundle, asked.enclave) if bundle.is_for(asked.enclave) else None
    if mine is None:
        raise WrongEnclaveError(
            f"{asked.enclave} asks for a bundle of another enclave",
            expected=f"a request of {' or '.join(bundle.enclaves)}",
            found=f"one of {asked.enclave}",
            hint="give the request of the enclave that the bundle is for",
        )
    return asked_chunks(asked.stated, mine)


def _plan(depot: Depot, request: RecutRequest, now: datetime) -> _Cut:
    bundle = find_bundle(depot, request.bundle)
    wanted = _wanted(bundle, request.asked)
    if bundle.target is not None:
        release = depot.load_release(bundle.target.digest)
        revoked.check_release(release, revoked.in_force(depot))
        for name in (request.asked.enclave,) if request.asked else bundle.enclaves or (None,):
            enclaves.check_ceiling(depot, name, release)
    _check_chunks(wanted, request.medium)
    known = first_cut.recall(depot, bundle)
    named = () if manifest.is_id(request.bundle) else (Path(request.bundle),)
    hand = at_hand.look(bundle, (*named, *request.volumes), known.folders)
    carried = first_cut.carried_files(depot, bundle, known, hand.timestamps, now)
    sizes = {name: len(data) for name, data in carried.small.metadata.items()}
    shares = volume_writer.share_out_chunks(bundle, request.medium, sizes, carried.small.manifests, wanted)
    mark = volume.cut_mark([[item.sha512 for item in wanted if item.sha512 in share] for share in shares])
    names = [volume.folder_name(bundle, number, len(shares), mark) for number in range(1, len(shares) + 1)]
    places = [request.output / name for name in names]
    for item in standing.find(places, bundle, shares, carried.small.metadata):
        hand.add(item)
    return _Cut(bundle, request, wanted, tuple(shares), carried, known, hand, mark)


def _check_chunks(wanted: Sequence[FileDigest], medium: Medium) -> None:
    """Check that every chunk is a file that the medium takes: none is ever split (SPEC 6.8-1)."""
    largest = max((item.size for item in wanted), default=0)
    if medium.file_bytes is not None and largest > medium.file_bytes:
        raise VolumeTooSmallError(
            "a chunk of the bundle is larger than a file of this medium may be, and no chunk is ever split",
            expected=f"at most {medium.file_bytes} bytes",
            found=f"{largest} bytes",
            hint="choose another medium, or make a new bundle with this --max-file-size: `airlift low bundle`",
        )


def _write(depot: Depot, cut: _Cut, folder: Path, now: datetime, progress: Progress) -> RecutResult:
    taken = _take(cut, folder / volume.CHUNKS, progress)
    there = {item.digest for item in taken}
    cache = open_digest_cache(depot, now)
    coded = code_again(
        cut.bundle,
        [item for item in cut.wanted if item not in there],
        folder / volume.CHUNKS,
        cut=cut.known,
        cache=cache,
        workers=cut.request.workers,
        progress=progress,
    )
    with depot.lock():
        cache.save()
        find_bundle(depot, cut.bundle.id)  # nobody withdrew it meanwhile
        written = volume_writer.write_volumes(
            cut.bundle, cut.shares, cut.carried.small, (*taken, *coded), folder, cut=cut.mark
        )
        volume_writer.check_sizes(written, cut.request.medium)
        placed, new = standing_volumes.put(written, cut.request.output)
        if new:
            _record(depot, cut, now)
    return _result(cut, len(coded), placed)


def _take(cut: _Cut, folder: Path, progress: Progress) -> tuple[StagedChunk, ...]:
    """Copy what is wanted from the volumes at hand, verified; return what they had."""
    tally = Tally("copying", sum(item.size for item in cut.wanted), progress)
    taken = []
    for item in cut.wanted:
        data = cut.hand.read(item)
        if data is not None:
            files.write_durable(folder / volume.chunk_name(item.sha512), data)
            taken.append(StagedChunk(item, hashlib.sha256(data).hexdigest()))
            tally.add(len(data))
    return tuple(taken)


def _record(depot: Depot, cut: _Cut, now: datetime) -> None:
    record(
        depot,
        now,
        "recut",
        bundle=cut.bundle.id,
        digest=cut.bundle.digest,
        output=place(cut.request.output),
        volumes=len(cut.shares),
        cut=cut.mark,
        chunks=len(cut.wanted),
        bytes=sum(item.size for item in cut.wanted),
    )


def _result(cut: _Cut, coded: int, placed: tuple[VolumeInfo, ...]) -> RecutResult:
    bundle = cut.bundle
    return RecutResult(
        bundle=bundle.id,
        digest=bundle.digest,
        sequence=bundle.sequence,
        enclave=bundle.enclave,
        baseline=bundle.baseline.label if bundle.baseline else None,
        target=bundle.target.label if bundle.target else None,
        marking=bundle.marking,
        volumes=placed,
        volumes_total=len(cut.shares),
        cut=cut.mark,
        chunks=len(cut.wanted),
        chunks_total=len(bundle.all_chunks),
        chunk_bytes=sum(item.size for item in cut.wanted),
        taken=len(cut.wanted) - coded,
        coded=coded,
        of_first_cut=cut.carried.of_first_cut,
        unusable=tuple(cut.hand.unusable),
        enclaves=bundle.enclaves if bundle.portions else (),
    )
