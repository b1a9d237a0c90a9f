"""Import as it should go: volumes in any order and number, replays, deltas, shared and empty files."""

import stat
from pathlib import Path

import pytest

from airlift.bundle import volume
from airlift.errors import BaselineError, IncompleteError, NotHeldError, OvertakenError
from airlift.high.activation.activate import roll_back
from airlift.high.enclave.gc import collect_garbage
from airlift.high.importing.import_bundle import import_bundle
from airlift.high.importing.preview import plan_import
from airlift.high.verification.inspect import inspect_volumes
from tests.support.depots import NOW
from tests.support.enclaves import (
    V1,
    V2,
    V3,
    attempt,
    enclave,
    files_of,
    fresh,
    holds_release,
    operator,
    picture,
    switch_to,
    take,
    volumes,
    world,
)

pytestmark = pytest.mark.usefixtures("quick_disk")


def test_a_whole_bundle_is_installed_byte_for_byte(tmp_path: Path) -> None:
    place = enclave("fresh", tmp_path)
    before = {path: picture(path) for path in world().bundles["full"]}
    result = take(place, "full", activate=True)
    assert (result.installed, result.activated, result.already, result.missing) == (True, True, False, ())
    assert (result.target, result.baseline, result.volumes_present) == ("assistant@1", None, 3)
    assert holds_release(place, V1)
    for path in place.active.resolve().rglob("*"):
        mode = stat.S_IMODE(path.lstat().st_mode)
        assert mode == (0o755 if path.is_dir() else 0o444)
    assert {path: picture(path) for path in before} == before, "the medium was written to"
    assert list(place.staging.iterdir()) == []
    assert [entry.name for entry in place.trust.iterdir() if entry.name.startswith(".")] == []


def test_one_file_in_two_components_is_one_content(tmp_path: Path) -> None:
    place = enclave("one", tmp_path)
    first, second = (place.active / name / "LICENSE" for name in ("base", "guard"))
    assert first.stat().st_ino == second.stat().st_ino


@pytest.mark.parametrize("order", [(2, 0, 1), (1, 2, 0)])
def test_volumes_in_any_order(tmp_path: Path, order: tuple[int, ...]) -> None:
    place = enclave("fresh", tmp_path)
    paths = [world().bundles["full"][n] for n in order]
    assert import_bundle(place, paths, operator=operator()).installed
    switch_to(place, "assistant@1")
    assert holds_release(place, V1)


def test_a_folder_that_holds_the_volumes_will_do(tmp_path: Path) -> None:
    place = enclave("fresh", tmp_path)
    parent = world().bundles["full"][0].parent
    assert import_bundle(place, [parent, *world().bundles["full"]], operator=operator()).installed


def test_read_only_folders(tmp_path: Path) -> None:
    """Volumes are read from read-only media, and never written to (SPEC 6.4-3)."""
    paths = volumes("full", tmp_path)
    for path in paths:
        for folder in (path, *(child for child in path.iterdir() if child.is_dir())):
            folder.chmod(0o555)
    assert import_bundle(enclave("fresh", tmp_path), paths, operator=operator()).installed


def test_volumes_one_at_a_time(tmp_path: Path) -> None:
    """What was verified is kept; the next volume continues (SPEC 7.1-3)."""
    place, paths = enclave("fresh", tmp_path), world().bundles["full"]
    names = [{path.name for path in (folder / volume.CHUNKS).iterdir()} for folder in paths]
    for given, left in ((0, (1, 2)), (2, (1,))):
        error = attempt(place, [paths[given]], IncompleteError, 4)
        assert {volume.chunk_name(digest) for digest in error.data["missing"]} == set().union(
            *(names[n] for n in left)
        )
        (work,) = place.staging.iterdir()
        assert (work / volume.CHUNKS / min(names[given])).exists()
    result = import_bundle(place, [paths[1]], operator=operator(), activate=True)
    assert result.installed
    assert result.missing == ()
    assert holds_release(place, V1)
    assert list(place.staging.iterdir()) == []


def test_the_same_volume_twice(tmp_path: Path) -> None:
    paths = [*world().bundles["full"], *volumes("full", tmp_path), world().bundles["full"][0]]
    result = import_bundle(enclave("fresh", tmp_path), paths, operator=operator())
    assert result.installed
    assert result.volumes_present == 3


def test_a_delta_needs_less_than_it_makes(tmp_path: Path) -> None:
    place = enclave("one", tmp_path)
    result = take(place, "delta", activate=True)
    assert result.files_built == 1
    assert result.bytes_built == len(V2["base"]["model.safetensors"])
    assert holds_release(place, V2)


def test_a_delta_of_an_inactive_baseline(tmp_path: Path) -> None:
    place = enclave("two", tmp_path)
    result = take(place, "next", activate=True)
    assert result.activated
    assert holds_release(place, V3)


def test_the_baseline_must_be_held(tmp_path: Path) -> None:
    place = enclave("fresh", tmp_path)
    error = attempt(place, world().bundles["delta"], BaselineError, 5)
    assert "assistant@1" in str(error.expected)
    with pytest.raises(BaselineError):
        plan_import(place, world().bundles["delta"], NOW)


def test_a_release_that_another_bundle_brought(tmp_path: Path) -> None:
    """Two bundles of one release: the second has nothing to build, and commits its metadata."""
    place = enclave("one", tmp_path)
    before = place.state()
    result = take(place, "uncut", activate=True)
    assert (result.files_built, result.installed, result.activated) == (0, True, True)
    after = place.state()
    assert after.installed == before.installed
    assert len(after.bundles) == len(before.bundles) + 1


