"""Exports: valid in their formats' own eyes, true to the record, and text stays text."""

import json
import os
import re
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from airlift import authored
from airlift.bundle.component.component import NEW_KINDS
from airlift.bundle.component.parent import Parent
from airlift.bundle.component.vendor_signature import VendorSignature
from airlift.bundle.component.waiver import Waiver
from airlift.bundle.fields import Marking
from airlift.bundle.patterns import LeftOut
from airlift.bundle.release import Release, Requirement
from airlift.errors import ExistsError, ManifestError, NotHeldError
from airlift.evidence import controls
from airlift.evidence.documents import cyclonedx, intoto, oscal, spdx
from airlift.evidence.facts import Attested, Facts, Signatory
from airlift.high.record.exports import FORMATS, export_document
from airlift.high.record.gather import gather_facts
from airlift.ledger import tree
from airlift.ledger.entries.imports import ImportReject
from airlift.ledger.entry import format as format_entry
from airlift.policy.document import Permission
from tests.support import keys
from tests.support.bundle_values import REGISTERED, TAKEN, TUNED
from tests.support.depots import NOW
from tests.support.enclaves import enclave, operator, switch_to
from tests.support.facts import HUB, SECRET, attested, bundle, facts, sha512

pytestmark = pytest.mark.usefixtures("quick_disk")

MAPPING = controls.parse(controls.FILE, authored.shipped(controls.FILE))
HOSTILE = "</style><script>alert(1)</script>\u202e\u0000\x1b[2J\"'&" + "x" * 300


def sample(**changes: Any) -> Facts:
    return facts(controls=MAPPING, **changes)


def _running(found: Facts, release: Release, changed: Release, attestations: tuple[Attested, ...]) -> Facts:
    """Return facts in which ``changed`` runs in the place of ``release``, with these attestations."""
    entries = tuple(
        replace(e, release=changed.digest) if e.release == release.digest else e for e in found.entries
    )
    return replace(
        found,
        active=changed.digest,
        releases={**found.releases, changed.digest: changed},
        attestations=attestations,
        entries=entries,
    )


def rich() -> Facts:
    """Return facts whose active release has everything: parents, a vendor's signature, metrics, odd licences."""
    found = sample()
    release = found.active_release
    assert release is not None
    base, docs, guard = release.components
    base = replace(
        base,
        license="Our own licence, version 2",
        parents=(Parent("tuned-from", "seed", "0.9", sha512("seed")), Parent("tuned-from", "other", "1")),
        vendor_signature=VendorSignature("key", sha512("sig"), 900, ("PEM",)),
    )
    docs = replace(docs, parents=(Parent("adapter-of", "base", "1.0", base.digest),))
    data = replace(docs, name="tests", kind="data", license="", parents=())
    changed = replace(release, components=(base, docs, guard, data), notes=HOSTILE.replace("\u0000", ""))
    metrics = {
        "verdict": "pass",
        "component": "base",
        "metrics": {"accuracy": 0.97, HOSTILE: "0", "refusals": {"asked": 100, "by kind": {"bio": None}}},
    }
    evaluation = replace(attested(changed, "evaluation", 0, 2), predicate=metrics)
    approvals = [attested(changed, kind, n, 2) for kind, n in (("scan", 0), ("approval", 1), ("approval", 2))]
    return _running(found, release, changed, (evaluation, *approvals))


def waived() -> Facts:
    """Return facts whose active release has all that format 2 of the release manifest says."""
    found = rich()
    release = found.active_release
    assert release is not None
    base, docs, guard, data = release.components
    left = {
        "count": 2,
        "names": ["a.pt", HOSTILE.replace("\u0000", "").replace("\x1b", "").replace("\u202e", "")],
    }
    base = replace(
        base,
        source={"kind": "path", "path": "../base", "exclude": ["*.pt"], "left_out": left},
        vendor_signature=VendorSignature(
            "key", sha512("sig"), 900, ("PEM",), 4, LeftOut(2, ("a.pt", "b.pt"))
        ),
        accept=(
            Waiver("pickle", "Line one.\nLine <b>two</b>.", ("config.json", "model.safetensors")),
            Waiver("remote-code", "No other code.", ("config.json",)),
        ),
    )
    data = replace(data, marking=Marking("UNCLASSIFIED"))
    changed = replace(release, marking=SECRET, components=(base, docs, guard, data))
    entries = tuple(
        replace(e, release=changed.digest) if e.release == release.digest else e for e in found.entries
    )
    policy = replace(found.policy, waivers=(Permission("pickle"), Permission("remote-code", "base")))
    return replace(
        found,
        active=changed.digest,
        releases={**found.releases, changed.digest: changed},
        attestations=tuple(replace(item, subject=changed.digest) for item in found.attestations),
        entries=entries,
        policy=policy,
    )


