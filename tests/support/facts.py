"""The facts of a small enclave, made of plain values: what exports and reports are tested with."""

import hashlib
from collections import Counter
from dataclasses import replace
from typing import Any

from airlift.bundle.component.component import Component
from airlift.bundle.component.file_entry import FileEntry
from airlift.bundle.fields import FileDigest, Marking
from airlift.bundle.manifest import Bundle, ReleaseRef
from airlift.bundle.release import Release, Requirement
from airlift.evidence.facts import Attested, Facts, LedgerFacts, Signatory
from airlift.ledger import checkpoint, tree
from airlift.ledger.checkpoint import Checkpoint
from airlift.ledger.entries.activations import ActivatePrepare
from airlift.ledger.entries.imports import ImportPrepare
from airlift.ledger.entry import Entry
from airlift.ledger.entry import format as format_entry
from airlift.policy.demands import Quorum
from airlift.policy.document import Policy
from tests.support import details, keys, merkle

SECRET = Marking("SECRET", ("NOFORN",))
HUB = {
    "kind": "hub",
    "repo": "org/base",
    "revision": "0123456789abcdef0123456789abcdef01234567",
    "include": [],
}
PREDICATES: dict[str, dict[str, Any]] = {
    "scan": {"verdict": "pass", "scanner": "clamav 1.4", "findings": []},
    "approval": {"verdict": "pass", "reason": "change board 2026-11"},
    "evaluation": {"verdict": "pass", "configuration": [{"name": "refusals"}], "score": "0.97"},
    "custody": {"verdict": "pass", "from": "build room", "to": "enclave alpha", "seal": "A-1042"},
}
HOLDERS = {"a" * 64: "Dan Release", "b" * 64: "Erin Release", "c" * 64: "Build machine", "d" * 64: "Scanner",
           "1" * 64: "Ivy Security", "2" * 64: "Omar Owner"}  # fmt: skip
SPEAKERS = ("d" * 64, "1" * 64, "2" * 64)
"""Keys by number: a scanner that policy does not name, and the two that it asks for approvals."""


def sha512(text: str) -> str:
    """Return a digest that is different for every text."""
    return hashlib.sha512(text.encode()).hexdigest()


def component(name: str, kind: str, version: str, **more: Any) -> Component:
    """Return a component of two files."""
    files = tuple(
        FileEntry(path, 1000 + len(version), sha512(f"{name} {version} {path}"), sha512(path + version)[:64])
        for path in ("config.json", "model.safetensors")
    )
    more.setdefault("source", {"kind": "path", "path": f"../{name}-{version}"})
    return Component(name=name, kind=kind, version=version, license="Apache-2.0", files=files, **more)


def releases() -> tuple[Release, Release]:
    """Return two releases of one set: the second has a new base and guard."""
    adapter = component("docs", "adapter", "1")
    first = Release(
        name="assistant",
        version="1",
        marking=Marking("UNCLASSIFIED"),
        notes="First.",
        components=(
            component("base", "model", "1.0", source=HUB),
            adapter,
            component("guard", "guard", "2.0"),
        ),
        requires=(Requirement("base", "guard", ">=2.0"),),
    )
    changed = (component("base", "model", "1.1", source=HUB), adapter, component("guard", "guard", "2.1"))
    return first, replace(first, version="2", marking=SECRET, notes="Guard hot fix.", components=changed)


def reference(release: Release) -> ReleaseRef:
    """Return how a bundle names a release."""
    return ReleaseRef(release.digest, release.name, release.version)


def bundle(sequence: int, target: Release, baseline: Release | None, day: int | None = None) -> Bundle:
    """Return a bundle that carries one chunk."""
    return Bundle(
        sequence=sequence,
        issued=f"2026-11-{day or sequence:02d}T12:00:00Z",
        enclave="alpha",
        marking=target.marking,
        target=reference(target),
        baseline=reference(baseline) if baseline else None,
        bases=(),
        files=tuple(FileDigest(digest, size) for digest, size in target.contents().items()),
        chunks=(FileDigest(sha512(f"chunk {sequence}"), 5000),),
        revocations=sha512("revocations"),
    )


def prepare(made: Bundle) -> dict[str, Any]:
    """Return the detail of an import-prepare entry."""
    return ImportPrepare(made.digest, made.sequence, made.baseline, made.target).format()


def switched(previous: str | None, release: Release) -> dict[str, Any]:
    """Return the detail of the entries of a switch to a release."""
    return ActivatePrepare(previous, reference(release)).format()


