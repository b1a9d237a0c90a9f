"""List what a depot holds: releases, outstanding bundles, enclaves, and what is revoked."""

from dataclasses import dataclass

from airlift.bundle import remarks
from airlift.bundle.manifest import Bundle
from airlift.low.authority.pending import pending_releases
from airlift.low.depot import attestation_index, enclaves, outstanding, revoked
from airlift.low.depot.depot import Depot
from airlift.low.depot.enclaves import EnclaveRecord
from airlift.low.depot.revoked import InForce
from airlift.low.returns.check_newer import head_of
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
    """An outstanding bundle; ``target`` and ``baseline`` are names of releases, ``enclaves`` several of them."""

    bundle: str
    digest: str
    sequence: int
    issued: str
    enclave: str | None
    target: str | None
    baseline: str | None
    chunks: int
    chunk_bytes: int
    enclaves: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ListedEnclave:
    """An enrolled enclave; ``acknowledged`` is the newest release of this depot that it is known to hold.

    ``holds`` are all of these, oldest first. ``since`` when (UTC) and how (receipt, operator) the newest is known.
    ``outstanding`` are bundles that it may import and is not known to have. ``ledger`` is the size of the newest
    checkpoint that it signed, ``word`` that of a newer one that was typed.
    """

    enclave: str
    fingerprint: str
    acknowledged: str | None
    known_by: str | None
    since: str | None = None
    holds: tuple[str, ...] = ()
    outstanding: tuple[str, ...] = ()
    ledger: int | None = None
    word: int | None = None


@dataclass(frozen=True, slots=True)
class Listing:
    """Everything, oldest first; revocations as the list has them."""

    releases: tuple[ListedRelease, ...]
    bundles: tuple[ListedBundle, ...]
    enclaves: tuple[ListedEnclave, ...]
    revocations: tuple[InForce, ...]


def listing(depot: Depot) -> Listing:
    """Return what the depot holds; nothing is changed.

    Raises:
        DigestError, UncheckedError: a document of the depot is damaged or missing.
    """
    return Listing(_releases(depot), _bundles(depot), _enclaves(depot), revoked.named(depot))


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
            enclaves=item.bundle.enclaves if item.bundle.portions else (),
        )
        for item in outstanding.load(depot)
    )


def _enclaves(depot: Depot) -> tuple[ListedEnclave, ...]:
    labels = {reference.digest: reference.label for reference in depot.releases()}
    under_way = [item.bundle for item in outstanding.load(depot)]
    found = [enclaves.load(depot, name) for name in enclaves.names(depot)]
    return tuple(_enclave(record, labels, under_way) for record in found)


def _enclave(record: EnclaveRecord, labels: dict[str, str], under_way: list[Bundle]) -> ListedEnclave:
    held = [item for item in record.acknowledged if item.release in labels]
    newest = held[-1] if held else None
    return ListedEnclave(
        enclave=record.enclave,
        fingerprint=record.fingerprint,
        acknowledged=labels[newest.release] if newest else None,
        known_by=newest.known_by if newest else None,
        since=newest.time if newest else None,
        holds=tuple(labels[item.release] for item in held),
        outstanding=tuple(bundle.id for bundle in under_way if _is_awaited(bundle, record)),
        ledger=head_of(record.newest).size if record.newest else None,
        word=record.word.size if record.word else None,
    )


def _is_awaited(bundle: Bundle, record: EnclaveRecord) -> bool:
    """Say whether an enclave may import a bundle and is not known to have done so (SPEC L6.6)."""
    if not bundle.is_for(record.enclave):
        return False
    if bundle.target is None:
        return record.newest is None or bundle.sequence > record.newest.sequence
    return bundle.target.digest not in {item.release for item in record.acknowledged}