def engines() -> Facts:
    """Return facts whose active release has a component of each kind that another tool reads."""
    found = sample()
    release = found.active_release
    assert release is not None
    base, *_ = release.components
    formed = [
        replace(base, name=f"a-{kind}", kind=kind, license="", parents=()) for kind in sorted(NEW_KINDS)
    ]
    changed = replace(
        release, components=(*formed, base), requires=(Requirement("base", "image", ">=1"),), marking=SECRET
    )
    about = tuple(replace(item, subject=changed.digest) for item in found.attestations)
    return _running(found, release, changed, about)


def inside() -> Facts:
    """Return facts whose active release has what was trained in an enclave, and what was taken over from one."""
    found = rich()
    release = found.active_release
    assert release is not None
    base, docs, guard, data = release.components
    docs = replace(docs, source=REGISTERED, marking=SECRET, data=TUNED.data)
    guard = replace(guard, source=TAKEN | {"origin": TAKEN | {"origin": HUB}}, marking=SECRET)
    changed = replace(release, marking=SECRET, components=(base, docs, guard, data))
    about = tuple(replace(item, subject=changed.digest) for item in found.attestations)
    return _running(found, release, changed, about)


CASES: dict[str, Callable[[], Facts]] = {
    "sample": sample,
    "rich": rich,
    "waived": waived,
    "inside": inside,
    "engines": engines,
    "second": lambda: replace(sample(), active=sample().previous),
    "nothing active": lambda: sample(active=None, previous=None, attestations=(), releases={}, bundles={}),
}


@pytest.fixture(scope="session")
def validate(
    require_tool: Callable[[str], str], tmp_path_factory: pytest.TempPathFactory
) -> Callable[..., str]:
    """Return a function that validates a document with its format's own library."""
    python = require_tool(os.environ.get("AIRLIFT_VALIDATORS", "airlift-validators-python"))
    script = Path(__file__).parents[3] / "support" / "validators.py"

    def run(kind: str, data: bytes, *, valid: bool = True) -> str:
        path = tmp_path_factory.mktemp(kind) / "document.json"
        path.write_bytes(data)
        done = subprocess.run([python, script, kind, path], capture_output=True, text=True, check=False)
        assert (done.returncode == 0) == valid, done.stderr[-3000:]
        return done.stdout

    return run


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("kind", ["cyclonedx", "spdx", "oscal"])
def test_the_formats_own_library_accepts_it(kind: str, name: str, validate: Callable[..., str]) -> None:
    document = CASES[name]()
    assert FORMATS[kind](document, None) == FORMATS[kind](document, None)
    validate(kind, FORMATS[kind](document, None))


@pytest.mark.parametrize(
    ("kind", "good", "bad"),
    [
        ("cyclonedx", b'"machine-learning-model"', b'"machine-learning"'),
        ("spdx", b'"relationshipType": "contains"', b'"relationshipType": "holds"'),
        ("spdx", b'"ai_AIPackage"', b'"ai_AIParcel"'),
        ("oscal", b'"satisfied"', b'"perhaps"'),
    ],
)
def test_the_validators_do_find_faults(
    kind: str, good: bytes, bad: bytes, validate: Callable[..., str]
) -> None:
    data = FORMATS[kind](sample(), None)
    assert good in data
    validate(kind, data.replace(good, bad), valid=False)


def test_of_a_real_enclave(tmp_path: Path, validate: Callable[..., str]) -> None:
    place = enclave("two", tmp_path)
    for kind in FORMATS:
        result = export_document(place, kind, tmp_path / kind, now=NOW)
        assert (result.release, result.entries) == ("assistant@2", place.state().size)
        validate(kind, (tmp_path / kind).read_bytes())


