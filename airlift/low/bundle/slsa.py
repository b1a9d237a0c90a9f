"""How a release and a bundle were made: SLSA provenance v1, signed by the bundler, carried along (SPEC 4.5-6)."""

import platform
from collections.abc import Mapping
from importlib.metadata import version
from typing import Any

from airlift import __version__
from airlift.bundle.component import source as sources
from airlift.bundle.component.component import Component
from airlift.bundle.fields import format_time
from airlift.bundle.manifest import Bundle
from airlift.bundle.release import Release
from airlift.codec.ulp import kernel
from airlift.low.bundle.job import Job
from airlift.low.bundle.planning.receivers import Receiver
from airlift.low.depot import attestation_index
from airlift.low.depot.depot import Depot
from airlift.low.depot.events import read_events
from airlift.trust.statements import statement
from airlift.trust.statements.predicates import PROVENANCE, SLSA
from airlift.trust.statements.statement import Attestation

RELEASE_TYPE = "urn:airlift:build:release:v1"
BUNDLE_TYPE = "urn:airlift:build:bundle:v1"
BUILDER = "urn:airlift:depot"
CODERS = ("numpy", "zstandard", "cryptography")
"""The libraries whose versions decide what comes out (SPEC 6.5-2)."""


def provenance(depot: Depot, bundle: Bundle, job: Job, codecs: Mapping[str, int]) -> tuple[Attestation, ...]:
    """Return what goes along with a bundle: the attestations about its release, and how both were made.

    The release's own provenance is made once and kept in the depot; the caller holds the lock.
    """
    if job.target is None:
        return ()
    kept = attestation_index.load(depot, job.target.digest)
    if not any(_is_ours(item) for item in kept):
        stated = statement.attest(
            [(job.target.label, job.target.digest)], SLSA, _release(depot, job.target), job.signer
        )
        attestation_index.add(depot, job.target.digest, stated, reserve=1)
        kept = (*kept, stated)
    subject = [(f"bundle {bundle.id}", bundle.digest)]
    return (*kept, statement.attest(subject, SLSA, _bundle(bundle, job, codecs), job.signer))


def _is_ours(item: Attestation) -> bool:
    definition = item.statement.predicate.get("buildDefinition")
    return (
        item.statement.kind == PROVENANCE
        and isinstance(definition, dict)
        and definition.get("buildType") == RELEASE_TYPE
    )


def _release(depot: Depot, release: Release) -> dict[str, Any]:
    """Return the predicate of a release: when and by which version it was gathered stands in the depot's log."""
    event = next(
        (e for e in read_events(depot) if e.event == "release" and e.detail.get("digest") == release.digest),
        None,
    )
    definition = {
        "buildType": RELEASE_TYPE,
        "externalParameters": {
            "release": release.name,
            "version": release.version,
            "marking": str(release.marking),
        },
        "resolvedDependencies": [_source(component) for component in release.components],
    }
    detail = event.detail if event else {}
    return _predicate(
        definition, {"airlift": str(detail.get("airlift", "unknown"))}, event.time if event else None
    )


def _source(component: Component) -> dict[str, Any]:
    """Return where a component came from, as an in-toto ResourceDescriptor."""
    source, digests = component.source, {"sha512": component.digest}
    if source["kind"] == "hub":
        uri, digests = f"pkg:huggingface/{source['repo']}@{source['revision']}", {
            "gitCommit": source["revision"], **digests,
        }  # fmt: skip
    elif sources.is_inside(source):
        uri = f"urn:airlift:enclave:{source['enclave']}"
    elif sources.is_fetched(source):
        uri = sources.address(source)
    else:
        uri = f"file:{source['path']}"
    return {
        "name": f"{component.name}@{component.version}",
        "uri": uri,
        "digest": digests,
        "annotations": {
            "sha512": "of the canonical list of path, size and SHA-512 (airlift SPEC 5.1-2)",
            **{key: source[key] for key in ("exclude", "left_out") if key in source},
            **({"include": source["include"]} if source.get("include") else {}),
            **({"source": source} if sources.is_inside(source) or sources.is_fetched(source) else {}),
        },
    }


def _bundle(bundle: Bundle, job: Job, codecs: Mapping[str, int]) -> dict[str, Any]:
    starts = [bundle.baseline, *dict.fromkeys(item.baseline for item in bundle.portions)]
    held = [reference for reference in (bundle.target, *starts) if reference is not None]
    definition = {
        "buildType": BUNDLE_TYPE,
        "externalParameters": {
            "release": bundle.target and bundle.target.label,
            "baseline": bundle.baseline and bundle.baseline.label,
            "baselineKnownBy": job.known_by,
            "enclave": bundle.enclave,
            "volumeBytes": job.destination.medium.volume_bytes,
            "fileBytes": job.destination.medium.file_bytes,
            **({"parity": str(job.destination.redundancy)} if job.destination.redundancy else {}),
            **({"enclaves": [_receiver(one) for one in job.receivers]} if job.receivers else {}),
        },
        "internalParameters": {"effort": job.effort, "targetBytesByCodec": dict(sorted(codecs.items()))},
        "resolvedDependencies": [{"name": ref.label, "digest": {"sha512": ref.digest}} for ref in held],
    }
    versions = {name: version(name) for name in CODERS}
    builder = {
        "airlift": __version__, "python": platform.python_version(), "kernel": kernel.default().name, **versions,
    }  # fmt: skip
    return _predicate(definition, builder, format_time(job.now))


def _receiver(one: Receiver) -> dict[str, Any]:
    """Return what is said of one of several enclaves that a bundle is for."""
    return {"enclave": one.enclave, "baseline": one.label, "baselineKnownBy": one.known_by}


def _predicate(definition: dict[str, Any], versions: dict[str, str], finished: str | None) -> dict[str, Any]:
    metadata = {} if finished is None else {"metadata": {"finishedOn": finished}}
    return {
        "buildDefinition": definition,
        "runDetails": {"builder": {"id": BUILDER, "version": versions}, **metadata},
    }
