"""A drop folder behind a diode: what arrives whole, slowly, twice, never, damaged, or from nobody (SPEC 7.13)."""

import json
import os
import shutil
import socket
from pathlib import Path

import pytest

from airlift.errors import LedgerError, UncheckedError, UsageError
from airlift.high.activation.activate import roll_back
from airlift.high.importing.import_bundle import import_bundle
from airlift.high.watching import look as looking
from airlift.high.watching import tell
from airlift.high.watching.attempt import Importer
from airlift.high.watching.foresee import foresee
from airlift.high.watching.put_aside import Places, check_places
from airlift.high.watching.watch import NotAllImportedError, WatchResult
from tests.support import enclaves
from tests.support.depots import NOW
from tests.support.enclaves import V1, V2, V3, flip, holds_release, operator, overwrite, picture, reseal
from tests.support.watching import SETTLE, Ground, file_by_file


@pytest.fixture
def ground(tmp_path: Path) -> Ground:
    return Ground(enclaves.enclave("fresh", tmp_path), tmp_path)


def bundle(name: str) -> tuple[Path, ...]:
    return enclaves.world().bundles[name]


def fails(ground: Ground, exit_code: int, code: str, **more: object) -> NotAllImportedError:
    with pytest.raises(NotAllImportedError) as caught:
        ground.run(**more)  # type: ignore[arg-type]
    assert (caught.value.exit_code, caught.value.code) == (exit_code, code)
    return caught.value


# -- what is good ----------------------------------------------------------------------------------------------------


def test_what_lies_there_is_imported_at_once_and_stays(ground: Ground) -> None:
    for volume in bundle("full"):
        ground.put(volume, f"odd name of {volume.name[-8:]}")
    before = picture(ground.folder / "drop")
    result = ground.run()
    assert result.imported == ["any-1"]
    assert result.activated == ["assistant@1"]
    assert holds_release(ground.enclave, V1)
    assert picture(ground.folder / "drop") == before
    count = len(bundle("full"))
    assert ground.names() == ["arrived"] * count + ["imported", "activated"]
    (imported,) = ground.said("imported")
    assert tuple(imported) == tell.KEYS
    assert (imported["bundle"], imported["release"], imported["enclave"]) == ("any-1", "assistant@1", "alpha")


def test_it_does_not_wait_until_all_has_settled(ground: Ground) -> None:
    for volume in bundle("full"):
        ground.put(volume)
    looks: list[float] = []

    def stopping() -> bool:
        if ground.said("imported"):
            looks.append(ground.seconds)
        return bool(looks)

    ground.run(once=False, stopping=stopping)
    assert looks[0] < SETTLE / 10


def test_files_one_by_one_with_halves_under_other_names(ground: Ground) -> None:
    arrivals = [
        arrival
        for volume in reversed(bundle("full"))
        for arrival in file_by_file(volume, ground.folder / "drop" / volume.name, parts=True)
    ]
    assert ground.run(arrivals).imported == ["any-1"]
    assert "suspect" not in ground.names() or ground.said("quarantined") == []
    assert holds_release(ground.enclave, V1)
    assert ground.reasons() == []


def test_two_bundles_mixed_the_delta_first(ground: Ground) -> None:
    (delta,), full = bundle("next"), bundle("full")
    arrivals = file_by_file(delta, ground.folder / "drop/a")
    waits = [lambda: None] * 3
    later = [a for number, v in enumerate(full) for a in file_by_file(v, ground.folder / f"drop/{number}")]
    result = ground.run([*arrivals, *waits, *later])
    assert result.imported == ["any-1", "any-3"]
    assert ground.said("held")[0]["code"] == "baseline-not-held"
    assert holds_release(ground.enclave, V3)
    with ground.enclave.ledger() as log:  # nothing had settled
        assert "import-reject" not in log.counts()


def test_a_volume_that_comes_twice(ground: Ground) -> None:
    first, *others = bundle("full")
    ground.put(first, "once")
    ground.put(first, "twice")
    ground.run([lambda: [ground.put(other) for other in others]])
    assert holds_release(ground.enclave, V1)
    ground.put(first, "thrice")
    entries = ground.enclave.state().size
    ground.run()
    assert ground.enclave.state().size == entries
    assert ground.said("repeated")


