"""Exports: valid in their formats' own eyes, true to the record, and text stays text."""

import json
import os
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from airlift import authored
from airlift.bundle.release import Parent, VendorSignature
from airlift.errors import ExistsError, ManifestError, NotHeldError
from airlift.evidence import controls, cyclonedx, intoto, oscal, spdx
from airlift.evidence.facts import Facts
from airlift.high.exports import FORMATS, export
from airlift.high.facts import gather
from tests.support import keys
from tests.support.depots import NOW
from tests.support.enclaves import enclave, operator, switch_to
from tests.support.facts import attested, facts, sha512

pytestmark = pytest.mark.usefixtures("quick_disk")

MAPPING = controls.parse(controls.FILE, authored.shipped(controls.FILE))
HOSTILE = "</style><script>alert(1)</script>\u202e\u0000\x1b[2J\"'&" + "x" * 300


def sample(**changes: Any) -> Facts:
    return facts(controls=MAPPING, **changes)


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
    metrics = {"verdict": "pass", "component": "base", "metrics": {"accuracy": 0.97, HOSTILE: "0"}}
    evaluation = replace(attested(changed, "evaluation", 0, 2), predicate=metrics)
    approvals = [attested(changed, kind, n, 2) for kind, n in (("scan", 0), ("approval", 1), ("approval", 2))]
    entries = tuple(
        replace(e, release=changed.digest) if e.release == release.digest else e for e in found.entries
    )
    return replace(
        found,
        active=changed.digest,
        releases={**found.releases, changed.digest: changed},
        attestations=(evaluation, *approvals),
        entries=entries,
    )


CASES: dict[str, Callable[[], Facts]] = {
    "sample": sample,
    "rich": rich,
    "second": lambda: replace(sample(), active=sample().previous),
    "nothing active": lambda: sample(active=None, previous=None, attestations=(), releases={}, bundles={}),
}


@pytest.fixture(scope="session")
def validate(
    require_tool: Callable[[str], str], tmp_path_factory: pytest.TempPathFactory
) -> Callable[..., str]:
    """Return a function that validates a document with its format's own library."""
    python = require_tool(os.environ.get("AIRLIFT_VALIDATORS", "airlift-validators-python"))
    script = Path(__file__).parents[1] / "support" / "validators.py"

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
        result = export(place, kind, tmp_path / kind, now=NOW)
        assert (result.release, result.entries) == ("assistant@2", place.state().size)
        validate(kind, (tmp_path / kind).read_bytes())


# -- without validators --------------------------------------------------------------------------------------------


def test_a_bill_of_materials_says_what_is_there() -> None:
    document = json.loads(cyclonedx.format(rich()))
    base, docs, guard, data = document["components"]
    assert [item["type"] for item in (base, docs, guard, data)] == [*["machine-learning-model"] * 3, "data"]
    assert base["purl"].startswith("pkg:huggingface/org/base@0123")
    assert base["licenses"] == [{"license": {"name": "Our own licence, version 2"}}]
    assert docs["licenses"] == [{"license": {"id": "Apache-2.0"}}]
    assert [(a["name"], a["version"]) for a in base["pedigree"]["ancestors"]] == [
        ("seed", "0.9"),
        ("other", "1"),
    ]
    assert docs["pedigree"]["ancestors"][0]["type"] == "machine-learning-model"
    metrics = base["modelCard"]["quantitativeAnalysis"]["performanceMetrics"]
    assert {"type": "accuracy", "value": "0.97"} in metrics
    needs = {item["ref"]: item["dependsOn"] for item in document["dependencies"]}
    assert needs["component:base@1.0"] == ["component:guard@2.0"]
    assert len(base["components"][0]["hashes"]) == 2


def test_a_delta_without_parents_has_its_baseline_as_ancestor() -> None:
    found = sample()
    document = json.loads(cyclonedx.format(found, found.previous))
    base = next(item for item in document["components"] if item["name"] == "base")
    assert [(a["name"], a["version"]) for a in base["pedigree"]["ancestors"]] == [("base", "1.0")]


def test_a_release_that_came_in_later_has_its_own_names() -> None:
    found = sample()
    assert json.loads(spdx.format(found)) != json.loads(spdx.format(found, found.previous))
    assert (
        json.loads(cyclonedx.format(found))["serialNumber"]
        != json.loads(cyclonedx.format(found, found.previous))["serialNumber"]
    )


def test_attestations_line_by_line_as_they_were_signed(tmp_path: Path) -> None:
    found = gather(enclave("two", tmp_path), NOW)
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
    export(place, "oscal", tmp_path / "out.json", now=NOW, controls=path)
    assert (
        len(json.loads((tmp_path / "out.json").read_text())["assessment-results"]["results"][0]["findings"])
        == 1
    )
    path.write_text(path.read_text().replace("entry enroll", "wishful thinking"))
    with pytest.raises(ManifestError):
        export(place, "oscal", tmp_path / "other.json", now=NOW, controls=path)
    assert not (tmp_path / "other.json").exists()


def test_facts_are_those_of_the_record(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = enclave("two", tmp_path)
    switch_to(place, "assistant@1")
    monkeypatch.setattr("airlift.high.facts.NEWEST", 3)
    for _ in range(9):
        place.record(operator(), "import-reject", {"code": "malformed", "exit": 3})
    found = gather(place, NOW)
    assert (found.active_release and found.active_release.label, found.omitted) == ("assistant@1", 4)
    assert len(found.entries) + found.omitted == found.ledger.size == place.state().size
    assert len(found.imports()) == 2  # whatever is left out, imports are told
    assert {item.kind for item in found.attestations} == {"provenance"}
    assert all(signer.holder == "machine" for item in found.attestations for signer in item.signers)
    assert {c.name for c in found.components()} == {"base", "guard"}


def test_unknown_releases_and_files_that_exist(tmp_path: Path) -> None:
    place = enclave("one", tmp_path)
    with pytest.raises(NotHeldError):
        export(place, "spdx", tmp_path / "out.json", now=NOW, release="assistant@9")
    export(place, "spdx", tmp_path / "out.json", now=NOW, release="assistant@1")
    with pytest.raises(ExistsError):
        export(place, "spdx", tmp_path / "out.json", now=NOW)
    assert keys.signer("ledger").public == operator().signer.public
