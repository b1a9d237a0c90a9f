"""Tell how a depot stands: its authorities, what waits for signatures, what expires."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from airlift import files
from airlift.low.authority.pending import Change, pending_changes
from airlift.low.depot import enclaves, revoked
from airlift.low.depot.depot import Depot
from airlift.low.depot.revoked import InForce
from airlift.trust.tuf import bundling, change, metadata, roles, root
from airlift.trust.tuf.metadata import ROOT, SNAPSHOT, TARGETS, TIMESTAMP
from airlift.trust.tuf.metadata_store import encode
from airlift.trust.tuf.roles import BUNDLER, Document

WARN_DAYS = 30


@dataclass(frozen=True, slots=True)
class Role:
    """A role: its version and expiry (UTC) if it was ever signed, its members by holder, and its threshold."""

    role: str
    version: int | None
    expires: str | None
    members: tuple[str, ...]
    threshold: int


@dataclass(frozen=True, slots=True)
class Status:
    """How the depot stands: ``sequence`` of the newest bundle, ``fingerprint`` (SHA-384, hex) of the newest root.

    ``revocations`` are those in force.
    """

    depot: Path
    fingerprint: str | None
    roles: tuple[Role, ...]
    pending: tuple[Change, ...]
    sequence: int
    releases: int
    outstanding: int
    enclaves: tuple[str, ...]
    free_bytes: int
    revocations: tuple[InForce, ...]
    warnings: tuple[str, ...]


def status(depot: Depot, now: datetime) -> Status:
    """Return how the depot stands at ``now``; nothing is changed."""
    signed = _signed(depot)
    found = _roles(depot, signed)
    newest = depot.store.newest(ROOT)
    return Status(
        depot=depot.folder,
        fingerprint=None if newest is None else root.fingerprint(encode(ROOT, newest)),
        roles=found,
        pending=pending_changes(depot),
        sequence=bundling.sequence_of(depot.store),
        releases=len(depot.releases()),
        outstanding=len(bundling.outstanding(depot.store)),
        enclaves=enclaves.names(depot),
        free_bytes=files.free_bytes(depot.folder),
        revocations=revoked.named(depot),
        warnings=tuple(_warnings(signed, now)),
    )


def _signed(depot: Depot) -> dict[str, Document]:
    """Return the newest signed metadata by TUF role; root and targets may be newer than the last bundle's."""
    found = {role: depot.store.newest(role) for role in (ROOT, TARGETS)}
    committed = depot.store.committed() or {}
    found |= {role: committed.get(role) for role in (BUNDLER, SNAPSHOT, TIMESTAMP)}
    return {role: document for role, document in found.items() if document is not None}


def _roles(depot: Depot, signed: dict[str, Document]) -> tuple[Role, ...]:
    authority = depot.store.newest(ROOT) or depot.store.pending(ROOT)
    if authority is None:
        return ()
    named = []
    for role in (ROOT, TARGETS, TIMESTAMP):
        quorum = roles.of(authority, role)
        document = signed.get(role)
        named.append(
            Role(
                role=BUNDLER if role == TIMESTAMP else change.LABELS[role],
                version=None if document is None else metadata.version_of(document),
                expires=None if document is None else str(document["signed"]["expires"]),
                members=tuple(sorted(member.holder for member in quorum.members)),
                threshold=quorum.threshold,
            )
        )
    return tuple(named)


def _warnings(signed: dict[str, Document], now: datetime) -> list[str]:
    found = []
    for role, document in signed.items():
        left = metadata.expiry_of(document) - now
        label = change.LABELS[role]
        if left <= timedelta():
            found.append(f"{label} metadata expired on {document['signed']['expires']}")
        elif left < timedelta(days=WARN_DAYS):
            found.append(f"{label} metadata expires in {left.days} days")
    return found