def test_what_never_comes_is_asked_for_and_what_is_good_was_staged(ground: Ground) -> None:
    first, *others = bundle("full")
    ground.put(first)
    error = fails(ground, 4, "volumes-missing")
    assert error.data["waiting"] == [{"bundle": "any-1", "why": "incomplete", "code": "volumes-missing"}]
    assert len(ground.said("incomplete")) == 1
    assert list(ground.enclave.staging.glob("*/chunks/*"))
    shutil.rmtree(ground.folder / "drop" / first.name)
    for other in others:
        ground.put(other)
    start = ground.seconds
    ground.run(once=False, stopping=lambda: bool(ground.said("imported")))
    assert ground.seconds - start < SETTLE / 10  # what is staged counts: nobody waits
    assert holds_release(ground.enclave, V1)


def test_a_file_that_grows_slower_than_looks(ground: Ground) -> None:
    first, *others = bundle("full")
    for other in others:
        ground.put(other)
    target = ground.put(first)
    path = max((target / "chunks").iterdir(), key=lambda item: item.stat().st_size)
    whole = path.read_bytes()
    overwrite(path, whole[:1000] + bytes(len(whole) - 1000))  # the sender sets its length first
    rest = [lambda: None] * 20
    ground.run([*rest, lambda: overwrite(path, whole)])
    assert [event["code"] for event in ground.said("suspect")] == ["digest-mismatch"]
    assert ground.said("quarantined") == []
    assert holds_release(ground.enclave, V1)


def test_imported_volumes_are_moved_if_asked(ground: Ground) -> None:
    ground.moves = True
    (ground.folder / "done" / bundle("full")[0].name).mkdir(parents=True)
    (ground.folder / "done" / bundle("full")[0].name / "older").touch()
    originals = [picture(ground.put(volume)) for volume in bundle("full")]
    ground.run()
    assert list((ground.folder / "drop").iterdir()) == []
    moved = [path for path in (ground.folder / "done").iterdir() if not (path / "older").exists()]
    assert len(ground.said("moved")) == len(moved) == len(originals)
    assert all(picture(path) in originals for path in moved)


# -- what is bad -----------------------------------------------------------------------------------------------------


def test_a_damaged_volume_is_put_aside_with_a_reason_and_another_copy_does(ground: Ground) -> None:
    first, *others = bundle("full")
    target = ground.put(first, "first try")
    flip(min((target / "chunks").iterdir()), -3)
    damaged = picture(target)
    for other in others:
        ground.put(other)
    error = fails(ground, 3, "digest-mismatch")
    assert error.data["quarantined"] == ["first try"]
    (reason,) = ground.reasons()
    said = json.loads(reason.read_text())
    assert picture(reason.parent / "volume") == damaged
    assert (said["type"], said["name"], said["bundle"], said["volume"]) == (
        "quarantine",
        "first try",
        "any-1",
        1,
    )
    assert said["marking"] == {"level": "UNCLASSIFIED", "caveats": []}
    assert said["code"] == "digest-mismatch"
    assert said["expected"]
    assert said["found"]
    (event,) = ground.said("quarantined")
    assert str(reason) in event["hint"]
    assert sorted(path.name for path in (ground.folder / "drop").iterdir()) == [v.name for v in others]
    ground.put(first, "second try")
    ground.run()
    assert holds_release(ground.enclave, V1)


def test_what_the_reader_refuses_is_put_aside_when_it_has_settled(ground: Ground) -> None:
    for volume in bundle("full"):
        ground.put(volume)
    odd = ground.folder / "drop/odd"
    odd.mkdir()
    (odd / "volume.json").write_text("{}")
    fails(ground, 3, "inventory-mismatch")
    assert ground.seconds >= SETTLE
    assert holds_release(ground.enclave, V1)
    (reason,) = ground.reasons()
    assert json.loads(reason.read_text())["code"] == "inventory-mismatch"
    assert not odd.exists()


