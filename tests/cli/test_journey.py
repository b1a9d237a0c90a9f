"""From low to high through the real command: the JSON keys that scripts rely on, key by key."""

import re
from pathlib import Path

import pytest

from tests.cli.conftest import World, make_enclave, write_manifest
from tests.cli.transcript import inside, on_a_terminal

COMPONENTS = {"corpus", "guard"}
IMPORT_KEYS = {
    "bundle", "sequence", "enclave", "baseline", "target", "volumes_present", "volumes_total", "missing", "installed",
    "activated", "already",
}  # fmt: skip


def is_digest(text: object, digits: int = 128) -> bool:
    return isinstance(text, str) and re.fullmatch(rf"[0-9a-f]{{{digits}}}", text) is not None


def test_the_low_side(tmp_path: Path) -> None:
    """keys, low init, release, sign (above and below the threshold), bundle, check, list, status, log."""
    world = World(tmp_path)
    (tmp_path / "sources/corpus").mkdir(parents=True)
    (tmp_path / "sources/corpus/text.dat").write_bytes(b"text " * 1000)
    for name in ("root", "cy", "di", "bundler", "alpha"):
        world.quick("keys", "generate", name, "--no-passphrase").expect(0)
    said = world.run(
        *("low", "init", "--root-key", "root.key", "--root-threshold", "1", "--release-key", "cy.key"),
        *(
            "--release-key",
            "di.pub",
            "--release-threshold",
            "2",
            "--bundler-key",
            "bundler.pub",
            "--format",
            "json",
        ),
    ).expect(0)
    assert said.document["command"] == "low init"
    assert {"depot": "depot", "root": "depot/root.json"}.items() <= said.data.items()
    assert is_digest(said.data["fingerprint"], 96)
    assert "airlift low sign" in said.err
    world.quick("low", "sign", "--key", "di.key").expect(0)

    manifest = write_manifest(tmp_path, "1")
    said = world.run("low", "release", manifest, "--key", "cy.key", "--format", "json").expect(0)
    assert is_digest(said.data["digest"])
    below = {"release": "demo@1", "signatures": 1, "threshold": 2, "published": False}
    assert below.items() <= said.data.items()
    digest = said.data["digest"]
    refused = world.run(
        *("low", "bundle", "demo@1", "--output", "out", "--bundler-key", "bundler.key", "--format", "json")
    ).expect(6)
    assert refused.error["code"] == "unpublished"
    assert not (tmp_path / "out").exists()
    said = world.run("low", "sign", "demo@1", "--key", "di.key", "--format", "json").expect(0)
    above = {"release": "demo@1", "digest": digest, "signatures": 2, "threshold": 2, "published": True}
    assert above.items() <= said.data.items()

    world.quick("low", "enrol", "alpha", "--ledger-key", "alpha.pub").expect(0)
    said = world.run(
        *("low", "bundle", "demo@1", "--for", "alpha", "--output", "out", "--bundler-key", "bundler.key"),
        *("--format", "json"),
    ).expect(0)
    assert "baseline for alpha: none" in said.err
    assert {
        "bundle": "alpha-1",
        "sequence": 1,
        "baseline": None,
        "target": "demo@1",
    }.items() <= said.data.items()
    assert [set(volume) for volume in said.data["volumes"]] == [{"path", "bytes"}]
    volume = tmp_path / said.data["volumes"][0]["path"]
    assert said.data["volumes"][0]["bytes"] == sum(p.stat().st_size for p in volume.rglob("*") if p.is_file())
    assert said.data["chunk_bytes"] == sum(p.stat().st_size for p in (volume / "chunks").iterdir())
    assert sum(said.data["codecs"].values()) == said.data["target_bytes"]

    explain_what_takes_the_bytes(world)
    checked = world.quick("low", "check", volume, "--depot", "depot", "--format", "json").expect(0)
    assert (checked.data["bundle"], checked.data["missing"], checked.data["published"]) == (
        "alpha-1",
        [],
        True,
    )
    listed = world.quick("low", "list", "--format", "json").expect(0).data
    assert [item["release"] for item in listed["releases"]] == ["demo@1"]
    assert [item["bundle"] for item in listed["bundles"]] == ["alpha-1"]
    status = world.quick("low", "status", "--format", "json").expect(0).data
    assert (status["sequence"], status["enclaves"], status["pending"]) == (1, ["alpha"], [])
    events = world.quick("low", "log", "--format", "json").expect(0).data["events"]
    assert [event["event"] for event in events] == ["init", "sign", "release", "sign", "enrol", "bundle"]
    for verb in ("list", "status", "log"):
        assert "demo@1" in world.quick("low", verb).expect(0).out or verb == "status"
    world.quick("low", "withdraw", "alpha-1", "--bundler-key", "bundler.key").expect(0)
    world.quick("low", "check", volume, "--depot", "depot").expect(5)
    renewed = world.quick(
        "low", "renew", "--output", "out", "--bundler-key", "bundler.key", "--format", "json"
    ).expect(0)
    assert (renewed.data["bundle"], renewed.data["target"], renewed.data["chunk_bytes"]) == ("any-2", None, 0)


