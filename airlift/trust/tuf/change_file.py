"""A pending change as a file, for signers on other machines (SPEC 4.3.4).

The file holds the pending document, the published one to compare with, the roots that say who may sign, and the
documents behind changed targets, so that a signer sees and re-checks all that is signed. Where the list of
revocations changes, it also holds the published list, so that what leaves it is seen. It comes from another machine
and is parsed as such.
"""

import base64
import binascii
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from airlift import strict
from airlift.bundle import revocations
from airlift.errors import DigestError, FormatTooNewError, MalformedError, UsageError
from airlift.trust.keys.public import Signer
from airlift.trust.tuf import change, metadata, publication, revocation_lists, roles, targets
from airlift.trust.tuf.metadata import ROOT, TARGETS
from airlift.trust.tuf.metadata_store import MetadataStore
from airlift.trust.tuf.publication import SigningStatus
from airlift.trust.tuf.roles import Document, RoleKeys

MAX_BYTES = 128 << 20
FORMAT = 1
WITH_LIST = 2
"""The format of a file in which the list of revocations changes."""

_KEYS = frozenset({"airlift", "kind", "role", "pending", "published", "roots", "documents"})
_KIND = "change"
_LISTED = "revocations"


@dataclass(frozen=True, slots=True)
class Change:
    """A parsed change file; ``roots`` are one or two root documents, ``documents`` bytes by target name.

    ``listed`` is the published list of revocations if that is to change, else None.
    """

    role: str
    pending: Document
    published: Document | None
    roots: tuple[Document, ...]
    documents: Mapping[str, bytes]
    listed: bytes | None = None

    @property
    def changes_list(self) -> bool:
        """Whether the list of revocations is to change."""
        return self.role == TARGETS and revocation_lists.is_changed(self.published, self.pending)

    def lists(self) -> tuple[bytes, bytes] | None:
        """Return the published and the new list of revocations if it changes.

        Raises:
            DigestError: one of them is missing.
        """
        if not self.changes_list:
            return None
        before = self.listed
        after = self.documents.get(targets.REVOCATIONS)
        if revocation_lists.target_of(self.pending) is None:
            after = revocations.format(())
        if before is None or after is None:
            raise DigestError("the list of revocations is missing: it cannot be checked before signing")
        return before, after

    def quorums(self) -> list[RoleKeys]:
        """Return the groups of members whose signatures the change may need."""
        if self.role == TARGETS:
            return [roles.of(root, TARGETS) for root in self.roots]
        return [roles.of(root, ROOT) for root in (self.published, self.pending) if root is not None]


def export_change(store: MetadataStore, role: str, documents: Mapping[str, bytes]) -> bytes:
    """Return the pending change of root or targets as a file; ``documents`` are those behind its changed targets.

    Raises:
        DigestError: a document is missing or differs.
        UsageError: no change of the role is pending.
    """
    publication.settle(store)
    pending = store.pending(role)
    if pending is None:
        raise UsageError(f"no change of {role} metadata is pending", hint="see `airlift low status`")
    published = store.newest(role)
    wanted = {
        name: documents[name] for name in change.changed_targets(published, pending) if name in documents
    }
    change.recheck(published, pending, wanted)
    made = Change(role, pending, published, tuple(publication.authorities(store)), wanted)
    return _format(replace(made, listed=store.revocations(published)) if made.changes_list else made)


def change_differences(data: bytes) -> list[str]:
    """Return what an exported change does, one line each.

    Raises:
        MalformedError, SignatureError: it is no acceptable change file.
    """
    parsed = parse(data)
    lines = change.differences(parsed.role, parsed.published, parsed.pending)
    lists = parsed.lists()
    if lists is not None:
        before, after = (revocations.parse(listed) for listed in lists)
        lines += revocation_lists.differences(before, after, {})
    return lines


