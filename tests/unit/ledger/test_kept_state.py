"""The kept state: it may make a command faster, and never makes it believe what the entries do not say."""

import shutil
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import pytest

from airlift import files
from airlift.errors import LedgerError, NoSpaceError
from airlift.high.enclave.recover import recover
from airlift.high.enclave.status import enclave_status
from airlift.high.record.verify_ledger import verify_ledger
from airlift.ledger import kept_state, note
from airlift.ledger import log as logs
from airlift.ledger.entry import Draft, Entry
from airlift.ledger.log import Log
from airlift.ledger.state import NOTHING, Committed, State, fold_entries
from airlift.trust.keys.file import FileSigner, generate
from tests.support.depots import NOW
from tests.support.enclaves import enclave, operator, picture
from tests.support.ledgers import ORIGIN, make_log, opened, tamper
from tests.unit.ledger.answers.test_questions import STORY

pytestmark = pytest.mark.usefixtures("quick_disk")

MANY = kept_state.STEP + 1


def told(folder: Path, entries: Iterable[Entry], signer: FileSigner) -> Path:
    """Make a ledger of these entries."""
    path = folder / "ledger.db"
    logs.create(path, ORIGIN, signer)
    drafts = [Draft(e.type, e.actor, e.time, e.release, e.bundle, e.detail) for e in entries]
    with opened(path, writable=True) as log:
        log.append_all(drafts, signer)
    return path


def policy(digit: str) -> Draft:
    return Draft("policy", "a", "2026-03-05T00:00:00Z", detail={"sha512": digit * 128, "keys": {}})


@pytest.fixture
def signer() -> FileSigner:
    return generate("ecdsa-p384")


@pytest.fixture
def path(tmp_path: Path, signer: FileSigner) -> Path:
    return told(tmp_path, STORY, signer)


def kept(path: Path, end: int, signer: FileSigner) -> Path:
    """Keep the state of the first ``end`` entries beside a ledger."""
    place = path.with_name("state.note")
    with opened(path) as log:
        found = fold_entries(log.entries(0, end))
        files.write_durable(place, kept_state.format(found, log.root(end), ORIGIN, signer))
    return place


