"""Verify a bundle: everything that can be proven about it without changing state (SPEC 7.2).

In this order: committed before; trust; destination; replay; label and inventory. Nothing is parsed before its digest
is known to be signed, save what SPEC 2-2 names: ``volume.json``, which only says where to look, and TUF metadata.
"""

import hashlib
import tempfile
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

from airlift import files
from airlift.bundle import agreement, manifest, piece_table, revocations, volume
from airlift.bundle import own as owned
from airlift.bundle import release as releases
from airlift.bundle.fields import parse_time
from airlift.bundle.manifest import Bundle
from airlift.bundle.own import Own
from airlift.bundle.release import Release
from airlift.bundle.volume import Index
from airlift.errors import (
    DigestError,
    ExpiredError,
    InventoryError,
    InventoryRefusedError,
    MalformedError,
    OvertakenError,
    ReplayError,
    SequenceReusedError,
    SignatureError,
    TrustStateError,
)
from airlift.high.enclave import policy
from airlift.high.enclave.enclave import Enclave, reference_time
from airlift.high.verification.verified import SEAL, VerifiedBundle
from airlift.ledger.state import State
from airlift.media.claims import (
    bundle_document,
    check_claims,
    chunk_files,
    count_volumes,
    lacking_volumes,
    listed_chunks,
    stated_sums,
)
from airlift.media.volume_reader import Volume, passed_over, read_volumes
from airlift.policy.objections import destination_objection
from airlift.trust.statements import statement
from airlift.trust.tuf import metadata, roles, verifier
from airlift.trust.tuf import root as root_metadata
from airlift.trust.tuf.trusted_metadata import TrustedMetadata

KeepRoot = Callable[[int, bytes], None]

_BEGINNING = datetime(1970, 1, 1, tzinfo=UTC)


def verify_bundle(
    enclave: Enclave,
    paths: Sequence[Path],
    state: State,
    now: datetime,
    *,
    keep_root: KeepRoot = lambda _version, _data: None,
    expired_allowed: bool = False,
) -> VerifiedBundle:
    """Verify the bundle on these volumes against the enclave's trust; nothing changes on disk but new roots kept.

    ``keep_root`` is told of every newly verified root, even if the rest fails. With ``expired_allowed`` metadata is
    judged at the time of the bundle's issue; signatures, versions and digests are checked as ever.

    Raises:
        ProvenBadError: signatures, digests, versions, inventory: exit 3.
        RefusedError: expired, addressed to another enclave, or left something on by a desktop: exit 6.
        UncheckedError: unreadable, or a newer format: exit 7.
    """
    volumes = read_volumes(paths)
    _check_leftovers(enclave, volumes, state)
    first = volumes[0]
    data = bundle_document(first)
    if state.committed(first.index.manifest):
        return _committed(enclave, volumes, data)
    limit = _issued(enclave, first, state, data, keep_root) if expired_allowed else None
    trusted = _trusted(enclave, first, state, now, limit=limit, keep_root=keep_root)
    _check_metadata(first, trusted)
    bundle = _listed(trusted, data, first.index, state)
    _check_place(enclave, bundle, trusted, state)
    listed = _attestations(trusted, bundle)
    documents, release = _documents(trusted, bundle, data, first.part(volume.MANIFESTS), listed)
    for digest in listed:
        _check_attestation(documents[digest], bundle)
    own = owned.insist(bundle, enclave.name)
    return _bundle(volumes, own, documents, release, trusted, attestations=listed)


