"""Lineage: where a component, release, bundle or file comes from."""

from dataclasses import replace
from typing import Any

import pytest

from airlift.bundle.component.component import Component
from airlift.bundle.component.file_entry import FileEntry
from airlift.bundle.component.parent import Parent
from airlift.bundle.component.vendor_signature import VendorSignature
from airlift.bundle.fields import Marking
from airlift.bundle.manifest import Bundle, ReleaseRef
from airlift.bundle.release import Release
from airlift.errors import LedgerError, NotHeldError
from airlift.ledger.answers import lineage
from airlift.ledger.answers.lineage import Node, Record
from airlift.ledger.entry import Draft
from tests.support import details
from tests.support.bundle_values import REGISTERED, TAKEN, TUNED

PUBLIC = Marking("UNCLASSIFIED")
WEIGHTS = FileEntry("model.safetensors", 10, "a1" * 64, "b1" * 32)
CONFIG = FileEntry("config.json", 3, "a2" * 64, "b2" * 32)
RULES = FileEntry("rules.txt", 5, "a3" * 64, "b3" * 32)
HUB = {"kind": "hub", "repo": "org/name", "revision": "c" * 40, "include": ["*"]}
BASE = Component("base", "model", "1.0", "", HUB, (CONFIG, WEIGHTS))
GUARD = Component("guard", "guard", "2.0", "", {"kind": "path", "path": "stack/guard"}, (RULES,))
NEWER = Component("guard", "guard", "2.1", "", {"kind": "path", "path": "stack/guard"}, (CONFIG, RULES))
OLD = Release("assistant", "1", PUBLIC, "", (BASE, GUARD), ())
NEW = Release("assistant", "2", PUBLIC, "", (BASE, NEWER), ())


def reference(release: Release) -> ReleaseRef:
    return ReleaseRef(release.digest, release.name, release.version)


def bundle(sequence: int, target: Release | None, baseline: Release | None) -> Bundle:
    return Bundle(
        sequence=sequence,
        issued="2026-03-01T00:00:00Z",
        enclave="alpha",
        marking=PUBLIC,
        target=reference(target) if target else None,
        baseline=reference(baseline) if baseline else None,
        bases=(),
        files=(),
        chunks=(),
        revocations="0" * 128,
    )


FIRST, SECOND, BACK = bundle(1, OLD, None), bundle(2, NEW, OLD), bundle(3, OLD, NEW)


def record(*bundles: Bundle) -> Record:
    commits = [
        Draft(
            "import-commit",
            "importer",
            f"2026-03-0{b.sequence}T00:00:00Z",
            b.target.digest if b.target else None,
            b.id,
            details.commit(b.sequence, bundle_manifest=b.digest).format(),
        )
        for b in bundles
    ]
    said = details.attestation(subject=NEW.digest)
    scan = Draft("attestation", "scanner", "2026-03-09T00:00:00Z", NEW.digest, None, said.format())
    entries = [draft.at(index) for index, draft in enumerate([*commits, scan])]
    return Record({r.digest: r for r in (OLD, NEW)}, {b.digest: b for b in bundles}, entries)


def relations(node: Node) -> list[tuple[str, str]]:
    return [(parent.relation, parent.name) for parent in node.parents]


def only(found: tuple[Node, ...]) -> Node:
    assert len(found) == 1
    return found[0]


def test_a_component_leads_to_files_source_release_bundle_and_signers() -> None:
    node = only(lineage.trace(record(FIRST, SECOND), "guard@2.1"))
    assert (node.kind, node.version, node.digest, node.relation) == (
        "component",
        "2.1",
        NEWER.digest,
        "subject",
    )
    assert relations(node) == [
        ("consists-of", "config.json"),
        ("consists-of", "rules.txt"),
        ("part-of", "assistant"),
    ]
    assert relations(node.parents[0]) == [("gathered-from", "path:stack/guard")]
    release = node.parents[2]
    assert relations(release) == [("carried-by", "alpha-2"), ("attested-by", "scan")]
    assert relations(release.parents[1]) == [("signed-by", "Ada"), ("recorded-in", "entry 2 (attestation)")]
    assert relations(release.parents[0]) == [
        ("delta-from", "assistant"),
        ("signed-by bundler", "unnamed holder"),
        ("signed-by targets", "Ada"),
        ("recorded-in", "entry 1 (import-commit)"),
    ]
    baseline = release.parents[0].parents[0]
    assert (baseline.version, relations(baseline)) == ("1", [("carried-by", "alpha-1")])


