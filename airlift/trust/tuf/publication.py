"""Collect signatures over pending changes, and publish those that have enough (SPEC 4.3). Low side.

A change is published by whichever signature meets its thresholds, if the result fits together: targets signed by the
release authority that root names, one set of bundler keys in both. Changes that need each other (a new bundler key, a
release key that must sign anew) are published together. A list of revocations that lacks one of the published list is
published with or after a root that lifts it, never before (SPEC 5.4-4).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType

from airlift.bundle import revocations
from airlift.bundle.revocations import Subject
from airlift.errors import (
    ExpiredError,
    KeyUnavailableError,
    PendingError,
    SignatureError,
    UsageError,
)
from airlift.trust.keys.public import Signer
from airlift.trust.tuf import change, metadata, revocation_lists, roles
from airlift.trust.tuf import root as root_metadata
from airlift.trust.tuf.metadata import ROOT, TARGETS, file_name
from airlift.trust.tuf.metadata_store import MetadataStore, encode
from airlift.trust.tuf.revocation_lists import Names
from airlift.trust.tuf.roles import Document, RoleKeys


@dataclass(frozen=True, slots=True)
class SigningStatus:
    """How far a change has come: valid ``signatures``, those still ``missing``, and by whom (``key_ids``).

    A root that replaces root keys needs the thresholds of the old and the new root; ``missing`` is the larger lack.
    ``waits_for`` names the role whose change must be signed first, when the thresholds are met but nothing can be
    published yet.
    """

    role: str
    version: int
    signatures: int
    threshold: int
    missing: int
    published: bool
    key_ids: tuple[str, ...]
    waits_for: str | None


def sign(
    store: MetadataStore,
    role: str,
    signers: Sequence[Signer],
    now: datetime,
    documents: Mapping[str, bytes] | None = None,
) -> SigningStatus:
    """Sign the pending change of root or targets; it is published when its thresholds are met.

    With ``documents`` (by target name) each changed target is checked against its document first. If nothing is
    pending because an interrupted command had all signatures already, that counts as done.

    Raises:
        DigestError: a document is missing or is not what would be signed.
        ExpiredError: the change has expired while it was pending.
        KeyUnavailableError: a key is no member of the role; nothing was signed.
        RefusedError: the list of revocations lacks one that no root lifts; nothing was signed.
        UsageError: no change of the role is pending.
    """
    settle(store)
    done = _done(store, role, {signer.public.key_id for signer in signers})
    if done is not None:
        return done
    pending = _pending(store, role)
    if metadata.expiry_of(pending) <= now:
        raise ExpiredError(
            "the change expired before it was published", hint="propose it again with --replace"
        )
    if documents is not None:
        change.recheck(store.newest(role), pending, documents)
    check_members(_quorums(store, role, pending), signers)
    if role == TARGETS:
        revocation_lists.check_lifted(_left_out(store, pending), authorities(store))
    for signer in signers:
        pending = roles.sign(pending, signer)
    store.write_pending(role, pending)
    settle(store)
    return _status(store, role, pending)


def merge(store: MetadataStore, role: str, other: Document) -> SigningStatus:
    """Add the signatures of ``other``, a copy of the pending change that was signed elsewhere; all must be good.

    Raises:
        PendingError: ``other`` is not the change that is pending here, nor the one that was published last.
        SignatureError: a signature is by no member, or does not verify; nothing was added.
    """
    settle(store)
    pending, published = store.pending(role), store.newest(role)
    if published is not None and published["signed"] == other["signed"]:
        return _status(store, role, published)
    if pending is None or pending["signed"] != other["signed"]:
        raise PendingError(
            f"the file does not hold the change of {role} metadata that is pending here",
            hint="export the pending change again and have that one signed",
        )
    known = {entry["keyid"]: entry for document in (pending, other) for entry in document["signatures"]}
    merged = {"signatures": [known[key_id] for key_id in sorted(known)], "signed": pending["signed"]}
    bad = set(known) - set(change.signers_of(_quorums(store, role, pending), merged))
    if bad:
        raise SignatureError("a signature is by no member of the role, or does not verify", found=min(bad))
    store.write_pending(role, merged)
    settle(store)
    return _status(store, role, merged)


def status(store: MetadataStore, role: str) -> SigningStatus | None:
    """Return how far the pending change of root or targets has come, or None if there is none."""
    pending = store.pending(role)
    return None if pending is None else _status(store, role, pending)


def differences(store: MetadataStore, role: str) -> list[str]:
    """Return what the pending change of root or targets does, one line each.

    Raises:
        UsageError: no change of the role is pending.
    """
    return describe(store, role, _pending(store, role))


def describe(
    store: MetadataStore, role: str, pending: Document, names: Names = MappingProxyType({})
) -> list[str]:
    """Return what a change of root or targets does, a changed list of revocations included, one line each.

    ``names`` are what people call the things that are revoked. Nothing is changed.

    Raises:
        DigestError, UncheckedError: a list of revocations is missing or has changed.
    """
    published = store.newest(role)
    lines = change.differences(role, published, pending, names)
    if role == TARGETS and revocation_lists.is_changed(published, pending):
        before, after = (revocations.parse(data) for data in _lists(store, pending))
        lines += revocation_lists.differences(before, after, names)
    return lines


def settle(store: MetadataStore) -> tuple[str, ...]:
    """Publish pending changes that are fully signed and fit; return their roles.

    Also finishes what an interrupted command began, so every command that changes the depot's metadata calls it.
    """
    pending = _without_published(store)
    for candidate in ((ROOT, TARGETS), (ROOT,), (TARGETS,)):
        chosen = {role: pending[role] for role in candidate if role in pending}
        if len(chosen) == len(candidate) and _publishable(store, chosen):
            for role, document in chosen.items():
                name = file_name(role, metadata.version_of(document))
                store.write({name: encode(role, document)})
            for role in chosen:
                store.drop_pending(role)
            return candidate
    return ()


def check_members(quorums: Sequence[RoleKeys], signers: Sequence[Signer]) -> None:
    """Raise KeyUnavailableError if a signer is a member of none of ``quorums``."""
    members = change.union(*quorums)
    for signer in signers:
        if signer.public.key_id not in members:
            raise KeyUnavailableError(
                "the key is no member of the role that must sign",
                expected=", ".join(sorted(member.holder for member in members.values())),
                found=f"{signer.public.scheme}, fingerprint {signer.public.fingerprint}",
                hint="sign with a member's key",
            )


def authorities(store: MetadataStore) -> list[Document]:
    """Return the roots that say who may sign: the published one and the pending one, where there are any."""
    return [root for root in (store.newest(ROOT), store.pending(ROOT)) if root is not None]


# -- publishing ----------------------------------------------------------------------------------------------------


def _pending(store: MetadataStore, role: str) -> Document:
    settle(store)
    pending = store.pending(role)
    if pending is None:
        raise UsageError(f"no change of {role} metadata is pending", hint="see `airlift low status`")
    return pending


def _done(store: MetadataStore, role: str, key_ids: set[str]) -> SigningStatus | None:
    """Return the status of the newest published metadata if nothing is pending and all of ``key_ids`` signed it."""
    published = store.newest(role)
    if store.pending(role) is not None or published is None or not key_ids:
        return None
    signed = {entry["keyid"] for entry in published["signatures"]}
    return _status(store, role, published) if key_ids <= signed else None


def _without_published(store: MetadataStore) -> dict[str, Document]:
    """Return the pending changes by role after removing those that an interrupted command has published."""
    found = {}
    for role in (ROOT, TARGETS):
        pending, published = store.pending(role), store.newest(role)
        if pending is None:
            continue
        if published is not None and published["signed"] == pending["signed"]:
            store.drop_pending(role)
        else:
            found[role] = pending
    return found


def _publishable(store: MetadataStore, chosen: Mapping[str, Document]) -> bool:
    """Tell whether the depot's metadata fits together once ``chosen`` is published."""
    previous, published = store.newest(ROOT), store.newest(TARGETS)
    root, authority = chosen.get(ROOT, previous), chosen.get(TARGETS, published)
    if root is None:
        return False
    quorums = [(roles.of(root, ROOT), root)]
    if previous is not None and root is not previous:
        quorums.append((roles.of(previous, ROOT), root))
    if authority is not None:
        quorums.append((roles.of(root, TARGETS), authority))
        if not change.same_bundler(root, authority):
            return False
    if any(quorum.missing(document) for quorum, document in quorums):
        return False
    gone = _left_out(store, chosen[TARGETS]) if TARGETS in chosen else frozenset()
    return gone <= root_metadata.lifted(root)


