"""A pending change as a file, for signers on other machines (SPEC 4.3.4).

The file holds the pending document, the published one to compare with, the roots that say who may sign, and the
documents behind changed targets, so that a signer sees and re-checks all that is signed. It comes from another
machine and is parsed as such.
"""

import base64
import binascii
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from airlift import strict
from airlift.errors import MalformedError, UsageError
from airlift.trust.keys.public import Signer
from airlift.trust.tuf import change, metadata, publication, roles
from airlift.trust.tuf.metadata import ROOT, TARGETS
from airlift.trust.tuf.metadata_store import MetadataStore
from airlift.trust.tuf.publication import SigningStatus
from airlift.trust.tuf.roles import Document, RoleKeys

MAX_BYTES = 128 << 20
FORMAT = 1
_KEYS = frozenset({"airlift", "kind", "role", "pending", "published", "roots", "documents"})
_KIND = "change"


@dataclass(frozen=True, slots=True)
class Change:
    """A parsed change file; ``roots`` are one or two root documents, ``documents`` bytes by target name."""

    role: str
    pending: Document
    published: Document | None
    roots: tuple[Document, ...]
    documents: Mapping[str, bytes]

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
    return _format(Change(role, pending, published, tuple(publication.authorities(store)), wanted))


def change_differences(data: bytes) -> list[str]:
    """Return what an exported change does, one line each.

    Raises:
        MalformedError, SignatureError: it is no acceptable change file.
    """
    parsed = parse(data)
    return change.differences(parsed.role, parsed.published, parsed.pending)


def sign_change(data: bytes, signers: Sequence[Signer]) -> bytes:
    """Return an exported change with more signatures, after checking every changed target against its document.

    Raises:
        DigestError: a document is missing or is not what would be signed.
        KeyUnavailableError: a key is no member of the role.
        MalformedError, SignatureError: it is no acceptable change file.
    """
    parsed = parse(data)
    change.recheck(parsed.published, parsed.pending, parsed.documents)
    publication.check_members(parsed.quorums(), signers)
    pending = parsed.pending
    for signer in signers:
        pending = roles.sign(pending, signer)
    return _format(Change(parsed.role, pending, parsed.published, parsed.roots, parsed.documents))


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
        MalformedError, SignatureError: it is not acceptable.
    """
    what = "change file"
    fields = strict.only(strict.parse(data, limit=MAX_BYTES, what=what), _KEYS, what)
    if (
        strict.member(fields, "airlift", int, what) != FORMAT
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
    return Change(
        role,
        _document(role, strict.member(fields, "pending", dict, what)),
        None if published is None else _document(role, published),
        tuple(_document(ROOT, root) for root in roots),
        _documents(strict.member(fields, "documents", dict, what)),
    )


# -- inside --------------------------------------------------------------------------------------------------------


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
    return strict.format(
        {
            "airlift": FORMAT,
            "kind": _KIND,
            "role": parsed.role,
            "pending": parsed.pending,
            "published": parsed.published,
            "roots": list(parsed.roots),
            "documents": documents,
        }
    )
