"""Revoke: list what must not be activated any more, or take it off the list and let root lift it (SPEC 5.4, L3.8).

A revocation is a change of the release authority's metadata, signed like a release; lifting needs root as well, and
both changes are published together.
"""

from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from datetime import datetime

from airlift.bundle import release as releases
from airlift.bundle import revocations
from airlift.bundle.fields import MAX_TEXT
from airlift.bundle.revocations import KEY, MAX_BYTES, TYPES, Revocation, Subject
from airlift.errors import PendingError, UsageError
from airlift.low.authority import subjects
from airlift.low.authority.pending import Change, pending_releases, published_quorum
from airlift.low.authority.sign import sign_roles
from airlift.low.authority.subjects import Named
from airlift.low.depot import known, outstanding, revoked
from airlift.low.depot.depot import Depot
from airlift.low.depot.events import record
from airlift.low.depot.revoked import InForce
from airlift.policy.revocation import Revoked
from airlift.trust.keys.public import Signer
from airlift.trust.tuf import metadata, proposal, publication, revocation_lists, roles, root, targets
from airlift.trust.tuf.metadata import ROOT, TARGETS, TIMESTAMP
from airlift.trust.tuf.proposal import Beside

_ROLES = {"root": ROOT, "release": TARGETS, "bundler": TIMESTAMP}


@dataclass(frozen=True, slots=True)
class Asked:
    """What is to be revoked, or lifted, and why: texts as :func:`airlift.low.authority.subjects.find` takes them.

    ``beside`` says what becomes of a change that is pending.
    """

    subjects: Sequence[str]
    reason: str
    type: str = "vulnerability"
    lift: bool = False
    beside: Beside = Beside.refuse


@dataclass(frozen=True, slots=True)
class RevokeResult:
    """What is revoked now, or lifted, and how far the signatures for it have come.

    ``already`` says that nothing new was proposed. ``outstanding`` are the ids of bundles that bring a release of
    which something is revoked; ``hints`` are the commands to run next.
    """

    revoked: tuple[InForce, ...]
    already: bool
    lifted: tuple[InForce, ...]
    signatures: int
    threshold: int
    published: bool
    outstanding: tuple[str, ...]
    hints: tuple[str, ...]
    differences: tuple[str, ...]
    changes: tuple[Change, ...]
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Plan:
    """The lists before and after, what root lifts before and after, and the entries that were asked for."""

    before: tuple[Revocation, ...]
    after: tuple[Revocation, ...]
    lifted: frozenset[Subject]
    lifts: tuple[Subject, ...]
    entries: tuple[InForce, ...]
    unknown: tuple[str, ...] = ()

    @property
    def already(self) -> bool:
        """Whether there is nothing to propose."""
        return self.before == self.after and not self.lifts

    def force(self) -> Revoked:
        """Return what is revoked once this is published."""
        return Revoked.in_force(self.after, self.lifted | frozenset(self.lifts))


def revoke(
    depot: Depot, asked: Asked, *, signers: Sequence[Signer] = (), now: datetime, dry_run: bool = False
) -> RevokeResult:
    """Propose the revocation of what is asked for, or that it is lifted, and sign it with ``signers``.

    What is revoked (lifted) already is no error: nothing is proposed, and signatures go to the change that has it.

    Raises:
        UsageError: the reason or type is no such, a text fits several things, or a key is a member's.
        NotHeldError: the depot knows nothing of that name; or what is to be lifted is not revoked.
        PendingError: another change is pending, and ``beside`` refuses it.
        RevokedError: a release that is pending beside it has what is to be revoked.
        UnpublishedError: the depot itself still lacks signatures.
        KeyUnavailableError: a signer is no member of a role that must sign.
    """
    _check(asked)
    with nullcontext() if dry_run else depot.lock():
        for role in (ROOT, TARGETS):
            depot.store.published(role)
        made = _plan(depot, asked)
        if not made.already:
            _check_beside(depot, asked, made)
        if dry_run:
            return _result(depot, asked, made)
        dropped, chosen = (
            _propose(depot, asked, made, now) if not made.already else ((), _holding(depot, made))
        )
        changes = sign_roles(depot, chosen, signers, now)
        result = _result(depot, asked, made, changes, dropped)
        if not made.already or changes:
            _record(depot, asked, result, now)
        return result


def _check(asked: Asked) -> None:
    """Check reason and type."""
    if not asked.subjects:
        raise UsageError(
            "nothing to revoke", expected="a release, a component, the digest of a file, or a key"
        )
    if not 0 < len(asked.reason) <= MAX_TEXT or not asked.reason.isprintable() or not asked.reason.strip():
        raise UsageError(
            "the reason is not usable",
            expected=f"1 to {MAX_TEXT} printable characters, not all of them blank",
            found=ascii(asked.reason[:80]),
        )
    if asked.type not in TYPES:
        raise UsageError("unknown type", expected=", ".join(TYPES), found=ascii(asked.type[:40]))


