"""Exports: where they may stand, what is recorded, and what follows goes along with every switch, or nothing does."""

import threading
from collections.abc import Callable
from pathlib import Path
from unittest.mock import patch

import pytest

from airlift import files
from airlift.bundle.revocations import Revocation
from airlift.errors import (
    AcceptanceError,
    ContentDamagedError,
    ExistsError,
    FloorError,
    LayoutError,
    NoSpaceError,
    NotHeldError,
    RefusedError,
    RequirementError,
    RevokedError,
    StorageError,
    UsageError,
)
from airlift.high.activation.activate import activate, roll_back, withdraw
from airlift.high.activation.change_policy import change_policy
from airlift.high.enclave.check_content import check_content
from airlift.high.enclave.enclave import Enclave
from airlift.high.enclave.gc import collect_garbage
from airlift.high.enclave.recover import recover, unfinished_steps
from airlift.high.enclave.status import enclave_status
from airlift.high.enclave.switching import follow as following
from airlift.high.governance import gate
from airlift.high.governance.advice import ADVISED
from airlift.high.importing.import_bundle import import_bundle
from airlift.high.importing.repair import repair
from airlift.high.record.verify_ledger import verify_ledger
from airlift.high.serving.export import ExportResult, Job, export, unfollow
from airlift.layouts.layouts import Choice, choose
from airlift.ledger import kept_state
from airlift.ledger.entries.exports import Export
from tests.support import revoking
from tests.support.depots import NOW
from tests.support.enclaves import (
    V1,
    V2,
    enclave,
    operator,
    overwrite,
    picture,
    site,
    switch_to,
    take,
    volumes,
    world,
)

TREE = Choice("tree")
pytestmark = pytest.mark.usefixtures("quick_disk")


def serve(
    place: Enclave,
    output: Path,
    reference: str = "active",
    choice: Choice = TREE,
    *,
    follow: bool = True,
    dry_run: bool = False,
) -> ExportResult:
    job = Job(reference, choice, output, follow)
    return export(place, job, operator=operator(), dry_run=dry_run)


def shows(output: Path) -> str | None:
    """Return which version a reader finds, or None for nothing; a mixture is no version."""
    found = {str(path.relative_to(output)): path.read_bytes() for path in output.rglob("*") if path.is_file()}
    for version, components in (("1", V1), ("2", V2)):
        if found == {
            f"{name}/{path}": data for name, held in components.items() for path, data in held.items()
        }:
            return version
    assert not found
    return None


def still(folder: Path) -> dict[str, str]:
    """Return what lies there, without the lock, which knows that a command failed (SPEC 7.6-2)."""
    return {path: text for path, text in picture(folder).items() if not path.endswith("/lock")}


def trees(output: Path) -> list[str]:
    return sorted(path.name for path in following.trees(output).iterdir())


def entries(place: Enclave, start: int) -> list[str]:
    with place.ledger() as log:
        return [entry.type for entry in log.entries(start)]


# -- once ----------------------------------------------------------------------------------------------------------


def test_an_export_stands_whole_and_is_recorded(tmp_path: Path) -> None:
    place = enclave("two", tmp_path)
    before = place.state().size
    result = serve(place, tmp_path / "out/models", "assistant@1", choose("tree", ("base",)), follow=False)
    assert sorted(path.name for path in (tmp_path / "out/models").iterdir()) == ["base"]
    assert (result.files, result.copied_bytes, result.already) == (len(V1["base"]), 0, False)
    assert result.linked_bytes == sum(map(len, V1["base"].values()))
    with place.ledger() as log:
        (entry,) = log.entries(before)
    assert (entry.type, entry.release) == ("export", result.digest)
    assert entry.detail["output"] == str(tmp_path / "out/models")
    assert entry.detail["components"] == ["base"]
    assert place.state().follows == ()
    switch_to(place, "assistant@1")
    verify_ledger(place, public_key=None)


def test_a_dry_run_says_the_same_and_changes_nothing(tmp_path: Path) -> None:
    place = enclave("two", tmp_path)
    before = picture(tmp_path)
    foreseen = serve(place, tmp_path / "out", dry_run=True)
    assert picture(tmp_path) == before
    assert serve(place, tmp_path / "out") == foreseen


