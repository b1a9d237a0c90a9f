"""Commit: declare the intent, install, and append the commit entry, which is the commit point (SPEC 7.6, 9.4)."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace

from airlift import files
from airlift.bundle.component.component import Component
from airlift.bundle.release import Release
from airlift.bundle.revocations import TARGET
from airlift.high.enclave.enclave import Enclave, Operator, release_ref
from airlift.high.governance.choose import held_variants
from airlift.high.importing.install import StagedRelease, install
from airlift.high.importing.vendor_signatures import verify_vendor_signatures
from airlift.high.verification.verified import VerifiedBundle
from airlift.ledger.entries.attestation import RecordedAttestation
from airlift.ledger.entries.imports import ImportCommit, ImportedVariants, ImportPrepare
from airlift.ledger.entries.shape import Accepted, NamedComponent, Trust
from airlift.ledger.state import State
from airlift.store.whole_folders import building
from airlift.trust.tuf import metadata
from airlift.trust.tuf.roles import BUNDLER


@dataclass(frozen=True, slots=True)
class Admission:
    """What was checked when a bundle was let in, as its commit entry says it.

    ``attestations`` are those that it carried; ``expired`` is the statement of the people who accepted that its
    metadata has expired, if it has.
    """

    attestations: tuple[RecordedAttestation, ...]
    expired: Accepted | None


def commit(
    enclave: Enclave,
    operator: Operator,
    state: State,
    verified: VerifiedBundle,
    staged: StagedRelease | None,
    *,
    admission: Admission,
) -> None:
    """Install what was staged, keep what proves it, and append the commit entry; ``staged`` is None for no release.

    Raises:
        SignatureError: a vendor's signature is not over the rebuilt files.
        ContentDamagedError: content that the release shares with older ones has vanished.
        StorageError: no space, I/O error.
    """
    release, vendors = verified.release, verify_vendor_signatures(enclave, staged) if staged else ()
    about, bundle = release.digest if release else None, verified.bundle.id
    enclave.record(operator, _prepare_detail(verified, staged), release=about, bundle=bundle)
    if staged is not None:
        install(enclave, staged)
    held = held_variants(enclave, release) if release else frozenset[str]()
    for document in verified.documents.values():
        enclave.history.keep(document)
    detail = replace(
        commit_detail(verified, save_trust(enclave, verified, state), staged, held),
        vendor_signatures=vendors,
        attestations=admission.attestations,
        insecure_expired=admission.expired,
        repaired=len(staged.repaired) if staged else 0,
    )
    contents = release.digests() if release else ()
    enclave.record(operator, detail, release=about, bundle=bundle, contents=contents)


def save_trust(enclave: Enclave, verified: VerifiedBundle, state: State) -> str:
    """Write the trust state that the commit entry will name; return its folder's name."""
    if verified.trusted is None:
        raise ValueError("a bundle that was committed before leaves no new trust state")
    name = f"{state.size:08d}"
    with building(enclave.trust / name) as temporary:
        for file, data in verified.trusted.files.items():
            files.write_durable(temporary / file, data)
    for data in (*verified.trusted.roots.values(), *verified.trusted.files.values()):
        enclave.history.keep(data)
    return name


def _prepare_detail(verified: VerifiedBundle, staged: StagedRelease | None) -> ImportPrepare:
    """Return what an entry says of the intent to import."""
    bundle = verified.bundle
    used = staged.file_digest if staged else None
    return ImportPrepare(verified.digest, bundle.sequence, verified.own.baseline, bundle.target, used)


def commit_detail(
    verified: VerifiedBundle, trust_folder: str, staged: StagedRelease | None, held: Collection[str] = ()
) -> ImportCommit:
    """Return what an entry says of a committed import: what came in, who signed it, which trust state it leaves.

    ``held`` are the names of the variants of its release that are held.

    Plain values only, none of them text from a medium that was not verified.
    """
    bundle, trusted = verified.bundle, verified.trusted
    if trusted is None:
        raise ValueError("a bundle that was committed before cannot be committed again")
    listed = trusted.target(TARGET)
    return ImportCommit(
        bundle_manifest=verified.digest,
        sequence=bundle.sequence,
        issued=bundle.issued,
        baseline=verified.own.baseline,
        marking=bundle.marking,
        overtaken=trusted.overtaken,
        bundler_keys=tuple(trusted.signers[BUNDLER]),
        trust=Trust(trust_folder, metadata.state_digest(trusted.files)),
        metadata=dict(trusted.versions),
        signers={role: tuple(keys) for role, keys in trusted.signers.items()},
        holders=dict(trusted.holders),
        release=release_ref(verified.release) if verified.release else None,
        components=_component_details(verified.release.only(held).components if verified.release else ()),
        volumes=verified.volumes_total,
        volume_names=tuple(verified.volume_names),
        chunk_bytes=verified.own.chunk_bytes,
        files_built=len(staged.built) if staged else 0,
        file_digest=staged.file_digest if staged else None,
        codecs=dict(sorted(staged.codecs.items())) if staged else {},
        revocations=listed.sha512 if listed else bundle.revocations,
        variants=_variants(staged.chosen, held) if staged and staged.chosen.chosen else None,
    )


def _variants(chosen: Release, held: Collection[str]) -> ImportedVariants:
    """Return what an entry says of variants: which were chosen, which are held, and which are not (SPEC 7.14)."""
    lacking = _component_details(chosen.only(held).omitted)
    return ImportedVariants(tuple(chosen.variants()), chosen.chosen, tuple(sorted(held)), lacking)


def _component_details(components: Iterable[Component]) -> tuple[NamedComponent, ...]:
    """Return how entries list components."""
    return tuple(NamedComponent(c.name, c.kind, c.version, c.digest) for c in components)