# -- what is to become of the list -----------------------------------------------------------------------------------


def _plan(depot: Depot, asked: Asked) -> _Plan:
    """Look up what is asked for in the newest list: the pending one, unless it makes room."""
    keep = asked.beside is not Beside.replace
    authority = (depot.store.pending(TARGETS) if keep else None) or depot.store.published(TARGETS)
    before = revoked.listed(depot, authority)
    if not asked.lift:
        return _add(depot, asked, before, root.lifted(depot.store.published(ROOT)))
    chain = (depot.store.pending(ROOT) if keep else None) or depot.store.published(ROOT)
    return _lift(depot, asked, before, root.lifted(chain))


def _add(depot: Depot, asked: Asked, before: tuple[Revocation, ...], lifted: frozenset[Subject]) -> _Plan:
    """Plan to list what is not in force yet, each under a number of its own."""
    wanted = {(one.kind, one.digest): one for text in asked.subjects for one in subjects.find(depot, text)}
    for one in wanted.values():
        _check_no_member(depot, one)
    old = {(item.kind, item.digest): item for item in before if item.subject not in lifted}
    serial = _highest(depot, before)
    new = {}
    for place in wanted:
        if place not in old:
            serial += 1
            new[place] = Revocation(*place, asked.reason, serial, asked.type)
    kept = [item for item in before if (item.kind, item.digest) not in new]
    after = tuple(sorted((*kept, *new.values()))) if new else before
    _check_list(after)
    return _Plan(
        before,
        after,
        lifted,
        (),
        tuple(InForce.of({**old, **new}[place], one.names) for place, one in wanted.items()),
        tuple(f"{one.kind} {one.digest}" for one in wanted.values() if not one.known),
    )


def _check_list(after: tuple[Revocation, ...]) -> None:
    """Check what a list of revocations must be: not too long, and no digest of two kinds."""
    if len(revocations.format(after)) > MAX_BYTES:
        raise UsageError("the list of revocations would be too long", expected=f"at most {MAX_BYTES} bytes")
    kinds: dict[str, str] = {}
    for item in after:
        if kinds.setdefault(item.digest, item.kind) != item.kind:
            raise UsageError(
                f"{item.digest[:32]} cannot be revoked as {kinds[item.digest]} and as {item.kind}",
                hint="see what is revoked: `airlift low list`",
            )


def _lift(depot: Depot, asked: Asked, before: tuple[Revocation, ...], lifted: frozenset[Subject]) -> _Plan:
    """Plan to take off the list what is asked for, and to have root lift it."""
    published = revoked.listed(depot, depot.store.published(TARGETS))
    earlier = [Revocation(one.kind, one.digest, "", one.serial) for one in sorted(lifted)]
    entries = {(item.kind, item.digest): item for item in (*earlier, *published, *before)}
    wanted = {
        (one.kind, one.digest): one
        for text in asked.subjects
        for one in subjects.find_listed(depot, text, entries.values())
    }
    for place in wanted:
        if not entries[place].serial:
            raise UsageError(
                f"revocation of {place[0]} {place[1][:32]} has no serial number: it cannot be lifted",
                hint="release it again under another version",
            )
    gone = {entries[place].subject for place in wanted}
    return _Plan(
        before,
        tuple(item for item in before if item.subject not in gone),
        lifted,
        tuple(sorted(gone - lifted)),
        tuple(InForce.of(entries[place], one.names) for place, one in wanted.items()),
    )


def _highest(depot: Depot, before: tuple[Revocation, ...]) -> int:
    """Return the highest serial number that the list, or any root, has used (SPEC 5.4-2)."""
    store = depot.store
    newest = metadata.version_of(store.published(ROOT))
    roots = [store.document(ROOT, version) for version in range(1, newest + 1)]
    roots += [document for document in (store.pending(ROOT),) if document is not None]
    used = [item.serial for item in (*before, *revoked.listed(depot, store.published(TARGETS)))]
    return max(
        [*used, *(subject.serial for document in roots for subject in root.lifted(document))], default=0
    )


def _check_no_member(depot: Depot, one: Named) -> None:
    """Refuse a key that is a member: its revocation is to rotate it out (SPEC 5.4-3)."""
    authority = depot.store.published(ROOT)
    hints, holders = [], set()
    for label, role in _ROLES.items() if one.kind == KEY else ():
        quorum = roles.of(authority, role)
        member = quorum.by_id().get(one.digest)
        if member is not None:
            add = "" if len(quorum.members) > quorum.threshold else " --add NEW.pub"
            hints.append(f"`airlift low rotate {label} --remove {one.digest[:16]}{add} --key KEY`")
            holders.add(member.holder)
    if hints:
        raise UsageError(
            f"key {one.digest[:16]} of {' and '.join(sorted(holders))} is a member's: rotate it out",
            expected="the key of nobody who signs metadata",
            hint=" and ".join(hints),
        )