# -- without validators --------------------------------------------------------------------------------------------


def test_a_bill_of_materials_says_what_is_there() -> None:
    document = json.loads(cyclonedx.format(rich()))
    base, docs, guard, data = document["components"]
    assert [item["type"] for item in (base, docs, guard, data)] == [*["machine-learning-model"] * 3, "data"]
    assert base["purl"].startswith("pkg:huggingface/org/base@0123")
    assert data["data"] == [{"type": "dataset", "name": "tests", "classification": "UNCLASSIFIED"}]
    assert "data" not in guard
    assert base["licenses"] == [{"license": {"name": "Our own licence, version 2"}}]
    assert docs["licenses"] == [{"license": {"id": "Apache-2.0"}}]
    assert [(a["name"], a["version"]) for a in base["pedigree"]["ancestors"]] == [
        ("seed", "0.9"),
        ("other", "1"),
    ]
    assert docs["pedigree"]["ancestors"][0]["type"] == "machine-learning-model"
    metrics = base["modelCard"]["quantitativeAnalysis"]["performanceMetrics"]
    assert {(m["type"], m["value"]) for m in metrics} == {
        ("accuracy", "0.97"),
        (HOSTILE, "0"),
        ("refusals.asked", "100"),
        ("refusals.by kind.bio", "null"),
    }
    needs = {item["ref"]: item["dependsOn"] for item in document["dependencies"]}
    assert needs["component:base@1.0"] == ["component:guard@2.0"]
    assert len(base["components"][0]["hashes"]) == 2


def test_a_delta_without_parents_has_its_baseline_as_ancestor() -> None:
    found = sample()
    document = json.loads(cyclonedx.format(found, found.previous))
    base = next(item for item in document["components"] if item["name"] == "base")
    assert [(a["name"], a["version"]) for a in base["pedigree"]["ancestors"]] == [("base", "1.0")]


def identifiers(kind: str, found: Facts, release: str | None = None) -> set[str]:
    """Return every identifier that a document gives to something."""
    data = FORMATS[kind](found, release).decode()
    pattern = {"spdx": r'"spdxId": "([^"]+)"', "oscal": r'"uuid": "([^"]+)"'}.get(
        kind, r'"serialNumber": "([^"]+)"'
    )
    given = re.findall(pattern, data)
    assert len(given) == len(set(given)) > 0
    return set(given)


@pytest.mark.parametrize("kind", ["cyclonedx", "spdx", "oscal"])
def test_no_two_documents_give_one_identifier_to_different_things(kind: str) -> None:
    found = rich()
    witnessed = replace(found.ledger, witnesses=("auditor",))
    changes: list[Facts] = [
        found,
        replace(found, generated="2026-11-28T12:00:00Z"),
        replace(found, version="0.2.0"),
        replace(found, ledger=replace(found.ledger, checkpoint=found.ledger.checkpoint + b"more")),
        replace(found, ledger=witnessed),
        replace(found, enclave="bravo"),
    ]
    if kind == "oscal":
        changes.append(replace(found, controls={**MAPPING, "controls": MAPPING["controls"][:1]}))
    documents = [identifiers(kind, item) for item in changes]
    if kind != "oscal":
        documents.append(identifiers(kind, found, found.previous))
    assert len(set.union(*documents)) == sum(len(item) for item in documents)


def test_an_unknown_release_is_no_empty_document() -> None:
    for make in (cyclonedx.format, spdx.format):
        with pytest.raises(KeyError):
            make(sample(), "f" * 128)


DEEP = "(" * 126 + "MIT" + ")" * 126


