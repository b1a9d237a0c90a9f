"""Recovery: for each row of SPEC 7.6, a command is broken off for real, and the next one finishes or undoes it."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from airlift import files
from airlift.bundle import volume
from airlift.errors import LedgerError, NoSpaceError, RecoveryNeededError
from airlift.high.activation.activate import activate, roll_back
from airlift.high.activation.change_policy import change_policy
from airlift.high.enclave.enclave import Enclave
from airlift.high.enclave.gc import collect_garbage
from airlift.high.enclave.policy import load
from airlift.high.enclave.status import enclave_status
from airlift.ledger.entries.shape import Detail
from tests.support.depots import NOW
from tests.support.enclaves import (
    V1,
    V2,
    V3,
    copy,
    enclave,
    holds_release,
    operator,
    overwrite,
    picture,
    take,
    world,
)

pytestmark = pytest.mark.usefixtures("quick_disk")


class Crash(BaseException):
    """The power goes out."""


def crash_at(patch: pytest.MonkeyPatch, kind: str, *, after: bool = False) -> None:
    """Crash before (or right after) the ledger entry ``kind`` is appended."""
    real = Enclave.record

    def record(self: Enclave, operator_: Any, detail: Detail, **more: Any) -> Any:
        if kind == detail.TYPE and not after:
            raise Crash
        entry = real(self, operator_, detail, **more)
        if kind == detail.TYPE:
            raise Crash
        return entry

    patch.setattr(Enclave, "record", record)


def broken_off(patch: Callable[[pytest.MonkeyPatch], None], run: Callable[[], object]) -> None:
    """Run a command and let it crash."""
    with pytest.MonkeyPatch.context() as context:
        patch(context)
        with pytest.raises(Crash):
            run()


def reported(place: Enclave) -> list[str]:
    """Return what status says of interrupted work, after checking that saying it changed nothing."""
    before = picture(place.folder)
    found = [text for text in enclave_status(place, NOW).warnings if text.startswith("interrupted work")]
    assert picture(place.folder) == before
    return found


def settled(place: Enclave) -> None:
    """Check that nothing is left to recover."""
    assert reported(place) == []
    assert place.state().open == ()
    assert list(place.folder.rglob(".tmp-*")) == []


# -- imports -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["import-prepare", "import-commit"])
def test_an_import_without_commit(tmp_path: Path, kind: str) -> None:
    """An ``import-prepare`` without commit: aborted, its tree and trust state removed, its staging used."""
    place = enclave("one", tmp_path)
    before = place.state()
    broken_off(
        lambda patch: crash_at(patch, kind, after=kind == "import-prepare"), lambda: take(place, "delta")
    )
    after = place.state()
    assert (after.installed, after.active, after.trust) == (before.installed, before.active, before.trust)
    assert len(after.open) == 1
    assert any("import-prepare" in text for text in reported(place))
    assert (len(list(place.releases.iterdir())) == 2) == (kind == "import-commit")
    assert holds_release(place, V1)
    assert activate(place, "assistant@1", operator=operator()).recovered
    settled(place)
    assert len(list(place.releases.iterdir())) == 1
    assert len(list(place.trust.iterdir())) == 2
    assert take(place, "delta", activate=True).installed
    settled(place)
    assert holds_release(place, V2)


def test_an_import_whose_content_was_in_place(tmp_path: Path) -> None:
    """Content that nobody refers to is used by the next run, or collected."""
    place = enclave("one", tmp_path)
    broken_off(lambda patch: crash_at(patch, "import-commit"), lambda: take(place, "delta"))
    assert take(place, "delta", activate=True).files_built == 0
    assert holds_release(place, V2)


def test_a_commit_whose_staging_stayed(tmp_path: Path) -> None:
    """Staging and the old trust state of a committed bundle are swept by the next command."""
    place = enclave("one", tmp_path)
    broken_off(lambda patch: crash_at(patch, "import-commit", after=True), lambda: take(place, "delta"))
    assert len(place.state().installed) == 2
    assert len(reported(place)) == 2
    result = take(place, "delta", activate=True)
    assert (result.already, result.activated, len(result.recovered)) == (True, True, 2)
    settled(place)
    assert holds_release(place, V2)


def test_a_crash_before_activation(tmp_path: Path) -> None:
    place = enclave("one", tmp_path)
    broken_off(lambda patch: crash_at(patch, "activate-prepare"), lambda: take(place, "delta", activate=True))
    assert holds_release(place, V1)
    assert take(place, "delta", activate=True).activated
    settled(place)
    assert holds_release(place, V2)


# -- switches ------------------------------------------------------------------------------------------------------


def go(place: Enclave, kind: str) -> None:
    if kind == "activate":
        activate(place, "assistant@1", operator=operator())
    else:
        roll_back(place, operator=operator())


@pytest.mark.parametrize("kind", ["activate", "rollback"])
def test_a_switch_that_took_place(tmp_path: Path, kind: str) -> None:
    """A switch prepared, ``active`` already points at it: the commit is appended, it may have been seen."""
    place = enclave("two", tmp_path)
    broken_off(lambda patch: crash_at(patch, f"{kind}-commit"), lambda: go(place, kind))
    assert holds_release(place, V1)
    assert any("had taken place" in text for text in reported(place))
    assert collect_garbage(place, 2, operator=operator()).recovered
    settled(place)
    state = place.state()
    assert (state.active, state.previous) == state.installed
    assert holds_release(place, V1)
    with place.ledger() as log:
        commit = log.last(f"{kind}-commit")
    assert commit is not None
    assert commit.detail["recovered"] == commit.index - 1


@pytest.mark.parametrize("kind", ["activate", "rollback"])
def test_a_switch_that_did_not_take_place(tmp_path: Path, kind: str) -> None:
    """A switch prepared, ``active`` does not point at it: aborted."""
    place = enclave("two", tmp_path)
    broken_off(lambda patch: crash_at(patch, f"{kind}-prepare", after=True), lambda: go(place, kind))
    assert holds_release(place, V2)
    assert any("before it took place" in text for text in reported(place))
    assert collect_garbage(place, 2, operator=operator()).recovered
    settled(place)
    assert holds_release(place, V2)
    go(place, kind)
    assert holds_release(place, V1)


# -- pointers ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["gone", "elsewhere", "dangling"])
def test_an_active_link_that_somebody_changed(tmp_path: Path, how: str) -> None:
    """``active`` points elsewhere than the ledger says: the link is restored."""
    place = enclave("two", tmp_path)
    place.active.unlink()
    if how != "gone":
        target = place.active_target(place.state().installed[0]) if how == "elsewhere" else "releases/0"
        place.active.symlink_to(target)
    assert any("`active`" in text for text in reported(place))
    assert collect_garbage(place, 2, operator=operator()).recovered
    settled(place)
    assert holds_release(place, V2)


def test_an_active_link_that_the_ledger_does_not_know(tmp_path: Path) -> None:
    place = enclave("fresh", tmp_path)
    place.active.symlink_to("releases/evil")
    assert len(reported(place)) == 1
    take(place, "full")
    assert not place.active.is_symlink()


def test_a_policy_link_that_somebody_changed(tmp_path: Path) -> None:
    place = enclave("one", tmp_path)
    place.policy_link.unlink()
    place.policy_link.write_text("airlift: 1\nenclave: alpha\nfloors: {}\n")
    assert any("`policy.yaml`" in text for text in reported(place))
    activate(place, "assistant@1", operator=operator())
    assert place.policy_link.is_symlink()


# -- leftovers -----------------------------------------------------------------------------------------------------


def test_temporary_files_everywhere(tmp_path: Path) -> None:
    place = enclave("one", tmp_path)
    folders = [
        place.folder,
        place.roots,
        place.trust,
        place.history.folder,
        place.releases,
        place.staging,
        next(place.content.folder.iterdir()),
        next(place.policies.iterdir()),
        files.make_folder(place.staging / ("0" * 64) / volume.CHUNKS),
    ]
    for folder in folders:
        (folder / ".tmp-0123456789abcdef").write_bytes(b"torn")
    assert len(reported(place)) == len(folders)
    before = place.state()
    activate(place, "assistant@1", operator=operator())
    settled(place)
    assert place.state() == before, "sweeping is no event"
    assert (place.staging / ("0" * 64)).is_dir(), "staged work of a bundle that did not commit stays"


def test_gc_broken_off_in_the_middle(tmp_path: Path) -> None:
    """The entry comes first: trees of collected releases are removed by recovery."""
    place = enclave("two", tmp_path)
    take(place, "step", activate=True)
    doomed = place.release_path(place.state().installed[0])
    broken_off(
        lambda patch: crash_at(patch, "gc", after=True),
        lambda: collect_garbage(place, 1, operator=operator()),
    )
    assert doomed.is_dir()
    assert len(place.state().installed) == 2
    assert len(reported(place)) == 1
    roll_back(place, operator=operator())
    assert not doomed.exists()
    settled(place)
    assert collect_garbage(place, 2, operator=operator()).files == 1
    assert holds_release(place, V2)


@pytest.mark.parametrize("after", [False, True])
def test_a_policy_set_in_the_middle(tmp_path: Path, *, after: bool) -> None:
    place = enclave("one", tmp_path)
    text = tmp_path / "new.yaml"
    text.write_text("airlift: 1\nenclave: alpha\nkeep: 7\n")
    broken_off(
        lambda patch: crash_at(patch, "policy", after=after),
        lambda: change_policy(place, text, operator=operator()),
    )
    assert load(place, place.state()).keep == (7 if after else 2)
    assert len(reported(place)) == int(after)
    activate(place, "assistant@1", operator=operator())
    settled(place)
    assert change_policy(place, text, operator=operator()).document.policy.keep == 7
    assert load(place, place.state()).keep == 7
    assert "keep: 7" in place.policy_link.read_text()


def test_recovery_broken_off_in_the_middle(tmp_path: Path) -> None:
    """Recovery can be interrupted as well, and is run again."""
    place = enclave("one", tmp_path)
    broken_off(lambda patch: crash_at(patch, "import-commit"), lambda: take(place, "delta"))
    broken_off(
        lambda patch: crash_at(patch, "abort", after=True),
        lambda: activate(place, "assistant@1", operator=operator()),
    )
    activate(place, "assistant@1", operator=operator())
    settled(place)
    assert take(place, "next", activate=True).installed
    assert holds_release(place, V3)


def test_recovery_that_cannot_write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = enclave("one", tmp_path)
    place.active.unlink()

    def point(*_: object) -> None:
        raise NoSpaceError("injected")

    monkeypatch.setattr(files, "point_link", point)
    with pytest.raises(NoSpaceError):
        take(place, "delta")
    monkeypatch.undo()
    assert take(place, "delta").recovered


# -- the ledger ----------------------------------------------------------------------------------------------------


def test_a_ledger_with_an_unfinished_transaction(tmp_path: Path) -> None:
    """Read-only commands do not undo it, they say so; the next state-changing command does."""
    import sqlite3

    place = enclave("one", tmp_path)
    connection = sqlite3.connect(place.ledger_path, isolation_level=None)
    connection.execute("PRAGMA cache_spill = 1")
    connection.execute("PRAGMA cache_size = 1")
    connection.execute("BEGIN IMMEDIATE")
    for index in range(1000, 1400):
        connection.execute(
            "INSERT INTO entries (idx, type, time, data) VALUES (?, 'x', 'x', ?)", (index, b"x" * 4000)
        )
    torn = Path(copy(place.folder, tmp_path / "torn"))
    connection.execute("ROLLBACK")
    connection.close()
    from airlift.high.enclave.enclave import open_enclave

    place = open_enclave(torn)
    assert place.ledger_path.with_name("ledger.db-journal").exists()
    with pytest.raises((RecoveryNeededError, LedgerError)) as caught:
        enclave_status(place, NOW)
    assert caught.value.code in {"recovery-needed", "ledger-inconsistent"}
    activate(place, "assistant@1", operator=operator())
    settled(place)


def test_a_ledger_of_another_enclave(tmp_path: Path) -> None:
    place = enclave("one", tmp_path)
    text = (place.folder / "config.yaml").read_text().replace("alpha", "gamma")
    overwrite(place.folder / "config.yaml", text.encode())
    from airlift.high.enclave.enclave import open_enclave

    with pytest.raises(LedgerError):
        enclave_status(open_enclave(place.folder), NOW)
    with pytest.raises(LedgerError):
        take(open_enclave(place.folder), "delta")


def test_history_that_was_changed(tmp_path: Path) -> None:
    """The record's documents are held against the digests in the ledger."""
    place = enclave("one", tmp_path)
    path = place.history.path(place.state().installed[0])
    data = path.read_bytes()
    overwrite(path, data.replace(b'"2.1"', b'"9.9"'))
    with pytest.raises(LedgerError):
        enclave_status(place, NOW)
    path.unlink()
    with pytest.raises(LedgerError):
        activate(place, "assistant@1", operator=operator())
    assert world().bundles
