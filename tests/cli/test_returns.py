"""The way back through the real command: a receipt or a request, as a file and typed from paper."""

import json
import shutil

import pytest

from tests.cli.conftest import World
from tests.cli.transcript import airlift, on_a_terminal

ENROL = ("low", "enrol", "alpha", "--ledger-key", "keys/ledger.pub")


@pytest.fixture
def enrolled(running: World) -> World:
    """An enclave that runs demo@1, and a depot that knows its key."""
    running.quick(*ENROL).expect(0)
    return running


def imported(world: World, *what: str, code: int = 0) -> dict[str, object]:
    said = world.quick("low", "returns", "import", *what, "--format", "json").expect(code)
    return said.data if code == 0 else {**said.error, **said.data}


def enclaves(world: World) -> dict[str, dict[str, object]]:
    listed = world.quick("low", "list", "--format", "json").expect(0).data["enclaves"]
    return {item["enclave"]: item for item in listed}


def bundle(world: World, output: str, *more: str) -> tuple[dict[str, object], str]:
    words = (
        "low",
        "bundle",
        "demo@2",
        "--for",
        "alpha",
        "--output",
        output,
        "--bundler-key",
        "keys/bundler.key",
    )
    said = world.quick(*words, *more, "--format", "json").expect(0)
    return said.data, said.err


def test_a_receipt_makes_the_next_bundle_a_delta(enrolled: World) -> None:
    data, told = bundle(enrolled, "full", "--dry-run")
    assert (data["baseline"], data["baseline_known_by"]) == (None, "none")
    assert "nothing is known to be held" in told
    enrolled.quick("high", "receipt", "--output", "receipt.json").expect(0)
    shown = enrolled.quick("low", "returns", "import", "receipt.json").expect(0)
    assert "demo@1" in shown.out
    assert "UNCLASSIFIED" in shown.out
    assert enclaves(enrolled)["alpha"]["known_by"] == "receipt"
    data, told = bundle(enrolled, "delta")
    assert (data["baseline"], data["baseline_known_by"]) == ("demo@1", "receipt")
    assert "baseline for alpha: demo@1 (a signed receipt says that it is held)" in told
    volumes = sorted((enrolled.folder / "delta").iterdir())
    enrolled.quick("high", "import", *volumes, "--activate").expect(0)
    table = enrolled.quick("low", "list").expect(0).out
    assert "known by" in table
    assert "demo@1" in table
    again = enrolled.quick("low", "returns", "import", "receipt.json").expect(0)
    assert "nothing of this is new" in again.err
    enrolled.quick("high", "receipt", "--output", "newer.json").expect(0)
    assert imported(enrolled, "newer.json")["holds"] == ["demo@1", "demo@2"]
    refusal = imported(enrolled, "receipt.json", code=3)
    assert (refusal["code"], enclaves(enrolled)["alpha"]["acknowledged"]) == ("replayed", "demo@2")
    assert "receipt" in enrolled.quick("low", "log").expect(0).out


def test_a_receipt_typed_from_paper(enrolled: World) -> None:
    sheet = enrolled.quick("high", "receipt", "--code").expect(0).out.splitlines()
    assert sheet[0] == sheet[-1] == "UNCLASSIFIED"
    assert any("demo@1" in line for line in sheet)
    assert any("airlift low returns import -" in line for line in sheet)
    lines = [line.strip() for line in sheet if line.startswith("    ")]
    assert all(len(group) == 4 for line in lines for group in line.split())
    typed = airlift(
        "low",
        "returns",
        "import",
        "-",
        "--format",
        "json",
        cwd=enrolled.folder,
        stdin="\n".join(lines).lower(),
    )
    assert typed.expect(0).data["known_by"] == "operator"
    data, told = bundle(enrolled, "delta", "--dry-run")
    assert (data["baseline"], data["baseline_known_by"]) == ("demo@1", "operator")
    assert "by the operator's word" in told
    for form in (lines, [" ".join(lines)], " ".join(lines).split(), ["".join(lines).replace(" ", "")]):
        assert imported(enrolled, *form)["already"] is True


def test_codes_need_no_key(enrolled: World) -> None:
    (enrolled.folder / "keys/ledger.key").unlink()
    enrolled.quick("high", "receipt").expect(7)
    enrolled.quick("high", "receipt", "--code", "--output", "receipt.txt").expect(0)
    sheet = (enrolled.folder / "receipt.txt").read_text()
    assert "1R" in sheet
    enrolled.quick("high", "receipt", "--code", "--output", "receipt.txt").expect(2)
    data = enrolled.quick("high", "receipt", "--code", "--format", "json").expect(0).data
    assert (data["receipt"], data["code"][0][:2]) == (None, "1R")