def explain_what_takes_the_bytes(world: World) -> None:
    words = ("low", "bundle", "demo@1", "--output", "no", "--bundler-key", "bundler.key", "--dry-run")
    plain = world.quick(*words, "--format", "json").expect(0).data
    assert (plain["chunk_bytes"], "explain" in plain) == (0, False)
    data = world.quick(*words, "--explain", "--effort", "high", "--format", "json").expect(0).data
    corpus, guard = data["explain"]
    assert data["chunk_bytes"] < corpus["coded_bytes"] + guard["coded_bytes"] + 16  # its table is packed
    assert (corpus["component"], corpus["elements"], corpus["target_bytes"]) == ("corpus", 5000, 5000)
    assert {"path": "text.dat", "tensor": None, "codec": "zstd", "share": 1.0}.items() <= corpus["largest"][
        0
    ].items()
    shown = world.quick(*words, "--explain").expect(0).out
    assert "component corpus\n" in shown
    assert "text.dat: outside tensors  zstd   100.00 %" in shown
    assert not (world.folder / "no").exists()


def pass_over_what_a_desktop_left(world: World, volumes: list[Path]) -> None:
    """Every command that reads the medium says so, and none of them minds; what nobody knows is named."""
    folder = volumes[0]
    left = folder / ".DS_Store"
    left.write_bytes(b"x")
    for group, verb in (("low", "check"), ("high", "inspect"), ("high", "verify"), ("high", "plan")):
        said = world.quick(group, verb, *volumes, "--format", "json").expect(0)
        assert said.data["passed_over"] == [str(left)]
        assert f"warning: passed over what a desktop left: {left}\n" in said.err
        assert "passed" not in world.quick(group, verb, *volumes).expect(0).out
        (folder / "note.txt").touch()
        refused = world.quick(group, verb, *volumes, "--format", "json").expect(3)
        assert refused.error["message"] == f"'{folder / 'note.txt'}' does not belong to a volume"
        assert refused.error["hint"].startswith("copy the volume without it if you know what it is")
        (folder / "note.txt").unlink()
    left.unlink()


def test_the_high_side(world: World) -> None:
    """inspect, verify, plan, import, status, list, activate, rollback, check, gc; and the answers about it."""
    first, second = world.volumes("alpha-1"), world.volumes("alpha-2")
    facts = {
        "bundle": "alpha-1", "sequence": 1, "enclave": "alpha", "baseline": None, "target": "demo@1",
        "volumes_present": len(first), "volumes_total": len(first), "missing": [],
    }  # fmt: skip
    before = world.installed()
    for verb in ("inspect", "verify", "plan", "import"):
        words = ("--dry-run",) if verb == "import" else ()
        said = world.quick("high", verb, *reversed(first), *words, "--format", "json").expect(0)
        assert said.document["command"] == f"high {verb}"
        assert set(said.data) >= IMPORT_KEYS
        nothing = {"installed": False, "activated": False, "already": False}
        assert {**facts, **nothing}.items() <= said.data.items()
    assert world.installed() == before
    pass_over_what_a_desktop_left(world, first)

    done = world.run("high", "import", *first, "--activate", "--format", "json").expect(0)
    assert {**facts, "installed": True, "activated": True, "already": False}.items() <= done.data.items()
    again = world.quick("high", "import", *first, "--activate", "--format", "json").expect(0)
    assert {**facts, "installed": False, "activated": True, "already": True}.items() <= again.data.items()
    source = (world.folder / "sources/corpus/text.dat").read_bytes()
    assert (world.folder / "enclave/active/corpus/text.dat").read_bytes() == source

    delta = world.quick("high", "import", *second, "--workers", "1", "--format", "json").expect(0)
    assert {
        "baseline": "demo@1",
        "target": "demo@2",
        "installed": True,
        "activated": False,
    }.items() <= delta.data.items()
    status = world.run("high", "status", "--format", "json").expect(0).data
    assert {
        "enclave": "alpha",
        "active": "demo@1",
        "installed": ["demo@1", "demo@2"],
        "staged": [],
    }.items() <= (status.items())
    assert set(status["trust"]) == {"root", "targets", "bundler", "snapshot", "timestamp"}
    assert all(set(role) == {"version", "expires"} for role in status["trust"].values())
    assert is_digest(status["ledger"]["root"], 96)
    assert status["warnings"] == []

    switched = world.quick("high", "activate", "demo@2", "--format", "json").expect(0)
    assert (switched.data["active"], switched.data["previous"], switched.data["already"]) == (
        "demo@2",
        "demo@1",
        False,
    )
    back = world.quick("high", "rollback", "--yes", "--format", "json").expect(0)
    assert (back.data["active"], back.data["previous"]) == ("demo@1", "demo@2")
    assert "rules of 1" in (world.folder / "enclave/active/guard/rules.txt").read_text()
    listed = world.quick("high", "list", "--format", "json").expect(0).data["releases"]
    assert [(item["release"], item["active"]) for item in listed] == [("demo@1", True), ("demo@2", False)]
    assert {component["name"] for component in listed[0]["components"]} == COMPONENTS
    checked = world.quick("high", "check", "--format", "json").expect(0)
    assert (checked.data["files"], checked.data["damaged"]) == (3, [])
    assert world.quick("high", "gc", "--yes", "--format", "json").expect(0).data["removed"] == []
    ask_the_record(world, status["ledger"]["size"] + 4)


