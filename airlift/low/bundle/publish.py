"""Publish a bundle whose chunks stand in staging, and write its volumes (SPEC L4).

Order of writes: under the depot's lock the bundle manifest and the bundler's metadata (the sequence number is used
from here on), then the volumes in staging, then their final names. Whatever fails, nothing is left in the output
folder.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from airlift.bundle import agreement, manifest, own, piece_table, remarks, revocations, volume
from airlift.bundle.fields import FileDigest, Marking, format_time
from airlift.bundle.manifest import MAX_CHUNK_BYTES, Bundle, Portion, ReleaseRef
from airlift.bundle.media_sizes import Medium
from airlift.bundle.parity.stripe import Stripe
from airlift.bundle.release import Release
from airlift.errors import AirliftError, VolumeTooSmallError
from airlift.low.bundle.costs import ComponentCost
from airlift.low.bundle.job import Job
from airlift.low.bundle.planning.coding_plan import CodingPlan
from airlift.low.bundle.planning.receivers import Receiver
from airlift.low.bundle.slsa import provenance
from airlift.low.depot import enclaves, revoked
from airlift.low.depot.depot import Depot
from airlift.low.depot.digest_cache import DigestCache
from airlift.low.depot.events import record
from airlift.media import volume_writer
from airlift.media.volume_writer import SmallFiles, StagedChunk, VolumeInfo
from airlift.trust.statements.statement import Attestation
from airlift.trust.tuf import bundling, publication, roles, targets
from airlift.trust.tuf.metadata import ATTESTATIONS, NEWEST, ROOT, TARGETS, TIMESTAMP
from airlift.trust.tuf.roles import BUNDLER
from airlift.trust.tuf.targets import Target

NONE = "none"
"""Stands for the baseline of a complete bundle, and for who said that it is held."""

AGAIN = "the depot changed while the bundle was coded: run the same command again"


@dataclass(frozen=True, slots=True)
class ComponentChange:
    """What a bundle does to a component: ``change`` is new, changed or unchanged; ``bytes`` are to be rebuilt."""

    name: str
    version: str
    change: str
    bytes: int


@dataclass(frozen=True, slots=True)
class PortionResult:
    """What one of several enclaves takes of a bundle; ``own_bytes`` of chunks it takes alone: what it adds.

    Sizes of chunks are None where nothing was coded.
    """

    enclave: str
    baseline: str | None
    baseline_known_by: str
    files: int
    target_bytes: int
    chunks: int | None
    chunk_bytes: int | None
    own_bytes: int | None


@dataclass(frozen=True, slots=True)
class BundleResult:
    """What was bundled.

    ``baseline_known_by`` says how it is known that the enclave holds the baseline: receipt, operator, assumption, or
    none without one (SPEC L1.5); of a bundle for several enclaves None, and ``portions`` say it of each.
    ``target_bytes`` are rebuilt on the high side out of ``chunk_bytes``; ``codecs`` are the target bytes by the name
    of the codec that coded them. ``volumes`` is empty in a dry run. ``explain`` is None unless it was asked for.
    ``remarks`` are what people must know of components beside their names. ``parity`` is how much was asked for;
    ``chunks`` and ``chunk_bytes`` are without it. ``revocations`` says how many the bundle carries. ``variants`` are
    the names of those that go along, ``left_out`` of the others.
    """

    bundle: str
    digest: str
    sequence: int
    enclave: str | None
    baseline: str | None
    baseline_known_by: str | None
    target: str | None
    marking: Marking
    volumes: tuple[VolumeInfo, ...]
    chunks: int
    chunk_bytes: int
    target_bytes: int
    files: int
    codecs: Mapping[str, int]
    components: tuple[ComponentChange, ...]
    explain: tuple[ComponentCost, ...] | None = None
    remarks: tuple[str, ...] = ()
    parity: str | None = None
    parity_chunks: int = 0
    parity_bytes: int = 0
    revocations: int = 0
    variants: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()
    portions: tuple[PortionResult, ...] = ()


@dataclass(frozen=True, slots=True)
class Protection:
    """The stripes of a bundle, the chunks (SHA-512) of each of its volumes, and its parity chunks in staging."""

    stripes: tuple[Stripe, ...]
    shares: tuple[frozenset[str], ...]
    chunks: tuple[StagedChunk, ...] = ()


@dataclass(frozen=True, slots=True)
class Coded:
    """The chunks of a bundle in staging, in order, and their plan; ``bases`` are the files that they refer to.

    ``protection`` is its parity, if there is any; no chunk has more bytes than ``chunk_limit``. ``portions`` say who
    of several enclaves takes what.
    """

    plan: CodingPlan
    chunks: tuple[StagedChunk, ...] = ()
    bases: tuple[FileDigest, ...] = ()
    codecs: Mapping[str, int] = field(default_factory=dict)
    explain: tuple[ComponentCost, ...] | None = None
    cache: DigestCache | None = None
    protection: Protection | None = None
    chunk_limit: int = MAX_CHUNK_BYTES
    portions: tuple[Portion, ...] = ()


def check_bundler(depot: Depot, job: Job) -> None:
    """Check before hours of work, not after, that the key is the bundler's and no metadata has expired.

    Raises:
        KeyUnavailableError: the key is no bundler's.
        ExpiredError, UnpublishedError: metadata has expired, or lacks signatures.
    """
    publication.check_members([roles.of(depot.store.published(ROOT), TIMESTAMP)], [job.signer])
    probe = targets.describe(manifest.target_name("0" * 128), BUNDLER, b"", {})
    bundling.planned_sizes(depot.store, probe, next_sequence(depot), job.signer.public, job.now)


def preview(depot: Depot, job: Job, coded: Coded) -> BundleResult:
    """Return what the bundle would be, without writing anything."""
    return _result(depot, job, describe(depot, job, coded), coded, ())


def publish(depot: Depot, job: Job, coded: Coded, folder: Path) -> BundleResult:
    """List the bundle under the next sequence number, and write its volumes.

    Raises:
        RevokedError: something in the release was revoked meanwhile.
        AirliftError: whatever goes wrong; ``data`` has ``sequence_used`` if the sequence number is gone.
    """
    with depot.lock():
        if coded.cache is not None:
            coded.cache.save()
        if job.target is not None:
            revoked.check_release(job.target, revoked.in_force(depot))
        made = describe(depot, job, coded)
        _check_baseline(made, job)
        attested = provenance(depot, made, job, coded.codecs)
        documents = documents_of(depot, made, job.target) | {
            volume.manifest_name(item.digest): item.data for item in attested
        }
        target = _target(made, attested)
        sizes = bundling.planned_sizes(depot.store, target, made.sequence, job.signer.public, job.now)
        shares = _cut(job.destination.medium, coded.protection, made, sizes, documents)
        volume_writer.check_no_volume(made, len(shares), job.destination.output)
        for data in documents.values():
            depot.documents.keep(data)
        bundling.publish_bundle(depot.store, target, made.sequence, job.signer, job.now)
        depot.refresh_root()
        try:
            carried = SmallFiles(bundling.volume_files(depot.store), documents)
            staged = (*coded.chunks, *(coded.protection.chunks if coded.protection else ()))
            written = volume_writer.write_volumes(made, shares, carried, staged, folder)
            volume_writer.check_sizes(written, job.destination.medium)
            placed = volume_writer.move_into_place(written, job.destination.output)
        except AirliftError as error:
            error.data["sequence_used"] = made.sequence
            error.hint = (
                f"{error.hint}; sequence number {made.sequence} is used up, the next bundle gets another"
            )
            raise
        timestamp = depot.documents.keep(carried.metadata[NEWEST])
        _record(depot, job, made, len(placed), timestamp=timestamp, limit=coded.chunk_limit)
    return _result(depot, job, made, coded, placed)


def place(output: Path) -> str | None:
    """Return where a folder is, as the log notes it (SPEC L4.13), or None if its name is no text."""
    text = str(output.resolve())
    return text if text.isprintable() else None


def next_sequence(depot: Depot) -> int:
    """Return the sequence number of the next bundle."""
    return max(bundling.sequence_of(depot.store), enclaves.counter(depot)) + 1


def _check_baseline(made: Bundle, job: Job) -> None:
    """Check what the manifest says of the baseline, and of what it carries, as importers will."""
    baselines = {item.digest: item for item in job.baselines}
    for item in own.every(made):
        agreement.check_target(item, job.target)
        if job.target is not None:
            agreement.check_release(item, job.target)
        if item.baseline is not None:
            agreement.check_baseline(item, baselines[item.baseline.digest])


def describe(depot: Depot, job: Job, coded: Coded) -> Bundle:
    """Return the manifest of the bundle under the next sequence number."""
    stripes = coded.protection.stripes if coded.protection else ()
    variants = job.part.chosen if job.part is not None and job.part.omitted and not job.receivers else ()
    packed = any(item.packed for item in coded.chunks)
    listed = targets.listed(depot.store.published(TARGETS), TARGETS)
    return Bundle(
        sequence=next_sequence(depot),
        issued=format_time(job.now),
        enclave=job.destination.enclave,
        marking=job.marking,
        target=_reference(job.target),
        baseline=_reference(job.baseline),
        bases=coded.bases,
        files=tuple(item.content for item in coded.plan.files),
        chunks=tuple(item.digest for item in coded.chunks),
        revocations=listed[revocations.TARGET].sha512,
        packed=bool(stripes) or bool(variants) or bool(coded.portions) or packed,
        parity=stripes,
        variants=variants,
        portions=coded.portions,
    )


def _reference(release: Release | None) -> ReleaseRef | None:
    return None if release is None else ReleaseRef(release.digest, release.name, release.version)


def documents_of(depot: Depot, made: Bundle, target: Release | None) -> dict[str, bytes]:
    """Return what goes into manifests/: the bundle manifest (parsed as a check), its release, the revocations.

    With them go vendors' signatures (SPEC 5.5) and the table of pieces (SPEC 5.8). What the bundler's metadata names
    (attestations) is not among them.

    Raises:
        DigestError, UncheckedError: a document of the depot is damaged or missing.
    """
    data = manifest.format(made)
    manifest.parse(data)
    found = {
        made.digest: data,
        made.revocations: depot.documents.load(made.revocations, revocations.MAX_BYTES),
    }
    if target is not None:
        found[target.digest] = depot.documents.load(target.digest)
        for stated in target.vendor_signatures():
            found[stated.sha512] = depot.documents.load(stated.sha512)
        if target.pieces:
            found[target.pieces] = depot.documents.load(target.pieces, piece_table.length(target))
    return {volume.manifest_name(digest): document for digest, document in found.items()}


def _target(made: Bundle, attested: Sequence[Attestation]) -> Target:
    """Return the bundler's entry for a bundle: its manifest, and the attestations that go along (SPEC 4.5-7)."""
    custom = {ATTESTATIONS: sorted(item.digest for item in attested)} if attested else {}
    return targets.describe(manifest.target_name(made.digest), BUNDLER, manifest.format(made), custom)


