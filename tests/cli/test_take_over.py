"""Across and up: a depot takes a component over from an enclave at its own level, for one that may hold it."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from airlift import verify as verifier
from tests.cli import test_register
from tests.cli.conftest import POLICY, World
from tests.cli.transcript import Transcript
from tests.support import weights

SIGNING = ("--key", "keys/release-cy.key", "--key", "keys/release-di.key")
PACKING = ("--output", "upper-media", "--bundler-key", "keys/bundler.key")
UPPER = ("--depot", "upper")
SECRET = POLICY.replace("ceiling: {level: UNCLASSIFIED}", "ceiling: {level: SECRET}")
GAMMA_KEY = "keys/officer-ed"


@pytest.fixture
def level(world: World) -> World:
    """A world whose enclave alpha runs demo@3, which is SECRET, and a depot ``upper`` at that level, still empty."""
    (world.folder / "policy.yaml").write_text(SECRET)
    world.quick("high", "policy", "set", "policy.yaml").expect(0)
    world.quick("high", "import", *world.volumes("alpha-4"), "--activate").expect(0)
    make_depot(world, "upper")
    return world


def make_depot(world: World, folder: str) -> None:
    roots = ("--root-key", "keys/root-ada.key", "--root-key", "keys/root-bo.key", "--root-threshold", "2")
    releasers = ("--release-key", "keys/release-cy.key", "--release-key", "keys/release-di.key")
    more = ("--release-threshold", "2", "--bundler-key", "keys/bundler.key", "--depot", folder)
    world.quick("low", "init", *roots, *releasers, *more).expect(0)


def make_gamma(world: World, folder: str = "gamma", policy: str = SECRET, depot: str = "upper") -> None:
    """Make an enclave ``gamma`` that trusts a depot."""
    (world.folder / f"{folder}.yaml").write_text(policy.replace("alpha", "gamma"))
    world.quick(
        *("high", "init", "--enclave", folder, "--root", f"{depot}/root.json", "--yes", "--name", "gamma"),
        *("--ledger-key", f"{GAMMA_KEY}.key", "--policy", f"{folder}.yaml"),
    ).expect(0)


def release(world: World, text: str, *words: str | Path) -> Transcript:
    """Release, in the depot ``upper``, what a manifest takes over."""
    path = world.folder / "relayed.yaml"
    path.write_text(f"airlift: 1\nrelease: relayed\nversion: '1'\ncomponents:\n  - {text}\n")
    return world.quick("low", "release", path, *UPPER, *SIGNING, "--format", "json", *words)


def enrol(world: World, *words: str) -> None:
    world.quick("low", "enrol", "gamma", "--ledger-key", f"{GAMMA_KEY}.pub", *UPPER, *words).expect(0)


def bundle(world: World, *words: str) -> Transcript:
    return world.quick("low", "bundle", "relayed@1", *UPPER, *PACKING, *words, "--format", "json")


def volumes(world: World) -> list[Path]:
    return sorted((world.folder / "upper-media").glob("airlift-gamma-*"))


def nodes(node: dict[str, Any]) -> Iterator[tuple[str, str, str]]:
    """Yield relation, kind and name of a node and of all above it."""
    yield node["relation"], node["kind"], node["name"]
    for parent in node["parents"]:
        yield from nodes(parent)


TAKEN = "source: {enclave: enclave, component: guard}"


def test_the_whole_way(level: World) -> None:
    said = release(level, TAKEN).expect(0)
    assert said.data["published"]
    enrol(level, "--ceiling", "SECRET")
    made = bundle(level, "--for", "gamma").expect(0)
    assert made.data["marking"] == {"level": "SECRET", "caveats": []}
    (remark,) = [text for text in made.data["remarks"] if "taken over" in text]
    assert remark.startswith("guard: taken over from enclave alpha (guard of demo@3, entry ")
    assert remark.endswith("); gathered from path sources/guard-3")
    make_gamma(level)
    level.quick("high", "import", *volumes(level), "--enclave", "gamma", "--activate").expect(0)
    served = level.folder / "gamma/active/guard/rules.txt"
    assert served.read_bytes() == (level.folder / "sources/guard-3/rules.txt").read_bytes()
    chain(level)


def chain(world: World) -> None:
    """The trace tells where it was taken over, of which release, and where it had been gathered; and proves it."""
    words = ("provenance", "trace", "guard", "--enclave", "gamma", "--prove", "--format", "json")
    answer = world.quick(*words).expect(0)
    (node,) = answer.data["nodes"] if "nodes" in answer.data else (answer.data["node"],)
    found = set(nodes(node))
    assert {
        ("gathered-from", "source", "enclave:alpha/guard"),
        ("part-of", "release", "demo"),
        ("gathered-from", "source", "path:sources/guard-3"),
        ("part-of", "release", "relayed"),
    } <= found
    (world.folder / "answer.json").write_text(answer.out)
    checked = verify(world, "answer.json")
    assert checked == 0
    lie = answer.out.replace("enclave:alpha/guard", "enclave:omega/guard")
    (world.folder / "lie.json").write_text(lie)
    assert verify(world, "lie.json") == 3


def verify(world: World, name: str) -> int:
    key = world.folder / f"{GAMMA_KEY}.pub"
    words = [sys.executable, verifier.__file__, str(world.folder / name), "--public-key", str(key)]
    return subprocess.run(words, capture_output=True, timeout=60, check=False).returncode


def test_across_twice(level: World) -> None:
    """What was taken over once may be taken over again, with the whole chain, under another name, and higher."""
    release(level, TAKEN).expect(0)
    enrol(level, "--ceiling", "SECRET")
    bundle(level, "--for", "gamma").expect(0)
    make_gamma(level)
    level.quick("high", "import", *volumes(level), "--enclave", "gamma", "--activate").expect(0)
    make_depot(level, "top")
    path = level.folder / "top.yaml"
    path.write_text(
        "airlift: 1\nrelease: top\nversion: '1'\ncomponents:\n"
        "  - {name: shield, marking: {level: TOP SECRET}, source: {enclave: gamma, component: guard}}\n"
    )
    level.quick("low", "release", path, "--depot", "top", *SIGNING).expect(0)
    (listed,) = level.quick("low", "list", "--depot", "top", "--format", "json").expect(0).data["releases"]
    (remark,) = [text for text in listed["remarks"] if "taken over" in text]
    assert remark.startswith("shield: taken over from enclave gamma (guard of relayed@1, entry ")
    assert "; taken over from enclave alpha (guard of demo@3, entry " in remark
    assert "shield: marking TOP SECRET" in listed["remarks"]


def test_what_was_trained_inside_goes_to_another_enclave(running: World) -> None:
    """Registered in alpha on data marked SECRET; taken over with parents, data and marking; run in gamma."""
    test_register.policy(running, "register: [adapter]\n")
    weights.component(running.folder / "trained", {"adapter.safetensors": weights.weights(9)})
    (running.folder / "cases.yaml").write_text(test_register.MANIFEST)
    running.quick("high", "register", "cases.yaml").expect(0)
    make_depot(running, "upper")
    text = "source: {enclave: enclave, component: cases, release: demo@1+cases.1}"
    for level in ("UNCLASSIFIED", "CUI"):
        said = release(running, f"{{marking: {{level: {level}}}, {text}}}").expect(6)
        assert (said.error["code"], said.error["found"]) == ("marking-refused", level)
    release(running, text).expect(0)
    enrol(running, "--ceiling", "SECRET")
    made = bundle(running, "--for", "gamma").expect(0)
    assert made.data["marking"]["level"] == "SECRET"
    make_gamma(running)
    running.quick("high", "import", *volumes(running), "--enclave", "gamma", "--activate").expect(0)
    words = ("provenance", "trace", "cases", "--enclave", "gamma", "--prove", "--format", "json")
    answer = running.quick(*words).expect(0)
    assert {
        ("gathered-from", "source", "enclave:alpha/cases"),
        ("part-of", "release", "demo"),
        ("gathered-from", "source", "registered:alpha"),
        ("derived-from", "component", "corpus"),
        ("made-with", "data", "case-files"),
    } <= set(nodes(answer.data["node"]))
    (running.folder / "answer.json").write_text(answer.out)
    assert verify(running, "answer.json") == 0
    shown = running.quick("high", "list", "--enclave", "gamma").expect(0).out
    assert "trained in enclave alpha" in shown
    assert "made with data case-files 2026-11 (SECRET)" in shown


def test_a_marking_is_not_lowered(level: World) -> None:
    said = release(level, f"{{marking: {{level: CUI}}, {TAKEN}}}").expect(6)
    assert (said.error["code"], said.error["found"]) == ("marking-refused", "CUI")
    assert said.error["expected"].startswith("SECRET")
    assert not level.quick("low", "list", *UPPER, "--format", "json").expect(0).data["releases"]


def test_it_goes_only_where_it_is_known_to_be_admitted(level: World) -> None:
    release(level, TAKEN).expect(0)
    for words in ((), ("--for", "gamma")):
        said = bundle(level, *words).expect(6)
        assert said.error["code"] == "marking-refused"
        assert "airlift low enrol" in said.error["hint"]
    enrol(level)
    assert "no ceiling is known" in bundle(level, "--for", "gamma").expect(6).error["found"]
    enrol(level, "--ceiling", "CUI")
    assert bundle(level, "--for", "gamma").expect(6).error["expected"] == "CUI"
    assert not (level.folder / "upper-media").exists()
    enrol(level, "--ceiling", "SECRET")
    bundle(level, "--for", "gamma").expect(0)
    make_gamma(level, "lower", POLICY)
    said = level.quick("high", "import", *volumes(level), "--enclave", "lower", "--format", "json").expect(6)
    assert said.error["code"] == "marking-refused"


def test_an_enclave_whose_record_was_changed(level: World) -> None:
    (level.folder / "enclave/content").chmod(0o755)
    (installed,) = (level.folder / "enclave").glob("releases/*/guard/rules.txt")
    digest = next(path for path in (level.folder / "enclave/content").glob("*/*") if path.samefile(installed))
    digest.unlink()
    digest.write_text("other rules\n" * 50)
    said = release(level, TAKEN).expect(3)
    assert said.error["code"] == "content-damaged"
    assert "airlift high check --enclave" in said.error["hint"]


def test_what_is_revoked_in_the_enclave(level: World) -> None:
    """L2.12: it is held there still, and goes nowhere; what is beside it does."""
    words = ("--reason", "a hole", *SIGNING, "--replace")
    level.quick("low", "revoke", "guard@3", *words).expect(0)
    made = level.quick(
        "low", "renew", "--output", "renewals", "--bundler-key", "keys/bundler.key", "--format", "json"
    )
    level.quick("high", "import", made.expect(0).data["volumes"][0]["path"]).expect(0)
    text = "source: {{enclave: enclave, component: {}, release: demo@3}}".format
    error = release(level, text("guard")).expect(6).error
    assert (error["code"], error["expected"]) == ("revoked", "nothing revoked")
    assert error["found"].startswith("vulnerability (component ")
    assert "airlift high status --enclave" in error["hint"]
    assert not level.quick("low", "list", *UPPER, "--format", "json").expect(0).data["releases"]
    release(level, text("corpus")).expect(0)


def test_a_path_that_leads_into_an_enclave(level: World) -> None:
    """So marking and provenance would be lost: it is taken over, or not released."""
    inside = level.folder / "enclave/active/guard"
    text = "name: guard, kind: guard, version: '3', marking: {level: UNCLASSIFIED}"
    error = release(level, f"{{{text}, source: {{path: {inside}}}}}").expect(2).error
    assert (error["code"], error["expected"]) == (
        "manifest-invalid",
        "a source that is the enclave, and a component of it",
    )
    assert error["found"].startswith(str(level.folder / "enclave"))
    assert "take it over: `source: {enclave: " in error["hint"]
    assert not level.quick("low", "list", *UPPER, "--format", "json").expect(0).data["releases"]
    release(level, TAKEN).expect(0)


def test_the_bill_of_materials_tells_it(level: World) -> None:
    release(level, TAKEN).expect(0)
    enrol(level, "--ceiling", "SECRET")
    bundle(level, "--for", "gamma").expect(0)
    make_gamma(level)
    level.quick("high", "import", *volumes(level), "--enclave", "gamma", "--activate").expect(0)
    for kind in ("cyclonedx", "spdx"):
        words = ("provenance", "export", "--enclave", "gamma", "--as", kind, "--output", f"{kind}.json")
        level.quick(*words).expect(0)
    bill = json.loads((level.folder / "cyclonedx.json").read_text())
    (guard,) = [item for item in bill["components"] if item["name"] == "guard"]
    found = [item["value"] for item in guard["properties"] if item["name"] == "airlift:source"]
    assert found[0].startswith("taken over from enclave alpha (guard of demo@3, entry ")
    assert found[1] == "gathered from path sources/guard-3"
    assert "taken over from enclave alpha" in (level.folder / "spdx.json").read_text()
    level.quick("provenance", "report", "--enclave", "gamma", "--output", "report.html").expect(0)
    assert "taken over from enclave alpha" in (level.folder / "report.html").read_text()