@pytest.mark.parametrize("follows", [False, True])
def test_what_stands_there_is_left(tmp_path: Path, follows: bool) -> None:
    place = enclave("two", tmp_path)
    (tmp_path / "full").mkdir()
    (tmp_path / "full/mine").write_bytes(b"mine")
    (tmp_path / "link").symlink_to("full")
    (tmp_path / "file").write_bytes(b"mine")
    before = still(tmp_path)
    for name in ("full", "link", "file"):
        with pytest.raises(ExistsError):
            serve(place, tmp_path / name, follow=follows)
    assert still(tmp_path) == before


def test_no_place_in_or_around_the_enclave(tmp_path: Path) -> None:
    place = enclave("two", tmp_path)
    (tmp_path / "way").symlink_to(place.folder)
    for output in (
        place.folder / "x",
        place.folder,
        tmp_path,
        tmp_path / "way" / "x",
        place.content.folder / "ab",
    ):
        with pytest.raises(UsageError):
            serve(place, output)
    with pytest.raises(UsageError):
        serve(place, tmp_path / "a\nb")
    with pytest.raises(UsageError):
        serve(place, tmp_path / ("x" * 1100))


def ruled(place: Enclave, folder: Path, text: str) -> None:
    """Put a policy in force."""
    (folder / "policy.yaml").write_text(f"airlift: 2\nenclave: alpha\n{text}")
    change_policy(place, folder / "policy.yaml", operator=operator())


def revoke(place: Enclave, folder: Path, label: str) -> None:
    """Revoke a release, and let the enclave know."""
    low = site(folder)
    release = low.depot.load_release(label)
    revoking.publish(low, [Revocation("release", release.digest, "a jailbreak", 1, "vulnerability")])
    import_bundle(place, revoking.renewal(low, "renewal"), operator=operator())


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("floors: {base: '2'}\n", FloorError),
        ("requires: [{kind: model, needs: guard, version: '>=9'}]\n", RequirementError),
        ("acceptance: [{name: never, command: ['false']}]\n", AcceptanceError),
    ],
)
def test_what_policy_would_not_let_run_is_not_served(
    tmp_path: Path, text: str, error: type[RefusedError]
) -> None:
    """Nothing keeps a server from what is exported: weights below a floor, or without their guard, must not be."""
    place = enclave("two", tmp_path)
    ruled(place, tmp_path, text)
    before = still(tmp_path)
    for dry_run in (True, False):
        with pytest.raises(error) as refused:
            serve(place, tmp_path / "out", "assistant@1", follow=False, dry_run=dry_run)
        if error in ADVISED:
            assert refused.value.hint.startswith("serve what is active"), "there is no reason to switch"
    assert still(tmp_path) == before
    serve(place, tmp_path / "running", follow=False)  # what runs goes on running (SPEC 8.2-21)


@pytest.mark.parametrize("reference", ["assistant@1", "assistant@2", "active"])
def test_what_was_revoked_is_not_served(tmp_path: Path, reference: str) -> None:
    place = enclave("two", tmp_path)
    revoke(place, tmp_path, "assistant@1" if reference == "assistant@1" else "assistant@2")
    if reference == "active":  # as if the import had been interrupted before it dealt with what runs
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(gate, "return_refusals", lambda *_args, **_more: [])
            roll_back(place, "assistant@2", operator=operator())
    with pytest.raises(RevokedError):
        serve(place, tmp_path / "out", reference, follow=reference == "active")
    assert not (tmp_path / "out").is_symlink()
    assert not (tmp_path / "out").exists()


def test_what_was_revoked_and_is_only_reported_is_served(tmp_path: Path) -> None:
    place = enclave("two", tmp_path)
    ruled(place, tmp_path, "revoked: report\n")
    revoke(place, tmp_path, "assistant@2")
    assert serve(place, tmp_path / "out").release == "assistant@2"


