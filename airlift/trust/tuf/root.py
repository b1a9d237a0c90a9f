"""Root metadata: its fingerprint and summary for people, what it lifts, the check before it is pinned (SPEC 4.4)."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise

from airlift.bundle.revocations import Subject
from airlift.errors import AirliftError, TrustStateError
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


def check_chain(kept: Mapping[int, bytes], pinned: str) -> None:
    """Check that kept roots lead from the pinned one (its fingerprint) on, each signed as it must be (SPEC 4.4-3).

    Raises:
        TrustStateError: the first is another, one is missing in between, or one is not signed by both thresholds.
    """
    _check_chain(tuple(sorted(kept.items())), pinned)


@lru_cache(maxsize=4)
def _check_chain(kept: tuple[tuple[int, bytes], ...], pinned: str) -> None:
    """Check a chain; a command asks for the same one several times, and its signatures take a while to verify."""
    try:
        documents = [metadata.check(metadata.ROOT, data) for _, data in kept]
        found = fingerprint(kept[0][1])
        for before, document in pairwise(documents):
            for authority in (before, document):
                roles.of(authority, metadata.ROOT).demand(document, "a kept root")
    except AirliftError as error:
        raise TrustStateError(f"a kept root is damaged: {error.message}", found=error.found) from error
    if found != pinned:
        raise TrustStateError("the pinned root is not the one that was enrolled")
    versions = [metadata.version_of(document) for document in documents]
    if versions != list(range(versions[0], versions[0] + len(kept))) or versions != [n for n, _ in kept]:
        raise TrustStateError(
            "the kept roots are not one after the other",
            expected=f"versions from {versions[0]} on",
            found=", ".join(str(number) for number, _ in kept),
        )
