"""Root metadata: its fingerprint and summary for people, what it lifts, the check before it is pinned (SPEC 4.4)."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

from airlift.bundle.revocations import Subject
from airlift.trust.keys.public import canonical
from airlift.trust.tuf import metadata, roles
from airlift.trust.tuf.roles import Document, RoleKeys


@dataclass(frozen=True, slots=True)
class RootSummary:
    """What a root says: its members and thresholds by role, and its expiry time in UTC (``YYYY-MM-DDTHH:MM:SSZ``)."""

    version: int
    fingerprint: str
    expires: str
    roles: Mapping[str, RoleKeys]


def fingerprint(data: bytes) -> str:
    """Return SHA-384 in hex of the canonical signed portion: the same however many signatures there are.

    Raises:
        MalformedError, SignatureError: ``data`` is no acceptable root metadata.
    """
    return hashlib.sha384(canonical(metadata.check(metadata.ROOT, data)["signed"])).hexdigest()


def inspect_root(data: bytes) -> RootSummary:
    """Return what a root says, without judging its signatures.

    Raises:
        MalformedError, SignatureError: ``data`` is no acceptable root metadata.
    """
    document = metadata.check(metadata.ROOT, data)
    return RootSummary(
        metadata.version_of(document),
        fingerprint(data),
        document["signed"]["expires"],
        {name: roles.of(document, name) for name in metadata.TOP_LEVEL},
    )


def lifted(root: bytes | Document) -> frozenset[Subject]:
    """Return the revocations that are not in force any more, as the members of root decided (SPEC 5.4-4).

    ``root`` is a file, or a document that was checked; its signatures are not judged.

    Raises:
        MalformedError, SignatureError: the file is no acceptable root metadata.
    """
    document = metadata.check(metadata.ROOT, root) if isinstance(root, bytes) else root
    listed = document["signed"].get(metadata.LIFTED, [])
    return frozenset(Subject.from_json(item, metadata.LIFTED) for item in listed)


def verify_self_signed(data: bytes) -> RootSummary:
    """Return what a root says if it is signed by its own threshold: the condition for pinning it.

    Raises:
        MalformedError, SignatureError: it is no acceptable root metadata, or not signed by itself.
    """
    document = metadata.check(metadata.ROOT, data)
    roles.of(document, metadata.ROOT).demand(document, "root metadata")
    return inspect_root(data)
