"""Quorums, bars and age through the real commands: refused with what was expected and found, and satisfied."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import POLICY, World, pack
from tests.cli.test_refusals import refused
from tests.cli.transcript import Transcript

TWO = POLICY.replace("airlift: 1", "airlift: 2")
OFFICERS = "attestations:\n  approval: {threshold: 2, keys: [ed.pub, officer-flo.pub, bundler.pub, release-cy.pub]}\n"
VULNS = "https://in-toto.io/attestation/vulns/v0.2"
TESTED = "https://in-toto.io/attestation/test-result/v0.1"
REPORT: dict[str, Any] = {
    "scanner": {"uri": "pkg:x/trivy", "db": {"lastUpdate": "2026-11-01T00:00:00Z"}, "result": []},
    "metadata": {"scanStartedOn": "2026-11-02T00:00:00Z", "scanFinishedOn": "2026-11-02T00:10:00.5Z"},
}
FINDING = {
    "id": "CVE-2026-1",
    "severity": [{"method": "nvd", "score": "HIGH"}, {"method": "cvss", "score": "8.1"}],
}


def policy_with(world: World, text: str, where: str = "high") -> Transcript:
    """Put a policy in force on one side, with the keys of all beside it; ed.pub is that of officer-ed."""
    for path in (world.folder / "keys").glob("*.pub"):
        (world.folder / path.name).write_bytes(path.read_bytes())
    (world.folder / "ed.pub").write_bytes((world.folder / "keys/officer-ed.pub").read_bytes())
    (world.folder / "rules.yaml").write_text(text)
    return world.quick(where, "policy", "set", "rules.yaml", "--format", "json")


def approve(world: World, key: str) -> Transcript:
    words = ("high", "approve", "demo@2", "--key", f"keys/{key}.key", "--format", "json")
    return world.quick(*words).expect(0)


@pytest.fixture
def held(running: World) -> World:
    """A world that runs demo@1 and holds demo@2."""
    running.quick("high", "import", *running.volumes("alpha-2")).expect(0)
    return running


def test_who_built_or_released_it_may_not_approve_it(held: World) -> None:
    policy_with(held, f"{TWO}{OFFICERS}bar:\n  - [build, approval]\n  - [release, approval]\n").expect(0)
    for key in ("bundler", "release-cy", "officer-ed"):
        approve(held, key)
    said = refused(held, 6, "high", "activate", "demo@2", real=True)
    assert said.error["code"] == "quorum-unmet"
    assert (said.error["expected"], said.error["found"]) == (
        "2",
        "1; bar [build, approval] leaves out bundler; bar [release, approval] leaves out release-cy",
    )
    assert "airlift high approve demo@2" in said.error["hint"]
    assert approve(held, "officer-flo").data["approvals"] == 2
    held.run("high", "activate", "demo@2").expect(0)


def test_two_keys_of_one_holder_are_one_voice(held: World) -> None:
    """Policy lists the second key of release-cy, whom the root names, under that name."""
    keys = "[people/release-cy.pub, cy.pub, officer-flo.pub]"
    text = f"{TWO}attestations:\n  approval: {{threshold: 2, keys: {keys}}}\n"
    (held.folder / "people").mkdir()
    for source, target in (("officer-ed", "people/release-cy"), ("release-cy", "cy")):
        (held.folder / f"{target}.pub").write_bytes((held.folder / f"keys/{source}.pub").read_bytes())
    policy_with(held, text).expect(0)
    for key in ("officer-ed", "release-cy"):
        assert approve(held, key).data["approvals"] == 1
    said = refused(held, 6, "high", "activate", "demo@2")
    assert (said.error["code"], said.error["expected"], said.error["found"]) == ("quorum-unmet", "2", "1")
    approve(held, "officer-flo")
    held.quick("high", "activate", "demo@2").expect(0)


def test_an_approval_expires(held: World) -> None:
    digest = next(
        item["digest"] for item in held.quick("high", "list", "--format", "json").data["releases"]
        if item["release"] == "demo@2"
    )  # fmt: skip
    text = "attestations: {approval: {threshold: 1, keys: [ed.pub], expires_after_days: 30}}\n"
    policy_with(held, TWO + text).expect(0)
    old = {"verdict": "pass", "time": "2020-01-01T00:00:00Z"}
    attested(held, "demo@2", "approval", old, "officer-ed")
    (envelope,) = envelopes(held, digest, "approval")
    held.quick("high", "attest", envelope).expect(0)
    said = refused(held, 6, "high", "activate", "demo@2")
    assert "1 expired (ed)" in said.error["message"]
    assert (said.error["expected"], said.error["found"]) == ("1", "0; 1 expired (ed)")
    assert approve(held, "officer-ed").data["approvals"] == 1
    held.quick("high", "activate", "demo@2").expect(0)


def attested(
    world: World, release: str, kind: str, claim: dict[str, Any], key: str, *more: str
) -> Transcript:
    (world.folder / "claim.json").write_text(json.dumps(claim))
    words = (
        "--type",
        kind,
        "--predicate",
        "claim.json",
        "--key",
        f"keys/{key}.key",
        *more,
        "--format",
        "json",
    )
    return world.quick("low", "attest", release, *words)


def envelopes(world: World, digest: str, kind: str) -> list[Path]:
    """Return the files of a depot's attestations of a kind about a release."""
    from airlift.low.depot import attestation_index
    from airlift.low.depot.depot import open_depot

    depot = open_depot(world.folder / "depot")
    kept = attestation_index.load(depot, digest)
    return [depot.documents.path(item.digest) for item in kept if item.statement.kind == kind]


