"""The benchmark of the record runs, on a small one, and its questions have answers."""

from pathlib import Path
from typing import Any

import pytest

from airlift.ledger.answers import questions
from airlift.ledger.entry import Entry
from airlift.ledger.log import Log
from tests.bench import ledger_speed
from tests.support import scan

pytestmark = pytest.mark.usefixtures("quick_disk")


def test_a_small_record(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ledger_speed, "TIMES", 1)
    monkeypatch.setattr(ledger_speed.timed, "__defaults__", (1,))
    ledger_speed.measure(400, tmp_path)
    out = capsys.readouterr().out
    assert "400 entries" in out
    assert "every one recomputed" in out


def test_questions_read_the_entries_of_their_answer_and_few_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Broke: every question parsed every entry."""
    record = ledger_speed.Record(tmp_path, 1000)
    record.make()
    parsed: list[int] = []
    original = Log._parsed

    def counted(log: Log, index: Any, data: Any) -> Entry:
        parsed.append(index)
        return original(log, index, data)

    monkeypatch.setattr(Log, "_parsed", counted)
    with record.place.ledger() as log:
        for work, most in (
            (lambda: questions.where(log, "guard@1.50"), 1),
            (lambda: questions.where(log, "Scanner", limit=10), 11),
            (lambda: questions.history(log, limit=10), 11),
            (lambda: questions.history(log, component="guard@1.50"), 30),
            (lambda: questions.active_at(log, "2026-01-02T00:00:00Z"), 2),
            (lambda: questions.commits(log, "guard"), 0),
        ):
            parsed.clear()
            work()
            assert len(parsed) <= most


@pytest.mark.parametrize("few", [0, 64], ids=["page by page", "one by one"])
@pytest.mark.parametrize("limit", [0, 1, 7])
def test_periods_are_those_of_every_entry(
    few: int, limit: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both ways to find them, over several pages, give what the pure function gives."""
    monkeypatch.setattr(questions, "FEW", few)
    monkeypatch.setattr(questions, "BATCH", 4)
    record = ledger_speed.Record(tmp_path, 200)
    record.make()
    with record.place.ledger() as log:
        entries = list(log.entries())
        every = questions.releases(log, "guard")
        assert len(every) > 10
        for candidates in (every, every[2:9:3]):
            expected = [p for p in scan.activations(entries) if p.release in candidates]
            found = questions.activations_of(log, candidates, lambda _release: True, limit)
            assert list(found.periods) == (expected[-limit:] if limit else expected)
            assert found.more == bool(limit and len(expected) > limit)


def test_the_newest_periods_take_few_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Broke: the newest two read the release of every switch, and up to 256 entries for the end of each."""
    monkeypatch.setattr(questions, "BATCH", 16)
    record = ledger_speed.Record(tmp_path, 1000)
    record.make()
    wide: list[tuple[Any, ...]] = []
    original = Log.query

    def counted(log: Log, statement: str, values: Any = ()) -> list[tuple[Any, ...]]:
        rows = original(log, statement, values)
        wide.extend(row for row in rows if len(row) > 1)
        return rows

    with record.place.ledger() as log:
        every = questions.releases(log, "guard")
        assert len(every) > questions.FEW
        monkeypatch.setattr(Log, "query", counted)
        found = questions.activations_of(log, every, lambda _release: True, 2)
    assert len(found.periods) == 2
    assert len(wide) <= 16 + 2 * 2