def _cut(
    medium: Medium,
    protection: Protection | None,
    made: Bundle,
    sizes: Mapping[str, int],
    documents: Mapping[str, bytes],
) -> Sequence[frozenset[str]]:
    """Return which chunks go on which volume; ``sizes`` are those of the metadata files."""
    if protection is None:
        return volume_writer.share_out_chunks(made, medium, sizes, documents)
    known = {item.sha512: item.size for item in made.all_chunks}
    shares = [[known[sha512] for sha512 in share] for share in protection.shares]
    if not volume_writer.fit(made, shares, medium, sizes, documents):
        raise VolumeTooSmallError("the volumes with their parity no longer fit the medium", hint=AGAIN)
    return protection.shares


def _record(depot: Depot, job: Job, made: Bundle, count: int, *, timestamp: str, limit: int) -> None:
    """Note what was made, and what a re-cut goes by (SPEC L4.13): SHA-512 of the timestamp, most bytes of a chunk."""
    record(
        depot,
        job.now,
        "bundle",
        bundle=made.id,
        digest=made.digest,
        target=made.target and made.target.label,
        baseline=made.baseline and made.baseline.label,
        baseline_known_by=job.known_by,
        volumes=count,
        bytes=sum(item.size for item in made.chunks),
        output=place(job.destination.output),
        effort=job.effort,
        chunk_limit=limit,
        timestamp=timestamp,
        **({"parity_bytes": sum(item.size for item in made.parity_chunks)} if made.parity else {}),
        **({"variants": list(made.variants)} if made.variants else {}),
        **({"baseline_variants": list(job.held.chosen)} if job.held and job.held.variants() else {}),
        **({"portions": [_noted(one) for one in job.receivers]} if job.receivers else {}),
    )


