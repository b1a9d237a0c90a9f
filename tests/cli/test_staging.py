"""Volumes that come one at a time: what the command line says of what is staged, and how it is freed."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from airlift import files
from tests.cli.conftest import World


def staged(world: World) -> list[dict[str, Any]]:
    """Return what `high status` says of what is staged."""
    found: list[dict[str, Any]] = world.quick("high", "status", "--format", "json").expect(0).data["staged"]
    return found


def test_an_import_that_lacks_a_volume_says_which(world: World) -> None:
    first, *rest = world.volumes("alpha-1")
    said = world.run("high", "import", *rest, "--format", "json").expect(4)
    (wanted,) = said.data["wanted"]
    assert wanted == {
        "volume": 1,
        "volumes": 3,
        "name": first.name,
        "seen": False,
        "chunks": len(said.data["missing"]),
    }
    assert said.error["found"] == "volumes 2 and 3 of 3 so far"
    text = world.quick("high", "import", *rest).expect(4)
    assert text.out == ""
    assert "hint: insert volume 1 of 3 and run the same command on it" in text.err
    planned = world.quick("high", "plan", first, "--format", "json").expect(0).data
    assert (planned["missing"], planned["volumes_present"]) == ([], 1), (
        "with what is staged nothing is missing"
    )


def test_status_shows_what_is_staged(world: World) -> None:
    first, *rest = world.volumes("alpha-1")
    assert staged(world) == []
    world.quick("high", "import", first).expect(4)
    (found,) = staged(world)
    assert found["bundle"] == "alpha-1"
    assert (found["sequence"], found["target"], found["enclave"]) == (1, "demo@1", "alpha")
    assert 0 < found["chunks_present"] < found["chunks_total"]
    assert found["chunks_present"] + len(found["missing"]) == found["chunks_total"]
    assert found["bytes"] > 0 < found["reserved"]
    assert found["since"].endswith("Z")
    assert found["seen"] == [{"volume": 1, "volumes": 3}]
    assert [item["name"] for item in found["wanted"]] == [path.name for path in rest]
    assert (found["outlook"], found["completable"]) == ("open", True)
    shown = world.quick("high", "status").expect(0).out
    for text in ("staged: alpha-1", rest[0].name, "open: nothing is known against it"):
        assert text in shown
    assert "volume 1 of 3" in shown, (
        "`volumes seen  3 of 3` was taken for all three, when only the third had come"
    )


def test_discard_asks_and_frees(world: World) -> None:
    world.quick("high", "import", world.volumes("alpha-1")[0]).expect(4)
    asked = world.run("high", "discard", "alpha-1").expect(2)
    assert "no terminal to ask" in asked.err
    planned = world.quick("high", "discard", "alpha-1", "--dry-run", "--format", "json").expect(0).data
    assert len(staged(world)) == 1
    done = world.run("high", "discard", "alpha-1", "--yes", "--format", "json").expect(0).data
    assert {**planned, "dry_run": False} == done
    assert (done["bundle"], done["target"]) == ("alpha-1", "demo@1")
    assert done["bytes"] > 0 < done["chunks"]
    assert staged(world) == []
    again = world.quick("high", "discard", "alpha-1", "--yes", "--format", "json").expect(5)
    assert again.error["code"] == "release-not-held"
    assert world.quick("high", "import", *world.volumes("alpha-1")).expect(0).err == ""


def test_discard_refuses_what_was_imported(running: World) -> None:
    before = running.installed()
    said = running.quick("high", "discard", "alpha-1", "--yes", "--format", "json").expect(2)
    assert said.error["message"] == "bundle alpha-1 was imported: nothing of it is staged"
    assert running.installed() == before


def test_two_bundles_beside_each_other(world: World) -> None:
    """Another bundle of the same release is imported; what was staged stays, until it is completed after all."""
    first, *rest = world.volumes("alpha-1")
    world.quick("high", "import", first).expect(4)
    world.quick("high", "import", *world.volumes("alpha-5"), "--activate").expect(0)
    (found,) = staged(world)
    assert (found["bundle"], found["outlook"]) == ("alpha-1", "open")
    gone = world.quick("high", "gc", "--yes", "--format", "json").expect(0).data
    assert (gone["staged"], gone["staged_bytes"]) == ([], 0)
    assert world.quick("high", "import", *rest, "--format", "json").expect(0).data["overtaken"]
    assert staged(world) == []


def test_no_room_names_what_is_lacking(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "free_bytes", lambda _folder: 16 << 20)
    said = world.quick("high", "import", world.volumes("alpha-1")[0], "--format", "json").expect(8)
    assert said.error["code"] == "no-space"
    assert said.error["message"].startswith(f"{said.data['lacking']} bytes of room are lacking")
    assert said.data["lacking"] == said.data["needed"] - said.data["free"]
    assert staged(world) == []


def test_a_disk_that_fills_up_between_two_volumes(world: World, require_tool: Callable[[str], str]) -> None:
    """What is reserved is really held: others take all that is left, and the import completes all the same."""
    script = (
        "mkdir full && mount -t tmpfs -o size=32m tmpfs full && cp -a enclave/. full/ || exit 99; "
        'python=$1; first=$2; shift 2; "$python" -m airlift high import "$first" --enclave full >first.txt 2>&1; '
        'echo $? >code; cat /dev/zero >full/filler 2>filled.txt; df --output=avail full | tail -1 >left; "$@"'
    )
    first, *rest = world.volumes("alpha-1")
    wrapper = (require_tool("unshare"), "-m", "/bin/sh", "-c", script, "sh", sys.executable, str(first))
    words: list[str | Path] = ["high", "import", *rest, "--activate", "--enclave", "full", "--format", "json"]
    said = world.run(*words, wrapper=wrapper)
    if said.code in {1, 99} and "airlift" not in said.out:
        pytest.skip("mounting is not permitted here")
    assert (world.folder / "code").read_text().split() == ["4"]
    assert (world.folder / "left").read_text().split() == ["0"]
    assert said.expect(0).data["activated"]