def _left_out(store: MetadataStore, pending: Document) -> frozenset[Subject]:
    """Return the published revocations that a change of targets leaves out."""
    if not revocation_lists.is_changed(store.newest(TARGETS), pending):
        return frozenset()
    return revocation_lists.left_out(*_lists(store, pending))


def _lists(store: MetadataStore, pending: Document) -> tuple[bytes, bytes]:
    """Return the published and the pending list of revocations; one that is not named any more is empty."""
    nothing = revocations.format(())
    return store.revocations(store.newest(TARGETS)) or nothing, store.revocations(pending) or nothing


def _quorums(store: MetadataStore, role: str, pending: Document) -> list[RoleKeys]:
    """Return the groups of members whose signatures a change of ``role`` may need."""
    if role == ROOT:
        previous = store.newest(ROOT)
        return [roles.of(root, ROOT) for root in (previous, pending) if root is not None]
    return [roles.of(root, TARGETS) for root in authorities(store)]


def _status(store: MetadataStore, role: str, document: Document) -> SigningStatus:
    published = store.newest(role)
    done = published is not None and metadata.version_of(published) >= metadata.version_of(document)
    quorums = _quorums(store, role, document)
    needed = quorums if role == ROOT else quorums[-1:]
    signers = change.signers_of(quorums, document)
    missing = 0 if done else max(quorum.missing(document) for quorum in needed)
    waits = (TARGETS if role == ROOT else ROOT) if not done and not missing else None
    return SigningStatus(
        role=role,
        version=metadata.version_of(document),
        signatures=len(signers),
        threshold=max(quorum.threshold for quorum in needed),
        missing=missing,
        published=done,
        key_ids=signers,
        waits_for=waits,
    )