def _noted(one: Receiver) -> dict[str, Any]:
    """Return what the log says of one of several enclaves."""
    varied = one.held is not None and bool(one.held.variants())
    return {
        "enclave": one.enclave,
        "baseline": one.label,
        "baseline_known_by": one.known_by,
        **({"baseline_variants": list(one.held.chosen)} if one.held and varied else {}),
    }


def _result(
    depot: Depot, job: Job, made: Bundle, coded: Coded, placed: tuple[VolumeInfo, ...]
) -> BundleResult:
    return BundleResult(
        bundle=made.id,
        digest=made.digest,
        sequence=made.sequence,
        enclave=made.enclave,
        baseline=job.baseline.label if job.baseline else None,
        baseline_known_by=job.known_by,
        target=job.target.label if job.target else None,
        marking=made.marking,
        volumes=placed,
        chunks=len(made.chunks),
        chunk_bytes=sum(item.size for item in made.chunks),
        target_bytes=coded.plan.target_bytes,
        files=len(made.files),
        codecs=dict(sorted(coded.codecs.items())),
        components=tuple(_changes(job, coded.plan)),
        explain=coded.explain,
        remarks=remarks.of_release(job.carried),
        parity=str(job.destination.redundancy) if job.destination.redundancy else None,
        parity_chunks=len(made.parity_chunks),
        parity_bytes=sum(item.size for item in made.parity_chunks),
        revocations=len(revoked.listed(depot, depot.store.published(TARGETS))),
        variants=job.carried.chosen if job.carried else (),
        left_out=tuple(item.name for item in job.carried.omitted) if job.carried else (),
        portions=tuple(_portions(job, made, coded)),
    )


