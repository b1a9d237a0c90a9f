"""List what a depot holds: releases, outstanding bundles, enclaves."""

from dataclasses import dataclass

from airlift.bundle import remarks
from airlift.low.authority.pending import pending_releases
from airlift.low.depot import attestation_index, enclaves, outstanding
from airlift.low.depot.depot import Depot
from airlift.low.depot.enclaves import Acknowledged
from airlift.trust.statements.statement import STATING, Statement

PUBLISHED, PENDING, DROPPED = "published", "pending", "dropped"


@dataclass(frozen=True, slots=True)
class ListedRelease:
    """A release; ``state`` is published, pending, or dropped (its change was replaced before it was signed).

    ``remarks`` are what people must know of its components beside their names (waivers, markings, what was left out);
    ``attestations`` are the kinds of those that bundles of it carry, with what they say.
    """

    release: str
    digest: str
    state: str
    marking: str
    components: tuple[str, ...]
    files: int
    bytes: int
    attestations: tuple[str, ...]
    remarks: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ListedBundle:
    """An outstanding bundle; ``target`` and ``baseline`` are names of releases."""

    bundle: str
    digest: str
    sequence: int
    issued: str
    enclave: str | None
    target: str | None
    baseline: str | None
    chunks: int
    chunk_bytes: int


@dataclass(frozen=True, slots=True)
class ListedEnclave:
    """An enrolled enclave and the newest release of this depot that it acknowledged."""

    enclave: str
    fingerprint: str
    acknowledged: str | None
    known_by: str | None


@dataclass(frozen=True, slots=True)
class Listing:
    """Everything, oldest first."""

    releases: tuple[ListedRelease, ...]
    bundles: tuple[ListedBundle, ...]
    enclaves: tuple[ListedEnclave, ...]


def listing(depot: Depot) -> Listing:
    """Return what the depot holds; nothing is changed.

    Raises:
        DigestError, UncheckedError: a document of the depot is damaged or missing.
    """
    return Listing(_releases(depot), _bundles(depot), _enclaves(depot))


def _releases(depot: Depot) -> tuple[ListedRelease, ...]:
    pending = {release.digest for release in pending_releases(depot)}
    found = []
    for reference in depot.releases():
        release = depot.load_release(reference.digest)
        state = PUBLISHED if depot.is_published(release.digest) else PENDING
        if state == PENDING and release.digest not in pending:
            state = DROPPED
        contents = release.contents()
        found.append(
            ListedRelease(
                release=release.label,
                digest=release.digest,
                state=state,
                marking=str(release.marking),
                components=tuple(
                    f"{item.name} {item.version}{remarks.tag(item)}" for item in release.components
                ),
                remarks=remarks.of_release(release),
                files=sum(1 for _ in release.files()),
                bytes=sum(contents.values()),
                attestations=tuple(
                    _said(item.statement) for item in attestation_index.load(depot, release.digest)
                ),
            )
        )
    return tuple(found)


def _said(stated: Statement) -> str:
    """Return the kind of a statement, and whether it passes if it is of a kind that judges."""
    verdict = "passes" if stated.passes else "does not pass"
    return stated.kind if stated.kind in STATING else f"{stated.kind} {verdict}"


def _bundles(depot: Depot) -> tuple[ListedBundle, ...]:
    return tuple(
        ListedBundle(
            bundle=item.bundle.id,
            digest=item.bundle.digest,
            sequence=item.bundle.sequence,
            issued=item.bundle.issued,
            enclave=item.bundle.enclave,
            target=item.bundle.target.label if item.bundle.target else None,
            baseline=item.bundle.baseline.label if item.bundle.baseline else None,
            chunks=len(item.bundle.chunks),
            chunk_bytes=sum(chunk.size for chunk in item.bundle.chunks),
        )
        for item in outstanding.load(depot)
    )


def _enclaves(depot: Depot) -> tuple[ListedEnclave, ...]:
    labels = {reference.digest: reference.label for reference in depot.releases()}
    return tuple(
        ListedEnclave(
            name,
            enclaves.load(depot, name).fingerprint,
            *_acknowledged(enclaves.newest_acknowledged(depot, name), labels),
        )
        for name in enclaves.names(depot)
    )


def _acknowledged(newest: Acknowledged | None, labels: dict[str, str]) -> tuple[str | None, str | None]:
    return (None, None) if newest is None else (labels[newest.release], newest.known_by)