def test_a_component_in_two_releases() -> None:
    node = only(lineage.trace(record(FIRST, SECOND), BASE.digest))
    assert [p.version for p in node.parents if p.relation == "part-of"] == ["1", "2"]
    assert relations(node.parents[0]) == [("gathered-from", "hub:org/name")]
    assert node.parents[0].parents[0].version == "c" * 40
    assert len(lineage.trace(record(FIRST), "guard")) == 2


def test_a_release_contains_its_components() -> None:
    node = only(lineage.trace(record(FIRST, SECOND), "assistant@1"))
    assert node == lineage.of_release(record(FIRST, SECOND), OLD.digest)
    assert relations(node) == [("contains", "base"), ("contains", "guard"), ("carried-by", "alpha-1")]
    assert len(lineage.trace(record(FIRST), "assistant")) == 2


def test_a_bundle_carries_its_target() -> None:
    for subject in ("alpha-2", SECOND.digest, SECOND.digest[:8]):
        node = only(lineage.trace(record(FIRST, SECOND), subject))
        assert node == lineage.of_bundle(record(FIRST, SECOND), SECOND.digest)
        assert relations(node)[:2] == [("carries", "assistant"), ("delta-from", "assistant")]
    renewal = bundle(4, None, None)
    assert [r for r, _ in relations(only(lineage.trace(record(renewal), "alpha-4")))] == [
        "signed-by bundler",
        "signed-by targets",
        "recorded-in",
    ]


def test_a_file_by_either_digest() -> None:
    for subject in (CONFIG.sha512, CONFIG.sha256, CONFIG.sha512[:8].upper()):
        node = only(lineage.trace(record(FIRST, SECOND), subject))
        assert (node.kind, node.name, node.digest) == ("file", "config.json", CONFIG.sha512)
        assert relations(node) == [("part-of", "base"), ("part-of", "guard")]
        assert relations(node.parents[1]) == [("gathered-from", "path:stack/guard"), ("part-of", "assistant")]


def test_deltas_in_a_circle_end() -> None:
    node = lineage.of_release(record(FIRST, SECOND, BACK), OLD.digest)
    back = node.parents[-1]
    assert (back.name, relations(back)[0]) == ("alpha-3", ("delta-from", "assistant"))
    newer = back.parents[0]
    older = newer.parents[0].parents[0]
    assert (older.version, older.parents) == ("1", ())


def test_a_baseline_that_is_not_recorded_is_named() -> None:
    partly = Record({NEW.digest: NEW}, {SECOND.digest: SECOND}, [])
    node = lineage.of_bundle(partly, SECOND.digest)
    assert relations(node)[1] == ("delta-from", "assistant")
    assert node.parents[1].parents == ()
    unknown = lineage.of_release(partly, "f" * 128)
    assert (unknown.name, unknown.version, unknown.parents) == ("unknown", None, ())


def test_long_histories_are_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lineage, "MAX_EXPANDED", 1)
    release = lineage.of_release(record(FIRST, SECOND), NEW.digest)
    assert release.parents[2].parents[0].parents == ()


@pytest.mark.parametrize(
    "odd",
    [
        {"signers": "x"},
        {"signers": {"targets": "x"}},
        {"holders": "x"},
        {"bundle_manifest": 1},
        {"attestations": ["odd"]},
    ],
)
def test_odd_details_are_refused(odd: dict[str, Any]) -> None:
    detail = {**details.commit(1, bundle_manifest=FIRST.digest).format(), **odd}
    entry = Draft("import-commit", "a", "2026-03-01T00:00:00Z", None, "alpha-1", detail).at(0)
    with pytest.raises(LedgerError, match=r"entry 0 \(import-commit\)"):
        lineage.of_bundle(Record({}, {FIRST.digest: FIRST}, [entry]), FIRST.digest)


