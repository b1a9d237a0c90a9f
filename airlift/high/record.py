"""What goes into the ledger's entries: plain values only, none of them text from a medium that was not verified."""

from typing import Any

from airlift.bundle.release import Release
from airlift.bundle.revocations import TARGET
from airlift.high.apply import StagedRelease
from airlift.high.verified import VerifiedBundle
from airlift.trust import metadata
from airlift.trust.roles import BUNDLER


def prepare_detail(verified: VerifiedBundle, staged: StagedRelease | None) -> dict[str, Any]:
    """Return the detail of an import-prepare entry."""
    bundle = verified.bundle
    return {
        "bundle_manifest": verified.digest,
        "sequence": bundle.sequence,
        "baseline": bundle.baseline and bundle.baseline.to_json(),
        "target": bundle.target and bundle.target.to_json(),
        "file_digest": staged.file_digest if staged else None,
    }


def commit_detail(
    verified: VerifiedBundle, trust_folder: str, staged: StagedRelease | None
) -> dict[str, Any]:
    """Return the detail of an import-commit entry: what came in, who signed it, which trust state it leaves."""
    bundle, trusted = verified.bundle, verified.trusted
    if trusted is None:
        raise ValueError("a bundle that was committed before cannot be committed again")
    listed = trusted.target(TARGET)
    return {
        "bundle_manifest": verified.digest,
        "sequence": bundle.sequence,
        "issued": bundle.issued,
        "baseline": bundle.baseline and bundle.baseline.to_json(),
        "marking": bundle.marking.to_json(),
        "overtaken": trusted.overtaken,
        "bundler_keys": list(trusted.signers[BUNDLER]),
        "trust": {"folder": trust_folder, "digest": metadata.state_digest(trusted.files)},
        "metadata": dict(trusted.versions),
        "signers": {role: list(keys) for role, keys in trusted.signers.items()},
        "holders": dict(trusted.holders),
        "release": verified.release and release_detail(verified.release),
        "components": component_details(verified.release),
        "volumes": verified.volumes_total,
        "volume_names": list(verified.volume_names),
        "chunk_bytes": sum(chunk.size for chunk in bundle.chunks),
        "files_built": len(staged.built) if staged else 0,
        "file_digest": staged.file_digest if staged else None,
        "codecs": dict(sorted(staged.codecs.items())) if staged else {},
        "revocations": listed.sha512 if listed else bundle.revocations,
    }


def release_detail(release: Release) -> dict[str, Any]:
    """Return how entries name a release."""
    return {"name": release.name, "version": release.version, "digest": release.digest}


def component_details(release: Release | None) -> list[dict[str, Any]]:
    """Return how entries list the components of a release."""
    return [
        {"name": c.name, "kind": c.kind, "version": c.version, "digest": c.digest}
        for c in (release.components if release else ())
    ]
