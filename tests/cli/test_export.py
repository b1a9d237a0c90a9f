"""``high export`` and ``high unfollow``, as an operator types them: what follows, what is refused, what is told."""

from pathlib import Path

import pytest

from tests.cli.conftest import World
from tests.cli.test_refusals import entries


@pytest.fixture
def both(running: World) -> World:
    """Return a world with demo@1 active, and demo@2 installed."""
    running.quick("high", "import", *running.volumes("alpha-2")).expect(0)
    return running


def shows(output: Path) -> str:
    return (output / "guard/rules.txt").read_text().partition("\n")[0]


def export(world: World, *words: str, code: int = 0) -> dict[str, object]:
    said = world.quick("high", "export", *words, "--format", "json").expect(code)
    return said.data if code == 0 else {"hint": said.error["hint"], "code": said.error["code"]}


def test_it_follows_every_switch_until_it_is_ended(both: World) -> None:
    out = both.folder / "out/models"
    planned = export(both, "active", "--layout", "tree", "--output", "out/models", "--follow", "--dry-run")
    assert (planned["dry_run"], out.exists()) == (True, False)
    made = export(both, "active", "--layout", "tree", "--output", "out/models", "--follow")
    assert {**planned, "dry_run": False} == made
    assert (made["release"], made["output"], made["copied_bytes"]) == ("demo@1", str(out), 0)
    assert shows(out) == "rules of 1"
    both.quick("high", "activate", "demo@2").expect(0)
    assert shows(out) == "rules of 2"
    both.quick("high", "rollback", "--yes").expect(0)
    assert shows(out) == "rules of 1"
    both.quick("high", "check").expect(0)
    status = both.quick("high", "status", "--format", "json").expect(0)
    assert status.data["exports"] == [{"layout": "tree", "output": str(out), "in_step": True}]
    assert f"served as tree: {out}" in both.quick("high", "status").expect(0).out.replace("\n", "")
    both.quick("high", "unfollow", "out/models").expect(0)
    both.quick("high", "activate", "demo@2").expect(0)
    assert shows(out) == "rules of 1"
    assert [kind for kind in entries(both) if kind in {"export", "unfollow"}] == ["export", "unfollow"]
    both.quick("provenance", "verify").expect(0)


def test_one_component_under_another_name(both: World) -> None:
    made = export(
        both,
        "demo@2",
        "--layout",
        "tree",
        "--output",
        "once",
        "--component",
        "guard",
        "--as",
        "guard=watch/man",
    )
    assert (made["follow"], made["files"]) == (False, 1)
    assert (both.folder / "once/watch/man/rules.txt").is_file()


@pytest.mark.parametrize(
    ("words", "code", "name"),
    [
        (("active", "--layout", "zip", "--output", "x"), 2, "usage"),
        (("demo@1", "--layout", "tree", "--output", "x", "--follow"), 2, "usage"),
        (("active", "--layout", "tree"), 2, "usage"),
        (("active", "--layout", "tree", "--output", "x", "--to", "s3://a/b"), 2, "usage"),
        (("active", "--layout", "tree", "--output", "x", "--as", "guard"), 2, "usage"),
        (("active", "--layout", "tree", "--output", "x", "--as", "guard=../x"), 2, "usage"),
        (("active", "--layout", "tree", "--output", "x", "--component", "gaurd"), 2, "layout-unfit"),
        (("active", "--layout", "tree", "--output", "enclave/x"), 2, "usage"),
        (("active", "--layout", "tree", "--output", "media"), 2, "exists"),
        (("demo@9", "--layout", "tree", "--output", "x"), 5, "release-not-held"),
        (("active", "--layout", "tree", "--to", "s3://models/serving"), 6, "bucket-refused"),
        (("active", "--layout", "tree", "--to", "s3://models/serving", "--follow"), 2, "usage"),
    ],
)
def test_what_is_wrong_is_told(both: World, words: tuple[str, ...], code: int, name: str) -> None:
    before, size = both.installed(), len(entries(both))
    said = export(both, *words, code=code)
    assert said["code"] == name
    assert said["hint"]
    assert (both.installed(), len(entries(both)), (both.folder / "x").exists()) == (before, size, False)


def test_a_place_that_has_vanished(both: World) -> None:
    export(both, "active", "--layout", "tree", "--output", "mnt/models", "--follow")
    (both.folder / "mnt").rename(both.folder / "gone")
    said = both.quick("high", "activate", "demo@2", "--format", "json").expect(8)
    assert f"airlift high unfollow {both.folder}/mnt/models" in said.error["hint"]
    warned = both.quick("high", "status", "--format", "json").expect(0).data["warnings"]
    assert any("mnt/models" in text for text in warned)
    both.quick("high", "check").expect(3)
    both.quick("high", "unfollow", "mnt/models").expect(0)
    both.quick("high", "activate", "demo@2").expect(0)
    both.quick("high", "check").expect(0)
    both.quick("high", "unfollow", "mnt/models").expect(5)