def commit(made: Bundle, release: Release) -> dict[str, Any]:
    """Return the detail of an import-commit entry."""
    return {
        "bundle_manifest": made.digest,
        "sequence": made.sequence,
        "issued": made.issued,
        "baseline": made.baseline and made.baseline.to_json(),
        "marking": made.marking.to_json(),
        "overtaken": False,
        "bundler_keys": ["c" * 64],
        "trust": {"folder": "00000002", "digest": "f" * 96},
        "metadata": {
            "root": 1,
            "targets": made.sequence,
            "snapshot": made.sequence,
            "timestamp": made.sequence,
        },
        "signers": {"root": ["a" * 64], "targets": ["a" * 64, "b" * 64], "bundler": ["c" * 64]},
        "holders": HOLDERS,
        "release": {"name": release.name, "version": release.version, "digest": release.digest},
        "components": [
            {"name": c.name, "kind": c.kind, "version": c.version, "digest": c.digest}
            for c in release.components
        ],
        "volumes": 1,
        "chunk_bytes": 5000,
        "files_built": len(made.files),
        "revocations": made.revocations,
    }


def entries(*imported: tuple[Bundle, Release]) -> tuple[Entry, ...]:
    """Return what an enclave records that enrolled, imported and activated these, and refused one more."""
    found: list[tuple[str, str | None, str | None, dict[str, Any]]] = [
        ("enroll", None, None, details.enroll().format()),
    ]
    for made, release in imported:
        names, active = (release.digest, made.id), switched(None, release)
        found += [
            ("import-prepare", *names, prepare(made)),
            ("import-commit", *names, commit(made, release)),
            ("activate-prepare", release.digest, None, active),
            ("activate-commit", release.digest, None, active),
        ]
    back = switched(imported[-1][1].digest, imported[0][1])
    found += [
        ("import-reject", None, None, {"code": "signature-invalid", "exit": 3}),
        ("rollback-prepare", imported[0][1].digest, None, back),
        ("rollback-commit", imported[0][1].digest, None, back),
    ]
    return tuple(
        Entry(index, f"2026-11-{index + 1:02d}T12:00:00Z", kind, "operator", release, made, detail)
        for index, (kind, release, made, detail) in enumerate(found)
    )


def attested(
    release: Release | Bundle,
    kind: str,
    number: int,
    index: int,
    *,
    verified: bool = True,
    passes: bool = True,
) -> Attested:
    """Return an attestation about a release or a bundle."""
    key = SPEAKERS[number]
    return Attested(
        digest=sha512(f"{kind} {number} {index} {passes} {release.digest}"),
        kind=kind,
        predicate_type=f"urn:airlift:attestation:{kind}:v1",
        subject=release.digest,
        signers=(Signatory(key, HOLDERS[key], verified),),
        predicate=PREDICATES.get(kind, {}),
        entry=index,
        time="2026-11-03T12:00:00Z",
        envelope=b'{"payload":"","payloadType":"application/vnd.in-toto+json","signatures":[]}',
        passes=passes,
        statement=sha512(f"{kind} {number} {index} {passes} {release.digest} statement"),
        made=None,
    )


def facts(**changes: Any) -> Facts:
    """Return the facts of an enclave that imported two releases and rolled back to the first."""
    first, second = releases()
    one, two = bundle(1, first, None), bundle(2, second, first)
    recorded = entries((one, first), (two, second))
    root = merkle.root_from(tree.leaf_digest(format_entry(entry)) for entry in recorded)
    signer = keys.signer("ledger")
    note = checkpoint.sign(Checkpoint("airlift/alpha", len(recorded), root), signer)
    quorum = Quorum(2, ("issm.pub", "owner.pub"))
    made = Facts(
        enclave="alpha",
        generated="2026-11-27T12:00:00Z",
        version="0.1.0",
        marking=SECRET,
        ledger=LedgerFacts(
            origin="airlift/alpha",
            size=len(recorded),
            root=root,
            checkpoint=note,
            public_key=signer.public.pem(),
            fingerprint=signer.public.fingerprint,
            scheme=signer.public.scheme,
            key_id=signer.public.key_id,
            counts=Counter(entry.type for entry in recorded),
            witnesses=(),
            claimed=(),
        ),
        active=first.digest,
        previous=second.digest,
        installed=(first.digest, second.digest),
        releases={first.digest: first, second.digest: second},
        bundles={one.digest: one, two.digest: two},
        entries=recorded,
        omitted=0,
        attestations=(
            *(
                attested(first, kind, number, 2)
                for kind, number in (("scan", 0), ("approval", 1), ("approval", 2))
            ),
            *(attested(second, kind, 0, 6) for kind in ("scan", "evaluation", "custody")),
            attested(second, "approval", 1, 6, verified=False),
        ),
        policy=Policy(
            "alpha", ceiling=SECRET, attestations=(("approval", quorum),), floors=(("guard", "2.0"),)
        ),
        policy_digest="e" * 128,
        voters={"approval": frozenset(SPEAKERS[1:])},
        names=tuple(HOLDERS.items()),
        issued={},
        reference="2026-11-27T12:00:00Z",
        controls={},
    )
    return replace(made, **changes)
