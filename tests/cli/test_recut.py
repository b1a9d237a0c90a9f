"""``low recut`` through the real command: another medium, mixed with the first cut, and what it refuses."""

from pathlib import Path
from typing import Any

from airlift.low.depot.depot import open_depot
from tests.cli.conftest import World
from tests.support.depots import forget

KEYS = {
    "bundle", "digest", "sequence", "enclave", "enclaves", "baseline", "target", "marking", "volumes",
    "volumes_total", "cut", "chunks", "chunks_total", "chunk_bytes", "taken", "coded", "of_first_cut", "unusable",
    "dry_run",
}  # fmt: skip


def recut(world: World, *words: str | Path, code: int = 0) -> dict[str, Any]:
    """Cut a bundle again into ``again``; return its answer, or the error if that is what is expected."""
    said = world.quick("low", "recut", *words, "--output", "again", "--format", "json").expect(code)
    return said.error if code else said.data


def test_to_another_medium(world: World) -> None:
    """The discs of one cut and the one large file of the other are imported in one command."""
    said = world.run("low", "recut", "alpha-1", "--output", "again", "--format", "json").expect(0)
    assert set(said.data) == KEYS
    assert (said.data["volumes_total"], said.data["coded"], said.data["of_first_cut"]) == (1, 0, True)
    (item,) = said.data["volumes"]
    assert Path(item["path"]).name == f"airlift-alpha-1-vol01of01-c{said.data['cut']}"
    checked = world.quick("low", "check", world.folder / item["path"], "--depot", "depot", "--format", "json")
    assert checked.expect(0).data["published"] is True
    first, *others = world.volumes("alpha-1")
    done = world.quick(
        "high", "import", first, world.folder / item["path"], "--activate", "--format", "json"
    ).expect(0)
    assert (done.data["volumes_present"], done.data["volumes_total"]) == (2, len(others) + 2)
    assert done.data["missing"] == []


def test_what_is_told_to_people(world: World) -> None:
    said = world.quick("low", "recut", world.volumes("alpha-1")[0], "--output", "again", "--dry-run").expect(
        0
    )
    assert "alpha-1" in said.out
    assert "dry run" in said.out
    assert not (world.folder / "again").exists()
    forget(open_depot(world.folder / "depot"), "timestamp", "output")
    said = world.quick("low", "recut", "alpha-1", "--output", "again").expect(0)
    assert "do not give volumes of both in one command" in said.err
    assert "airlift-alpha-1-vol01of01-c" in said.out


def mistyped(line: str) -> str:
    return line[:6] + ("7" if line[6] != "7" else "8") + line[7:]


def test_a_request_is_answered_and_completes_the_import(world: World) -> None:
    """From exit 4 over paper: a wrong character is refused with its line, the answer completes what was begun."""
    first = world.volumes("alpha-1")[0]
    world.quick("low", "enrol", "alpha", "--ledger-key", "keys/ledger.pub").expect(0)
    world.quick("high", "import", first).expect(4)
    asked = world.quick("high", "request", "alpha-1", "--code", "--format", "json").expect(0).data
    lines = asked["code"]
    bad = [word for line in [mistyped(lines[0]), *lines[1:]] for word in ("--request", line)]
    error = recut(world, "alpha-1", *bad, code=3)
    assert (error["code"], "line 1" in error["message"]) == ("mistyped", True)
    assert (
        recut(world, "alpha-5", *(w for line in lines for w in ("--request", line)), code=2)["code"]
        == "usage"
    )
    (world.folder / "code.txt").write_text("\n".join(lines).lower().replace(" ", "-"))
    typed = recut(world, "alpha-1", "--request", "code.txt")
    world.quick("high", "request", "alpha-1", "--output", "request.json").expect(0)
    signed = recut(world, "alpha-1", "--request", "request.json")
    assert typed["volumes"] == signed["volumes"]
    assert 0 < typed["chunks"] == len(asked["missing"]) < typed["chunks_total"]
    done = world.quick(
        "high", "import", *(item["path"] for item in typed["volumes"]), "--activate", "--format", "json"
    )
    assert done.expect(0).data["activated"] is True


def test_requests_that_are_refused(world: World) -> None:
    """Of another enclave (6), of nobody (3), a receipt (2), and for a bundle that was withdrawn (5)."""
    world.quick("high", "request", world.volumes("alpha-1")[0], "--output", "request.json").expect(0)
    request = ("--request", "request.json")
    assert recut(world, "alpha-1", *request, code=3)["code"] == "signature-invalid"
    world.quick("low", "enrol", "alpha", "--ledger-key", "keys/ledger.pub").expect(0)
    assert recut(world, "beta-3", *request, code=6)["code"] == "wrong-enclave"
    world.quick("high", "receipt", "--output", "receipt.json").expect(0)
    assert recut(world, "alpha-1", "--request", "receipt.json", code=2)["code"] == "usage"
    world.quick("low", "withdraw", "alpha-1", "--bundler-key", "keys/bundler.key").expect(0)
    assert recut(world, "alpha-1", *request, code=5)["code"] == "release-not-held"
    assert not (world.folder / "again").exists()


def test_refusals(world: World) -> None:
    """Withdrawn, unknown, too small a medium, a folder without volumes, and an output that has them already."""
    assert recut(world, "alpha-9", code=5)["code"] == "release-not-held"
    assert recut(world, "alpha-1", "--max-file-size", "64KiB", code=8)["code"] == "volume-too-small"
    assert recut(world, "alpha-1", "--volumes", "keys", code=7)["code"] == "unreadable"
    world.quick("low", "withdraw", "alpha-5", "--bundler-key", "keys/bundler.key").expect(0)
    error = recut(world, "alpha-5", code=5)
    assert "was withdrawn" in str(error["message"])
    assert not (world.folder / "again").exists()
    (item,) = recut(world, "alpha-1")["volumes"]
    assert recut(world, "alpha-1")["volumes"] == [item]
    (world.folder / item["path"] / "LABEL.txt").unlink()
    assert recut(world, "alpha-1", code=2)["code"] == "exists"
