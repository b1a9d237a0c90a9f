"""What the depot knows by digest or key id, and what people call it: releases, components, files, keys."""

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass

from airlift.bundle.component import source as sources
from airlift.bundle.fields import is_hex
from airlift.bundle.release import Release
from airlift.bundle.revocations import COMPONENT, FILE, KEY, RELEASE
from airlift.low.depot import attestation_index, enclaves
from airlift.low.depot.depot import Depot
from airlift.trust.keys.public import PublicKey
from airlift.trust.statements.vendors import vendor_keys
from airlift.trust.tuf import metadata, roles
from airlift.trust.tuf.metadata import ROOT

NAMED = 3
"""How many names of one thing a line for people has."""


@dataclass(frozen=True, slots=True)
class Thing:
    """A thing of a kind that can be revoked: its digest or key id (hex), and one of its names."""

    kind: str
    digest: str
    name: str


def things(depot: Depot) -> Iterator[Thing]:
    """Yield everything that can be revoked and that this depot knows; what has several names comes several times.

    Raises:
        DigestError, UncheckedError: a document of the depot is damaged or missing.
    """
    yield from _members(depot)
    yield from _ledger_keys(depot)
    for reference in depot.releases():
        release = depot.load_release(reference.digest)
        yield from _of_release(release)
        for attestation in attestation_index.load(depot, release.digest):
            for line in attestation.envelope.signatures:
                if is_hex(line.keyid, 64):
                    yield Thing(KEY, line.keyid, f"{attestation.statement.kind} of {release.label}")


def names_of(depot: Depot, digests: Collection[str]) -> Mapping[str, tuple[str, ...]]:
    """Return the names of those of these digests and key ids that the depot knows, each name once."""
    found: dict[str, dict[str, None]] = {}
    for thing in things(depot) if digests else ():
        if thing.digest in digests:
            found.setdefault(thing.digest, {})[thing.name] = None
    return {digest: tuple(names) for digest, names in found.items()}


def shown(names: Mapping[str, Iterable[str]]) -> Mapping[str, str]:
    """Return names as a line for people has them."""
    return {digest: _joined(tuple(several)) for digest, several in names.items()}


def _joined(names: tuple[str, ...]) -> str:
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return ", ".join(names[:NAMED]) + more


def _members(depot: Depot) -> Iterator[Thing]:
    """Yield every member of every role that a published root ever named."""
    newest = depot.store.newest(ROOT)
    for version in range(1, metadata.version_of(newest) + 1 if newest else 1):
        for key_id, holder in roles.holders(depot.store.document(ROOT, version)).items():
            yield Thing(KEY, key_id, holder)


def _ledger_keys(depot: Depot) -> Iterator[Thing]:
    for enclave in enclaves.names(depot):
        pem = enclaves.load(depot, enclave).ledger_key
        yield Thing(KEY, PublicKey.from_pem(pem.encode()).key_id, f"ledger of {enclave}")


def _of_release(release: Release) -> Iterator[Thing]:
    yield Thing(RELEASE, release.digest, release.label)
    for component in release.components:
        label = f"{component.name}@{component.version}"
        yield Thing(COMPONENT, component.digest, label)
        for entry in component.files:
            for digest in (entry.sha512, entry.sha256):
                yield Thing(FILE, digest, f"{label}/{entry.path}")
        for parent in component.parents if sources.is_inside(component.source) else ():
            if parent.digest:
                yield Thing(COMPONENT, parent.digest, f"{parent.name}@{parent.version}")
    for name, key_ids in vendor_keys(release).items():
        for key_id in sorted(key_ids):
            yield Thing(KEY, key_id, f"vendor of {name}")
