"""Questions to the record of an enclave, and their proofs."""

import shutil
from datetime import timedelta
from pathlib import Path

import pytest

from airlift.errors import LedgerError, NotHeldError, UsageError
from airlift.high.record import questions
from airlift.high.record.questions import (
    active_at,
    active_during,
    brought_in,
    history,
    load_record,
    mentions,
    prove_answer,
    trace,
)
from airlift.ledger.answers import answer_proof
from tests.support import keys
from tests.support.depots import BUNDLER, NOW
from tests.support.enclaves import enclave, switch_to

pytestmark = pytest.mark.usefixtures("quick_disk")


def test_what_was_active_then(tmp_path: Path) -> None:
    place = enclave("two", tmp_path)
    (found,) = active_at(place, NOW).periods
    assert (found.release, found.until) == ("assistant@2", None)
    assert {item["name"]: item["version"] for item in found.components} == {"base": "2", "guard": "2.1"}
    with pytest.raises(NotHeldError):
        active_at(place, NOW - timedelta(days=1))


def test_what_ran_while_a_component_was_active(tmp_path: Path) -> None:
    place = enclave("two", tmp_path)
    found = active_during(place, "guard@2.1")
    assert [(p.release, p.until is None) for p in found.periods] == [
        ("assistant@1", False),
        ("assistant@2", True),
    ]
    (component,) = {item["digest"] for p in found.periods for item in p.components if item["name"] == "guard"}
    assert active_during(place, component[:12]).periods == found.periods
    assert [p.release for p in active_during(place, "base@1").periods] == ["assistant@1"]
    assert active_during(place, "guard", 1).more
    with pytest.raises(NotHeldError):
        active_during(place, "guard@9")


def test_where_it_came_from(tmp_path: Path) -> None:
    place = enclave("two", tmp_path)
    assert trace(place, "guard").omitted == 0
    with pytest.raises(NotHeldError):
        trace(place, "nothing of that name")
    record, _ = load_record(place, "base@2")
    assert (len(record.releases), len(record.bundles)) == (2, 2)  # and its baseline's
    (file, *_) = record.releases[place.state().installed[0]].components[0].files
    for digest in (file.sha512, file.sha256, file.sha512[:9]):
        assert {node.kind for node in trace(place, digest).nodes} == {"file"}


def test_long_histories_show_their_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = enclave("two", tmp_path)
    monkeypatch.setattr(questions, "OLDEST", 1)
    monkeypatch.setattr(questions, "NEWEST", 0)
    record, omitted = load_record(place, "guard")
    assert ([bundle.sequence for bundle in record.bundles.values()], omitted) == ([1], 1)
    monkeypatch.setattr(questions, "OLDEST", 2)
    monkeypatch.setattr(questions, "MAX_BASES", 1)
    assert len(load_record(place, "base@2")[0].bundles) == 1


def test_history_of_one_component(tmp_path: Path) -> None:
    place = enclave("two", tmp_path)
    assert len(history(place).entries) == place.state().size
    assert history(place, since=NOW + timedelta(seconds=1)).entries == ()
    assert {entry.type for entry in history(place, component="guard").entries} >= {"import-commit"}
    newest = history(place, limit=2)
    assert (len(newest.entries), newest.more) == (2, True)
    assert {e.type for e in history(place, types=["import-commit"], until=NOW).entries} == {"import-commit"}


def test_what_came_in_through_a_key(tmp_path: Path) -> None:
    place = enclave("two", tmp_path)
    for subject in (keys.signer(BUNDLER).public.key_id, BUNDLER):
        found = mentions(place, subject, types=["import-commit"])
        assert brought_in(found.entries).releases == ("assistant@1", "assistant@2")
        assert brought_in(found.entries).components == ("base@1", "guard@2.1", "base@2")


def test_switching_back_and_forth_is_told_in_order(tmp_path: Path) -> None:
    place = enclave("two", tmp_path)
    switch_to(place, "assistant@1")
    assert [p.release for p in active_during(place, "guard").periods] == [
        "assistant@1",
        "assistant@2",
        "assistant@1",
    ]


# -- proofs --------------------------------------------------------------------------------------------------------


def test_too_much_is_not_proven_in_one_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = enclave("one", tmp_path)
    monkeypatch.setattr(answer_proof, "MAX_ENTRIES", 1)
    with pytest.raises(UsageError):
        prove_answer(place, history(place).grounds)


def test_a_changed_document_is_not_proven(tmp_path: Path) -> None:
    place = enclave("one", tmp_path)
    found = trace(place, "guard")
    shutil.rmtree(place.history.folder)
    with pytest.raises(LedgerError):
        prove_answer(place, found.grounds)
