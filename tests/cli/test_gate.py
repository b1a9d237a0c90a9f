"""Airlift's own gate as a test of acceptance: through the real commands, with what an older gate let pass."""

from pathlib import Path

import pytest

from airlift.high.governance import acceptance
from tests.cli.conftest import World
from tests.cli.test_refusals import entries, refused
from tests.support.drifting import configuration, embedded, tokenizer
from tests.support.packed import pickled
from tests.support.scanning import POLICY, accepting, bundled, older_gate, released

GATE = "acceptance: [{name: own-gate, gate: content}]\n"
BAD = {"weights.bin": pickled(), "more.bin": pickled(), "config.json": b"{}"}
DRIFTED = {
    "config.json": configuration(vocab_size=8),
    "model.safetensors": embedded(8),
    "tokenizer.json": tokenizer(added={"<pad>": 8}),
}


def ask_for(world: World, text: str = GATE, code: int = 0) -> None:
    (world.folder / "policy.yaml").write_text(POLICY + text)
    world.quick("high", "policy", "set", "policy.yaml").expect(code)


def attested(world: World) -> list[tuple[str, bool]]:
    """Return kind and outcome of every attestation in the ledger."""
    history = world.quick("provenance", "history", "--format", "json").expect(0)
    found = [entry["detail"] for entry in history.data["entries"] if entry["type"] == "attestation"]
    return [(detail["kind"], detail["passes"]) for detail in found]


@pytest.fixture
def bad(running: World) -> tuple[World, list[Path]]:
    """A world that runs demo@1, and the volumes of a release with pickles that an older gate let pass."""
    with older_gate():
        released(running, "bad", BAD)
    return running, bundled(running, "bad")


def test_what_an_older_gate_let_pass_is_not_activated(bad: tuple[World, list[Path]]) -> None:
    """THREATS, content: a release that was made before the gate knew of what is in it."""
    world, volumes = bad
    ask_for(world)
    said = world.run("high", "import", *volumes, "--activate", "--format", "json").expect(6)
    assert said.error["code"] == "not-accepted"
    assert said.error["message"] == "release demo@bad was not accepted by own-gate"
    assert said.error["expected"] == "no objections"
    assert said.error["found"] == "m: more.bin is or holds a pickle, judging by its content, and 1 more"
    assert "`accept`" in said.error["hint"]
    (test,) = said.data["acceptance"]
    assert (test["name"], test["passes"], test["exit"], test["enforced"]) == ("own-gate", False, 1, [])
    assert "m: more.bin is" in test["said"]
    assert "m: weights.bin is" in test["said"]
    assert attested(world) == [("scan", False)]
    status = world.quick("high", "status", "--format", "json").expect(0).data
    assert status["active"] == "demo@1"
    refused(world, 6, "high", "activate", "demo@bad", real=True)
    assert attested(world) == [("scan", False)] * 2


def test_a_good_release_is_judged_once_and_by_each_gate_anew(
    running: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    ask_for(running)
    running.run("high", "import", *running.volumes("alpha-2"), "--activate").expect(0)
    assert attested(running) == [("scan", True)]
    running.quick("high", "rollback", "--yes").expect(0)
    assert attested(running) == [("scan", True)] * 2  # demo@1 was judged by then as well
    running.quick("high", "activate", "demo@2").expect(0)
    assert len(attested(running)) == 2
    monkeypatch.setattr(acceptance, "__version__", "999.0")
    running.quick("high", "rollback", "--yes").expect(0)
    assert attested(running) == [("scan", True)] * 3
    assert entries(running)[-1] == "rollback-commit"


def test_waivers_let_through_what_they_name(running: World) -> None:
    released(running, "waived", BAD, accepting("pickle"))
    ask_for(running, f"waivers: [{{what: pickle}}]\n{GATE}")
    running.run("high", "import", *bundled(running, "waived"), "--activate").expect(0)
    assert attested(running) == [("scan", True)]


def test_drift_is_found_and_can_be_waived(running: World) -> None:
    with older_gate():
        released(running, "drifted", DRIFTED)
    ask_for(running)
    volumes = bundled(running, "drifted")
    said = running.run("high", "import", *volumes, "--activate", "--format", "json").expect(6)
    assert "tokens with ids for which the model beside it has no room" in said.error["found"]
    released(running, "allowed", DRIFTED, accepting("drift"))
    volumes = bundled(running, "allowed")
    assert (
        running.quick("high", "import", *volumes, "--format", "json").expect(6).error["code"]
        == "waiver-refused"
    )
    ask_for(running, f"waivers: [{{what: drift, component: m}}]\n{GATE}")
    running.run("high", "import", *volumes, "--activate").expect(0)


def test_a_plan_says_that_the_gate_will_be_asked(bad: tuple[World, list[Path]]) -> None:
    world, volumes = bad
    ask_for(world)
    planned = world.quick("high", "plan", *volumes, "--format", "json").expect(0).data
    (rule,) = [rule for rule in planned["rules"] if rule["rule"] == "test"]
    assert (rule["subject"], rule["met"]) == ("own-gate", False)


@pytest.mark.parametrize(
    "item",
    [
        "{name: a}",
        "{name: a, gate: content, command: [x]}",
        "{name: a, gate: other}",
        "{name: a, gate: content, timeout: 5}",
        "{name: a, gate: content, kind: scan}",
        "{gate: content}",
    ],
)
def test_what_is_no_gate(running: World, item: str) -> None:
    ask_for(running, f"acceptance: [{item}]\n", 2)