def sign_change(data: bytes, signers: Sequence[Signer]) -> bytes:
    """Return an exported change with more signatures, after checking every changed target against its document.

    Raises:
        DigestError: a document is missing or is not what would be signed.
        KeyUnavailableError: a key is no member of the role.
        RefusedError: the list of revocations lacks one that no root lifts.
        MalformedError, SignatureError: it is no acceptable change file.
    """
    parsed = parse(data)
    change.recheck(parsed.published, parsed.pending, parsed.documents)
    publication.check_members(parsed.quorums(), signers)
    lists = parsed.lists()
    if lists is not None:
        revocation_lists.check_lifted(revocation_lists.left_out(*lists), parsed.roots)
    pending = parsed.pending
    for signer in signers:
        pending = roles.sign(pending, signer)
    return _format(replace(parsed, pending=pending))


def merge_change(store: MetadataStore, data: bytes) -> SigningStatus:
    """Take the signatures of an exported change into the depot; it is published when its thresholds are met.

    Raises:
        PendingError: the change is not the one that is pending here.
        SignatureError: one of its signatures is by no member, or does not verify.
        MalformedError: it is no acceptable change file.
    """
    parsed = parse(data)
    return publication.merge(store, parsed.role, parsed.pending)


def parse(data: bytes) -> Change:
    """Parse a change file of at most 128 MiB.

    Raises:
        FormatTooNewError: a newer airlift wrote it.
        MalformedError, SignatureError: it is not acceptable.
    """
    what = "change file"
    fields = strict.only(strict.parse(data, limit=MAX_BYTES, what=what), _KEYS | {_LISTED}, what)
    number = strict.member(fields, "airlift", int, what)
    if number > WITH_LIST:
        raise FormatTooNewError(f"{what} has a newer format", expected=str(WITH_LIST), found=str(number))
    if (
        number != (WITH_LIST if _LISTED in fields else FORMAT)
        or strict.member(fields, "kind", str, what) != _KIND
    ):
        raise MalformedError("not a change file of this format")
    role = strict.member(fields, "role", str, what)
    if role not in {ROOT, TARGETS}:
        raise MalformedError(f"{what} is of an unknown role", found=ascii(role[:40]))
    roots = strict.member(fields, "roots", list, what)
    if not 1 <= len(roots) <= 2:
        raise MalformedError(f"{what} must hold one or two roots")
    published = fields.get("published")
    found = Change(
        role,
        _document(role, strict.member(fields, "pending", dict, what)),
        None if published is None else _document(role, published),
        tuple(_document(ROOT, root) for root in roots),
        _documents(strict.member(fields, "documents", dict, what)),
    )
    if _LISTED not in fields:
        return found
    return _with_list(found, _decode(strict.member(fields, _LISTED, str, what), _LISTED))


# -- inside --------------------------------------------------------------------------------------------------------


def _with_list(found: Change, listed: bytes) -> Change:
    """Add the published list of revocations, which must be the one that was signed."""
    target = revocation_lists.target_of(found.published)
    if target is None or not found.changes_list:
        raise MalformedError("a change file holds a list of revocations that does not change")
    target.check_bytes(listed)
    return replace(found, listed=listed)


def _document(role: str, value: Any) -> Document:
    return metadata.check(role, strict.format(value))


def _documents(values: Mapping[str, Any]) -> dict[str, bytes]:
    documents = {}
    for name in values:
        metadata.check_target_name(TARGETS, name)
        documents[name] = _decode(strict.member(values, name, str, "change file"), name)
    return documents


def _decode(text: str, what: str) -> bytes:
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise MalformedError(f"document {what} of a change file is not base64") from error
    if base64.b64encode(data).decode() != text:
        raise MalformedError(f"document {what} of a change file is not canonical base64")
    return data


def _format(parsed: Change) -> bytes:
    documents = {name: base64.b64encode(data).decode() for name, data in parsed.documents.items()}
    more = {} if parsed.listed is None else {_LISTED: base64.b64encode(parsed.listed).decode()}
    return strict.format(
        {
            "airlift": WITH_LIST if more else FORMAT,
            "kind": _KIND,
            "role": parsed.role,
            "pending": parsed.pending,
            "published": parsed.published,
            "roots": list(parsed.roots),
            "documents": documents,
            **more,
        }
    )
