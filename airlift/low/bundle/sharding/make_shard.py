"""Code one part of a plan into a file of a shared folder, without a key or a change of the depot (SPEC L4.20)."""

from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import datetime

from airlift import progress as progress_module
from airlift.low.bundle.encode import Turn, encode
from airlift.low.bundle.job import BundleRequest, Coding, Subject
from airlift.low.bundle.make_bundle import divisible, look_up, plan_bundle
from airlift.low.bundle.sharding import shard_file
from airlift.low.bundle.sharding.division import Divisible, Run, Share
from airlift.low.bundle.sharding.shard_file import Place, Written
from airlift.low.depot import revoked
from airlift.low.depot.depot import Depot
from airlift.low.depot.digest_cache import DigestCache
from airlift.media.staging import sweep
from airlift.progress import Progress, Tally, announce


@dataclass(frozen=True, slots=True)
class Part:
    """A part of a plan: how many blocks it has, how many bytes they rebuild, and whether its shard is there."""

    shard: int
    blocks: int
    target_bytes: int
    there: bool


@dataclass(frozen=True, slots=True)
class Planned:
    """A plan that was cut into parts: what it is of, where the shard of one of them goes, and all parts."""

    subject: Subject
    divided: Divisible
    place: Place
    runs: tuple[Run, ...]

    @property
    def run(self) -> Run:
        """The part."""
        return self.runs[self.place.share.number - 1]

    def parts(self) -> Iterator[Part]:
        """Yield all parts as they are shown."""
        for number, run in enumerate(self.runs, 1):
            there = replace(self.place, share=Share(number, self.place.share.of)).there()
            yield Part(number, run.blocks, run.target_bytes, there)


@dataclass(frozen=True, slots=True)
class ShardResult:
    """A shard that was made, or was there (``already``): where it is, and what it has.

    ``plan`` is the SHA-512 of the plan, ``digest`` that of the file. In a dry run ``digest`` and ``coded_bytes`` are
    None unless it was there, and ``parts`` are all parts of the plan. For several enclaves ``baseline`` and
    ``baseline_known_by`` are None: each has its own.
    """

    shard: int
    of: int
    plan: str
    path: str
    target: str
    baseline: str | None
    baseline_known_by: str | None
    blocks: int
    target_bytes: int
    coded_bytes: int | None
    digest: str | None
    already: bool
    parts: tuple[Part, ...] = ()


def make_shard(
    depot: Depot,
    request: BundleRequest,
    share: Share,
    *,
    now: datetime,
    dry_run: bool = False,
    progress: Progress = progress_module.silent,
) -> ShardResult:
    """Code the blocks of one part of the plan of a bundle; the request's output is the folder that is shared.

    A shard that is there and whole is not coded again.

    Raises:
        RefusedError, NotHeldError, UsageError, VolumeTooSmallError: as ``make_bundle``.
        ProvenBadError: the shard is there, and is not what it must be; or content of the depot is too short.
        UncheckedError: the depot or the shard cannot be read.
        StorageError: the folder cannot be written.
    """
    planned = plan_parts(depot, request, share.of, share.number)
    subject, divided, place, run = planned.subject, planned.divided, planned.place, planned.run
    written: Written | None = None
    if already := place.there():
        written = shard_file.verify_shard(place, run, divided.blocks(run))
        if not dry_run:
            sweep(place.folder)  # who wrote it may have ended before it had put everything away
    elif not dry_run:
        written = _code(place, divided, run, request.coding, DigestCache(depot, now, {}), progress=progress)
    return ShardResult(
        shard=share.number,
        of=share.of,
        plan=place.plan,
        path=str(place.path),
        target=subject.target.label,
        baseline=subject.baseline.label if subject.baseline else None,
        baseline_known_by=subject.known_by,
        blocks=run.blocks,
        target_bytes=run.target_bytes,
        coded_bytes=None if written is None else written.coded_bytes,
        digest=None if written is None else written.digest,
        already=already,
        parts=tuple(planned.parts()) if dry_run else (),
    )


def plan_parts(depot: Depot, request: BundleRequest, of: int, number: int = 1) -> Planned:
    """Plan the bundle of a request, and cut the plan into parts; ``number`` is the one whose place is told.

    Raises:
        RefusedError, NotHeldError, UsageError, VolumeTooSmallError: as ``make_bundle``.
    """
    subject = look_up(depot, request)
    revoked.check_release(subject.target, revoked.in_force(depot))
    announce("planning")
    divided = divisible(plan_bundle(depot, subject), request)
    place = Place(request.destination.output, divided.digest(), Share(number, of))
    return Planned(subject, divided, place, divided.divide(of))


def _code(
    place: Place, divided: Divisible, run: Run, coding: Coding, cache: DigestCache, *, progress: Progress
) -> Written:
    """Code the blocks of a part; what they are, and whether they are right, is for who joins them to check."""
    coding = replace(coding, check=False, digest=False)
    tally = Tally("encoding", run.target_bytes, progress)
    turns = (Turn(number, segment) for number, segment in divided.blocks(run))
    encoded = encode(divided.plan, cache, divided.limits, coding, read=tally.add, turns=turns)
    with closing(encoded):
        return shard_file.write_shard(place, run, encoded)
