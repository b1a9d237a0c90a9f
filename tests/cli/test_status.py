"""``airlift`` alone says where somebody stands and what comes next; it changes nothing, never fails (SPEC 14-13)."""

import os
import shlex
import shutil
from pathlib import Path
from typing import Any

import pytest

from airlift.low.status import WARN_DAYS
from airlift.points import SOON_DAYS
from tests.cli.conftest import World, write_manifest
from tests.cli.transcript import airlift, inside, tree


def points(world: World, *words: str) -> list[dict[str, Any]]:
    """Return the points that ``airlift`` tells of a world."""
    found: list[dict[str, Any]] = world.quick(*words, "--format", "json").expect(0).data["points"]
    return found


def told(world: World, side: str) -> list[tuple[str, str]]:
    """Return state and text of the points of one side."""
    return [(point["state"], point["what"]) for point in points(world) if point["side"] == side]


def test_nothing_is_here(tmp_path: Path) -> None:
    said = airlift(cwd=tmp_path).expect(0)
    assert said.err == ""
    assert "there is no depot at depot" in said.out
    assert "airlift low init" in said.out
    assert "there is no enclave at enclave" in said.out
    data = inside("status", "--format", "json", cwd=tmp_path).expect(0).data
    assert (data["depot"], data["enclave"]) == (None, None)
    assert list(tmp_path.iterdir()) == []


def test_alone_and_with_its_name_it_says_the_same(prepared: World) -> None:
    assert prepared.quick().out == prepared.quick("status").out
    assert prepared.quick("--format", "json").out == prepared.quick("status", "--format=json").out
    assert "Usage: airlift" in prepared.quick("--help").out


def test_a_missing_signature_and_whose_it_is(prepared: World) -> None:
    found = [point for point in points(prepared) if "signatures" in point["what"]]
    assert found == [
        {
            "side": "low",
            "state": "warn",
            "what": "release demo@5 lacks 1 of 2 signatures, of release-di",
            "next": "airlift low sign release --key release-di.key",
        }
    ]


def test_the_next_command_is_one(world: World) -> None:
    """The signature that is missing comes by the very command that is named, with the key's place put in."""
    (command,) = [point["next"] for point in points(world) if "signatures" in point["what"]]
    words = [f"keys/{word}" if word.endswith(".key") else word for word in shlex.split(command)[1:]]
    assert world.quick(*words, "--format", "json").expect(0).data["published"] is True
    assert not [text for _, text in told(world, "low") if "signatures" in text]


def test_an_enclave_that_lags_and_one_that_is_served(world: World) -> None:
    assert ("warn", "demo@3 is published, and no enclave is enrolled") in told(world, "low")
    world.quick("low", "enrol", "alpha", "--ledger-key", "keys/ledger.pub").expect(0)
    assert ("warn", "alpha holds no release that is known; alpha-4 with demo@3 is on its way") in told(
        world, "low"
    )
    world.quick("low", "withdraw", "alpha-4", "--bundler-key", "keys/bundler.key").expect(0)
    (lag,) = [point for point in points(world) if "lags" in point["what"]]
    assert lag["what"] == "alpha lags: it holds no release that is known, the newest is demo@3"
    assert lag["next"] == "airlift low bundle demo@3 --for alpha --output DIR --bundler-key KEY"


def test_a_volume_is_missing(world: World) -> None:
    assert ("warn", "nothing was imported yet") in told(world, "high")
    first, *_ = world.volumes("alpha-1")
    world.quick("high", "import", first, "--activate").expect(4)
    (found,) = [point for point in points(world) if point["side"] == "high"]
    assert found["state"] == "warn"
    assert found["what"].startswith("alpha-1 is not complete: airlift-alpha-1-vol02of")
    assert "missing; " in found["what"]
    assert "airlift high import" in found["next"]


def test_nothing_is_active(world: World) -> None:
    world.quick("high", "import", *world.volumes("alpha-1")).expect(0)
    found = [point for point in points(world) if point["side"] == "high"]
    assert ("warn", "nothing is active", "airlift high activate demo@1") in [
        (point["state"], point["what"], point["next"]) for point in found
    ]
    world.quick(*shlex.split(found[-1]["next"])[1:]).expect(0)
    assert ("ok", "demo@1 is active") in told(world, "high")


