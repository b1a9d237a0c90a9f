"""Changes of root and targets metadata: how they are made, and what they say to those who sign (SPEC 4.3).

Pure: documents in, documents or lines for people out. A new document has the next version, a fresh expiry time and no
signatures.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Any

from airlift.bundle.revocations import Subject
from airlift.errors import DigestError, ExistsError, UsageError
from airlift.trust.tuf import metadata, revocation_lists, roles, root, targets
from airlift.trust.tuf.metadata import LIFTED, ROOT, SNAPSHOT, TARGETS, TIMESTAMP
from airlift.trust.tuf.revocation_lists import Names
from airlift.trust.tuf.roles import BUNDLER, Document, Member, RoleKeys
from airlift.trust.tuf.targets import REVOCATIONS, Target

EXPIRY_DAYS = {ROOT: 730, TARGETS: 180, BUNDLER: 180, SNAPSHOT: 180, TIMESTAMP: 180}
"""For how many days new metadata is valid unless ``create`` is told otherwise."""

LABELS = {ROOT: "root", TARGETS: "release", SNAPSHOT: "snapshot", TIMESTAMP: "timestamp", BUNDLER: "bundler"}
"""What people call the members of each TUF role."""


def signed(role: str, version: int, days: int, now: datetime, fields: Mapping[str, Any]) -> Document:
    """Return an unsigned document of ``role`` that expires ``days`` after ``now`` (aware, UTC)."""
    common = {
        "_type": TARGETS if role == BUNDLER else role,
        "spec_version": metadata.SPEC_VERSION,
        "version": version,
        "expires": (now + timedelta(days=days)).strftime(metadata.TIME),
    }
    return {"signatures": [], "signed": {**common, **fields}}


def genesis_root(members: Mapping[str, RoleKeys], days: Mapping[str, int], now: datetime) -> Document:
    """Return root version 1 for the members of the four top-level roles."""
    return _root(1, members, days, now)


def genesis_targets(
    bundler: RoleKeys, days: Mapping[str, int], revocations: bytes, now: datetime
) -> Document:
    """Return targets version 1: the delegation to the bundler, and the first list of revocations."""
    first = targets.describe(REVOCATIONS, TARGETS, revocations, {})
    return _targets(1, {REVOCATIONS: first.entry()}, _delegations(bundler, days[BUNDLER]), days[TARGETS], now)


def with_target(base: Document, version: int, target: Target, days: int, now: datetime) -> Document:
    """Return targets metadata that also lists ``target``; only ``revocations`` may be listed anew with other bytes.

    Raises:
        ExistsError: a release of that name is listed with other bytes.
        MalformedError: it is no name for a target of the release authority.
    """
    metadata.check_target_name(TARGETS, target.name)
    old = targets.listed(base, TARGETS).get(target.name)
    if old is not None and target.name != REVOCATIONS and old.sha512 != target.sha512:
        raise ExistsError(f"{target.name} is already signed with other content")
    entries = {**base["signed"]["targets"], target.name: target.entry()}
    return _targets(version, entries, base["signed"]["delegations"], days, now)


def with_bundler(base: Document, version: int, bundler: RoleKeys, days: int, now: datetime) -> Document:
    """Return targets metadata that delegates to other bundler keys."""
    delegations = _delegations(bundler, roles.expiry_days(base, BUNDLER))
    return _targets(version, base["signed"]["targets"], delegations, days, now)


def again(base: Document, version: int, days: int, now: datetime) -> Document:
    """Return targets metadata of the same content with another version and a fresh expiry time."""
    return _targets(version, base["signed"]["targets"], base["signed"]["delegations"], days, now)


def with_members(
    base: Document,
    version: int,
    changed: Mapping[str, RoleKeys],
    now: datetime,
    lift: Iterable[Subject] = (),
) -> Document:
    """Return root metadata with other members in some top-level roles, that lifts these revocations as well.

    What ``base`` lifts stays lifted (SPEC 5.4-4).
    """
    members = {role: roles.of(base, role) for role in metadata.TOP_LEVEL}
    days = {role: roles.expiry_days(base, role) for role in metadata.TOP_LEVEL}
    return _root(version, {**members, **changed}, days, now, root.lifted(base) | frozenset(lift))


def same_bundler(root: Document, authority: Document) -> bool:
    """Tell whether root (snapshot, timestamp) and targets (delegation) name the same bundler keys."""
    delegated = set(roles.of(authority, BUNDLER).by_id())
    return all(set(roles.of(root, role).by_id()) == delegated for role in (SNAPSHOT, TIMESTAMP))


# -- what signers see ----------------------------------------------------------------------------------------------


def differences(
    role: str, old: Document | None, new: Document, names: Names = MappingProxyType({})
) -> list[str]:
    """Return what a change does, one line each, from the published document (None at the start) to the new one.

    ``names`` are those of what root lifts. What a changed list of revocations says is not in the metadata; see
    :func:`airlift.trust.tuf.revocation_lists.differences`.
    """
    lines = [f"{LABELS[role]} metadata version: {_of(old, 'version')} -> {_of(new, 'version')}"]
    lines.append(f"expires: {_of(old, 'expires')} -> {_of(new, 'expires')}")
    if role == ROOT:
        for name in metadata.TOP_LEVEL:
            lines += _role_differences(name, old, new)
        lines += revocation_lists.lifted_differences(old, new, names)
    else:
        lines += _role_differences(BUNDLER, old, new)
        lines += _target_differences(old, new)
    return lines


def changed_targets(old: Document | None, new: Document) -> tuple[str, ...]:
    """Return the names of targets that are new or differ: those whose documents a signer must see."""
    before = {} if old is None else old["signed"].get("targets", {})
    after = new["signed"].get("targets", {})
    return tuple(sorted(name for name, entry in after.items() if before.get(name) != entry))


def recheck(old: Document | None, new: Document, documents: Mapping[str, bytes]) -> None:
    """Check that ``documents`` holds every changed target with the length and digest that is to be signed.

    Raises:
        DigestError: a document is missing or differs.
    """
    listed = targets.listed(new, TARGETS) if "targets" in new["signed"] else {}
    for name in changed_targets(old, new):
        if name not in documents:
            raise DigestError(f"the document of {name} is missing: it cannot be checked before signing")
        listed[name].check_bytes(documents[name])


def _of(document: Document | None, field: str) -> str:
    return "none" if document is None else str(document["signed"][field])


def _role_differences(role: str, old: Document | None, new: Document) -> list[str]:
    before = None if old is None else roles.of(old, role)
    after = roles.of(new, role)
    known = () if before is None else before.members
    label = LABELS[role]
    lines = [f"{label} key removed: {member.describe()}" for member in known if member not in after.members]
    lines += [f"{label} key added: {member.describe()}" for member in after.members if member not in known]
    if before is None or before.threshold != after.threshold:
        was = "none" if before is None else f"{before.threshold} of {len(before.members)}"
        lines.append(f"{label} threshold: {was} -> {after.threshold} of {len(after.members)}")
    days = (None if old is None else roles.expiry_days(old, role), roles.expiry_days(new, role))
    if days[0] != days[1]:
        lines.append(f"{label} metadata is valid for: {days[0] or 'none'} -> {days[1]} days")
    return lines


def _target_differences(old: Document | None, new: Document) -> list[str]:
    before = {} if old is None else targets.listed(old, TARGETS)
    after = targets.listed(new, TARGETS)
    lines = [f"target removed: {name}" for name in sorted(set(before) - set(after))]
    for name in changed_targets(old, new):
        verb = "changed" if name in before else "added"
        lines.append(f"target {verb}: {_describe(after[name])}")
    return lines


def _describe(target: Target) -> str:
    return f"{target.name} ({target.length:,} bytes, SHA-512 {target.sha512})"


# -- documents -----------------------------------------------------------------------------------------------------


def _root(
    version: int,
    members: Mapping[str, RoleKeys],
    days: Mapping[str, int],
    now: datetime,
    lifted: Iterable[Subject] = (),
) -> Document:
    if any(members[role].threshold != 1 for role in (SNAPSHOT, TIMESTAMP)):
        raise UsageError("the bundler signs alone: its threshold must be 1")
    fields: dict[str, Any] = {
        "consistent_snapshot": True,
        "keys": roles.key_table(members.values()),
        "roles": {role: roles.entry(members[role], days[role]) for role in metadata.TOP_LEVEL},
    }
    listed = [subject.to_json() for subject in sorted(lifted)]
    if listed:
        fields[LIFTED] = listed
    return signed(ROOT, version, days[ROOT], now, fields)


def _delegations(bundler: RoleKeys, days: int) -> dict[str, Any]:
    shape = {"name": BUNDLER, "terminating": True, "paths": metadata.BUNDLE_PATHS}
    return {"keys": roles.key_table([bundler]), "roles": [{**shape, **roles.entry(bundler, days)}]}


def _targets(
    version: int, entries: Mapping[str, Any], delegations: Mapping[str, Any], days: int, now: datetime
) -> Document:
    fields = {"targets": dict(entries), "delegations": dict(delegations)}
    return signed(TARGETS, version, days, now, fields)


def union(*quorums: RoleKeys) -> dict[str, Member]:
    """Return all members of some roles by key id."""
    return {key_id: member for role in quorums for key_id, member in role.by_id().items()}


def signers_of(quorums: Iterable[RoleKeys], document: Document) -> tuple[str, ...]:
    """Return the key ids of members of any of ``quorums`` whose signature over ``document`` verifies, sorted."""
    return tuple(sorted({key_id for role in quorums for key_id in role.signers(document)}))
