"""Create a depot's metadata, and propose changes of it for signing (SPEC 4.3). Low side.

There is one pending change per role, root or targets; starting another is refused unless it is said what becomes of
the pending one (:class:`Beside`). Either way the signatures collected so far are dropped.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from enum import Enum

from airlift.bundle.revocations import Subject
from airlift.errors import ExistsError, PendingError, UnpublishedError, UsageError
from airlift.trust.tuf import change, metadata, publication, roles
from airlift.trust.tuf.metadata import ROOT, SNAPSHOT, TARGETS, TIMESTAMP
from airlift.trust.tuf.metadata_store import MetadataStore, encode
from airlift.trust.tuf.roles import BUNDLER, Document, Member, RoleKeys
from airlift.trust.tuf.targets import Target

RELEASE = "release"
"""The release authority: what people call the members of TUF's targets role."""


class Beside(Enum):
    """What becomes of a change that is pending already: it forbids another one, makes room for it, or takes it up."""

    refuse = "refuse"
    replace = "replace"
    join = "join"

    @classmethod
    def of(cls, *, replace: bool) -> "Beside":
        """Return what ``--replace`` says."""
        return cls.replace if replace else cls.refuse


def create(
    store: MetadataStore,
    *,
    root: RoleKeys,
    release: RoleKeys,
    bundler: RoleKeys,
    expires: Mapping[str, int],
    now: datetime,
    revocations: bytes,
) -> None:
    """Start a depot: root and targets version 1, both pending. ``expires`` overrides days by role.

    Raises:
        ExistsError: the depot has metadata already.
        UsageError: a threshold, key or expiry that makes no sense.
    """
    if store.exists:
        raise ExistsError(f"{store.folder} has metadata already")
    days = change.EXPIRY_DAYS | _days(expires)
    members = {ROOT: root, TARGETS: release, SNAPSHOT: bundler, TIMESTAMP: bundler}
    first = {
        TARGETS: change.genesis_targets(bundler, days, revocations, now),
        ROOT: change.genesis_root(members, days, now),
    }
    _propose(store, first)


def propose_target(store: MetadataStore, target: Target, now: datetime, *, replace: bool = False) -> Document:
    """Start a change that lists ``target`` (a release manifest, or the revocations) in targets metadata.

    Raises:
        PendingError: another change of targets is pending, and ``replace`` was not said.
        ExistsError: a release of that name is published with other bytes.
    """
    base, version = _base(store, TARGETS, Beside.of(replace=replace))
    document = change.with_target(base, version, target, _days_of_targets(store), now)
    _propose(store, {TARGETS: document})
    return document


def propose_revocations(
    store: MetadataStore, target: Target, now: datetime, *, lift: Iterable[Subject] = (), beside: Beside
) -> tuple[str, ...]:
    """Start a change of targets to another list of revocations, and one of root that lifts what it leaves out.

    Returns the TUF roles whose change is now pending.

    Raises:
        PendingError: another change of such a role is pending, and ``beside`` refuses it.
    """
    base, version = _base(store, TARGETS, beside)
    proposed = {TARGETS: change.with_target(base, version, target, _days_of_targets(store), now)}
    lifted = tuple(lift)
    if lifted:
        base, version = _base(store, ROOT, beside)
        proposed[ROOT] = change.with_members(base, version, {}, now, lifted)
    _propose(store, proposed)
    return tuple(proposed)


def propose_rotation(
    store: MetadataStore,
    role: str,
    *,
    add: Sequence[Member],
    remove: Iterable[str],
    threshold: int | None,
    now: datetime,
    replace: bool = False,
) -> tuple[str, ...]:
    """Start a change of the members (``remove`` by key id) or threshold of root, release or bundler.

    Returns the TUF roles whose change is now pending: root, and targets where the release authority must sign, too.

    Raises:
        PendingError: another change of such a role is pending, and ``replace`` was not said.
        UsageError: the change makes no sense.
    """
    if role not in {ROOT, RELEASE, BUNDLER}:
        raise UsageError("unknown role", expected="root, release or bundler", found=ascii(role[:40]))
    base, version = _base(store, ROOT, Beside.of(replace=replace))
    tuf_roles = {ROOT: (ROOT,), RELEASE: (TARGETS,), BUNDLER: (SNAPSHOT, TIMESTAMP)}[role]
    members = roles.of(base, tuf_roles[0]).change(add, remove, threshold)
    root = change.with_members(base, version, dict.fromkeys(tuf_roles, members), now)
    proposed = {**_targets_beside(store, role, members, root, now, replace=replace), ROOT: root}
    _propose(store, proposed)
    return tuple(sorted(proposed))


# -- inside --------------------------------------------------------------------------------------------------------


def _days(expires: Mapping[str, int]) -> dict[str, int]:
    days = {TARGETS if role == RELEASE else role: count for role, count in expires.items()}
    for role, count in days.items():
        if role not in change.EXPIRY_DAYS or not 1 <= count <= metadata.MAX_EXPIRY_DAYS:
            raise UsageError(
                "an expiry makes no sense",
                expected=f"ROLE=1..{metadata.MAX_EXPIRY_DAYS} with ROLE of {', '.join(change.EXPIRY_DAYS)}",
                found=f"{role[:40]!a}={count}",
            )
    return days


def _base(store: MetadataStore, role: str, beside: Beside) -> tuple[Document, int]:
    """Return the document that a change starts from, and the version of the new one."""
    publication.settle(store)
    pending, published = store.pending(role), store.newest(role)
    if pending is not None and beside is Beside.join:
        return pending, metadata.version_of(pending)
    if pending is not None and beside is Beside.refuse:
        raise PendingError(
            f"a change of {role} metadata is pending", found=f"version {metadata.version_of(pending)}"
        )
    if published is not None:
        return published, metadata.version_of(published) + 1
    if pending is not None:
        return pending, metadata.version_of(pending)
    raise UnpublishedError(
        f"{store.folder} has no {role} metadata", hint="create a depot first: airlift low init"
    )


def _days_of_targets(store: MetadataStore) -> int:
    return roles.expiry_days(publication.authorities(store)[-1], TARGETS)


def _targets_beside(
    store: MetadataStore, role: str, members: RoleKeys, root: Document, now: datetime, *, replace: bool
) -> dict[str, Document]:
    """Return the change of targets that must be published together with a rotation, if any."""
    days = roles.expiry_days(root, TARGETS)
    if role == BUNDLER:
        base, version = _base(store, TARGETS, Beside.of(replace=replace))
        return {TARGETS: change.with_bundler(base, version, members, days, now)}
    published = store.newest(TARGETS)
    if (
        role == ROOT
        or published is None
        or store.pending(TARGETS) is not None
        or not members.missing(published)
    ):
        return {}
    return {TARGETS: change.again(published, metadata.version_of(published) + 1, days, now)}


def _propose(store: MetadataStore, documents: Mapping[str, Document]) -> None:
    for role, document in documents.items():
        encode(role, document)
    for role, document in documents.items():
        store.write_pending(role, document)
