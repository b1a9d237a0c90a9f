"""What is pending: the changes of metadata that still collect signatures, shown in lines for people (SPEC 4.3)."""

from collections.abc import Mapping
from dataclasses import dataclass

from airlift.bundle import release as releases
from airlift.bundle.release import Release
from airlift.low.authority.review import describe_release
from airlift.low.depot import known, revoked
from airlift.low.depot.depot import Depot
from airlift.trust.tuf import change, publication, revocation_lists, roles, root, targets
from airlift.trust.tuf.metadata import ROOT, TARGETS
from airlift.trust.tuf.publication import SigningStatus
from airlift.trust.tuf.roles import Document

ROLES = (TARGETS, ROOT)


@dataclass(frozen=True, slots=True)
class Change:
    """How far a change of metadata has come; ``role`` is root or release, ``differences`` are lines for people.

    ``may_sign`` are the holders of keys that have not signed it; none if that is not known, as of a file.
    """

    role: str
    version: int
    signatures: int
    threshold: int
    missing: int
    published: bool
    waits_for: str | None
    differences: tuple[str, ...]
    may_sign: tuple[str, ...] = ()


def pending_roles(depot: Depot) -> tuple[str, ...]:
    """Return the TUF roles (targets, root) of which a change is pending."""
    return tuple(role for role in ROLES if depot.store.pending(role) is not None)


def to_change(status: SigningStatus, lines: tuple[str, ...], may_sign: tuple[str, ...] = ()) -> Change:
    """Return a signing status in the form that results show, with lines for people."""
    return Change(
        role=change.LABELS[status.role],
        version=status.version,
        signatures=status.signatures,
        threshold=status.threshold,
        missing=status.missing,
        published=status.published,
        waits_for=None if status.waits_for is None else change.LABELS[status.waits_for],
        differences=lines,
        may_sign=may_sign,
    )


def unsigned(depot: Depot, status: SigningStatus) -> tuple[str, ...]:
    """Return the holders of the keys that may still sign a pending change, sorted; nobody once it is published."""
    if status.published:
        return ()
    quorums = [roles.of(authority, status.role) for authority in publication.authorities(depot.store)]
    members = change.union(*quorums)
    return tuple(sorted(members[key_id].holder for key_id in members.keys() - set(status.key_ids)))


def pending_changes(depot: Depot) -> tuple[Change, ...]:
    """Return what waits for signatures, with lines for people, and whose may come."""
    found = []
    for role in ROLES:
        one = publication.status(depot.store, role)
        if one is not None:
            found.append(to_change(one, tuple(describe_change(depot, role)), unsigned(depot, one)))
    return tuple(found)


def describe_change(depot: Depot, role: str) -> list[str]:
    """Return in lines what the pending change of a role does: to the metadata, and to the releases."""
    pending = depot.store.pending(role)
    if pending is None:
        return []
    lines = publication.describe(depot.store, role, pending, _names(depot, role, pending))
    for release in pending_releases(depot) if role == TARGETS else ():
        lines += describe_release(release, previous_release(depot, release))
    return lines


def _names(depot: Depot, role: str, pending: Document) -> Mapping[str, str]:
    """Return what people call the things whose revocation a change adds, takes away or lifts."""
    published = depot.store.newest(role)
    if role == ROOT:
        before = frozenset() if published is None else root.lifted(published)
        changed = before ^ root.lifted(pending)
    elif revocation_lists.is_changed(published, pending):
        listed = [{item.subject for item in revoked.listed(depot, one)} for one in (published, pending)]
        changed = frozenset(listed[0] | listed[1])
    else:
        changed = frozenset()
    return known.shown(known.names_of(depot, {subject.digest for subject in changed}))


def changed_documents(depot: Depot, role: str) -> dict[str, bytes]:
    """Return the documents behind the changed targets of a pending change, verified, by target name."""
    pending = depot.store.pending(role)
    if pending is None or role != TARGETS:
        return {}
    listed = targets.listed(pending, TARGETS)
    changed = change.changed_targets(depot.store.newest(TARGETS), pending)
    return {name: depot.documents.load(listed[name].sha512, listed[name].length) for name in changed}


def pending_releases(depot: Depot) -> tuple[Release, ...]:
    """Return the releases that the pending change of targets would publish."""
    return parse_releases(changed_documents(depot, TARGETS))


def parse_releases(carried: Mapping[str, bytes]) -> tuple[Release, ...]:
    """Return the releases among the documents behind changed targets."""
    return tuple(
        releases.parse(data) for name, data in carried.items() if name.startswith(targets.RELEASE_PREFIX)
    )


def previous_release(depot: Depot, release: Release) -> Release | None:
    """Return the newest published release of the same name, if there is another."""
    for reference in reversed(depot.releases()):
        if (
            reference.name == release.name
            and reference.digest != release.digest
            and depot.is_published(reference.digest)
        ):
            return depot.load_release(reference.digest)
    return None


def published_quorum(depot: Depot) -> tuple[int, int]:
    """Return how many members signed the published targets metadata, and how many had to."""
    newest, published = depot.store.newest(ROOT), depot.store.newest(TARGETS)
    if newest is None:
        return 0, 0
    quorum = roles.of(newest, TARGETS)
    return (0 if published is None else len(quorum.signers(published))), quorum.threshold
