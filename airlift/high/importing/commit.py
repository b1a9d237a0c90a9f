"""What goes into the ledger's entries: plain values only, none of them text from a medium that was not verified."""

from airlift.bundle.release import Release
from airlift.bundle.revocations import TARGET
from airlift.high.enclave.enclave import release_ref
from airlift.high.importing.apply import StagedRelease
from airlift.high.verification.verified import VerifiedBundle
from airlift.ledger.entries.imports import ImportCommit, ImportPrepare
from airlift.ledger.entries.shape import NamedComponent, Trust
from airlift.trust.tuf import metadata
from airlift.trust.tuf.roles import BUNDLER


def prepare_detail(verified: VerifiedBundle, staged: StagedRelease | None) -> ImportPrepare:
    """Return what an entry says of the intent to import."""
    bundle = verified.bundle
    used = staged.file_digest if staged else None
    return ImportPrepare(verified.digest, bundle.sequence, bundle.baseline, bundle.target, used)


def commit_detail(verified: VerifiedBundle, trust_folder: str, staged: StagedRelease | None) -> ImportCommit:
    """Return what an entry says of a committed import: what came in, who signed it, which trust state it leaves."""
    bundle, trusted = verified.bundle, verified.trusted
    if trusted is None:
        raise ValueError("a bundle that was committed before cannot be committed again")
    listed = trusted.target(TARGET)
    return ImportCommit(
        bundle_manifest=verified.digest,
        sequence=bundle.sequence,
        issued=bundle.issued,
        baseline=bundle.baseline,
        marking=bundle.marking,
        overtaken=trusted.overtaken,
        bundler_keys=tuple(trusted.signers[BUNDLER]),
        trust=Trust(trust_folder, metadata.state_digest(trusted.files)),
        metadata=dict(trusted.versions),
        signers={role: tuple(keys) for role, keys in trusted.signers.items()},
        holders=dict(trusted.holders),
        release=release_ref(verified.release) if verified.release else None,
        components=component_details(verified.release),
        volumes=verified.volumes_total,
        volume_names=tuple(verified.volume_names),
        chunk_bytes=sum(chunk.size for chunk in bundle.chunks),
        files_built=len(staged.built) if staged else 0,
        file_digest=staged.file_digest if staged else None,
        codecs=dict(sorted(staged.codecs.items())) if staged else {},
        revocations=listed.sha512 if listed else bundle.revocations,
    )


def component_details(release: Release | None) -> tuple[NamedComponent, ...]:
    """Return how entries list the components of a release."""
    return tuple(
        NamedComponent(c.name, c.kind, c.version, c.digest) for c in (release.components if release else ())
    )
