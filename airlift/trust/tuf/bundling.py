"""The bundler's metadata: list bundles as outstanding, and sign fresh snapshot and timestamp (SPEC 4.3.5). Low side.

Each function that changes something writes ``N.bundler.json``, ``N.snapshot.json`` and, as its commit point,
``timestamp.json``, and takes up the newest published root and targets metadata.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from airlift.errors import ExistsError, ExpiredError, NotHeldError, UnpublishedError, UsageError
from airlift.trust.keys.public import MAX_SIGNATURE_BYTES, PublicKey, Signer
from airlift.trust.tuf import change, metadata, metadata_folder, publication, roles, targets
from airlift.trust.tuf.metadata import ROOT, SEQUENCE, SNAPSHOT, TARGETS, TIMESTAMP, file_name
from airlift.trust.tuf.metadata_store import MetadataStore, encode
from airlift.trust.tuf.roles import BUNDLER, Document
from airlift.trust.tuf.targets import Target


def publish_bundle(
    store: MetadataStore, target: Target, sequence: int, signer: Signer, now: datetime
) -> None:
    """List a bundle manifest as outstanding under the next sequence number.

    Raises:
        ExistsError: the sequence number was used, or the name with other content.
        KeyUnavailableError: the key is no bundler's.
        UnpublishedError: root or targets metadata still lack signatures.
        ExpiredError: root or targets metadata have expired.
    """
    metadata.check_target_name(BUNDLER, target.name)
    publication.settle(store)
    publication.check_members([roles.of(store.published(ROOT), TIMESTAMP)], [signer])
    listed, last = outstanding(store), sequence_of(store)
    if sequence <= last:
        raise ExistsError(f"bundle sequence {sequence} was used", expected=f"at least {last + 1}")
    if target.name in listed and listed[target.name].sha512 != target.sha512:
        raise ExistsError(f"{target.name} is listed with other content")
    store.write(_next(store, {**listed, target.name: target}, sequence, signer, now))


def withdraw(store: MetadataStore, name: str, signer: Signer, now: datetime) -> None:
    """Take a bundle off the list: from then on it can no longer be imported.

    Raises:
        NotHeldError: it is not listed.
        KeyUnavailableError, UnpublishedError, ExpiredError: as :func:`publish_bundle`.
    """
    listed = dict(outstanding(store))
    if name not in listed:
        raise NotHeldError(
            "the bundle is not outstanding", found=ascii(name[:100]), hint="see `airlift low list`"
        )
    del listed[name]
    list_bundles(store, listed, signer, now)


def list_bundles(store: MetadataStore, listed: Mapping[str, Target], signer: Signer, now: datetime) -> None:
    """Sign fresh metadata that lists these bundles as outstanding, with the newest published root and targets.

    Raises:
        KeyUnavailableError, UnpublishedError, ExpiredError: as :func:`publish_bundle`.
    """
    publication.settle(store)
    publication.check_members([roles.of(store.published(ROOT), TIMESTAMP)], [signer])
    store.write(_next(store, listed, sequence_of(store), signer, now))


def outstanding(store: MetadataStore) -> Mapping[str, Target]:
    """Return the bundles that may still be imported, by target name."""
    committed = store.committed()
    return {} if committed is None else targets.listed(committed[BUNDLER], BUNDLER)


def sequence_of(store: MetadataStore) -> int:
    """Return the highest bundle sequence ever used, 0 before the first."""
    committed = store.committed()
    return 0 if committed is None else int(committed[BUNDLER]["signed"][SEQUENCE])


def volume_files(store: MetadataStore) -> Mapping[str, bytes]:
    """Return everything that goes into the ``metadata`` folder of each volume, by file name.

    It is what the newest timestamp leads to: later roots and targets travel after the next bundle or renewal.

    Raises:
        UnpublishedError: nothing was bundled or renewed yet.
        SignatureError: the files in the depot do not verify.
        InventoryError: they do not belong together.
    """
    if store.committed() is None:
        raise UnpublishedError(
            "the depot has no bundle metadata", hint="bundle or renew first: airlift low renew"
        )
    return _named_files(store, store.raw(TIMESTAMP, None))


def earlier_files(store: MetadataStore, timestamp: bytes, now: datetime) -> Mapping[str, bytes]:
    """Return what :func:`volume_files` returned when this was the depot's timestamp, if that is still good.

    Raises:
        ExpiredError: part of it has expired.
        SignatureError: it was signed by keys that the newest root or targets metadata do not list any more.
        MalformedError, UncheckedError: it is no timestamp of this depot.
    """
    named = store.named_by(timestamp)
    _verify(store.published(ROOT), named)
    roles.of(store.published(TARGETS), BUNDLER).demand(
        named[BUNDLER], "bundler metadata of an earlier bundle"
    )
    root = store.document(ROOT, named[SNAPSHOT]["signed"][metadata.ROOT_VERSION])
    for role, document in {ROOT: root, **named}.items():
        if metadata.expiry_of(document) <= now:
            raise ExpiredError(
                f"the metadata of role {role} has expired",
                found=document["signed"]["expires"],
                hint="sign fresh metadata: `airlift low renew`",
            )
    return _named_files(store, timestamp)


def _named_files(store: MetadataStore, timestamp: bytes) -> Mapping[str, bytes]:
    """Return the files that a timestamp leads to, itself and the roots among them, verified."""
    committed = store.named_by(timestamp)
    newest = committed[SNAPSHOT]["signed"][metadata.ROOT_VERSION]
    _verify(store.document(ROOT, newest), committed)
    versions: dict[str, tuple[str, int | None]] = {
        file_name(ROOT, version): (ROOT, version) for version in range(1, newest + 1)
    }
    for role, document in committed.items():
        if role != TIMESTAMP:
            version = metadata.version_of(document)
            versions[file_name(role, version)] = (role, version)
    files = {name: store.raw(role, version) for name, (role, version) in versions.items()}
    files[metadata.NEWEST] = timestamp
    metadata_folder.check_complete(files, files.get(metadata.NEWEST))
    return files


def planned_sizes(
    store: MetadataStore, target: Target, sequence: int, public: PublicKey, now: datetime
) -> Mapping[str, int]:
    """Return the largest possible size in bytes of each of :func:`volume_files` after bundling ``target``.

    ECDSA signatures vary in length, so the longest is reckoned; ``target`` may carry any digest and its largest
    length.

    Raises:
        UnpublishedError, ExpiredError: as :func:`publish_bundle`.
    """
    root, authority = _authority(store, now)
    listed = {**outstanding(store), target.name: target}
    sizes = {name: len(data) for name, data in _next(store, listed, sequence, _Longest(public), now).items()}
    for version in range(1, metadata.version_of(root) + 1):
        sizes[file_name(ROOT, version)] = len(store.raw(ROOT, version))
    version = metadata.version_of(authority)
    return {**sizes, file_name(TARGETS, version): len(store.raw(TARGETS, version))}


# -- inside --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Longest:
    """Signs nothing, at full length."""

    public: PublicKey

    def sign(self, message: bytes) -> bytes:  # noqa: ARG002 - the Signer protocol
        return b"\xff" * MAX_SIGNATURE_BYTES[self.public.scheme]


def _authority(store: MetadataStore, now: datetime) -> tuple[Document, Document]:
    """Return the newest published root and targets metadata, which must not have expired."""
    found = store.published(ROOT), store.published(TARGETS)
    for role, document in zip((ROOT, TARGETS), found, strict=True):
        if metadata.expiry_of(document) <= now:
            raise ExpiredError(
                f"the metadata of role {role} has expired",
                found=document["signed"]["expires"],
                hint="have its members sign a fresh version first",
            )
    return found


def _next(
    store: MetadataStore, listed: Mapping[str, Target], sequence: int, signer: Signer, now: datetime
) -> dict[str, bytes]:
    """Return the next bundler, snapshot and timestamp files, signed, in the order in which they are written."""
    root, authority = _authority(store, now)
    committed = store.committed()
    built: dict[str, bytes] = {}

    def add(role: str, days: int, fields: Mapping[str, Any]) -> dict[str, Any]:
        previous = 0 if committed is None else metadata.version_of(committed[role])
        # at least the sequence: whatever raises it raises the versions of a depot restored from an old copy
        version = max(previous + 1, sequence)
        if version > metadata.MAX_VERSION or sequence > metadata.MAX_VERSION:
            raise UsageError("no version or sequence number is left", found=str(max(version, sequence)))
        data = encode(role, roles.sign(change.signed(role, version, days, now, fields), signer))
        built[file_name(role, None if role == TIMESTAMP else version)] = data
        return _meta(role, version, data)

    entries = {name: target.entry() for name, target in listed.items()}
    days = roles.expiry_days(authority, BUNDLER)
    bundler = add(BUNDLER, days, {"targets": entries, SEQUENCE: sequence})
    raw = store.raw(TARGETS, metadata.version_of(authority))
    meta = {**bundler, **_meta(TARGETS, metadata.version_of(authority), raw)}
    fields = {"meta": meta, metadata.ROOT_VERSION: metadata.version_of(root)}
    snapshot = add(SNAPSHOT, roles.expiry_days(root, SNAPSHOT), fields)
    add(TIMESTAMP, roles.expiry_days(root, TIMESTAMP), {"meta": snapshot})
    return built


def _meta(role: str, version: int, data: bytes) -> dict[str, Any]:
    content = targets.describe(role, role, data, {})
    return {
        f"{role}.json": {"version": version, "length": content.length, "hashes": {"sha512": content.sha512}}
    }


def _verify(root: Document, committed: Mapping[str, Document]) -> None:
    for role in (TIMESTAMP, SNAPSHOT, TARGETS):
        roles.of(root, role).demand(committed[role], f"{role} metadata in the depot")
    roles.of(committed[TARGETS], BUNDLER).demand(committed[BUNDLER], "bundler metadata in the depot")