def test_a_request_is_answered_and_the_import_completes(world: World) -> None:
    """One disc of two arrives; what is missing is typed from paper, wrongly first; the rest completes the import."""
    world.quick(*ENROL).expect(0)
    first, *others = world.volumes("alpha-1")
    world.quick("high", "import", first).expect(4)
    asked = world.quick("high", "request", "alpha-1", "--code", "--format", "json").expect(0).data
    lines = asked["code"]
    wrong = lines[-1][:-1] + ("0" if lines[-1][-1] != "0" else "1")
    before = enclaves(world)
    refusal = imported(world, *lines[:-1], wrong, code=3)
    assert (refusal["code"], refusal["line"]) == ("mistyped", len(lines))
    assert f"line {len(lines)}" in str(refusal["message"])
    assert enclaves(world) == before
    taken = imported(world, *lines)
    assert (taken["bundle"], taken["known_by"], taken["missing"]) == ("alpha-1", "operator", asked["indices"])
    world.quick("high", "request", "alpha-1", "--output", "request.json").expect(0)
    signed = imported(world, "request.json")
    assert (signed["known_by"], signed["missing"]) == ("receipt", asked["indices"])
    names = {path.name for volume in others for path in (volume / "chunks").iterdir()}
    assert {digest[:64] for digest in asked["missing"]} == names
    shutil.rmtree(first)
    world.quick("high", "import", *others, "--activate").expect(0)
    world.quick("high", "request", "alpha-1").expect(5)


def test_a_request_about_volumes(world: World) -> None:
    first, *others = world.volumes("alpha-1")
    whole = world.quick("high", "request", first, "--format", "json").expect(0)
    assert whole.data["chunks"] > len(whole.data["missing"]) > 0
    shown = world.quick("high", "request", "alpha-1", first).expect(0).out
    assert "application/vnd.airlift.request+json" in shown
    assert "chunks" in shown
    sheet = world.quick("high", "request", first, "--code").expect(0).out
    assert "alpha-1" in sheet
    (others[0] / ".DS_Store").write_bytes(b"x")
    assert "DS_Store" in world.quick("high", "request", others[0], "--code").expect(0).err
    bad = world.quick("high", "request", first, *others).expect(2)
    assert "nothing is missing" in bad.err
    world.quick("high", "request", "alpha-9", first).expect(2)
    world.quick("high", "request", "alpha-9").expect(5)
    world.quick("high", "request", "no/such/volume").expect(7)


def test_what_cannot_be_taken_in(enrolled: World) -> None:
    folder = enrolled.folder
    assert imported(enrolled, "missing.json", code=7)["code"] == "unreadable"
    (folder / "odd.json").write_text("{}")
    assert imported(enrolled, "odd.json", code=3)["code"] == "malformed"
    enrolled.quick("high", "receipt", "--output", "receipt.json").expect(0)
    document = json.loads((folder / "receipt.json").read_text())
    document["signatures"][0]["sig"] = document["signatures"][0]["sig"][::-1]
    (folder / "forged.json").write_text(json.dumps(document))
    assert imported(enrolled, "forged.json", code=3)["code"] in {"signature-invalid", "malformed"}
    assert imported(enrolled, "hello", code=3)["code"] == "mistyped"
    before = enclaves(enrolled)
    dry = (
        enrolled.quick("low", "returns", "import", "receipt.json", "--dry-run", "--format", "json")
        .expect(0)
        .data
    )
    assert (dry["dry_run"], dry["holds"]) == (True, ["demo@1"])
    assert enclaves(enrolled) == before


def test_an_enclave_that_is_not_enrolled(running: World) -> None:
    running.quick("high", "receipt", "--output", "receipt.json").expect(0)
    refusal = imported(running, "receipt.json", code=3)
    assert refusal["code"] == "signature-invalid"
    assert "airlift low enrol" in str(refusal["hint"])


def test_lines_typed_on_a_terminal(enrolled: World) -> None:
    lines = enrolled.quick("high", "receipt", "--code", "--format", "json").expect(0).data["code"]
    said = (("then Ctrl-D", "\n".join([*lines, "\x04"])),)
    code, shown = on_a_terminal(["low", "returns", "import", "-"], enrolled.folder, said)
    assert code == 0
    assert "demo@1" in shown