@pytest.mark.parametrize(
    ("text", "licence", "spdx_text"),
    [
        ("Apache-2.0", {"license": {"id": "Apache-2.0"}}, "Apache-2.0"),
        ("apache-2.0", {"license": {"id": "Apache-2.0"}}, "Apache-2.0"),
        ("CDLA-Permissive-2.0", {"license": {"id": "CDLA-Permissive-2.0"}}, "CDLA-Permissive-2.0"),
        ("mit or (gpl-2.0-only with Classpath-exception-2.0)",
         {"expression": "MIT OR (GPL-2.0-only WITH Classpath-exception-2.0)"},
         "MIT OR (GPL-2.0-only WITH Classpath-exception-2.0)"),
        (DEEP, {"expression": DEEP}, DEEP),
        ("GPL-2.0+", {"expression": "GPL-2.0+"}, "GPL-2.0+"),
        ("llama3.1", {"license": {"name": "llama3.1"}}, None),
        ("LicenseRef-ours", {"license": {"name": "LicenseRef-ours"}}, None),
        ("MIT OR LicenseRef-ours", {"license": {"name": "MIT OR LicenseRef-ours"}}, None),
        ("Our own, see (1", {"license": {"name": "Our own, see (1"}}, None),
        ("(" * 300, {"license": {"name": "(" * 300}}, None),
    ],
)  # fmt: skip
def test_licences(text: str, licence: Any, spdx_text: str | None, validate: Callable[..., str]) -> None:
    found = sample()
    release = found.active_release
    assert release is not None
    changed = replace(release, components=tuple(replace(c, license=text) for c in release.components))
    found = replace(found, active=changed.digest, releases={changed.digest: changed})
    bill = cyclonedx.format(found)
    assert json.loads(bill)["components"][0]["licenses"] == [licence]
    elements = json.loads(spdx.format(found))["@graph"]
    said = [e.get("simplelicensing_licenseExpression") for e in elements if "LicenseExpression" in e["type"]]
    assert set(said) == ({spdx_text} if spdx_text else set())
    plain = [e["simplelicensing_licenseText"] for e in elements if "SimpleLicensingText" in e["type"]]
    assert set(plain) == (set() if spdx_text else {text})
    validate("cyclonedx", bill)
    validate("spdx", spdx.format(found))


def test_metrics_by_an_unknown_key_are_not_stated() -> None:
    found = rich()
    stranger = replace(found.attestations[0], signers=(Signatory("e" * 64, "", verified=False),))
    document = json.loads(cyclonedx.format(replace(found, attestations=(stranger,))))
    assert "quantitativeAnalysis" not in document["components"][0]["modelCard"]


def test_a_parent_without_a_digest_has_none() -> None:
    (base, *_) = json.loads(cyclonedx.format(rich()))["components"]
    known, unknown = base["pedigree"]["ancestors"]
    assert [p["name"] for p in known["properties"]] == ["airlift:relation", "airlift:digest-sha512"]
    assert [p["name"] for p in unknown["properties"]] == ["airlift:relation"]


# -- SPDX ----------------------------------------------------------------------------------------------------------


def graph(found: Facts) -> dict[str, dict[str, Any]]:
    return {item["spdxId"]: item for item in json.loads(spdx.format(found))["@graph"] if "spdxId" in item}


def parents(elements: dict[str, dict[str, Any]], name: str) -> list[dict[str, Any]]:
    (child,) = (
        k for k, e in elements.items() if e.get("name") == name and "comment" in e and "Package" in e["type"]
    )
    ends = [
        e["to"]
        for e in elements.values()
        if e.get("relationshipType") == "descendantOf" and e["from"] == child
    ]
    return [elements[end] for to in ends for end in to]


def test_a_parent_is_one_element_and_its_own_if_the_release_has_it() -> None:
    found = rich()
    release = found.active_release
    assert release is not None
    base, docs, guard, data = release.components
    seed = base.parents[0]
    shared = replace(guard, parents=(seed, Parent("merged-from", "base", "1.0", base.digest)))
    changed = replace(release, components=(base, docs, shared, data))
    elements = graph(
        replace(found, active=changed.digest, releases={**found.releases, changed.digest: changed})
    )
    (own,) = parents(elements, "docs")
    assert (own["type"], own["name"]) == ("ai_AIPackage", "base")
    assert [p["name"] for p in parents(elements, "guard")] == ["seed", "base"]
    assert parents(elements, "guard") == [parents(elements, "base")[0], own]
    assert sum(e.get("name") == "seed" for e in elements.values()) == 1
    assert sum(e.get("name") == "base" for e in elements.values()) == 1