def _check_beside(depot: Depot, asked: Asked, made: _Plan) -> None:
    """Refuse a pending change that nobody told what to do about, and one that has what is to be revoked."""
    roles_needed = (TARGETS, ROOT) if made.lifts else (TARGETS,)
    pending = [role for role in roles_needed if depot.store.pending(role) is not None]
    waiting = pending_releases(depot) if TARGETS in pending else ()
    if pending and asked.beside is Beside.refuse:
        raise PendingError(
            f"a change of {' and '.join(pending)} metadata is pending",
            found=", ".join(release.label for release in waiting) or "other than a release",
            hint="finish it with `airlift low sign`, add to it with --with-pending, or drop it with --replace; both "
            "drop its signatures",
        )
    for release in waiting if asked.beside is Beside.join else ():
        revoked.check_release(release, made.force(), hint="drop the pending release with --replace")


# -- proposing -------------------------------------------------------------------------------------------------------


def _propose(
    depot: Depot, asked: Asked, made: _Plan, now: datetime
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Keep the new list and propose it; return what is told of dropped signatures, and the roles that are pending."""
    data = revocations.format(made.after)
    collected = {role: publication.status(depot.store, role) for role in (TARGETS, ROOT)}
    depot.documents.keep(data)
    target = targets.describe(revocations.TARGET, TARGETS, data, {})
    chosen = proposal.propose_revocations(depot.store, target, now, lift=made.lifts, beside=asked.beside)
    dropped = [(role, collected[role]) for role in chosen]
    told = (
        f"{status.signatures} signatures for the pending change of {role} metadata are dropped: collect them again"
        for role, status in dropped
        if status is not None and status.signatures
    )
    return tuple(told), chosen


def _holding(depot: Depot, made: _Plan) -> tuple[str, ...]:
    """Return the roles whose pending change already says what is asked for, and is not published."""
    store = depot.store
    pending, chain = store.pending(TARGETS), store.pending(ROOT)
    asked = {Subject(item.kind, item.digest, item.serial) for item in made.entries}
    found = []
    if pending is not None:
        published = {item.subject for item in revoked.listed(depot, store.published(TARGETS))}
        if asked & (published ^ {item.subject for item in revoked.listed(depot, pending)}):
            found.append(TARGETS)
    if chain is not None and asked & (root.lifted(chain) - root.lifted(store.published(ROOT))):
        found.append(ROOT)
    return tuple(found)


def _lines(made: _Plan) -> list[str]:
    """Return in lines for people what comes on the list, what leaves it, and what root lifts."""
    names = known.shown({item.digest: item.names for item in made.entries if item.names})
    lines = revocation_lists.differences(made.before, made.after, names)
    return lines + [f"revocation lifted: {revocation_lists.describe(one, names)}" for one in made.lifts]


def _record(depot: Depot, asked: Asked, result: RevokeResult, now: datetime) -> None:
    entries = result.lifted if asked.lift else result.revoked
    record(
        depot,
        now,
        "lift" if asked.lift else "revoke",
        subjects=[{"kind": item.kind, "digest": item.digest, "serial": item.serial} for item in entries],
        reason=asked.reason,
        signatures=result.signatures,
        published=result.published,
        **({} if asked.lift else {"type": asked.type}),
    )


# -- what follows ----------------------------------------------------------------------------------------------------


def _result(
    depot: Depot,
    asked: Asked,
    made: _Plan,
    changes: tuple[Change, ...] = (),
    dropped: tuple[str, ...] = (),
) -> RevokeResult:
    signatures, threshold = published_quorum(depot)
    done = all(item.published for item in changes) if changes else made.already
    bundles = () if asked.lift else _outstanding(depot, made.force())
    unknown = (f"{text} is not of anything that this depot knows" for text in made.unknown)
    return RevokeResult(
        revoked=() if asked.lift else made.entries,
        already=made.already,
        lifted=made.entries if asked.lift else (),
        signatures=changes[0].signatures if changes else signatures if made.already else 0,
        threshold=changes[0].threshold if changes else threshold,
        published=done,
        outstanding=bundles,
        hints=_hints(bundles, changes),
        differences=tuple(_lines(made)),
        changes=changes,
        warnings=(*unknown, *dropped),
    )


def _outstanding(depot: Depot, force: Revoked) -> tuple[str, ...]:
    """Return the outstanding bundles that bring a release of which something is revoked."""
    found = []
    for item in outstanding.load(depot):
        if item.bundle.target is not None:
            release = releases.parse(depot.documents.load(item.bundle.target.digest))
            if revoked.findings(release, force):
                found.append(item.bundle.id)
    return tuple(found)


def _hints(bundles: tuple[str, ...], changes: tuple[Change, ...]) -> tuple[str, ...]:
    """Return the commands that come next, in order."""
    waiting = [item.role for item in changes if not item.published and item.missing]
    return (
        *(f"airlift low sign {role} --key KEY" for role in waiting),
        *(f"airlift low withdraw {bundle} --bundler-key KEY" for bundle in bundles),
        "airlift low renew --output DIR --bundler-key KEY",
    )
