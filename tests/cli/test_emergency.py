"""``airlift low emergency``: three enclaves on different baselines, one command, one bundle; the old guard is gone.

Through the real commands of both sides (SPEC L4.16, 5.4).
"""

from pathlib import Path

import pytest

from tests.cli.conftest import World, write_manifest
from tests.cli.test_refusals import refused

NAMES = ("alpha", "bravo", "charlie")
FOR = tuple(word for name in NAMES for word in ("--for", name))
SIGN = ("--key", "keys/release-cy.key", "--key", "keys/release-di.key")
OUT = ("--output", "fix", "--bundler-key", "keys/bundler.key")
WHY = ("--revoke", "guard@2", "--reason", "passes prompts in base64")
JSON = ("--format", "json")
BASELINES = {"alpha": ("1", "2"), "bravo": ("2",), "charlie": ("2", "3")}


def home(name: str) -> tuple[str, str]:
    return ("--enclave", f"enclaves/{name}")


@pytest.fixture(scope="module")
def prepared_three(prepared: World, tmp_path_factory: pytest.TempPathFactory) -> World:
    """Three enclaves whose guard is 2 (charlie: another release with it), enrolled, with receipts taken in."""
    world = prepared.copy(tmp_path_factory.mktemp("three") / "world")
    (world.folder / "demo-2a.yaml").write_text(
        (world.folder / "demo-2.yaml").read_text().replace("version: '2'\nmarking", "version: '2a'\nmarking")
    )
    world.quick("low", "release", "demo-2a.yaml", *SIGN, "--replace").expect(0)
    for version in ("1", "2", "2a"):
        words = ("--from", "none", "--output", f"any-{version}", "--bundler-key", "keys/bundler.key")
        world.quick("low", "bundle", f"demo@{version}", *words).expect(0)
    for name, versions in BASELINES.items():
        key = f"keys/ledger-{name}"
        world.quick("keys", "generate", f"ledger-{name}", "--out", "keys", "--no-passphrase").expect(0)
        world.quick(
            *("high", "init", *home(name), "--root", "depot/root.json", "--yes", "--name", name),
            *("--ledger-key", f"{key}.key"),
        ).expect(0)
        for version in versions:
            folder = f"any-{version.replace('3', '2a')}"
            world.quick("high", "import", *home(name), folder, "--activate").expect(0)
        world.quick("low", "enrol", name, "--ledger-key", f"{key}.pub").expect(0)
        world.quick("high", "receipt", *home(name), "--output", f"{name}.json").expect(0)
        world.quick("low", "returns", "import", f"{name}.json").expect(0)
    write_manifest(world.folder, "4")
    return world


@pytest.fixture
def three(prepared_three: World, tmp_path: Path) -> World:
    world = prepared_three.copy(tmp_path / "world")
    for name in NAMES:
        config = world.folder / f"enclaves/{name}/config.yaml"
        config.write_text(config.read_text().replace(str(prepared_three.folder), str(world.folder)))
    return world


def test_one_command_a_side_brings_the_fix_everywhere(three: World) -> None:
    said = three.quick("low", "emergency", "demo-4.yaml", *WHY, *FOR, *SIGN, *OUT, *JSON).expect(0)
    made = said.data["bundles"][0]
    assert (said.data["release"], said.data["published"], said.data["hints"]) == ("demo@4", True, [])
    assert (said.data["signatures"], said.data["threshold"]) == (2, 2)
    assert [item["names"] for item in said.data["revoked"]] == [["guard@2"]]
    assert (said.data["chosen"], len(said.data["bundles"]), made["baseline"]) == ("common", 1, "demo@2")
    assert made["baseline_known_by"] == dict.fromkeys(NAMES, "receipt")
    assert said.data["serves"] == dict.fromkeys(NAMES, made["bundle"])
    assert made["chunk_bytes"] < 2000
    assert "baseline for bravo: demo@2 (a signed receipt says that it is held)" in said.err
    assert "is outstanding and brings what is revoked" in said.err
    for name in NAMES:
        done = three.quick("high", "import", *home(name), "fix", "--activate", *JSON).expect(0)
        assert (done.data["installed"], done.data["activated"]) == (True, True)
        status = three.quick("high", "status", *home(name), *JSON).expect(0).data
        assert status["active"] == "demo@4"
        back = ("--to", "demo@2") if name == "alpha" else ()
        for words in (("rollback", *back, "--yes"), ("activate", "demo@2")):
            error = three.quick("high", *words, *home(name), *JSON).expect(6).error
            assert error["code"] == "revoked"
            assert "passes prompts in base64" in error["message"]
        three.quick("high", "import", *home(name), "any-2", "--activate")  # it brings the old guard
        assert three.quick("high", "status", *home(name), *JSON).expect(0).data["active"] == "demo@4"


def test_missing_signatures_are_told_with_the_next_commands(three: World) -> None:
    words = ("low", "emergency", "demo-4.yaml", *WHY, *FOR, *OUT)
    said = three.quick(*words, *SIGN[:2]).expect(0)
    assert "1 of 2 signatures are missing: nothing was cut" in said.err
    assert "revoked: component guard@2" in said.out
    waiting = three.quick(*words, *JSON).expect(0)
    assert (waiting.data["published"], waiting.data["signatures"], waiting.data["bundles"]) == (False, 1, [])
    signing, again = waiting.data["hints"]
    assert signing == "airlift low sign demo@4 --key KEY"
    assert f"then: {again}" in said.err
    three.quick("low", "sign", "demo@4", *SIGN[2:]).expect(0)
    assert "'passes prompts in base64'" in again
    done = three.quick(*words, *JSON).expect(0)
    assert (done.data["published"], len(done.data["bundles"])) == (True, 1)
    events = three.quick("low", "log", *JSON).expect(0).data["events"]
    assert [event["event"] for event in events][-4:] == ["revoke", "revoke", "sign", "bundle"]


def test_a_table_and_a_dry_run(three: World) -> None:
    words = ("low", "emergency", "demo-4.yaml", *WHY, *FOR, *SIGN, *OUT)
    three.quick(*words, "--dry-run").expect(0)
    assert not (three.folder / "fix").exists()
    shown = three.quick(*words, "--volume-size", "cd", "--parity", "10%").expect(0).out
    assert "alpha, bravo, charlie" in shown
    assert "demo@2" in shown


def test_refusals(three: World) -> None:
    words = ("low", "emergency", "demo-4.yaml", *WHY, *SIGN, *OUT)
    assert refused(three, 5, *words, "--for", "delta").error["code"] == "release-not-held"
    assert three.quick(*words).expect(2).err
    with_old = ("low", "emergency", "demo-4.yaml", "--revoke", "corpus@1", "--reason", "r", *FOR, *SIGN, *OUT)
    assert refused(three, 6, *with_old).error["code"] == "revoked"
    assert not (three.folder / "fix").exists()
