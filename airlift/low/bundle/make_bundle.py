"""Make a bundle: pack what an enclave lacks of a release into volumes (SPEC L4)."""

from contextlib import closing
from dataclasses import replace
from datetime import datetime
from pathlib import Path

from airlift import progress as progress_module
from airlift.bundle import volume
from airlift.bundle.release import Release
from airlift.errors import UnpublishedError, UsageError
from airlift.low.bundle import chunks
from airlift.low.bundle.check_policy import check_policy
from airlift.low.bundle.chunks import Numbering
from airlift.low.bundle.costs import Account
from airlift.low.bundle.encode import check_bases, encode
from airlift.low.bundle.job import BundleRequest, Job, Subject
from airlift.low.bundle.planning import parts
from airlift.low.bundle.planning.coding_plan import plan_coding
from airlift.low.bundle.planning.joint_plan import JointPlan, plan_jointly
from airlift.low.bundle.planning.portions import portions
from airlift.low.bundle.planning.receivers import Receiver, join, started
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
    if request.explain and request.joined is not None and not request.coding.check:
        raise UsageError(
            "what shards take cannot be explained if nobody looks into them",
            hint="leave out --explain, or --no-check",
        )
    if not dry_run:
        with depot.lock():
            pass  # finishes what an interrupted command began; coding takes long and needs no lock
    subject = look_up(depot, request)
    target, job = subject.target, _job(subject, request, signer, now)
    check_bundler(depot, job)
    revoked.check_release(target, revoked.in_force(depot))
    check_policy(depot, target, signer.public, now)
    announce("planning")
    joint = plan_bundle(depot, subject)
    joined = None if request.joined is None else find_shards(divisible(joint, request), request.joined)
    if dry_run and not request.explain:
        return preview(depot, job, Coded(joint.plan, portions=portions(joint)))
    cache = open_digest_cache(depot, now)
    check_bases(joint.plan, cache, request.coding.workers, progress)
    if dry_run:
        coded = _code(joint, cache, request, None, progress, joined=joined)
        return preview(depot, job, protect(depot, job, coded, None))
    with staging(request.destination.output) as folder:
        coded = _code(joint, cache, request, folder / volume.CHUNKS, progress, joined=joined)
        coded = protect(depot, job, coded, folder / volume.CHUNKS, progress)
        announce("writing volumes")
        check_policy(
            depot, target, signer.public, now
        )  # coding takes hours: somebody may have withdrawn their word
        return publish(depot, job, coded, folder)


def look_up(depot: Depot, request: BundleRequest) -> Subject:
    """Look up the releases of a request, and check the names of its enclaves and what these may hold.

    Raises:
        UnpublishedError, NotHeldError, MarkingError, UsageError: as :func:`make_bundle`.
    """
    target, enclave = _published(depot, request.release), request.destination.enclave
    if request.destination.several:
        return _for_several(depot, target, request)
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


def plan_bundle(depot: Depot, subject: Subject) -> JointPlan:
    """Plan how what goes along is coded; reads headers of files, and samples."""
    if subject.receivers:
        return plan_jointly(depot, subject.target, subject.receivers)
    return JointPlan(plan_coding(depot, subject.part, subject.held))


def divisible(joint: JointPlan, request: BundleRequest) -> Divisible:
    """Return a plan with how its blocks are cut and coded for a request."""
    limit = chunk_limit(request.destination, joint.plan.target_bytes)
    return Divisible(joint.plan, chunks.block_limits(limit), request.coding.effort)


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
        receivers=subject.receivers,
    )


def _for_several(depot: Depot, target: Release, request: BundleRequest) -> Subject:
    """Look up the baselines of several enclaves, after checking that each may hold the release."""
    names = request.destination.several
    enclaves.check_several(target, names)
    for name in names:
        enclaves.check_ceiling(depot, enclaves.check_name(name), target)
    rules = {name: parts.find_rules(depot, name, request.variants) for name in names}
    known = {name: _acknowledged(depot, name) for name in names}
    found = []
    for name in names:
        baseline, known_by = _baseline(depot, request.each_from.get(name), name)
        part = parts.carried_part(target, rules[name], request.variants)
        found.append(Receiver(name, baseline, known_by, part, stated=name in request.each_from))
    joined = [
        started(one, None if digest is None else depot.load_release(digest), known)
        for one, digest in join(found, known)
    ]
    carried = frozenset[str]().union(*(one.part.chosen for one in joined))
    return Subject(
        target=target,
        baseline=None,
        known_by=None,
        part=target.only(carried),
        held=None,
        receivers=tuple(
            one
            if one.baseline is None
            else replace(one, held=parts.held_part(depot, one.baseline, one.enclave, rules[one.enclave]))
            for one in joined
        ),
    )


def _acknowledged(depot: Depot, enclave: str) -> dict[str, str]:
    """Return the published releases (digest) that an enclave acknowledged, and how each is known to be held."""
    known = enclaves.load(depot, enclave).acknowledged if enclave in enclaves.names(depot) else ()
    return {item.release: item.known_by for item in known if depot.is_published(item.release)}


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
        item.bundle.is_for(enclave) and item.bundle.target and item.bundle.target.digest == release
        for item in outstanding.load(depot)
    )
    return ASSUMPTION if under_way else OPERATOR


def _code(
    joint: JointPlan,
    cache: DigestCache,
    request: BundleRequest,
    folder: Path | None,
    progress: Progress,
    *,
    joined: Shards | None,
) -> Coded:
    """Code every block, or take what others coded, and write the chunks into a folder, None: nowhere."""
    plan, places = joint.plan, list[int]()
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
        written = chunks.write_chunks(chunks.pack_apart(watched, limit, joint.starts, places), folder)
    costs = None if account is None else account.summary()
    bases = tuple(numbering.bases)
    whose = portions(joint, places, numbering.used)
    return Coded(plan, written, bases, numbering.codecs, costs, cache, chunk_limit=limit, portions=whose)
