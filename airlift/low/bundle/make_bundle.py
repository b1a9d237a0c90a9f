"""Make a bundle: pack what an enclave lacks of a release into volumes (SPEC L4)."""

from contextlib import closing
from datetime import datetime
from pathlib import Path

from airlift import progress as progress_module
from airlift.bundle import volume
from airlift.bundle.release import Release
from airlift.errors import UnpublishedError
from airlift.low.bundle import chunks
from airlift.low.bundle.check_policy import check_policy
from airlift.low.bundle.chunks import Numbering
from airlift.low.bundle.costs import Account
from airlift.low.bundle.encode import check_bases, encode
from airlift.low.bundle.job import BundleRequest, Job, Subject
from airlift.low.bundle.planning import parts
from airlift.low.bundle.planning.coding_plan import CodingPlan, plan_coding
from airlift.low.bundle.protect import chunk_limit, protect
from airlift.low.bundle.publish import NONE, BundleResult, Coded, check_bundler, preview, publish
from airlift.low.bundle.sharding.division import Divisible
from airlift.low.bundle.sharding.join import Shards, find_shards
from airlift.low.depot import enclaves, outstanding, revoked
from airlift.low.depot.depot import Depot
from airlift.low.depot.digest_cache import DigestCache, open_digest_cache
from airlift.low.depot.enclaves import OPERATOR
from airlift.media.staging import staging
from airlift.progress import Progress, Tally, announce
from airlift.trust.keys.public import Signer

ASSUMPTION = "assumption"
"""Known by nobody yet: that an outstanding bundle arrives first."""


def make_bundle(
    depot: Depot,
    request: BundleRequest,
    *,
    signer: Signer,
    now: datetime,
    dry_run: bool = False,
    progress: Progress = progress_module.silent,
) -> BundleResult:
    """Pack a release for whoever holds the baseline; ``signer`` is the bundler.

    Without a baseline that is named it is the newest release that the enclave has acknowledged, if there is one.

    With ``explain`` the result says what took the bytes; a dry run then codes everything, and writes nothing.

    Raises:
        RevokedError: the release, or something in it, is revoked; as a baseline it may be.
        UnpublishedError: the release still lacks signatures.
        MarkingError: the enclave that it is for may not hold it; or it has to be for one of a known ceiling.
        QuorumError: the release lacks attestations that the depot's policy asks for.
        NotHeldError: the depot does not know a release.
        UsageError: the rules make no choice of its variants.
        KeyUnavailableError: the key is no bundler's.
        ExistsError: a volume of that name stands in the output folder.
        VolumeTooSmallError: it does not fit.
        DigestError: content of the depot has changed.
        PartsMissingError: not all that was to be joined is there.
        ProvenBadError: some of it is not what the plan says, or does not decode to what it was made from.
    """
    if not dry_run:
        with depot.lock():
            pass  # finishes what an interrupted command began; coding takes long and needs no lock
    subject = look_up(depot, request)
    target, job = subject.target, _job(subject, request, signer, now)
    check_bundler(depot, job)
    revoked.check_release(target, revoked.in_force(depot))
    check_policy(depot, target, signer.public, now)
    announce("planning")
    plan = plan_coding(depot, job.carried or target, job.held)
    joined = None if request.joined is None else find_shards(divisible(plan, request), request.joined)
    if dry_run and not request.explain:
        return preview(depot, job, Coded(plan))
    cache = open_digest_cache(depot, now)
    check_bases(plan, cache, request.coding.workers, progress)
    if dry_run:
        return preview(
            depot, job, protect(depot, job, _code(plan, cache, request, None, progress, joined=joined), None)
        )
    with staging(request.destination.output) as folder:
        coded = _code(plan, cache, request, folder / volume.CHUNKS, progress, joined=joined)
        coded = protect(depot, job, coded, folder / volume.CHUNKS, progress)
        announce("writing volumes")
        check_policy(
            depot, target, signer.public, now
        )  # coding takes hours: somebody may have withdrawn their word
        return publish(depot, job, coded, folder)