def test_what_nobody_knows() -> None:
    for subject in ("nothing", "abc", "f" * 128):
        with pytest.raises(NotHeldError):
            lineage.trace(record(FIRST), subject)


def test_as_plain_values() -> None:
    plain = only(lineage.trace(record(FIRST), "base")).to_json()
    assert set(plain) == {"kind", "name", "version", "digest", "relation", "parents"}
    assert plain["parents"][0]["parents"][0]["name"] == "hub:org/name"


def test_origins_of_a_component() -> None:
    made = replace(
        BASE,
        license="Apache-2.0",
        parents=(Parent("merged-from", "docs", "1"), Parent("tuned-from", "base", "0.9", "5" * 128)),
        vendor_signature=VendorSignature("key", "6" * 128, 10, ("PEM",)),
    )
    node = lineage.of_component(Record({}, {}, []), made)
    assert [(n.kind, n.name, n.version, n.digest, n.relation) for n in node.parents if n.kind != "file"] == [
        ("licence", "Apache-2.0", None, None, "licensed-under"),
        ("component", "docs", "1", None, "merged-from"),
        ("component", "base", "0.9", "5" * 128, "tuned-from"),
        ("vendor-signature", "key", None, "6" * 128, "vouched-for-by"),
    ]


def test_how_a_bundle_came_and_what_was_said_of_it() -> None:
    attested = (
        details.attestation(
            kind="provenance", subject=FIRST.digest, sha512="7" * 128, passes=False, holders={}
        ),
        details.attestation(subject=FIRST.digest, sha512="8" * 128, passes=False),
        details.attestation(kind="approval", subject=OLD.digest),
    )
    said = details.commit(
        1,
        bundle_manifest=FIRST.digest,
        signers={},
        codecs={"ulp": 12, "lowrank": 5},
        volume_names=("airlift-alpha-1-vol01of01",),
        attestations=attested,
    )
    entry = Draft("import-commit", "a", "2026-03-01T00:00:00Z", OLD.digest, "alpha-1", said.format()).at(0)
    known = Record({OLD.digest: OLD}, {FIRST.digest: FIRST}, [entry])
    node = lineage.of_bundle(known, FIRST.digest)
    assert [(n.relation, n.name, n.version) for n in node.parents[1:]] == [
        ("coded-with", "lowrank", "5"),
        ("coded-with", "ulp", "12"),
        ("came-on", "airlift-alpha-1-vol01of01", None),
        ("attested-by", "provenance", None),
        ("disputed-by", "scan", None),
        ("recorded-in", "entry 0 (import-commit)", "2026-03-01T00:00:00Z"),
    ]
    approval = lineage.of_release(known, OLD.digest).parents[-1]
    assert relations(approval)[0] == ("approved-by", "Ada")


def test_what_was_taken_over_leads_through_every_enclave() -> None:
    twice = TAKEN | {"enclave": "charlie", "component": "other", "entry": 3, "origin": TAKEN}
    node = lineage.of_component(Record({}, {}, []), replace(TUNED, source=twice))
    (last,) = node.parents[0].parents
    place = TAKEN["release"]
    assert (last.kind, last.name, last.version, last.digest, last.relation) == (
        "source", "enclave:charlie/other", "3", place["digest"], "gathered-from",
    )  # fmt: skip
    release, before = last.parents
    assert (release.relation, release.name, release.version, release.digest) == (
        "part-of", place["name"], place["version"], place["digest"],
    )  # fmt: skip
    assert (before.name, before.version) == ("enclave:bravo/tuned", "7")
    assert relations(before) == [("part-of", "assistant"), ("gathered-from", "registered:alpha")]
    assert before.parents[1].parents == ()


def test_what_was_trained_inside_names_its_data() -> None:
    node = lineage.of_component(Record({}, {}, []), replace(TUNED, source=REGISTERED))
    assert relations(node.parents[0]) == [("gathered-from", "registered:alpha")]
    assert [(n.name, n.version, n.digest) for n in node.parents if n.relation == "made-with"] == [
        ("mail", "2026-10", TUNED.data[0].sha512),
        ("notes", "1", None),
    ]