def test_a_lie_about_chunks_harms_nobody_else(ground: Ground) -> None:
    """A volume that lists what no bundle has fails only with the others; alone it shows."""
    for volume in bundle("full"):
        ground.put(volume)
    liar = ground.put(bundle("full")[0], "liar")
    (liar / "chunks" / ("0" * 64)).write_bytes(b"none")
    reseal(liar)
    error = fails(ground, 3, "inventory-mismatch")
    assert error.data["quarantined"] == ["liar"]
    assert holds_release(ground.enclave, V1)


def test_a_folder_that_is_read_only(ground: Ground, monkeypatch: pytest.MonkeyPatch) -> None:
    target = ground.put(bundle("full")[0])
    (target / "LABEL.txt").unlink()
    before = picture(ground.folder / "drop")
    monkeypatch.setattr("os.access", lambda *_: False)

    def refuse(source: Path, target: Path) -> None:
        raise PermissionDeniedError(f"cannot write {target}")

    from airlift import files
    from airlift.errors import PermissionDeniedError

    monkeypatch.setattr(files, "rename_durable", refuse)
    error = fails(ground, 3, "inventory-mismatch")
    assert error.data["passed_over"] == [target.name]
    assert picture(ground.folder / "drop") == before
    (reason,) = ground.reasons()
    fails(ground, 3, "inventory-mismatch")  # a new run judges anew, and ends in the same place
    assert ground.reasons() == [reason]


def test_what_is_wrong_with_the_enclave_makes_no_volume_bad(ground: Ground) -> None:
    for volume in bundle("full"):
        ground.put(volume)
    path = ground.enclave.ledger_path
    path.write_bytes(b"no ledger at all")
    with pytest.raises(LedgerError):
        ground.run()
    assert ground.reasons() == []


def test_a_bundle_for_another_enclave_is_held(ground: Ground) -> None:
    (volume,) = bundle("bravo")
    ground.put(volume)
    fails(ground, 6, "wrong-enclave")
    assert [event["code"] for event in ground.said("held")] == ["wrong-enclave"]
    with ground.enclave.ledger() as log:  # recorded, however often it was looked at
        assert log.counts()["import-reject"] == 1
    assert (ground.folder / "drop" / volume.name).exists()


# -- activation ------------------------------------------------------------------------------------------------------


def test_a_roll_back_is_not_undone_by_the_next_run(ground: Ground) -> None:
    for name in ("full", "next"):
        for volume in bundle(name):
            ground.put(volume)
    ground.run()
    assert holds_release(ground.enclave, V3)
    roll_back(ground.enclave, operator=operator())
    ground.run()
    assert holds_release(ground.enclave, V1)


def test_what_was_imported_and_not_yet_activated_is(ground: Ground) -> None:
    """A run that was killed between both leaves it to the next."""
    for volume in bundle("full"):
        ground.put(volume)
    import_bundle(ground.enclave, bundle("full"), operator=operator())
    ground.run()
    assert holds_release(ground.enclave, V1)
    assert ground.names()[-1] == "activated"


def test_an_overtaken_bundle_is_imported_and_not_activated(ground: Ground) -> None:
    for volume in bundle("full"):
        ground.put(volume)
    ground.run()
    for name in ("last", "next"):
        for volume in bundle(name):
            ground.put(volume)
    ground.run()
    assert holds_release(ground.enclave, V2)
    assert len(ground.enclave.state().bundles) == 3


def test_without_activate_nothing_runs(ground: Ground) -> None:
    for volume in bundle("full"):
        ground.put(volume)
    assert ground.run(activate=False).activated == []
    assert not ground.enclave.active.is_symlink()


# -- what is of nobody -----------------------------------------------------------------------------------------------