def test_what_still_serves_what_was_revoked_is_told(tmp_path: Path) -> None:
    """The old guard must never run again: what does not follow is out of reach, and never silently."""
    place = enclave("two", tmp_path)
    low = site(tmp_path)
    serve(place, tmp_path / "once", "assistant@2", follow=False)
    serve(place, tmp_path / "good", "assistant@1", follow=False)
    serve(place, tmp_path / "gone", follow=False)
    files.remove(tmp_path / "gone")
    for name in ("ended", "follows"):
        serve(place, tmp_path / name)
    unfollow(place, tmp_path / "ended", operator=operator())
    assert told(place) == []
    listed = Revocation("release", low.depot.load_release("assistant@2").digest, "a jailbreak", 1, "legal")
    revoking.publish(low, [listed])
    import_bundle(place, revoking.renewal(low, "renewal"), operator=operator())
    assert shows(tmp_path / "follows") == "1", "it fell back"
    assert [text.split(" has ")[0].rpartition("/")[2] for text in told(place)] == ["once", "ended"]
    assert "release assistant@2 is revoked: a jailbreak" in told(place)[0]
    with patch.object(Path, "exists", side_effect=PermissionError):
        assert len(told(place)) == 3, "what cannot be looked at may still be there"


def told(place: Enclave) -> list[str]:
    return [text for text in enclave_status(place, NOW).warnings if "still served" in text]


def test_what_cannot_be_exported(tmp_path: Path) -> None:
    place = enclave("fresh", tmp_path)
    with pytest.raises(NotHeldError):
        serve(place, tmp_path / "out")
    with pytest.raises(NotHeldError):
        serve(place, tmp_path / "out", "assistant@9", follow=False)
    with pytest.raises(UsageError):
        serve(place, tmp_path / "out", "assistant@1")
    two = enclave("two", tmp_path)
    with pytest.raises(LayoutError):
        serve(two, tmp_path / "out", choice=choose("tree", ("none",)))
    with pytest.raises(UsageError):
        serve(two, tmp_path / "out", choice=choose("zip"))
    assert not (tmp_path / "out").exists()


# -- following -----------------------------------------------------------------------------------------------------


def test_what_follows_goes_along_with_every_switch(tmp_path: Path) -> None:
    place, out = enclave("two", tmp_path), tmp_path / "out"
    serve(place, out)
    assert (shows(out), len(trees(out))) == ("2", 1)
    switch_to(place, "assistant@1")
    assert (shows(out), len(trees(out))) == ("1", 2)
    roll_back(place, operator=operator())
    assert (shows(out), len(trees(out))) == ("2", 2)
    take(place, "step", activate=True)
    assert len(trees(out)) == 2
    assert check_content(place).exports == ()
    (told,) = enclave_status(place, NOW).exports
    assert told == {"layout": "tree", "output": str(out), "in_step": True}
    verify_ledger(place, public_key=None)


def test_a_second_export_of_the_same_is_already_so_and_another_choice_takes_its_place(tmp_path: Path) -> None:
    place, out = enclave("two", tmp_path), tmp_path / "out"
    first = serve(place, out)
    size = place.state().size
    again = serve(place, out)
    assert (again.already, again.files, again.linked_bytes) == (True, first.files, first.linked_bytes)
    assert place.state().size == size
    serve(place, out, choice=choose("tree", ("guard",), {"guard": "watch"}))
    assert sorted(path.name for path in out.iterdir()) == ["watch"]
    assert len(trees(out)) == 1
    assert [item.components for item in place.state().follows] == [("guard",)]


def test_a_withdrawal_serves_nothing(tmp_path: Path) -> None:
    place, out = enclave("two", tmp_path), tmp_path / "out"
    serve(place, out)
    state = place.state()
    assert state.active is not None
    with place.lock():
        assert withdraw(place, place.load_release(state.active), operator(), "revoked") == ()
    assert not out.is_symlink()
    assert unfinished_steps(place, place.state()) == []
    switch_to(place, "assistant@1")
    assert shows(out) == "1"


def test_unfollow_leaves_what_is_shown(tmp_path: Path) -> None:
    place, out = enclave("two", tmp_path), tmp_path / "out"
    serve(place, out)
    assert unfollow(place, out, operator=operator(), dry_run=True).layout == "tree"
    assert len(place.state().follows) == 1
    unfollow(place, out, operator=operator())
    switch_to(place, "assistant@1")
    assert shows(out) == "2"
    with pytest.raises(NotHeldError):
        unfollow(place, out, operator=operator())