def verify_foreign(
    enclave: Enclave,
    volumes: Sequence[Volume],
    state: State,
    now: datetime,
    *,
    keep_root: KeepRoot = lambda _version, _data: None,
) -> VerifiedBundle:
    """Verify a bundle that is to be handed on, by the enclave's trust; whomever it is for (SPEC 7.12-3).

    Raises:
        ProvenBadError, RefusedError, UncheckedError: as :func:`verify_bundle`.
        OvertakenError: newer metadata is known here, and does not list it.
    """
    _check_leftovers(enclave, volumes, state)
    first = volumes[0]
    data = bundle_document(first)
    trusted = _trusted(enclave, first, state, now, limit=None, keep_root=keep_root)
    _check_metadata(first, trusted)
    try:
        bundle = _listed(trusted, data, first.index, state)
    except ReplayError as error:
        raise OvertakenError(
            "the newest metadata that is known here does not list the bundle: it was withdrawn, or never made",
            expected="an outstanding bundle",
            found=first.index.bundle,
        ) from error
    _check_sequence(bundle.sequence, bundle.digest, trusted, state)
    listed = _attestations(trusted, bundle)
    documents, release = _documents(trusted, bundle, data, first.part(volume.MANIFESTS), listed)
    for digest in listed:
        _check_attestation(documents[digest], bundle)
    whole = owned.whole(bundle)
    return _bundle(volumes, whole, documents, release, trusted, attestations=listed, foreign=True)


def _check_leftovers(enclave: Enclave, volumes: Sequence[Volume], state: State) -> None:
    """Refuse volumes on which desktops left something, if policy is strict about it (SPEC 6.4-8)."""
    left = [path for item in volumes for path in item.passed_over]
    if left and policy.load(enclave, state).strict_inventory:
        raise InventoryRefusedError(
            f"{str(left[0])!a} was left by a desktop, and does not belong to a volume",
            expected="no leftovers: policy says inventory: strict",
            found=f"{len(left)}",
        )


def _attestations(trusted: TrustedMetadata, bundle: Bundle) -> tuple[str, ...]:
    """Return the digests of the attestations that the bundler lists with a bundle (SPEC 4.5-7)."""
    target = trusted.target(manifest.target_name(bundle.digest))
    return () if target is None else target.attestations


def _check_attestation(data: bytes, bundle: Bundle) -> None:
    """Check that an attestation whose digest was verified is one, and about the bundle or its release."""
    about = {bundle.digest, bundle.target.digest if bundle.target else bundle.digest}
    if not about & set(statement.parse(data).statement.subjects):
        raise InventoryError("the volume carries an attestation about something else")


def _issued(enclave: Enclave, first: Volume, state: State, data: bytes, keep_root: KeepRoot) -> datetime:
    """Return when a bundle was issued, parsed only after its signatures were verified without regard to expiry."""
    trusted = _refresh(enclave, first, state, _BEGINNING, keep_root)
    return parse_time(_listed(trusted, data, first.index, state).issued)


def _trusted(
    enclave: Enclave,
    first: Volume,
    state: State,
    now: datetime,
    *,
    limit: datetime | None,
    keep_root: KeepRoot,
) -> TrustedMetadata:
    """Return what is trusted at the reference time, or at ``limit`` if that is earlier.

    A root that takes a bundler key away takes with it what that key said about time, and it may come on this medium.
    """
    roots = enclave.load_roots()

    def keep(version: int, data: bytes) -> None:
        roots[version] = data
        keep_root(version, data)

    moment = _moment(roots, state, now, limit)
    try:
        return _refresh(enclave, first, state, moment, keep)
    except ExpiredError:
        again = _moment(roots, state, now, limit)
        if again >= moment:
            raise
        return _refresh(enclave, first, state, again, keep)


def _moment(roots: Mapping[int, bytes], state: State, now: datetime, limit: datetime | None) -> datetime:
    """Return the time that expiry is judged by."""
    try:
        newest = metadata.check(metadata.ROOT, roots[max(roots)])
    except MalformedError as error:
        raise TrustStateError("the newest kept root is damaged", found=error.message) from error
    moment = reference_time(state, now, roles.of(newest, metadata.TIMESTAMP).by_id())
    return moment if limit is None else min(moment, limit)