def ask_the_record(world: World, size: int) -> None:
    """history, at, show, trace, verify, export."""
    entries = world.quick("provenance", "history", "--format", "json").expect(0).data["entries"]
    assert len(entries) == size
    assert all(set(e) == {"index", "time", "type", "actor", "release", "bundle", "detail"} for e in entries)
    assert [e["index"] for e in entries] == list(range(size))
    future = world.quick("provenance", "at", "2999-01-01", "--format", "json").expect(0)
    assert future.data["release"] == "demo@1"
    assert future.err.startswith("warning: 2999-01-01 is later than the clock here"), (
        "a mistyped year was answered"
    )
    assert (
        world.quick("provenance", "at", "1999-01-01", "--format", "json").expect(5).error["code"]
        == "release-not-held"
    )
    assert (
        world.quick("provenance", "at", "yesterday")
        .expect(2)
        .err.startswith("error: not a time: 'yesterday'")
    )
    late = world.quick("provenance", "history", "--since", "2999-01-01", "--format", "json").expect(0)
    assert late.data["entries"] == []

    node = world.run("provenance", "trace", "guard@2", "--format", "json").expect(0).data["node"]
    nodes, kinds = [node], set()
    while nodes:
        one = nodes.pop()
        assert set(one) == {"kind", "name", "version", "digest", "relation", "parents"}
        kinds.add(one["kind"])
        nodes += one["parents"]
    assert {"component", "file", "source", "release", "bundle", "key", "entry"} <= kinds
    shown = world.quick("provenance", "show", "demo@2").expect(0)
    assert "component guard 2" in shown.out

    proof = (
        world.run("provenance", "verify", "--public-key", "keys/ledger.pub", "--format", "json")
        .expect(0)
        .data
    )
    assert {"size": size, "ok": True}.items() <= proof.items()
    assert proof["checkpoints"] == 1  # the newest; no witness signed an older one
    world.quick("provenance", "export", "--as", "ledger", "--output", "ledger.jsonl").expect(0)
    same = world.quick(
        *(
            "provenance",
            "verify",
            "--ledger",
            "ledger.jsonl",
            "--public-key",
            "keys/ledger.pub",
            "--format",
            "json",
        )
    ).expect(0)
    assert (same.data["size"], same.data["root"]) == (proof["size"], proof["root"])
    assert world.quick("provenance", "verify", "--public-key", "keys/bundler.pub").expect(3).out == ""
    assert (
        world.quick("provenance", "export", "--as", "ledger", "--output", "ledger.jsonl").expect(2).out == ""
    )


def test_missing_volumes_may_come_later(world: World) -> None:
    first, *rest = world.volumes("alpha-1")
    said = world.run("high", "import", first, "--activate", "--format", "json").expect(4)
    assert said.error["code"] == "volumes-missing"
    missing = said.data["missing"]
    assert missing
    assert all(is_digest(chunk) for chunk in missing)
    text = world.quick("high", "import", first).expect(4)
    assert f"  missing: {missing[0]}" in text.err
    done = world.quick("high", "import", *rest, "--activate", "--format", "json").expect(0)
    assert (done.data["installed"], done.data["missing"]) == (True, [])


def test_enrolment_asks_for_the_fingerprint(world: World) -> None:
    words = (
        "high",
        "init",
        "--enclave",
        "new",
        "--root",
        "depot/root.json",
        "--ledger-key",
        "keys/ledger.key",
    )
    asked = world.run(*words).expect(2)
    assert "no terminal to ask" in asked.err
    assert "--expect-fingerprint F" in asked.err
    assert not (world.folder / "new").exists()
    wrong = world.quick(*words, "--expect-fingerprint", "0" * 96, "--format", "json").expect(3)
    assert wrong.error["expected"] == "0" * 96
    assert not (world.folder / "new").exists()
    fingerprint = wrong.error["found"]
    dry = world.quick(*words, "--expect-fingerprint", fingerprint, "--dry-run").expect(0)
    assert "dry run" in dry.out
    assert not (world.folder / "new").exists()
    spaced = " ".join(fingerprint[i : i + 8].upper() for i in range(0, 96, 8))
    done = world.quick(*words, "--expect-fingerprint", spaced, "--format", "json").expect(0)
    assert done.data["enclave"] == "new"
    assert world.quick(*words, "--yes", "--format", "json").expect(2).error["code"] == "exists"