def test_nothing_is_stated_that_nobody_told() -> None:
    elements = graph(rich())
    (data,) = (e for e in elements.values() if e["type"] == "dataset_DatasetPackage")
    assert not {"builtTime", "originatedBy", "software_downloadLocation"} & data.keys()
    assert data["dataset_datasetType"] == ["noAssertion"]
    assert "urn:airlift" not in json.dumps(list(elements.values()))
    hub = [e for e in elements.values() if e["type"] == "ai_AIPackage" and "software_downloadLocation" in e]
    assert [e["name"] for e in hub] == ["base"]
    nowhere = graph(replace(rich(), bundles={}, entries=()))
    assert not any({"releaseTime", "suppliedBy"} & e.keys() for e in nowhere.values())


def test_metrics_are_in_both_bills() -> None:
    (base,) = (e for e in graph(rich()).values() if e["type"] == "ai_AIPackage" and e["name"] == "base")
    stated = {(entry["key"], entry["value"]) for entry in base["ai_metric"]}
    card = json.loads(cyclonedx.format(rich()))["components"][0]["modelCard"]
    assert stated == {(m["type"], m["value"]) for m in card["quantitativeAnalysis"]["performanceMetrics"]}


def test_conformance_is_claimed_where_it_is_given() -> None:
    def claimed(found: Facts) -> list[str]:
        (document,) = (e for e in graph(found).values() if e["type"] == "SpdxDocument")
        profiles: list[str] = document["profileConformance"]
        return profiles

    found = sample()
    assert claimed(found) == ["core", "software", "simpleLicensing"]  # docs and guard came from a folder
    release = found.active_release
    assert release is not None
    changed = replace(release, components=tuple(replace(c, source=HUB) for c in release.components))
    made = bundle(9, changed, None)
    entry = replace(found.entries[2], release=changed.digest)
    told = replace(found, active=changed.digest, releases={changed.digest: changed}, bundles={made.digest: made},
                   entries=(entry,))  # fmt: skip
    assert claimed(told) == ["core", "software", "simpleLicensing", "ai"]
    assert claimed(replace(told, entries=())) == ["core", "software", "simpleLicensing"]  # nobody supplied it
    nothing = sample(active=None, previous=None, attestations=(), releases={}, bundles={})
    assert claimed(nothing) == ["core", "software", "simpleLicensing"]


# -- OSCAL ---------------------------------------------------------------------------------------------------------


def test_observations_name_their_subjects_and_entries() -> None:
    found = rich()
    (result,) = json.loads(oscal.format(found))["assessment-results"]["results"]
    defined = {item["uuid"]: item for item in result["local-definitions"]["components"]}
    titles = {
        o["title"]: [defined[s["subject-uuid"]]["title"] for s in o["subjects"]]
        for o in result["observations"]
    }
    assert all(s["type"] == "component" for o in result["observations"] for s in o["subjects"])
    assert titles["ledger"] == titles["witness"] == titles["entry enroll"] == ["Ledger airlift/alpha"]
    assert titles["quorum approval"] == titles["entry import-commit"] == ["Release assistant@1"]
    assert titles["vendor"] == ["base 1.0", "docs 1", "guard 2.0"]
    assert titles["sources"] == ["base 1.0", "docs 1", "guard 2.0", "tests 1"]
    (commit,) = (o for o in result["observations"] if o["title"] == "entry import-commit")
    (cited,) = commit["relevant-evidence"]
    entry = found.entries[2]
    leaf = tree.leaf_digest(format_entry(entry)).hex()
    assert [(p["name"], p["value"]) for p in cited["props"]] == [
        ("entry-index", "2"),
        ("entry-leaf-sha384", leaf),
    ]
    nobody = json.loads(oscal.format(CASES["nothing active"]()))["assessment-results"]["results"][0]
    assert {s["subject-uuid"] for o in nobody["observations"] for s in o["subjects"]} <= {
        c["uuid"] for c in nobody["local-definitions"]["components"]
    }


def test_attestations_line_by_line_as_they_were_signed(tmp_path: Path) -> None:
    found = gather_facts(enclave("two", tmp_path), NOW)
    lines = intoto.format(found).splitlines()
    assert lines == list(dict.fromkeys(item.envelope for item in found.attestations))
    spread = replace(found.attestations[0], envelope=json.dumps(json.loads(lines[0]), indent=1).encode())
    (line,) = intoto.format(replace(found, attestations=(spread,))).splitlines()
    assert json.loads(line) == json.loads(lines[0])