def _refresh(
    enclave: Enclave, first: Volume, state: State, moment: datetime, keep_root: KeepRoot
) -> TrustedMetadata:
    """Return the TUF metadata that is trusted after seeing this volume's: the newer of the enclave's and its own."""
    medium = first.part(volume.METADATA)
    roots = enclave.load_roots()
    pinned = roots[min(roots)]
    if root_metadata.fingerprint(pinned) != state.enrolled().root_fingerprint:
        raise TrustStateError("the pinned root is not the one that was enrolled")

    def read(name: str, limit: int) -> bytes | None:
        data = medium.get(name)
        if data is not None and len(data) > limit:
            raise DigestError(
                f"{name} is too long", expected=f"at most {limit} bytes", found=f"{len(data)} bytes"
            )
        return data

    with files.writing(tempfile.gettempdir()), tempfile.TemporaryDirectory(prefix="airlift-") as scratch:
        return verifier.verify_metadata(
            pinned_root=pinned,
            roots=roots,
            state=enclave.load_trust(state),
            read=read,
            reference_time=moment,
            workdir=Path(scratch),
            keep_root=keep_root,
        )


def _check_metadata(first: Volume, trusted: TrustedMetadata) -> None:
    """Refuse roots beyond the newest, which nothing needs."""
    beyond = f"{max(trusted.roots) + 1}.root.json"
    if beyond in first.part(volume.METADATA):
        raise InventoryError("the volume carries metadata that nothing needs", found=beyond)


def _listed(trusted: TrustedMetadata, data: bytes, index: Index, state: State) -> Bundle:
    """Parse the bundle manifest after finding it listed by the bundler, and only then.

    A depot that was restored from an old copy signs other metadata under versions that are known here, so its
    bundle is not listed, as far as this enclave can tell; the number that the volume claims gives it away.
    """
    name = manifest.target_name(index.manifest)
    if trusted.target(name) is None:
        _check_sequence(int(index.bundle.rpartition("-")[2]), index.manifest, trusted, state)
        if trusted.overtaken:
            raise ReplayError("the bundle was overtaken by a newer one and is no longer outstanding")
        raise SignatureError("the bundle is not listed in the bundler's signed metadata")
    trusted.verify_target(name, data)
    bundle = manifest.parse(data)
    if bundle.sequence > trusted.sequence:
        raise MalformedError(
            "the bundle's sequence is above the highest that its bundler's metadata states",
            expected=f"at most {trusted.sequence}",
            found=str(bundle.sequence),
        )
    return bundle


def _check_place(enclave: Enclave, bundle: Bundle, trusted: TrustedMetadata, state: State) -> None:
    objection = destination_objection(bundle, enclave.name)
    if objection:
        raise objection
    least = state.enrolled().minimum_sequence
    if bundle.sequence < least:
        raise ReplayError(
            "the bundle is older than this enclave accepts",
            expected=f"sequence {least} or later",
            found=str(bundle.sequence),
        )
    _check_sequence(bundle.sequence, bundle.digest, trusted, state)


def _check_sequence(sequence: int, digest: str, trusted: TrustedMetadata, state: State) -> None:
    """Raise SequenceReusedError if a bundler key that is still trusted gave this number to another bundle."""
    current = set(trusted.bundler_key_ids)
    for known in state.at_sequence(sequence):
        if known.manifest != digest and current & set(known.bundler_keys):
            raise SequenceReusedError(
                f"sequence {sequence} was used before, by another bundle",
                expected=f"digest {known.manifest[:16]}...",
            )


