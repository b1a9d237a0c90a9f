"""``airlift low scan`` through the real command: verdicts are shown and attested, and nothing else is changed."""

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from airlift.low.depot import attestation_index
from airlift.low.depot.depot import open_depot
from tests.cli.conftest import World, pack
from tests.cli.test_verdicts import policy_with
from tests.cli.transcript import Transcript, tree
from tests.support.packed import pickled
from tests.support.scanning import POLICY, accepting, older_gate, released

KEY = ("--key", "keys/officer-ed.key")
LOOK = """\
import os, pathlib, sys
release = pathlib.Path(sys.argv[1])
assert os.environ["AIRLIFT_RELEASE"] == str(release)
names = sorted(str(path.relative_to(release)) for path in release.rglob("*") if path.is_file())
assert names == ["corpus/text.dat", "guard/rules.txt"], names
assert "rules of 2" in (release / "guard/rules.txt").read_text()
"""


def scanner(name: str, text: str, *words: str, **bounds: Any) -> dict[str, Any]:
    return {"name": name, "command": [sys.executable, "-c", text, *words], **bounds}


def set_scanners(world: World, *scanners: dict[str, Any], more: str = "") -> Transcript:
    return policy_with(world, f"airlift: 1\nscanners: {json.dumps(scanners)}\n{more}", "low")


def scan(world: World, release: str = "demo@2", *words: str) -> Transcript:
    return world.quick("low", "scan", release, *KEY, *words, "--format", "json")


def attested(world: World, release: str = "demo@2") -> list[dict[str, Any]]:
    """Return what the scans in the depot state about a release, oldest first."""
    depot = open_depot(world.folder / "depot")
    kept = attestation_index.load(depot, depot.find_release(release).digest)
    return [dict(item.statement.predicate) for item in kept if item.statement.kind == "scan"]


def clean(world: World) -> bool:
    return list((world.folder / "depot/scans").iterdir()) == []


def test_without_a_policy_the_gate_looks(world: World) -> None:
    said = world.run("low", "scan", "demo@2", *KEY, "--format", "json").expect(0)
    assert (said.data["release"], said.data["passes"], said.data["dry_run"]) == ("demo@2", True, False)
    (gate,) = said.data["scans"]
    assert (gate["name"], gate["passes"], gate["exit"], gate["said"]) == ("airlift", True, 0, "")
    (stated,) = attested(world)
    assert stated["verdict"] == "pass"
    assert [item["name"] for item in stated["configuration"]] == ["airlift"]
    assert said.err == "airlift: passes it\n"
    event = json.loads((world.folder / "depot/log.jsonl").read_text().splitlines()[-1])
    assert (event["event"], event["detail"]["kind"]) == ("attest", "scan")
    assert event["detail"]["attestation"] == said.data["attestation"]
    assert clean(world)


def test_people_see_a_table(world: World) -> None:
    set_scanners(world, scanner("look", LOOK, "{release}")).expect(0)
    said = world.run("low", "scan", "demo@2", *KEY).expect(0)
    assert "airlift: passes it\nlook: passes it\n" in said.err
    for text in ("demo@2", "airlift", "look", "passes", "exit"):
        assert text in said.out


def test_scanners_see_the_files_of_the_release(world: World) -> None:
    set_scanners(world, scanner("look", LOOK, "{release}", timeout=60, memory="2GiB", processes=64)).expect(0)
    said = scan(world).expect(0)
    assert [(item["name"], item["passes"]) for item in said.data["scans"]] == [
        ("airlift", True),
        ("look", True),
    ]
    (stated,) = attested(world)
    look = stated["configuration"][1]
    assert look["annotations"]["exit"] == 0
    assert "time" in look["annotations"]["enforced"]
    assert len(look["digest"]["sha512"]) == 128
    assert clean(world)