def states(found: Facts) -> dict[str, str]:
    document = json.loads(oscal.format(found))["assessment-results"]
    return {
        item["target"]["target-id"].removesuffix("_obj"): item["target"]["status"]["state"]
        for item in document["results"][0]["findings"]
    }


def test_a_control_is_satisfied_by_all_of_its_evidence_only() -> None:
    found = states(rich())
    assert {name for name, state in found.items() if state == "satisfied"} >= {
        "si-7",
        "cm-3",
        "au-10",
        "ac-4",
    }
    assert found["au-9"] == found["sr-4"] == found["sr-11"] == found["mp-5"] == "not-satisfied"
    witnessed = replace(rich(), ledger=replace(rich().ledger, witnesses=("auditor",)))
    assert states(witnessed)["au-9"] == "satisfied"
    nobody = states(CASES["nothing active"]())
    assert {name for name, state in nobody.items() if state == "satisfied"} == {"sc-13"}


def test_an_assessors_own_mapping(tmp_path: Path) -> None:
    path = tmp_path / "own.yaml"
    path.write_text(
        "airlift: 1\ncatalog: ours\ncontrols:\n  - {id: si-7, title: T, claim: C, evidence: [entry enroll]}\n"
    )
    place = enclave("one", tmp_path)
    export_document(place, "oscal", tmp_path / "out.json", now=NOW, controls=path)
    assert (
        len(json.loads((tmp_path / "out.json").read_text())["assessment-results"]["results"][0]["findings"])
        == 1
    )
    path.write_text(path.read_text().replace("entry enroll", "wishful thinking"))
    with pytest.raises(ManifestError):
        export_document(place, "oscal", tmp_path / "other.json", now=NOW, controls=path)
    assert not (tmp_path / "other.json").exists()


