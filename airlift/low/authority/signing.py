"""Sign the depot's pending changes: what is signed is shown, and read again before (SPEC 4.3)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from airlift.bundle import release as releases
from airlift.bundle.release import Release
from airlift.errors import DigestError
from airlift.low.authority.review import describe
from airlift.low.depot.depot import Depot
from airlift.low.depot.digest_cache import open_digest_cache
from airlift.progress import Progress, Tally
from airlift.trust.keys.key import Signer
from airlift.trust.tuf import change, exchange, metadata, repository, roles, targets
from airlift.trust.tuf.metadata import ROOT, TARGETS
from airlift.trust.tuf.repository import SigningStatus

ROLES = (TARGETS, ROOT)


@dataclass(frozen=True, slots=True)
class Change:
    """How far a change of metadata has come; ``role`` is root or release, ``differences`` are lines for people."""

    role: str
    version: int
    signatures: int
    threshold: int
    missing: int
    published: bool
    waits_for: str | None
    differences: tuple[str, ...]


def pending_roles(depot: Depot) -> tuple[str, ...]:
    """Return the TUF roles (targets, root) of which a change is pending."""
    return tuple(role for role in ROLES if depot.store.pending(role) is not None)


def members(depot: Depot, role: str) -> frozenset[str]:
    """Return the key ids that may sign a change of root or targets."""
    return frozenset(change.union(*(roles.of(root, role) for root in repository.authorities(depot.store))))


def sign_roles(
    depot: Depot, chosen: Sequence[str], signers: Sequence[Signer], now: datetime
) -> tuple[Change, ...]:
    """Sign the pending change of each role with those signers who are its members; every signer must be in one.

    Raises:
        KeyUnavailableError: a key is no member of any of these roles; nothing was signed.
        DigestError: a document is not what would be signed.
    """
    by_role = {role: members(depot, role) for role in chosen}
    for signer in signers:
        if chosen and not any(signer.public.key_id in known for known in by_role.values()):
            quorums = [
                roles.of(root, role) for root in repository.authorities(depot.store) for role in chosen
            ]
            repository.check_members(quorums, [signer])
    lines = {role: tuple(differences(depot, role)) for role in chosen}
    found: dict[str, SigningStatus] = {}
    for role in chosen:
        mine = [signer for signer in signers if signer.public.key_id in by_role[role]]
        status = repository.status(depot.store, role)
        if mine:
            found[role] = repository.sign(depot.store, role, mine, now, documents(depot, role))
        elif status is not None:
            found[role] = status
    depot.refresh_root()
    return tuple(to_change(settled(depot, status), lines[role]) for role, status in found.items())


def settled(depot: Depot, status: SigningStatus) -> SigningStatus:
    """Return ``status`` as it stands now: a later signature may have published both changes at once."""
    if status.published:
        return status
    current = repository.status(depot.store, status.role)
    if current is not None:
        return current
    return SigningStatus(
        status.role, status.version, status.signatures, status.threshold, 0, True, status.key_ids, None
    )


def file_status(exported: exchange.Change) -> SigningStatus:
    """Return how far a change has come in the file that carries it."""
    quorums = exported.quorums()
    needed = quorums if exported.role == ROOT else quorums[-1:]
    signers = change.signers_of(quorums, exported.pending)
    return SigningStatus(
        role=exported.role,
        version=metadata.version_of(exported.pending),
        signatures=len(signers),
        threshold=max(quorum.threshold for quorum in needed),
        missing=max(quorum.missing(exported.pending) for quorum in needed),
        published=False,
        key_ids=signers,
        waits_for=None,
    )


def to_change(status: SigningStatus, lines: tuple[str, ...]) -> Change:
    """Return the public form of a signing status."""
    return Change(
        role=change.LABELS[status.role],
        version=status.version,
        signatures=status.signatures,
        threshold=status.threshold,
        missing=status.missing,
        published=status.published,
        waits_for=None if status.waits_for is None else change.LABELS[status.waits_for],
        differences=lines,
    )


def differences(depot: Depot, role: str) -> list[str]:
    """Return what the pending change of a role does: to the metadata, and to the releases."""
    pending = depot.store.pending(role)
    if pending is None:
        return []
    lines = change.differences(role, depot.store.newest(role), pending)
    for release in pending_releases(depot) if role == TARGETS else ():
        lines += describe(release, previous(depot, release))
    return lines


def documents(depot: Depot, role: str) -> dict[str, bytes]:
    """Return the documents behind the changed targets of a pending change, verified, by target name."""
    pending = depot.store.pending(role)
    if pending is None or role != TARGETS:
        return {}
    listed = targets.listed(pending, TARGETS)
    changed = change.changed_targets(depot.store.newest(TARGETS), pending)
    return {name: depot.documents.load(listed[name].sha512, listed[name].length) for name in changed}


def pending_releases(depot: Depot) -> tuple[Release, ...]:
    """Return the releases that the pending change of targets would publish."""
    return parse_releases(documents(depot, TARGETS))


def parse_releases(carried: Mapping[str, bytes]) -> tuple[Release, ...]:
    """Return the releases among the documents behind changed targets."""
    return tuple(
        releases.parse(data) for name, data in carried.items() if name.startswith(targets.RELEASE_PREFIX)
    )


def previous(depot: Depot, release: Release) -> Release | None:
    """Return the newest published release of the same name, if there is another."""
    for reference in reversed(depot.releases()):
        if (
            reference.name == release.name
            and reference.digest != release.digest
            and depot.is_published(reference.digest)
        ):
            return depot.load_release(reference.digest)
    return None


def recheck_content(depot: Depot, now: datetime, progress: Progress) -> None:
    """Read every file of the releases to be signed again and compare it with its manifest.

    Raises:
        DigestError: a file is missing from the depot, or its bytes have changed.
    """
    wanted = {
        digest: size for release in pending_releases(depot) for digest, size in release.contents().items()
    }
    tally = Tally("checking", sum(wanted.values()), progress)
    cache = open_digest_cache(depot, now)
    for digest in wanted:
        looks = depot.content.verify(digest, tally.add)
        if looks is None:
            raise DigestError(
                f"content {digest[:16]} of the depot is missing or has changed: nothing was signed",
                hint=depot.repair_hint(digest),
            )
        cache.note(digest, looks)
    cache.save()


def published_quorum(depot: Depot) -> tuple[int, int]:
    """Return how many members signed the published targets metadata, and how many had to."""
    root, published = depot.store.newest(ROOT), depot.store.newest(TARGETS)
    if root is None:
        return 0, 0
    quorum = roles.of(root, TARGETS)
    return (0 if published is None else len(quorum.signers(published))), quorum.threshold