def test_what_a_scanner_finds_is_attested_and_refused(world: World) -> None:
    """THREATS, content: a release in which a scanner finds something."""
    finds = "print('FOUND in guard/rules.txt'); raise SystemExit(1)"
    set_scanners(world, scanner("look", LOOK, "{release}"), scanner("finds", finds)).expect(0)
    said = world.run("low", "scan", "demo@2", *KEY, "--format", "json").expect(6)
    assert said.error["code"] == "not-accepted"
    assert said.error["message"] == "release demo@2 does not pass finds; that is attested"
    assert (said.error["expected"], said.error["found"]) == ("exit 0", "exit 1")
    assert said.data["scans"][2]["said"] == "FOUND in guard/rules.txt"
    assert "finds: does not pass it (exit 1)" in said.err
    (stated,) = attested(world)
    assert stated["verdict"] == "fail"
    assert "FOUND" not in json.dumps(stated)
    assert clean(world)


def test_a_scan_meets_the_quorum_of_a_depot(world: World) -> None:
    quorum = "attestations: {scan: {threshold: 1, keys: [ed.pub, officer-flo.pub]}}\n"
    set_scanners(world, scanner("look", LOOK, "{release}"), more=quorum).expect(0)
    bundle = (
        "low",
        "bundle",
        "demo@2",
        "--for",
        "beta",
        "--output",
        "out",
        "--bundler-key",
        "keys/bundler.key",
    )
    said = world.quick(*bundle, "--format", "json").expect(6)
    assert said.error["code"] == "quorum-unmet"
    assert "`airlift low scan demo@2 --key KEY`" in said.error["hint"]
    scan(world).expect(0)
    world.quick(*bundle, "--dry-run").expect(0)
    set_scanners(world, scanner("finds", "raise SystemExit(3)"), more=quorum).expect(0)
    scan(world).expect(6)
    assert world.quick(*bundle, "--format", "json").expect(6).error["code"] == "quorum-unmet"
    set_scanners(world, more=quorum).expect(0)
    scan(world).expect(0)
    assert [stated["verdict"] for stated in attested(world)] == ["pass", "fail", "pass"]
    assert world.quick(*bundle, "--format", "json").expect(6).error["code"] == "quorum-unmet"  # ed said both
    world.quick("low", "scan", "demo@2", "--key", "keys/officer-flo.key").expect(0)
    world.quick(*bundle).expect(0)


def test_a_scan_counts_on_the_high_side(running: World) -> None:
    scan(running).expect(0)
    pack(running, "2", "--for", "alpha")
    policy_with(running, f"{POLICY}attestations: {{scan: {{threshold: 1, keys: [ed.pub]}}}}\n").expect(0)
    newest = max(running.folder.glob("media/airlift-alpha-*"), key=lambda path: int(path.name.split("-")[2]))
    running.quick("high", "import", newest, "--activate").expect(0)


def test_a_dry_run_attests_nothing(world: World) -> None:
    scan(world).expect(0)
    before = tree(world.folder / "depot")
    said = scan(world, "demo@2", "--dry-run").expect(0)
    assert (said.data["attestation"], said.data["dry_run"], said.data["passes"]) == (None, True, True)
    assert tree(world.folder / "depot") == before
    set_scanners(world, scanner("finds", "raise SystemExit(1)")).expect(0)
    before = tree(world.folder / "depot")
    said = scan(world, "demo@2", "--dry-run").expect(6)
    assert said.error["message"] == "release demo@2 does not pass finds; nothing is attested"
    assert tree(world.folder / "depot") == before


@pytest.mark.parametrize("program", ["no-such-scanner", "/no/such/scanner", "./scanner.sh"])
def test_a_scanner_that_is_not_there_passes_nothing(world: World, program: str) -> None:
    set_scanners(world, {"name": "absent", "command": [program]}).expect(0)
    said = scan(world).expect(7)
    assert said.error["message"] == "the scanner absent is not installed"
    assert "airlift low policy set" in said.error["hint"]
    assert attested(world) == []


def test_a_scanner_that_never_ends_passes_nothing(world: World) -> None:
    sleeps = scanner("sleeps", "import time; time.sleep(4324)", timeout=1)
    set_scanners(world, sleeps).expect(0)
    said = scan(world).expect(7)
    assert "the scanner sleeps was ended: it took too long" in said.error["message"]
    assert [item["exit"] for item in said.data["scans"]] == [0, None]
    assert attested(world) == []
    assert clean(world)
    set_scanners(world, sleeps, scanner("finds", "raise SystemExit(1)")).expect(0)
    assert scan(world).expect(6).error["message"].startswith("release demo@2 does not pass sleeps, finds;")
    (stated,) = attested(world)
    exits = [item["annotations"]["exit"] for item in stated["configuration"]]
    assert (stated["verdict"], exits) == ("fail", [0, None, 1])