def test_garbage_of_the_enclave_is_no_loss_to_what_is_served(tmp_path: Path) -> None:
    place, out = enclave("two", tmp_path), tmp_path / "out"
    serve(place, tmp_path / "old", "assistant@1", follow=False)
    serve(place, out)
    take(place, "step", activate=True)
    collect_garbage(place, 1, operator=operator())
    assert shows(tmp_path / "old") == "1"
    assert check_content(place).exports == ()


def test_the_kept_state_knows_what_follows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place, out = enclave("two", tmp_path), tmp_path / "out"
    monkeypatch.setattr(kept_state, "STEP", 0)
    serve(place, out, choice=choose("tree", (), {"base": "org/base"}))
    switch_to(place, "assistant@1")
    (found,) = place.state().follows
    assert isinstance(found, Export)
    assert (found.output, found.layout, found.names) == (str(out), "tree", {"base": "org/base"})


# -- what cannot go along ------------------------------------------------------------------------------------------


def test_a_tree_that_cannot_be_built_refuses_the_switch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place, out = enclave("two", tmp_path), tmp_path / "out"
    serve(place, out)
    before, size = still(tmp_path), place.state().size

    def full(*_: object) -> bool:
        raise NoSpaceError("full")

    with monkeypatch.context() as patch:
        patch.setattr(files, "link_if_possible", full)
        with pytest.raises(NoSpaceError):
            activate(place, "assistant@1", operator=operator())
    assert (still(tmp_path), place.state().size) == (before, size)


def test_a_vanished_place_refuses_the_switch_until_it_is_given_up(tmp_path: Path) -> None:
    place, out = enclave("two", tmp_path), tmp_path / "mnt/out"
    serve(place, out)
    (tmp_path / "mnt").rename(tmp_path / "gone")
    with pytest.raises(StorageError) as caught:
        activate(place, "assistant@1", operator=operator())
    assert f"airlift high unfollow {out}" in caught.value.hint
    assert not (tmp_path / "mnt").exists()
    assert [item["in_step"] for item in enclave_status(place, NOW).exports] == [False]
    take(place, "step")  # what comes in is not held up
    with pytest.raises(ContentDamagedError):
        check_content(place)
    unfollow(place, out, operator=operator())
    switch_to(place, "assistant@1")
    assert not (tmp_path / "mnt").exists()


def test_a_link_that_cannot_be_moved_takes_the_switch_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place, one, two = enclave("two", tmp_path), tmp_path / "one", tmp_path / "two"
    serve(place, one)
    serve(place, two)
    point = files.point_link

    def refuse(link: Path, target: str, **more: Path) -> None:
        if link == two and target.endswith(refused[0]):
            raise StorageError("no")
        point(link, target, **more)

    (export_,) = [item for item in place.state().follows if item.output == str(two)]
    refused = [following.tree_of(export_, place.find_release("assistant@1", place.state()).digest).name]
    monkeypatch.setattr(files, "point_link", refuse)
    with pytest.raises(StorageError, match="is active again"):
        activate(place, "assistant@1", operator=operator())
    assert (shows(one), shows(two), shows(place.active)) == ("2", "2", "2")
    verify_ledger(place, public_key=None)
    assert unfinished_steps(place, place.state()) == []


def test_a_switch_that_must_be_is_not_held_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from airlift.high.activation.activate import switch

    place, out = enclave("two", tmp_path), tmp_path / "out"
    serve(place, out)
    with monkeypatch.context() as patch, place.lock():
        patch.setattr(following, "build_tree", lambda *_: (_ for _ in ()).throw(StorageError("no")))
        state = place.state()
        release = place.find_release("assistant@1", state)
        assert switch(place, release, state, operator(), because="revoked") == (str(out),)
    assert not out.exists()
    assert shows(place.active) == "1"
    with place.lock():  # the next command tries again
        assert len(recover(place, operator())) == 1
    assert shows(out) == "1"


