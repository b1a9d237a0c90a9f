"""Commands of an enclave's owners, through the real ones: tests of a release, hooks of a switch (SPEC 7.10)."""

import json
import sys
from typing import Any

import pytest

from airlift.commands.confine import has_namespaces
from tests.cli.conftest import POLICY, World, pack
from tests.cli.test_in_charge import SIGNING, release
from tests.cli.test_refusals import entries, refused
from tests.cli.test_revoked import bring, history, served, status, types
from tests.conftest import lacking

JSON = ("--format", "json")
TEST = """\
import pathlib, sys
rules = pathlib.Path(sys.argv[1], "guard/rules.txt").read_text()
print("the rules are", rules.split()[2])
sys.exit(3 if "rules of 2" in rules else 0)
"""
"""Does not accept guard 2."""
GOOD = TEST.replace("3 if", "0 if")
ESCAPE = """\
import pathlib, socket, sys
try:
    pathlib.Path(sys.argv[1], "guard/more.txt").write_text("one rule less")
except OSError as error:
    print(error)
else:
    sys.exit(8)
sys.exit(9 if len(socket.if_nameindex()) > 1 else 0)
"""
"""Accepts a release that it cannot change, where there is no network."""
WRITING = ESCAPE.replace("    print(error)", "    sys.exit(str(error))").replace("sys.exit(8)", "sys.exit(0)")
"""Wants to change it."""
HOOK = """\
import json, os, pathlib, sys
folder = pathlib.Path(os.environ["AIRLIFT_ENCLAVE"]).parent
name, action, tree = sys.argv[1], os.environ["AIRLIFT_ACTION"], os.environ["AIRLIFT_RELEASE"]
rules = pathlib.Path(tree, "guard/rules.txt").read_text() if tree else "none"
with (folder / "told.jsonl").open("a") as file:
    print(json.dumps([name, action, rules.split()[-1]]), file=file)
broken = folder / name
print("not ready")
sys.exit(broken.exists() and broken.read_text() in rules)
"""
"""Notes what it is told; fails at releases whose rules have the word of a file that is called as itself."""


def owners(world: World, text: str, **scripts: str) -> None:
    """Put a policy with commands in force; the scripts lie beside it."""
    folder = world.folder / "owners"
    folder.mkdir(exist_ok=True)
    for name, data in scripts.items():
        (folder / f"{name}.py").write_text(data)
    names = ", ".join(f"{name}.py" for name in scripts)
    head = POLICY.replace("airlift: 1", "airlift: 2")
    (folder / "policy.yaml").write_text(f"{head}files: [{names}]\n{text}")
    world.quick("high", "policy", "set", "owners/policy.yaml").expect(0)


def asking(world: World, script: str, more: str = "") -> None:
    """Ask for a test that every release must pass."""
    command = f"[{sys.executable}, rules.py, '{{release}}']"
    owners(world, f"acceptance:\n  - {{name: rules, command: {command}{more}}}\n", rules=script)


def hooked(world: World) -> None:
    """Put commands in force before and after every switch."""
    drain, health = ([sys.executable, "hook.py", name] for name in ("drain", "health"))
    owners(
        world,
        f"activation:\n  before: [{{name: drain, command: {drain}}}]\n"
        f"  after: [{{name: health, command: {health}}}]\n",
        hook=HOOK,
    )


def told(world: World) -> list[list[str]]:
    """Return what the commands were told since this was asked: name, action, and the version of the rules."""
    path = world.folder / "told.jsonl"
    lines = path.read_text().splitlines() if path.exists() else []
    path.unlink(missing_ok=True)
    return [json.loads(line) for line in lines]


@pytest.fixture
def held(running: World) -> World:
    """A world that runs demo@1 and holds demo@2."""
    running.quick("high", "import", *running.volumes("alpha-2")).expect(0)
    return running


# -- acceptance ----------------------------------------------------------------------------------------------------