def test_a_newer_gate_finds_what_an_older_one_let_pass(world: World) -> None:
    with older_gate():
        released(world, "bad", {"weights.bin": pickled()})
    said = scan(world, "demo@bad").expect(6)
    assert said.error["found"] == "m: weights.bin is or holds a pickle, judging by its content"
    assert [stated["verdict"] for stated in attested(world, "demo@bad")] == ["fail"]
    released(world, "waived", {"weights.bin": pickled()}, accepting("pickle"))
    scan(world, "demo@waived").expect(0)


def test_content_that_has_changed_is_not_scanned(world: World) -> None:
    """A verdict about a release must be about its bytes."""
    depot = open_depot(world.folder / "depot")
    sha512 = next(iter(depot.load_release("demo@2").contents()))
    path = depot.content.path(sha512)
    path.chmod(0o644)
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    said = scan(world).expect(3)
    assert said.error["code"] == "digest-mismatch"
    assert attested(world) == []
    path.unlink()
    scan(world).expect(3)


def test_what_a_killed_scan_left_is_removed(world: World) -> None:
    left = world.folder / "depot/scans/.tmp-0123456789abcdef"
    (left / "release/m").mkdir(parents=True)
    (left / "release/m/a").write_bytes(b"x")
    other = world.folder / "depot/scans/.tmp-of-somebody"
    other.mkdir()
    scan(world).expect(0)
    assert list((world.folder / "depot/scans").iterdir()) == [other]


def test_who_may_not_scan(world: World) -> None:
    assert world.quick("low", "scan", "demo@2", "--format", "json").expect(2).error["expected"] == "one --key"
    scan(world, "demo@9").expect(5)
    scan(world, "demo@2", "--key", "keys/bundler.key").expect(2)


@pytest.mark.parametrize(
    "scanners",
    [
        [{"name": "airlift", "command": ["x"]}],
        [{"name": "a", "command": ["x"]}, {"name": "a", "command": ["y"]}],
        [{"name": "a", "command": []}],
        [{"name": "a"}],
        [{"name": "a", "gate": "content"}],
        [{"name": "a", "command": ["x"], "kind": "scan"}],
        [{"name": "a", "command": ["x"], "memory": "1GB"}],
        [{"name": "A b", "command": ["x"]}],
    ],
)
def test_what_are_no_scanners(world: World, scanners: list[dict[str, Any]]) -> None:
    assert set_scanners(world, *scanners).expect(2).error["code"] == "manifest-invalid"


def test_the_policy_shows_its_scanners(world: World) -> None:
    set_scanners(world, {"name": "av", "command": ["clamscan", "{release}"]}).expect(0)
    shown = world.quick("low", "policy", "show", "--format", "json").expect(0)
    (item,) = shown.data["scanners"]
    assert (item["name"], item["argv"], item["timeout"]) == ("av", ["clamscan", "{release}"], 600)
    assert "av" in world.quick("low", "policy", "show").expect(0).out


def test_scanners_cannot_write_into_the_depot(world: World, require_namespaces: None) -> None:
    """THREATS, content: a scanner that writes into what it looks at."""
    text = (
        "import os, pathlib, sys\n"
        "path = pathlib.Path(sys.argv[1], 'guard/rules.txt')\n"
        "try:\n    path.chmod(0o644); path.write_text('x')\n"
        "except OSError: raise SystemExit(0)\n"
        "raise SystemExit(9)\n"
    )
    set_scanners(world, scanner("writes", text, "{release}")).expect(0)
    scan(world).expect(0)
    scan(world).expect(0)


@pytest.fixture
def require_namespaces() -> None:
    from airlift.commands.confine import has_namespaces
    from tests.conftest import lacking

    if not has_namespaces():
        lacking("this kernel gives no namespaces to this user (unshare of util-linux)")


def test_the_tree_stays_out_of_the_way(world: World) -> None:
    path = Path(world.folder / "depot/scans")
    assert not path.exists()
    scan(world).expect(0)
    assert path.stat().st_mode & 0o777 == 0o700