def _portions(job: Job, made: Bundle, coded: Coded) -> Iterator[PortionResult]:
    """Yield what each of several enclaves takes, and what it adds."""
    known, takers = {one.enclave: one for one in job.receivers}, Counter[int]()
    owns = tuple(own.every(made)) if made.portions else ()
    for item in owns:
        takers.update(item.chunk_numbers)
    for item in owns:
        one = known[item.enclave or ""]
        alone = sum(made.chunks[number].size for number in item.chunk_numbers if takers[number] == 1)
        coded_all = bool(coded.chunks) or not coded.plan.target_bytes
        yield PortionResult(
            enclave=one.enclave,
            baseline=one.label,
            baseline_known_by=one.known_by,
            files=len(item.files),
            target_bytes=sum(file.size for file in item.files),
            chunks=len(item.chunks) if coded_all else None,
            chunk_bytes=item.chunk_bytes if coded_all else None,
            own_bytes=alone if coded_all else None,
        )


def _changes(job: Job, found: CodingPlan) -> Iterator[ComponentChange]:
    held = [one.held for one in job.receivers] if job.receivers else [job.held]
    known = [{item.name: item.digest for item in one.components} if one else {} for one in held]
    lacking = {item.entry.sha512 for item in found.files}
    for item in job.carried.components if job.carried else ():
        change = (
            "new"
            if not any(item.name in before for before in known)
            else "unchanged"
            if all(before.get(item.name) == item.digest for before in known)
            else "changed"
        )
        contents = {entry.sha512: entry.size for entry in item.files if entry.sha512 in lacking}
        yield ComponentChange(item.name, item.version, change, sum(contents.values()))