def test_files_links_and_pipes_of_nobody_are_left_and_never_opened(ground: Ground) -> None:
    drop = ground.folder / "drop"
    for number in range(2000):
        (drop / f"junk-{number}").touch()
    os.mkfifo(drop / "pipe")
    (drop / "link").symlink_to(ground.folder)
    (drop / "dangling").symlink_to("nowhere")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(drop / "socket"))
        deep = drop / "deep"
        for _ in range(40):
            deep /= "d"
        deep.mkdir(parents=True)
        away = ground.folder / "away"
        away.mkdir()
        (away / "volume.json").touch()
        (drop / "away").symlink_to(away)
        odd = drop / "a\nb\x1b[31m"
        odd.mkdir()
        os.mkfifo(odd / "volume.json")
        strange = drop / os.fsdecode(b"\xff" + b"x" * 254)
        strange.mkdir()
        (strange / "volume.json").touch()
        for volume in bundle("full"):
            ground.put(volume)
        error = fails(ground, 3, "inventory-mismatch")
    assert holds_release(ground.enclave, V1)
    first, second = error.data["quarantined"]
    assert first == "a\\nb\\x1b[31m"
    assert second.startswith("\\udcffxx")
    assert len(second) == tell.MAX_TEXT
    assert len(list((ground.folder / "bad").glob("*/volume/volume.json"))) == 2
    assert len(list(drop.iterdir())) == 2000 + 6 + len(bundle("full"))
    for event in ground.events:
        text = tell.line(event)
        assert text.isascii()
        assert text.isprintable()
        assert len(text) < 4096


def test_what_is_beyond_the_bounds_is_told(ground: Ground, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(looking, "MAX_VOLUMES", 3)
    for number in range(9):
        (ground.folder / f"drop/{number}").mkdir()
        (ground.folder / f"drop/{number}/volume.json").touch()
    fails(ground, 3, "inventory-mismatch")
    assert ground.said("crowded")[0]["message"] == "6 volumes are beyond what is looked at"
    assert len(ground.reasons()) == 9  # each look makes room for others
    assert looking.look(ground.folder / "drop").volumes == ()


def test_files_beyond_the_bounds_are_not_looked_at(ground: Ground) -> None:
    for volume in bundle("full"):
        ground.put(volume)
    found = looking.look(ground.folder / "drop", most=3)
    assert (len(found.volumes), found.left_out) == (1, len(bundle("full")) - 1)


def test_events_of_one_look_are_bounded(ground: Ground, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tell, "MAX_IN_A_LOOK", 5)
    for number in range(20):
        (ground.folder / f"drop/{number:02d}").mkdir()
        (ground.folder / f"drop/{number:02d}/volume.json").touch()
    fails(ground, 3, "inventory-mismatch")
    assert len(ground.said("quarantined")) <= 5
    assert "15 more events" in ground.said("suppressed")[0]["message"]


# -- the rest --------------------------------------------------------------------------------------------------------


def test_a_folder_that_cannot_be_read_for_a_while(ground: Ground) -> None:
    drop, aside = ground.folder / "drop", ground.folder / "unmounted"

    def come() -> None:
        aside.rename(drop)
        for volume in bundle("full"):
            ground.put(volume)

    ground.run([lambda: drop.rename(aside), lambda: None, come], once=False,
               stopping=lambda: bool(ground.said("imported")))  # fmt: skip
    assert len(ground.said("unreadable")) == 1


def test_folders_that_cannot_be_used_are_told_at_once(ground: Ground) -> None:
    shutil.rmtree(ground.folder / "drop")
    with pytest.raises(UncheckedError):
        ground.run()
    drop = ground.folder / "bad/drop"
    drop.mkdir(parents=True)
    with pytest.raises(UsageError, match="holds the drop folder"):
        check_places(Places(drop, ground.folder / "bad"))
    elsewhere = Path("/dev/shm") / ground.folder.name  # noqa: S108
    with pytest.raises(UsageError, match="another mount"):
        check_places(Places(drop, elsewhere))
    elsewhere.rmdir()


def test_what_would_happen_changes_nothing(ground: Ground) -> None:
    first, *_ = bundle("full")
    ground.put(first)
    ground.put(bundle("uncut")[0])
    (ground.folder / "drop/none").mkdir()
    (ground.folder / "drop/none/volume.json").touch()
    before = picture(ground.folder)
    found = foresee(Importer(ground.enclave, activate=True), ground.places, NOW)
    assert [(item.bundle, item.code) for item in found] == [
        (None, "inventory-mismatch"), ("any-1", "volumes-missing"), ("any-5", "ready"),
    ]  # fmt: skip
    assert picture(ground.folder) == before


def test_what_stops_it_ends_it(ground: Ground) -> None:
    result = ground.run(once=False, stopping=lambda: True)
    assert result == WatchResult()
    assert [event["event"] for event in ground.events] == ["started", "stopped"]