def test_facts_are_those_of_the_record(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = enclave("two", tmp_path)
    switch_to(place, "assistant@1")
    monkeypatch.setattr("airlift.high.record.gather.NEWEST", 3)
    for _ in range(9):
        place.record(operator(), ImportReject("malformed", 3))
    found = gather_facts(place, NOW)
    assert (found.active_release and found.active_release.label, found.omitted) == ("assistant@1", 4)
    assert len(found.entries) + found.omitted == found.ledger.size == place.state().size
    assert len(found.imports()) == 2  # whatever is left out, imports are told
    assert {item.kind for item in found.attestations} == {"provenance"}
    assert all(signer.holder == "machine" for item in found.attestations for signer in item.signers)
    assert {c.name for c in found.components()} == {"base", "guard"}


def test_unknown_releases_and_files_that_exist(tmp_path: Path) -> None:
    place = enclave("one", tmp_path)
    with pytest.raises(NotHeldError):
        export_document(place, "spdx", tmp_path / "out.json", now=NOW, release="assistant@9")
    export_document(place, "spdx", tmp_path / "out.json", now=NOW, release="assistant@1")
    with pytest.raises(ExistsError):
        export_document(place, "spdx", tmp_path / "out.json", now=NOW)
    assert keys.signer("ledger").public == operator().signer.public


# -- what is waived, marked and lacking ----------------------------------------------------------------------------


def _base(document: Any) -> dict[str, Any]:
    (found,) = (item for item in document if item.get("name", item.get("title", "")).startswith("base"))
    return dict(found)


def test_waivers_are_in_every_bill() -> None:
    found = waived()
    bill = _base(json.loads(cyclonedx.format(found))["components"])
    said = [(item["name"], item["value"]) for item in bill["properties"]]
    assert ("airlift:waiver:remote-code", "No other code.") in said
    assert ("airlift:waiver:pickle:file", "model.safetensors") in said
    (covers,) = [value for name, value in said if name == "airlift:remark" and "vendor" in value]
    assert covers == "vendor signature covers 2 of 4 files: left out a.pt, b.pt"
    package = _base(json.loads(spdx.format(found))["@graph"])
    assert "waiver for remote-code in config.json: No other code." in package["comment"]
    (result,) = json.loads(oscal.format(found))["assessment-results"]["results"]
    component = _base(result["local-definitions"]["components"])
    assert [p["value"] for p in component["props"] if p["name"] == "waiver"] == ["pickle", "remote-code"]
    assert "left out of its source by exclude \\*.pt: 2 files, a.pt, " in component["remarks"]
    assert "remarks" not in _base(
        json.loads(oscal.format(rich()))["assessment-results"]["results"][0]["local-definitions"][
            "components"
        ]
    )


def test_words_of_others_are_no_markdown() -> None:
    """Threat: a reason that reads as a link, as HTML or as another remark in whatever shows an assessment."""
    found = waived()
    release = found.active_release
    assert release is not None
    base, *others = release.components
    reason = "[approved](javascript:x) <img src=x> a_b\n\nmarking UNCLASSIFIED"
    (first, *more) = base.accept
    base = replace(base, accept=(replace(first, reason=reason), *more))
    release = replace(release, components=(base, *others))
    found = replace(found, releases={**found.releases, str(found.active): release})
    (result,) = json.loads(oscal.format(found))["assessment-results"]["results"]
    told = _base(result["local-definitions"]["components"])["remarks"]
    assert r"\[approved\](javascript:x) \<img src=x\> a\_b  marking UNCLASSIFIED" in told
    assert "\n\nmarking UNCLASSIFIED" not in told


def test_data_is_classified_by_its_own_marking() -> None:
    bill = json.loads(cyclonedx.format(waived()))
    (data,) = (item for item in bill["components"] if item["name"] == "tests")
    assert data["data"] == [{"type": "dataset", "name": "tests", "classification": "UNCLASSIFIED"}]
    assert {"name": "airlift:marking", "value": "UNCLASSIFIED"} in data["properties"]
    assert {"name": "airlift:marking", "value": "SECRET//NOFORN"} in bill["metadata"]["properties"]


# -- what was trained inside ---------------------------------------------------------------------------------------

TWICE = (
    "taken over from enclave bravo (tuned of assistant@1+tuned-1, entry 7)",
    "taken over from enclave bravo (tuned of assistant@1+tuned-1, entry 7)",
    "gathered from org/base at 0123456789ab",
)


def test_what_came_through_enclaves_is_in_every_document() -> None:
    found = inside()
    bill = {item["name"]: item for item in json.loads(cyclonedx.format(found))["components"]}
    said = [(item["name"], item["value"]) for item in bill["guard"]["properties"]]
    assert tuple(value for name, value in said if name == "airlift:source") == TWICE
    said = [(item["name"], item["value"]) for item in bill["docs"]["properties"]]
    assert ("airlift:source", "trained in enclave alpha") in said
    assert ("airlift:data:mail", "2026-10 (SECRET//NOFORN)") in said
    assert ("airlift:data:mail:sha512", TUNED.data[0].sha512) in said
    assert ("airlift:data:notes", "1 (CUI)") in said
    graph = {item.get("name"): item for item in json.loads(spdx.format(found))["@graph"]}
    assert "; ".join(TWICE) in graph["guard"]["comment"]
    assert "made with data mail 2026-10 (SECRET//NOFORN), notes 1 (CUI)" in graph["docs"]["comment"]
    (result,) = json.loads(oscal.format(found))["assessment-results"]["results"]
    told = "".join(item.get("remarks", "") for item in result["local-definitions"]["components"])
    assert "trained in enclave alpha" in told


# -- kinds that other tools read -------------------------------------------------------------------------------------


def test_images_wheels_charts_and_files_are_named_as_such() -> None:
    bill = json.loads(cyclonedx.format(engines()))
    types = {item["name"]: item["type"] for item in bill["components"]}
    assert types == {
        "a-chart": "application",
        "a-file": "file",
        "a-image": "container",
        "a-wheels": "library",
        "base": "machine-learning-model",
    }
    assert all(("data" in item) == (item["type"] == "data") for item in bill["components"])
    needed = {item["ref"]: item["dependsOn"] for item in bill["dependencies"]}
    (image,) = [ref for ref in needed if ref.startswith("component:a-image@")]
    assert needed[image.replace("a-image", "base")] == [image]
    graph = json.loads(spdx.format(engines()))["@graph"]
    purposes = {
        item["name"]: item["software_primaryPurpose"]
        for item in graph
        if item.get("name", "").startswith("a-") or item["type"] == "ai_AIPackage"
    }
    assert purposes == {
        "a-chart": "application",
        "a-file": "file",
        "a-image": "container",
        "a-wheels": "library",
        "base": "model",
    }