def test_a_release_that_fails_its_test_is_installed_and_does_not_run(running: World) -> None:
    asking(running, TEST)
    size = len(entries(running))
    said = running.run("high", "import", *running.volumes("alpha-2"), "--activate", *JSON).expect(6)
    error, (result,) = said.error, said.data["acceptance"]
    assert (error["code"], error["expected"], error["found"]) == ("not-accepted", "exit 0", "exit 3")
    assert error["message"] == "release demo@2 was not accepted by rules"
    assert "run the same command again" in error["hint"]
    assert (result["name"], result["passes"], result["exit"], result["said"]) == (
        "rules", False, 3, "the rules are 2",
    )  # fmt: skip
    assert {"time", "memory"} <= set(result["enforced"])
    assert said.data["installed"]
    found = status(running)
    assert (found["active"], found["installed"]) == ("demo@1", ["demo@1", "demo@2"])
    assert served(running) == "1"
    assert entries(running)[size:] == ["import-prepare", "import-commit", "attestation"]
    for words in (("activate", "demo@2"), ("rollback", "--to", "demo@2", "--yes")):
        assert refused(running, 6, "high", *words).error["code"] == "not-accepted"
    planned = running.quick("high", "plan", *running.volumes("alpha-5"), *JSON).expect(0).data
    (rule,) = (item for item in planned["rules"] if item["rule"] == "test")
    assert (rule["subject"], rule["met"], rule["code"]) == ("rules", False, "not-accepted")


def test_a_release_that_passes_runs_and_the_record_says_what_it_passed(held: World) -> None:
    asking(held, TEST)
    refused(held, 6, "high", "activate", "demo@2")
    asking(held, GOOD)
    held.run("high", "activate", "demo@2").expect(0)
    assert served(held) == "2"
    attested, *switch = history(held, 3)
    assert [entry["type"] for entry in switch] == ["activate-prepare", "activate-commit"]
    detail = attested["detail"]
    assert (attested["type"], detail["kind"], detail["passes"]) == ("attestation", "evaluation", True)
    assert list(detail["holders"].values()) == ["enclave alpha"]
    assert "attestation evaluation" in held.quick("provenance", "trace", "demo@2").expect(0).out
    held.quick("provenance", "verify").expect(0)
    held.quick("high", "rollback", "--yes").expect(0)
    size = len(entries(held))
    held.quick("high", "activate", "demo@2").expect(0)
    assert entries(held)[size:] == [
        "activate-prepare",
        "activate-commit",
    ]  # it has passed: nothing runs again
    asking(held, GOOD, ", kind: scan")
    held.quick("high", "activate", "demo@1").expect(0)
    assert history(held, 3)[0]["detail"]["kind"] == "scan"


def test_a_test_that_does_not_end_is_none_that_was_passed(held: World) -> None:
    asking(held, "import time\ntime.sleep(600)\n", ", timeout: 1")
    said = refused(held, 6, "high", "activate", "demo@2")
    assert said.error["found"] == "was ended: it took too long, or could not be run"
    assert said.data["acceptance"][0]["exit"] is None
    asking(held, GOOD, ", timeout: 60")
    held.quick("high", "activate", "demo@2").expect(0)


def test_a_test_changes_nothing_and_reaches_nobody(held: World) -> None:
    if not has_namespaces():
        lacking("this kernel gives no namespaces to this user (unshare of util-linux)")
    asking(held, WRITING)
    said = refused(held, 6, "high", "activate", "demo@2")
    assert said.error["found"] == "exit 1"
    assert "Read-only file system" in said.data["acceptance"][0]["said"]
    asking(held, ESCAPE)
    held.quick("high", "activate", "demo@2").expect(0)
    assert [path.name for path in (held.folder / "enclave/active/guard").iterdir()] == ["rules.txt"]


def test_nothing_is_tested_that_may_not_run_anyway(held: World) -> None:
    asking(held, TEST)
    held.quick("high", "floor", "guard", "9", "--reason", "r").expect(0)
    size = len(entries(held))
    assert refused(held, 6, "high", "activate", "demo@2").error["code"] == "below-floor"
    assert len(entries(held)) == size


# -- switches ------------------------------------------------------------------------------------------------------


def test_a_command_before_a_switch_that_refuses_leaves_all_as_it_was(held: World) -> None:
    hooked(held)
    (held.folder / "drain").write_text("rules of 2")
    size = len(entries(held))
    said = refused(held, 6, "high", "activate", "demo@2", real=True)
    assert (said.error["code"], said.error["expected"], said.error["found"]) == (
        "hook-failed", "exit 0", "exit 1",
    )  # fmt: skip
    assert said.error["message"] == "the command drain before the switch does not accept it"
    assert said.data["said"] == "not ready"
    assert len(entries(held)) == size
    assert told(held) == [["drain", "activate", "2"]]
    (held.folder / "drain").unlink()
    held.quick("high", "activate", "demo@2").expect(0)
    assert told(held) == [["drain", "activate", "2"], ["health", "activate", "2"]]
    assert served(held) == "2"
    held.quick("high", "rollback", "--yes").expect(0)
    assert told(held) == [["drain", "rollback", "1"], ["health", "rollback", "1"]]


