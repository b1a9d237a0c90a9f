"""Respond to an emergency: a hot fix and the revocation of what it mends, signed once, and cut for all (SPEC L4.16).

Order of steps: everything that can be judged, then the release, then the revocation beside it, then signatures, then
bundles. The same command again goes on where it was.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from airlift import progress as progress_module
from airlift.bundle.release import Release
from airlift.bundle.revocations import Revocation
from airlift.errors import UsageError
from airlift.low.authority.pending import describe_change, pending_releases, published_quorum
from airlift.low.authority.revoke import Asked, RevokeResult, revoke
from airlift.low.bundle.job import BundleRequest, Coding, Destination
from airlift.low.depot import enclaves, revoked
from airlift.low.depot.depot import Depot
from airlift.low.depot.revoked import InForce
from airlift.low.emergency.serve import EnclaveBundle, Served, serve
from airlift.low.release.make_release import draft_release, make_release
from airlift.policy.revocation import Revoked
from airlift.progress import Progress
from airlift.trust.keys.public import Signer
from airlift.trust.tuf import publication, roles
from airlift.trust.tuf.metadata import ROOT, TARGETS, TIMESTAMP
from airlift.trust.tuf.proposal import Beside

MENDED = "revoke what the hot fix replaces, and give what mends it another version"


@dataclass(frozen=True, slots=True)
class Emergency:
    """The manifest of a hot fix, what it mends (as ``low revoke`` takes it) and why, and the enclaves that need it.

    ``destination`` says where volumes go and what they must fit; its addressee does not count.
    """

    manifest: Path
    subjects: Sequence[str]
    enclaves: Sequence[str]
    reason: str
    destination: Destination
    type: str = "vulnerability"
    coding: Coding = field(default_factory=Coding)

    def asked(self, beside: Beside) -> Asked:
        """Return what is to be revoked."""
        return Asked(self.subjects, self.reason, self.type, beside=beside)


@dataclass(frozen=True, slots=True)
class EmergencyResult:
    """What was released and revoked, how far the signatures have come, and what was cut.

    ``published`` says that both are; until then there are no bundles, and ``differences`` tells what is to be signed.
    ``chosen`` is common, complete or apart, and ``compared`` what was measured for that; ``serves`` names the bundle
    of each enclave. ``outstanding`` are ids of bundles that bring what is revoked.
    """

    release: str
    digest: str
    revoked: tuple[InForce, ...]
    published: bool
    signatures: int
    threshold: int
    chosen: str | None
    compared: Mapping[str, int]
    bundles: tuple[EnclaveBundle, ...]
    serves: Mapping[str, str]
    outstanding: tuple[str, ...]
    differences: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


def respond(
    depot: Depot,
    emergency: Emergency,
    *,
    bundler: Signer,
    now: datetime,
    signers: Sequence[Signer] = (),
    dry_run: bool = False,
    progress: Progress = progress_module.silent,
) -> EmergencyResult:
    """Release the hot fix, revoke what it mends, sign both with ``signers``, and bundle it for every enclave.

    Raises:
        UsageError: no enclave is named; the reason, the type or a subject is no such.
        NotHeldError: an enclave is not enrolled, or the depot knows nothing of a subject's name.
        MarkingError: an enclave may not hold the hot fix.
        RevokedError: what is to be revoked is in the hot fix.
        PendingError: another change of the release authority's metadata is pending.
        AirliftError: as :func:`airlift.low.release.make_release.make_release` and
            :func:`airlift.low.bundle.make_bundle.make_bundle`.
    """
    names = tuple(dict.fromkeys(emergency.enclaves))
    _check_hands(depot, names, bundler)
    release = draft_release(depot, emergency.manifest, progress)
    for name in names:
        enclaves.check_ceiling(depot, name, release)
    told = revoke(depot, emergency.asked(_beside(depot, release)), now=now, dry_run=True)
    revoked.check_release(release, _force(told.revoked), MENDED)
    warnings: tuple[str, ...] = ()
    if _needs_release(depot, release, told, signers):
        made = make_release(
            depot,
            emergency.manifest,
            signers=signers if told.already else (),  # else nothing is signed before the revocation is in it
            now=now,
            dry_run=dry_run,
            progress=progress,
        )
        warnings = made.warnings
    if not dry_run:
        told = revoke(depot, emergency.asked(_beside(depot, release)), signers=signers, now=now)
    served = Served()
    if _is_published(depot, release, told):
        request = BundleRequest(release.digest, emergency.destination, None, emergency.coding)
        served = serve(depot, names, request, signer=bundler, now=now, dry_run=dry_run, progress=progress)
    return _result(depot, release, told, served, (*warnings, *told.warnings))


def _check_hands(depot: Depot, names: Sequence[str], bundler: Signer) -> None:
    """Check that every enclave is enrolled, and that the key that signs bundles is the bundler's."""
    if not names:
        raise UsageError("no enclave is named", expected="--for ENCLAVE, once for each")
    for name in names:
        enclaves.load(depot, name)
    publication.check_members([roles.of(depot.store.published(ROOT), TIMESTAMP)], [bundler])


def _beside(depot: Depot, release: Release) -> Beside:
    """Return what becomes of a pending change: the hot fix is joined, anything else is in the way."""
    return Beside.join if release in pending_releases(depot) else Beside.refuse


def _needs_release(depot: Depot, release: Release, told: RevokeResult, signers: Sequence[Signer]) -> bool:
    """Say whether the release is still to be proposed, or signed without a revocation beside it."""
    if depot.is_published(release.digest):
        return False
    return release not in pending_releases(depot) or (told.already and bool(signers))


def _force(entries: Sequence[InForce]) -> Revoked:
    return Revoked(
        tuple(sorted(Revocation(one.kind, one.digest, one.reason, one.serial, one.type) for one in entries))
    )


def _is_published(depot: Depot, release: Release, told: RevokeResult) -> bool:
    """Say whether the release and all that was asked to be revoked are published."""
    listed = {(one.kind, one.digest) for one in revoked.in_force(depot).entries}
    return depot.is_published(release.digest) and listed.issuperset(
        (one.kind, one.digest) for one in told.revoked
    )


def _result(
    depot: Depot, release: Release, told: RevokeResult, served: Served, warnings: tuple[str, ...]
) -> EmergencyResult:
    published = _is_published(depot, release, told)
    status = publication.status(depot.store, TARGETS)
    signatures, threshold = published_quorum(depot)
    if not published:
        signatures = 0 if status is None else status.signatures
    lines = tuple(line for change in told.changes for line in change.differences)
    return EmergencyResult(
        release=release.label,
        digest=release.digest,
        revoked=told.revoked,
        published=published,
        signatures=signatures,
        threshold=threshold,
        chosen=served.chosen,
        compared=served.compared,
        bundles=served.bundles,
        serves={name: one.bundle for one in served.bundles for name in one.baseline_known_by},
        outstanding=told.outstanding,
        differences=lines or tuple(describe_change(depot, TARGETS)),
        warnings=warnings,
    )