def test_other_places_are_named_in_the_next_command(prepared: World, tmp_path: Path) -> None:
    place = prepared.folder / "depot"
    said = inside("--depot", place, "--format", "json", cwd=tmp_path).expect(0).data
    assert said["enclave"] is None
    assert all(f"--depot {place}" in point["next"] for point in said["points"] if point["next"])
    named = airlift(
        "status", "--format", "json", cwd=tmp_path, environment={"AIRLIFT_DEPOT": str(place)}
    ).expect(0)
    assert not [point for point in named.data["points"] if "--depot" in (point["next"] or "")]


def test_metadata_that_expires(world: World) -> None:
    shutil.rmtree(world.folder / "depot")
    roles = ("root=20", "targets=25", "bundler=25", "snapshot=25", "timestamp=25")
    expiry = [word for role in roles for word in ("--expires", role)]
    keys = (
        "--root-key",
        "keys/root-ada.key",
        "--root-threshold",
        "1",
        "--release-key",
        "keys/release-cy.key",
    )
    more = ("--release-threshold", "1", "--bundler-key", "keys/bundler.key")
    world.quick("low", "init", *keys, *more, *expiry).expect(0)
    found = {point["what"]: point["next"] for point in points(world) if point["side"] == "low"}
    assert found["root metadata expires in 19 days"] == "airlift low rotate root --threshold 1 --key KEY"
    assert found["release metadata expires in 24 days"] == "airlift low release MANIFEST.yaml --key KEY"
    assert found["no release was made yet"] == "airlift low draft FOLDER... --output release.yaml"


def test_it_changes_nothing(running: World) -> None:
    before = tree(running.folder)
    running.quick("status").expect(0)
    assert tree(running.folder) == before


@pytest.mark.parametrize("place", ["depot", "enclave"])
def test_it_never_fails_on_damage(prepared_running: World, tmp_path: Path, place: str) -> None:
    """Each file of a depot or an enclave in turn is emptied, cut, replaced by a folder, or taken away."""
    folder = prepared_running.folder / place
    paths = [path.relative_to(folder) for path in sorted(folder.rglob("*")) if path.is_file()]
    names = {path.parts[0]: path for path in paths}  # one of each kind
    for number, path in enumerate(names.values()):
        copy = tmp_path / str(number)
        shutil.copytree(folder, copy, symlinks=True)
        for damage in (_empty, _cut, _spoil, _remove, _replace):
            damage(copy / path)
            said = inside(f"--{place}", copy, "--format", "json", cwd=tmp_path).expect(0)
            assert said.data["points"], (path, damage.__name__)


def _free(path: Path) -> None:
    path.parent.chmod(0o755)
    if path.exists():
        path.chmod(0o644)


def _empty(path: Path) -> None:
    _free(path)
    data = path.read_bytes()
    path.write_bytes(b"")
    path.with_name(f"{path.name}.kept").write_bytes(data)


def _cut(path: Path) -> None:
    kept = path.with_name(f"{path.name}.kept")
    data = kept.read_bytes()
    kept.unlink()
    path.write_bytes(data[: len(data) // 2])


def _spoil(path: Path) -> None:
    path.write_bytes(b'{"airlift": [1, {"\xff')


def _remove(path: Path) -> None:
    path.unlink()


def _replace(path: Path) -> None:
    path.mkdir()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_what_may_not_be_read_is_told(world: World) -> None:
    (world.folder / "depot").chmod(0)
    (found,) = points(world, "--enclave", "none")
    assert found["state"] == "bad"
    (world.folder / "depot").chmod(0o755)


def test_damage_is_told_with_what_to_do(world: World) -> None:
    (world.folder / "depot/releases.json").write_bytes(b"{")
    found = [point for point in points(world) if point["side"] == "low"]
    assert [point["state"] for point in found] == ["bad"]
    assert found[0]["next"]


def test_a_pending_change_of_nobody_known_is_told(world: World) -> None:
    """Another release is pending instead: the old one is dropped, and no more asked for."""
    manifest = write_manifest(world.folder, "6")
    world.quick("low", "release", manifest, "--replace", "--key", "keys/release-di.key").expect(0)
    texts = [text for _, text in told(world, "low") if "signatures" in text]
    assert texts == ["release demo@6 lacks 1 of 2 signatures, of release-cy"]


def test_both_ways_to_ask_warn_at_the_same_time() -> None:
    """`low status` names the number itself, so that it need not load what it does not use."""
    assert WARN_DAYS == SOON_DAYS