def test_policies_of_format_1_have_neither(running: World) -> None:
    aged = "attestations: {scan: {threshold: 1, keys: [ed.pub], expires_after_days: 1}}\n"
    for text in (f"{POLICY}{OFFICERS}bar: [[build, approval]]\n", POLICY + aged):
        said = policy_with(running, text).expect(2)
        assert "in format 1" in said.error["message"]


# -- verdicts of others --------------------------------------------------------------------------------------------


def test_a_report_of_vulnerabilities_is_a_scan(running: World) -> None:
    said = attested(running, "demo@2", "scan", REPORT, "officer-ed", "--predicate-type", VULNS).expect(0)
    assert (said.data["kind"], said.data["passes"]) == ("scan", True)
    serious = {**REPORT, "scanner": {**REPORT["scanner"], "result": [FINDING]}}
    said = attested(running, "demo@2", "scan", serious, "officer-ed", "--predicate-type", VULNS).expect(0)
    assert not said.data["passes"]
    assert "it counts towards no quorum" in said.err


@pytest.mark.parametrize(
    ("kind", "claim", "of", "expected"),
    [
        ("approval", REPORT, VULNS, "urn:airlift:attestation:approval:v1"),
        ("scan", {"verdict": "pass"}, VULNS, "scanner.uri: a text"),
        ("scan", REPORT, "", "verdict: pass or fail"),
        ("scan", REPORT, "https://example.com/other", "urn:airlift:attestation:scan:v1"),
        ("evaluation", {"result": "PASSED"}, TESTED, "configuration: a list"),
    ],
)  # fmt: skip
def test_what_is_not_signed(running: World, kind: str, claim: dict[str, Any], of: str, expected: str) -> None:
    more = ("--predicate-type", of) if of else ()
    said = attested(running, "demo@2", kind, claim, "officer-ed", *more).expect(2)
    assert expected in said.error["expected"]


def test_an_import_takes_no_format(running: World) -> None:
    words = ("--import", "claim.json", "--predicate-type", VULNS)
    assert "--predicate-type" in running.quick("low", "attest", "demo@2", *words).expect(2).err


# -- the depot's policy --------------------------------------------------------------------------------------------


def test_a_depot_with_a_policy(running: World) -> None:
    shown = running.quick("low", "policy", "show", "--format", "json").expect(0)
    assert shown.data == {"digest": None, "policy": None, "keys": {}, "scanners": [], "text": None}
    rules = f"airlift: 1\n{OFFICERS}bar: [[build, approval]]\n"
    dry = policy_with(running, "airlift: 3\n", "low").expect(2)
    assert dry.error["code"] == "manifest-invalid"
    made = policy_with(running, rules, "low").expect(0)
    shown = running.run("low", "policy", "show", "--format", "json").expect(0)
    assert (shown.data["digest"], shown.data["text"]) == (made.data["digest"], rules)
    assert "bundler.pub" in running.quick("low", "policy", "show").expect(0).out
    assert running.quick("low", "log", "--format", "json").data["events"][-1]["event"] == "policy"

    bundling = ("low", "bundle", "demo@2", "--for", "alpha", "--from", "none", "--output", "sent", "--bundler-key",
                "keys/bundler.key")  # fmt: skip
    for key in ("bundler", "officer-ed"):
        attested(running, "demo@2", "approval", {"verdict": "pass"}, key).expect(0)
    said = running.run(*bundling, "--format", "json").expect(6)
    assert (said.error["code"], said.error["exit"], said.error["expected"]) == ("quorum-unmet", 6, "2")
    assert said.error["found"] == "1; bar [build, approval] leaves out bundler"
    assert "`airlift low attest demo@2 --type approval --predicate FILE.json --key KEY`" in said.error["hint"]
    assert not (running.folder / "sent").exists()
    attested(running, "demo@2", "approval", {"verdict": "pass"}, "officer-flo").expect(0)
    running.quick(*bundling).expect(0)
    assert list((running.folder / "sent").iterdir())
    policy_with(running, "airlift: 1\n", "low").expect(0)
    pack(running, "1", "--for", "alpha")