@pytest.mark.parametrize(("typed", "code"), [("", 2), ("no", 2), ("y", 0), ("YES", 0)])
def test_a_person_compares_the_fingerprint(world: World, typed: str, code: int) -> None:
    words = [
        "high",
        "init",
        "--enclave",
        "new",
        "--root",
        "depot/root.json",
        "--ledger-key",
        "keys/ledger.key",
    ]
    ended, said = on_a_terminal(words, world.folder, (("[y/N] ", typed),))
    assert ended == code
    assert re.search(r"(?:[0-9a-f]{8} ){11}[0-9a-f]{8}", said)
    assert (world.folder / "new").exists() == (code == 0)


def test_the_ledger_key_is_found_from_any_folder(world: World, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    enclave = ("--enclave", world.folder / "enclave", "--format", "json")
    said = inside("high", "import", *world.volumes("alpha-1"), *enclave, cwd=elsewhere).expect(0)
    assert said.data["installed"] is True


@pytest.mark.parametrize("words", [("rollback",), ("gc", "--keep", "1")])
def test_consent_is_asked_for_and_never_waited_for(running: World, words: tuple[str, ...]) -> None:
    running.quick("high", "import", *running.volumes("alpha-2"), "--activate").expect(0)
    running.quick("high", "import", *running.volumes("alpha-5"), "--activate").expect(0)
    before = running.installed()
    if words[0] == "gc":
        running.quick("high", "rollback", "--yes").expect(0)
        before = running.installed()
        assert running.run("high", *words, "--dry-run").expect(0).out
    else:
        said = running.run("high", *words).expect(2)
        assert said.err.splitlines()[-1] == "hint: say it with --yes"
    assert running.installed() == before


def test_the_policy_is_shown_and_set(world: World) -> None:
    shown = world.quick("high", "policy", "show", "--format", "json").expect(0)
    assert shown.document["command"] == "high policy show"
    assert shown.data["policy"]["levels"] == ["UNCLASSIFIED", "SECRET"]
    (world.folder / "new.yaml").write_text(shown.data["text"] + "keep: 5\n")
    world.quick("high", "policy", "set", "new.yaml", "--dry-run").expect(0)
    assert world.quick("high", "policy", "show", "--format", "json").data["digest"] == shown.data["digest"]
    done = world.quick("high", "policy", "set", "new.yaml", "--format", "json").expect(0)
    assert done.data["policy"]["keep"] == 5
    assert "keep: 5" in world.quick("high", "policy", "show").expect(0).out
    (world.folder / "new.yaml").write_text("airlift: 1\nenclave: alpha\nkeeep: 5\n")
    said = world.quick("high", "policy", "set", "new.yaml", "--format", "json").expect(2)
    assert said.error["code"] == "manifest-invalid"
    assert said.error["message"].startswith("new.yaml:3: document: unknown key 'keeep'")


def test_a_policy_of_sha_256_is_warned_of_wherever_it_counts(world: World) -> None:
    text = world.quick("high", "policy", "show", "--format", "json").expect(0).data["text"]
    (world.folder / "new.yaml").write_text(text + "digest: sha256\n")
    world.quick("high", "policy", "set", "new.yaml").expect(0)
    warned = "files are verified with SHA-256, which is not a CNSA 2.0 algorithm"
    volumes = world.volumes("alpha-1")
    assert warned in world.quick("high", "plan", *volumes).expect(0).err
    assert warned not in world.quick("high", "verify", *volumes).expect(0).err
    said = world.quick("high", "import", *volumes, "--format", "json").expect(0)
    assert (warned in said.err, said.data["file_digest"]) == (True, "sha256")
    assert warned not in world.quick("high", "import", *volumes).expect(0).err
    found = world.quick("high", "status").expect(0)
    assert warned in found.out
    assert "1 verified files with SHA-256" in found.out


def test_an_enclave_named_after_its_folder(world: World) -> None:
    make_enclave(world, "other")
    words = ("high", "init", "--enclave", "gamma", "--root", "depot/root.json", "--yes")
    said = world.quick(*words, "--ledger-key", "keys/ledger.key", "--format", "json").expect(0)
    assert said.data["enclave"] == "gamma"