def test_a_renewal_changes_metadata_only(tmp_path: Path) -> None:
    place = enclave("one", tmp_path)
    before = picture(place.releases)
    result = take(place, "renewal", activate=True)
    assert (result.target, result.installed, result.activated) == (None, True, False)
    assert picture(place.releases) == before
    assert place.state().trust != enclave_trust("one")


def enclave_trust(name: str) -> object:
    from airlift.high.enclave.enclave import open_enclave

    return open_enclave(world().folder / "enclaves" / name).state().trust


# -- replays -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("activate", [True, False])
def test_replay_of_an_applied_bundle_is_a_no_op(tmp_path: Path, *, activate: bool) -> None:
    """Replay of an applied bundle (a no-op, exit 0)."""
    place = enclave("one", tmp_path)
    before = picture(place.folder)
    before.pop("lock", None)
    result = take(place, "full", activate=activate)
    assert (result.already, result.installed) == (True, False)
    after = picture(place.folder)
    after.pop("lock", None)
    assert after == before


def test_importing_again_finishes_what_was_asked_for(tmp_path: Path) -> None:
    place = enclave("fresh", tmp_path)
    assert not take(place, "full").activated
    assert place.state().active is None
    result = take(place, "full", activate=True)
    assert (result.already, result.activated) == (True, True)
    assert holds_release(place, V1)


def test_replay_of_a_renewal_activates_nothing(tmp_path: Path) -> None:
    place = enclave("one", tmp_path)
    take(place, "renewal")
    result = take(place, "renewal", activate=True)
    assert (result.already, result.activated) == (True, False)


def test_a_replayed_medium_is_no_roll_back(tmp_path: Path) -> None:
    """Broke: re-inserting an old volume with --activate silently returned to the old release."""
    place = enclave("two", tmp_path)
    attempt(place, world().bundles["full"], OvertakenError, 6, activate=True)
    assert [item["code"] for item in plan_import(place, world().bundles["full"], NOW).objections] == [
        "overtaken"
    ]
    assert plan_import(place, world().bundles["full"], NOW, activate=False).objections == ()
    assert take(place, "full").already
    roll_back(place, operator=operator())
    assert take(place, "full", activate=True).activated, "the release is active already"
    assert holds_release(place, V1)


def test_a_replayed_medium_is_no_roll_back_after_one_that_was_overtaken(tmp_path: Path) -> None:
    """Broke: a newer bundle that a renewal had overtaken did not count, so that an old medium rolled it back."""
    place = enclave("fresh", tmp_path)
    take(place, "uncut", activate=True)
    take(place, "renewal")
    assert take(place, "last").overtaken
    switch_to(place, "assistant@2")
    attempt(place, world().bundles["uncut"], OvertakenError, 6, activate=True)
    assert holds_release(place, V2)
    take(place, "last", activate=True)  # active already: nothing is rolled back


def test_a_replay_of_a_collected_release_says_so(tmp_path: Path) -> None:
    """Broke: import --activate of a bundle whose release gc had removed ended with exit 0 and did nothing."""
    place = enclave("two", tmp_path)
    take(place, "next", activate=True)
    collect_garbage(place, 1, operator=operator())
    assert len(place.state().installed) == 2
    attempt(place, world().bundles["full"], NotHeldError, 5, activate=True)
    assert take(place, "full").already


def test_a_collected_release_comes_back_with_another_bundle(tmp_path: Path) -> None:
    place = enclave("two", tmp_path)
    take(place, "next", activate=True)
    collect_garbage(place, 1, operator=operator())
    result = take(place, "uncut")
    assert result.installed
    switch_to(place, "assistant@1")
    assert holds_release(place, V1)


def test_the_old_trust_state_goes_with_the_commit(tmp_path: Path) -> None:
    """Broke: after every second import, status reported interrupted work that there was none of."""
    from airlift.high.enclave.status import enclave_status

    place = enclave("two", tmp_path)
    assert [text for text in enclave_status(place, NOW).warnings if "interrupted" in text] == []
    assert len(list(place.trust.iterdir())) == 2


# -- inspect and plan ----------------------------------------------------------------------------------------------


def test_inspect_claims_and_proves_nothing() -> None:
    result = inspect_volumes(world().bundles["delta"])
    assert (result.bundle, result.target, result.baseline) == ("any-2", "assistant@2", "assistant@1")
    assert (result.verified, result.missing) == (False, ())
    assert {item["name"] for item in result.components} == {"base", "guard"}
    part = inspect_volumes(world().bundles["full"][:1])
    assert (part.volumes_present, part.volumes_total, len(part.missing)) == (1, 3, 2)
    assert part.volumes[0]["bytes"] == sum(
        (world().bundles["full"][0] / path).stat().st_size for path in files_of(world().bundles["full"][0])
    )
    assert inspect_volumes(world().bundles["renewal"]).components == ()


def test_plan_says_what_import_would_do(tmp_path: Path) -> None:
    place = enclave("one", tmp_path)
    before = picture(place.folder)
    result = plan_import(place, world().bundles["delta"], NOW)
    assert (result.target, result.files_built, result.objections) == ("assistant@2", 1, ())
    assert not result.already
    assert picture(place.folder) == before


def test_another_enclave_of_the_same_root(tmp_path: Path) -> None:
    place = fresh(tmp_path / "bravo", world().site, "bravo")
    assert take(place, "bravo", activate=True).activated
    assert holds_release(place, V1)