def test_a_health_check_that_fails_takes_the_switch_back(held: World) -> None:
    hooked(held)
    (held.folder / "health").write_text("rules of 2")
    size = len(entries(held))
    said = refused(held, 6, "high", "activate", "demo@2", real=True)
    assert said.error["code"] == "hook-failed"
    assert said.error["message"] == (
        "the command health after the switch to demo@2 failed: demo@1 is active again"
    )
    assert (said.error["found"], said.data["active"], said.data["said"]) == ("exit 1", "demo@1", "not ready")
    assert told(held) == [["drain", "activate", "2"], ["health", "activate", "2"], ["health", "restore", "1"]]
    assert (served(held), status(held)["active"]) == ("1", "demo@1")
    prepare, abort = history(held, 2)
    assert (prepare["type"], abort["type"]) == ("activate-prepare", "abort")
    assert abort["detail"] == {"undoes": size, "reason": "health: exit 1"}
    assert held.quick("provenance", "at", "2999-01-01", *JSON).expect(0).data["release"] == "demo@1"
    (held.folder / "health").unlink()
    held.quick("high", "activate", "demo@2").expect(0)
    assert served(held) == "2"
    held.quick("provenance", "verify").expect(0)


def test_an_import_whose_release_is_not_healthy_keeps_it_and_serves_the_one_before(running: World) -> None:
    hooked(running)
    (running.folder / "health").write_text("rules of 2")
    words = ("high", "import", *map(str, running.volumes("alpha-2")), "--activate", *JSON)
    said = running.quick(*words).expect(6)
    assert (said.error["code"], said.data["installed"], said.data["active"]) == (
        "hook-failed",
        True,
        "demo@1",
    )
    assert (served(running), status(running)["installed"]) == ("1", ["demo@1", "demo@2"])
    assert "import-reject hook-failed" not in entries(running)
    (running.folder / "health").unlink()
    assert running.quick(*words).expect(0).data["activated"]
    assert served(running) == "2"


def test_a_withdrawal_is_told_and_nothing_holds_it_up(held: World) -> None:
    hooked(held)
    for name in ("drain", "health"):
        (held.folder / name).write_text("")  # fails at anything
    told(held)
    assert bring(held, "corpus@1").data["enforced"]["action"] == "withdraw"
    assert told(held) == [["drain", "withdraw", "none"], ["health", "withdraw", "none"]]
    assert served(held) is None
    assert types(held, 2) == ["withdraw-prepare", "withdraw-commit"]


def test_a_fall_back_that_is_not_healthy_tries_the_next(held: World) -> None:
    held.quick("low", "release", release(held, "6"), *SIGNING).expect(0)
    pack(held, "6", "--for", "alpha", "--from", "demo@2")
    held.quick("high", "import", *held.volumes("alpha-6"), "--activate").expect(0)
    hooked(held)
    (held.folder / "health").write_text("rules of 2")
    enforced: dict[str, Any] = bring(held, "guard@6").data["enforced"]
    assert (enforced["action"], enforced["release"], enforced["active"]) == ("fall-back", "demo@6", "demo@1")
    assert types(held, 4) == ["rollback-prepare", "abort", "rollback-prepare", "rollback-commit"]
    assert served(held) == "1"


def test_commands_are_words_beside_the_policy(held: World) -> None:
    """A script that is not there, and one that is another than the ledger recorded."""
    (held.folder / "policy.yaml").write_text(
        POLICY.replace("airlift: 1", "airlift: 2") + "files: [rules.py]\nacceptance: []\n"
    )
    assert refused(held, 7, "high", "policy", "set", "policy.yaml").error["code"] == "unreadable"
    asking(held, TEST)
    script = (held.folder / "enclave/policy.yaml").resolve().parent / "rules.py"
    script.chmod(0o644)
    script.write_text(GOOD)
    assert refused(held, 3, "high", "activate", "demo@2").error["code"] == "ledger-inconsistent"
    asking(held, GOOD)
    held.quick("high", "activate", "demo@2").expect(0)