def test_a_link_that_cannot_be_made_is_no_success(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The export said that it was done, and nothing was served."""
    place, out = enclave("two", tmp_path), tmp_path / "out"

    def refuse(*_: object, **__: object) -> None:
        raise StorageError("no")

    with monkeypatch.context() as patch:
        patch.setattr(files, "point_link", refuse)
        with pytest.raises(StorageError):
            serve(place, out)
    serve(place, out)
    assert shows(out) == "2"


# -- recovery ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("stop", ["prepare", "record", "active", "point", "commit", "tidy"])
def test_a_switch_that_was_cut_off_is_finished_or_undone_for_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stop: str
) -> None:
    place, out = enclave("two", tmp_path), tmp_path / "out"
    serve(place, out)
    calls: dict[str, Callable[[], None]] = {
        "prepare": lambda: patch.setattr(following, "prepare", die),
        "record": lambda: patch.setattr(Enclave, "record", die),
        "active": lambda: patch.setattr(files, "point_link", die),
        "point": lambda: patch.setattr(following, "point", die),
        "commit": lambda: patch.setattr("airlift.high.enclave.switching.hooks.run_after", die),
        "tidy": lambda: patch.setattr(following, "tidy", die),
    }

    def die(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        calls[stop]()
        with pytest.raises(KeyboardInterrupt):
            activate(place, "assistant@1", operator=operator())
    with place.lock():
        recover(place, operator())
    wanted = "2" if stop in {"prepare", "record", "active"} else "1"
    assert (shows(out), shows(place.active)) == (wanted, wanted)
    assert unfinished_steps(place, place.state()) == []
    verify_ledger(place, public_key=None)


def test_a_link_that_somebody_moved_is_put_back(tmp_path: Path) -> None:
    place, out = enclave("two", tmp_path), tmp_path / "out"
    serve(place, out)
    switch_to(place, "assistant@1")
    old = next(name for name in trees(out) if name != out.resolve().name)
    out.unlink()
    out.symlink_to(f".out.airlift/{old}")
    with pytest.raises(ContentDamagedError):
        check_content(place)
    with place.lock():
        assert recover(place, operator()) == (f"let the export at {out} serve what is active",)
    assert shows(out) == "1"


# -- check and repair ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("harm", ["changed", "missing", "more"])
def test_what_is_served_is_checked(tmp_path: Path, harm: str) -> None:
    place, out = enclave("two", tmp_path), tmp_path / "out"
    serve(place, out)
    target = out / "base/nested/config.json"
    if harm == "changed":
        overwrite(target, b"{}")
    elif harm == "missing":
        target.unlink()
    else:
        (out / "base/more").write_bytes(b"")
    with pytest.raises(ContentDamagedError) as caught:
        check_content(place)
    assert len(caught.value.data["exports"]) == 1
    serve(place, out)
    assert check_content(place).exports == ()
    assert shows(out) == "2"


def test_repaired_content_is_served(tmp_path: Path) -> None:
    place, out = enclave("two", tmp_path), tmp_path / "out"
    serve(place, out)
    shared = (out / "base/nested/config.json").resolve()
    shared.chmod(0o644)
    shared.write_bytes(b"[]")
    with pytest.raises(ContentDamagedError):
        check_content(place)
    repair(place, volumes("full", tmp_path), operator=operator())
    assert shows(out) == "2"
    assert check_content(place).exports == ()


# -- a reader beside it --------------------------------------------------------------------------------------------


def test_a_reader_never_sees_a_mixture(tmp_path: Path) -> None:
    """It opens the folder once and reads everything in it, over and over, while releases change."""
    place, out = enclave("two", tmp_path), tmp_path / "out"
    serve(place, out)
    seen: list[str | None] = []
    done = threading.Event()

    def read() -> None:
        while not done.is_set():
            seen.append(shows(out.resolve()))

    reader = threading.Thread(target=read)
    reader.start()
    for _ in range(10):
        for reference in ("assistant@1", "assistant@2"):
            switch_to(place, reference)
    done.set()
    reader.join()
    assert set(seen) == {"1", "2"}


def test_an_import_that_is_to_be_active_takes_what_follows_along(tmp_path: Path) -> None:
    place, out = enclave("one", tmp_path), tmp_path / "out"
    serve(place, out)
    size = place.state().size
    import_bundle(place, world().bundles["delta"], operator=operator(), activate=True)
    assert shows(out) == "2"
    assert entries(place, size) == ["import-prepare", "import-commit", "activate-prepare", "activate-commit"]