def _documents(
    trusted: TrustedMetadata,
    bundle: Bundle,
    data: bytes,
    carried: Mapping[str, bytes],
    attestations: Sequence[str],
) -> tuple[dict[str, bytes], Release | None]:
    """Verify every document on the volume; return them by SHA-512, and the release."""
    documents = {bundle.digest: data}
    listed = trusted.target(revocations.TARGET)
    if listed is None or (listed.sha512 != bundle.revocations and not trusted.overtaken):
        raise SignatureError("the list of revocations is not the one that the release authority signed")
    named = {bundle.revocations: revocations.TARGET}
    if bundle.target:
        named[bundle.target.digest] = releases.target_name(bundle.target.digest)
    for digest, target in named.items():
        document = carried.get(volume.manifest_name(digest))
        if document is None:
            raise InventoryError(
                "a manifest is missing from the volume", expected=volume.manifest_name(digest)
            )
        if hashlib.sha512(document).hexdigest() != digest:
            raise DigestError(
                f"{volume.manifest_name(digest)} does not have the digest in the bundle manifest"
            )
        if digest == listed.sha512 or target != revocations.TARGET:
            trusted.verify_target(target, document)
        documents[digest] = document
    release = _release(bundle, documents)
    vouchers = [stated.sha512 for stated in release.vendor_signatures()] if release else []
    documents |= _by_digest(carried, attestations, "attestation")
    documents |= _by_digest(carried, vouchers, "a vendor's signature")
    if release is not None and release.pieces:
        documents |= _by_digest(carried, [release.pieces], "the table of pieces")
        piece_table.parse(documents[release.pieces], release)
    odd = sorted(set(carried) - {volume.manifest_name(digest) for digest in documents})
    if odd:
        raise InventoryError("the volume carries a manifest that nothing names", found=ascii(odd[0]))
    revocations.parse(documents[bundle.revocations])
    return documents, release


def _by_digest(carried: Mapping[str, bytes], digests: Sequence[str], kind: str) -> dict[str, bytes]:
    """Return documents that signed data names by their SHA-512, verified.

    Raises:
        InventoryError: one is missing.
        DigestError: one is another.
    """
    found = {}
    for digest in digests:
        name = volume.manifest_name(digest)
        if name not in carried:
            raise InventoryError(f"the volume lacks a document: {kind}", expected=name)
        if hashlib.sha512(carried[name]).hexdigest() != digest:
            raise DigestError(f"{name} ({kind}) does not have its signed digest")
        found[digest] = carried[name]
    return found


def _release(bundle: Bundle, documents: Mapping[str, bytes]) -> Release | None:
    if bundle.target is None:
        return None
    release = releases.parse(documents[bundle.target.digest])
    for own in owned.every(bundle):
        agreement.check_release(own, release)
    return release


def _committed(enclave: Enclave, volumes: Sequence[Volume], data: bytes) -> VerifiedBundle:
    """A bundle that this enclave committed: verified then, recognised now by its digest."""
    bundle = manifest.parse(data)
    documents = {bundle.digest: data}
    release = enclave.load_release(bundle.target.digest) if bundle.target else None
    own = owned.insist(bundle, enclave.name)
    return _bundle(volumes, own, documents, release, None)


def _bundle(
    volumes: Sequence[Volume],
    own: Own,
    documents: Mapping[str, bytes],
    release: Release | None,
    trusted: TrustedMetadata | None,
    *,
    attestations: tuple[str, ...] = (),
    foreign: bool = False,
) -> VerifiedBundle:
    bundle = own.bundle
    check_claims(volumes, bundle)
    present, total = count_volumes(volumes, bundle.parity_chunks)
    return VerifiedBundle(
        bundle=bundle,
        own=own,
        digest=bundle.digest,
        release=release,
        documents=documents,
        trusted=trusted,
        chunk_paths={chunk.sha512: chunk_files(volumes, chunk) for chunk in bundle.all_chunks},
        sums=stated_sums(volumes),
        volumes_present=present,
        volumes_total=total,
        volume_names=tuple(
            sorted({volume.folder_name(bundle, item.index.volume, item.index.volumes) for item in volumes})
        ),
        volumes=listed_chunks(volumes),
        attestations=attestations,
        passed_over=passed_over(volumes),
        lacking=lacking_volumes(volumes),
        foreign=foreign,
        seal=SEAL,
    )