def look_up(depot: Depot, request: BundleRequest) -> Subject:
    """Look up the releases of a request, and check the name of its enclave and what that may hold.

    Raises:
        UnpublishedError, NotHeldError, MarkingError, UsageError: as :func:`make_bundle`.
    """
    target, enclave = _published(depot, request.release), request.destination.enclave
    baseline, known_by = _baseline(depot, request.from_, enclave)
    if enclave is not None:
        enclaves.check_name(enclave)
    enclaves.check_ceiling(depot, enclave, target)
    rules = parts.find_rules(depot, enclave, request.variants)
    return Subject(
        target=target,
        baseline=baseline,
        known_by=known_by,
        part=parts.carried_part(target, rules, request.variants),
        held=parts.held_part(depot, baseline, enclave, rules) if baseline is not None else None,
    )


def divisible(plan: CodingPlan, request: BundleRequest) -> Divisible:
    """Return a plan with how its blocks are cut and coded for a request."""
    limit = chunk_limit(request.destination, plan.target_bytes)
    return Divisible(plan, chunks.block_limits(limit), request.coding.effort)


def _job(subject: Subject, request: BundleRequest, signer: Signer, now: datetime) -> Job:
    return Job(
        target=subject.target,
        baseline=subject.baseline,
        known_by=subject.known_by,
        marking=subject.target.marking,
        destination=request.destination,
        signer=signer,
        now=now,
        effort=request.coding.effort.name.lower(),
        part=subject.part,
        held=subject.held,
    )


def _published(depot: Depot, name: str) -> Release:
    reference = depot.find_release(name)
    if not depot.is_published(reference.digest):
        raise UnpublishedError(f"release {reference.label} is not published: it lacks signatures")
    return depot.load_release(reference.digest)


def _baseline(depot: Depot, from_: str | None, enclave: str | None) -> tuple[Release | None, str]:
    """Return the release to start from, and who says that it is held."""
    if from_ is not None and from_ != NONE:
        release = _published(depot, from_)
        return release, _known_by(depot, release.digest, enclave)
    acknowledged = (
        enclaves.newest_acknowledged(depot, enclave) if from_ is None and enclave is not None else None
    )
    if acknowledged is None:
        return None, NONE
    return depot.load_release(acknowledged.release), acknowledged.known_by


def _known_by(depot: Depot, release: str, enclave: str | None) -> str:
    """Return how it is known that an enclave holds the release that the operator named (SPEC L1.5)."""
    if enclave is None:
        return OPERATOR
    if enclave in enclaves.names(depot):
        said = [item for item in enclaves.load(depot, enclave).acknowledged if item.release == release]
        if said:
            return said[-1].known_by
    under_way = any(
        item.bundle.enclave in {None, enclave} and item.bundle.target and item.bundle.target.digest == release
        for item in outstanding.load(depot)
    )
    return ASSUMPTION if under_way else OPERATOR


def _code(
    plan: CodingPlan,
    cache: DigestCache,
    request: BundleRequest,
    folder: Path | None,
    progress: Progress,
    *,
    joined: Shards | None,
) -> Coded:
    """Code every block, or take what others coded, and write the chunks into a folder, None: nowhere."""
    limit = chunk_limit(request.destination, plan.target_bytes)
    numbering = Numbering(plan)
    tally = Tally("encoding" if joined is None else "joining", plan.target_bytes, progress)
    if joined is None:
        encoded = encode(plan, cache, chunks.block_limits(limit), request.coding, read=tally.add)
    else:
        encoded = joined.join(cache, request.coding, read=tally.add)
    account = Account(plan.files, plan.spans) if request.explain else None
    with closing(encoded):  # its threads end here, also if the disk is full
        blocks = chunks.merge(numbering.number(item) for item in encoded)
        watched = blocks if account is None else account.watch(blocks)
        written = chunks.write_chunks(chunks.pack(watched, limit), folder)
    costs = None if account is None else account.summary()
    bases = tuple(numbering.bases)
    return Coded(plan, written, bases, numbering.codecs, costs, cache, chunk_limit=limit)