def parsed(path: Path, place: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[State, int]:
    """Return the state, and how many entries were read for it."""
    count = 0
    original = Log._parsed

    def counted(log: Log, index: object, data: object) -> Entry:
        nonlocal count
        count += 1
        return original(log, index, data)

    with monkeypatch.context() as patch, opened(path) as log:
        patch.setattr(Log, "_parsed", counted)
        return kept_state.load(log, place), count


def test_only_what_came_after_it_is_read(
    path: Path, signer: FileSigner, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Broke: every command read every entry; a hundred thousand of them took 4 s."""
    place = kept(path, 9, signer)
    assert parsed(path, place, monkeypatch) == (fold_entries(STORY), len(STORY) - 9)
    place.unlink()
    assert parsed(path, place, monkeypatch) == (fold_entries(STORY), len(STORY))


def test_a_state_signed_by_another_key_is_not_believed(
    path: Path, signer: FileSigner, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever can write in the enclave, but lacks the ledger's key, cannot tell it what it is."""
    place = kept(path, 9, generate("ecdsa-p384"))
    assert parsed(path, place, monkeypatch) == (fold_entries(STORY), len(STORY))


def test_a_checkpoint_is_no_kept_state_and_a_kept_state_no_checkpoint(path: Path, signer: FileSigner) -> None:
    place = kept(path, 9, signer)
    data = place.read_bytes()
    with opened(path) as log:
        checkpoint = log.checkpoint()
        with pytest.raises(LedgerError):
            kept_state.parse(checkpoint + kept_state.format_line(fold_entries(STORY)), log)
        head = data.partition(b"\n{")[0] + b"\n"
        assert len(note.parse(head).signatures) == 1
        with pytest.raises(Exception, match="not three lines"):
            log.check_kept(head)


@pytest.mark.parametrize("change", ["size", "format", "other"])
def test_what_this_airlift_does_not_understand_is_ignored(
    path: Path, signer: FileSigner, change: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A later format, a size beyond the ledger, a line that lacks what there must be: all signed by the right key."""
    place = kept(path, 9, signer)
    with opened(path) as log:
        found = fold_entries(log.entries(0, 9))
        if change == "size":
            found = replace(found, size=10)
        if change == "format":
            monkeypatch.setattr(kept_state, "FORMAT", kept_state.FORMAT + 1)
        if change == "other":
            monkeypatch.setattr(kept_state, "format_line", lambda _state: b'{"size":9}')
        files.write_durable(place, kept_state.format(found, log.root(9), ORIGIN, signer))
    monkeypatch.undo()
    assert parsed(path, place, monkeypatch) == (fold_entries(STORY), len(STORY))


def test_a_ledger_restored_from_a_copy_is_not_told_its_future(
    path: Path, signer: FileSigner, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A shorter ledger, and one that went on differently from the copy on: the kept state is of another history."""
    copy = path.with_name("copy.db")
    shutil.copy(path, copy)
    with opened(path, writable=True) as log:
        log.append(policy("9"), signer)
    place = kept(path, len(STORY) + 1, signer)
    assert parsed(copy, place, monkeypatch) == (fold_entries(STORY), len(STORY))
    with opened(copy, writable=True) as log:
        for digest in ("7", "8"):
            log.append(policy(digest), signer)
    found, read = parsed(copy, place, monkeypatch)
    assert (found.policy, read) == ("8" * 128, len(STORY) + 2)


def test_it_is_kept_after_many_entries_and_not_after_few(tmp_path: Path, signer: FileSigner) -> None:
    ledger, place = tmp_path / "ledger.db", tmp_path / "state.note"
    make_log(ledger, 1, signer)
    with opened(ledger, writable=True) as log:
        rest = [Draft("policy", "a", "2026-03-03T12:00:00Z", detail={"sha512": "a" * 128, "keys": {}})] * (
            MANY - 2
        )
        log.append_all(rest, signer)
        assert kept_state.keep(log, place, signer).size == MANY - 1
        assert not place.exists()
        log.append_all(rest[:1], signer)
        assert kept_state.keep(log, place, generate("ecdsa-p384")).size == MANY
        assert not place.exists()
        assert kept_state.keep(log, place, signer).size == MANY
        first = place.stat()
        log.append_all(rest[:1], signer)
        assert kept_state.keep(log, place, signer).size == MANY + 1
        assert place.stat().st_ino == first.st_ino


def test_a_full_disk_keeps_nothing_and_stops_nobody(
    tmp_path: Path, signer: FileSigner, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_arguments: object, **_more: object) -> None:
        raise NoSpaceError("no space left")

    monkeypatch.setattr(kept_state, "STEP", 2)
    monkeypatch.setattr(files, "write_durable", full)
    path = told(tmp_path, STORY, signer)
    with opened(path, writable=True) as log:
        assert kept_state.keep(log, tmp_path / "state.note", signer) == fold_entries(STORY)


def test_commands_that_change_keep_it_and_others_do_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kept_state, "STEP", 2)
    place = enclave("two", tmp_path)
    before = picture(place.folder)
    expected = place.state()
    enclave_status(place, NOW)
    assert picture(place.folder) == before
    with place.lock():
        recover(place, operator())
    assert place.state_path.is_file()
    assert place.state() == expected
    assert verify_ledger(place, public_key=operator().signer.public).ok


def test_full_verification_compares_it_with_the_entries(tmp_path: Path) -> None:
    """A wrong state that the ledger's own key signed: nothing else would ever find it."""
    place = enclave("two", tmp_path)
    with place.ledger() as log:
        wrong = replace(place.state(), active=place.state().previous)
        made = kept_state.format(wrong, log.root(), place.origin, operator().signer)
    files.write_durable(place.state_path, made)
    assert place.state() == wrong
    with pytest.raises(LedgerError, match="not what the first") as caught:
        verify_ledger(place, public_key=operator().signer.public)
    assert "remove that file" in caught.value.hint


def test_a_ledger_that_lost_nodes_still_says_so(path: Path, signer: FileSigner) -> None:
    place = kept(path, 8, signer)
    tamper(path, "DELETE FROM nodes WHERE level = 3")
    with pytest.raises(LedgerError), opened(path) as log:
        kept_state.load(log, place)


def test_entries_that_are_gone_are_missed(path: Path, signer: FileSigner) -> None:
    """Broke: below the size of a kept state nothing looked whether all entries are there."""
    kept(path, 8, signer)
    tamper(path, "DELETE FROM entries WHERE idx BETWEEN 2 AND 4")
    with pytest.raises(LedgerError, match="lacks entries"), opened(path) as log:
        log.head()


def test_ten_thousand_bundles_stay_small(path: Path, signer: FileSigner) -> None:
    """They are read in 0.04 s of CPU, which `tests.bench.ledger_speed` measures."""
    bundles = tuple(
        Committed(f"any-{n}", f"{n:0128x}", n, "2026-03-03T12:00:00Z", f"{n:0128x}", False, ("c" * 64,), 0)
        for n in range(10_000)
    )
    with opened(path) as log:
        whole = replace(fold_entries(STORY), bundles=bundles)
        data = kept_state.format(whole, log.root(), ORIGIN, signer)
        assert kept_state.parse(data, log) == whole
    assert len(data) < 4_000_000


def test_nothing_is_the_state_of_no_entries() -> None:
    assert fold_entries([]) == NOTHING
