"""Questions to the record of an enclave, their proofs, and copies that answer without it."""

import json
import shutil
from datetime import timedelta
from pathlib import Path

import pytest

from airlift.errors import ExistsError, LedgerError, NotHeldError, SignatureError, UsageError
from airlift.high.enclave.enclave import Enclave
from airlift.high.record import provenance
from airlift.high.record.assess import (
    backup,
    export_ledger,
    keep_checkpoint,
    read_kept,
    verify,
    verify_export,
    witness,
)
from airlift.high.record.provenance import at, brought, during, history, load_record, prove, trace, where
from airlift.ledger import note
from airlift.ledger.answers import answer_proof
from airlift.trust.statements import dsse
from tests.support import keys
from tests.support.depots import BUNDLER, NOW
from tests.support.enclaves import enclave, operator, switch_to, take
from tests.support.ledgers import tamper

pytestmark = pytest.mark.usefixtures("quick_disk")


def test_what_was_active_then(tmp_path: Path) -> None:
    place = enclave("two", tmp_path)
    (found,) = at(place, NOW).periods
    assert (found.release, found.until) == ("assistant@2", None)
    assert {item["name"]: item["version"] for item in found.components} == {"base": "2", "guard": "2.1"}
    with pytest.raises(NotHeldError):
        at(place, NOW - timedelta(days=1))


def test_what_ran_while_a_component_was_active(tmp_path: Path) -> None:
    place = enclave("two", tmp_path)
    found = during(place, "guard@2.1")
    assert [(p.release, p.until is None) for p in found.periods] == [
        ("assistant@1", False),
        ("assistant@2", True),
    ]
    (component,) = {item["digest"] for p in found.periods for item in p.components if item["name"] == "guard"}
    assert during(place, component[:12]).periods == found.periods
    assert [p.release for p in during(place, "base@1").periods] == ["assistant@1"]
    assert during(place, "guard", 1).more
    with pytest.raises(NotHeldError):
        during(place, "guard@9")


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
    monkeypatch.setattr(provenance, "OLDEST", 1)
    monkeypatch.setattr(provenance, "NEWEST", 0)
    record, omitted = load_record(place, "guard")
    assert ([bundle.sequence for bundle in record.bundles.values()], omitted) == ([1], 1)
    monkeypatch.setattr(provenance, "OLDEST", 2)
    monkeypatch.setattr(provenance, "MAX_BASES", 1)
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
        found = where(place, subject, types=["import-commit"])
        assert brought(found.entries).releases == ("assistant@1", "assistant@2")
        assert brought(found.entries).components == ("base@1", "guard@2.1", "base@2")


# -- proofs --------------------------------------------------------------------------------------------------------


def test_too_much_is_not_proven_in_one_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = enclave("one", tmp_path)
    monkeypatch.setattr(answer_proof, "MAX_ENTRIES", 1)
    with pytest.raises(UsageError):
        prove(place, history(place).grounds)


def test_a_changed_document_is_not_proven(tmp_path: Path) -> None:
    place = enclave("one", tmp_path)
    found = trace(place, "guard")
    shutil.rmtree(place.history.folder)
    with pytest.raises(LedgerError):
        prove(place, found.grounds)


# -- the whole record ----------------------------------------------------------------------------------------------


def kept(place: Enclave, folder: Path, name: str = "kept.note") -> Path:
    keep_checkpoint(place, folder / name)
    return folder / name


def test_export_and_kept_checkpoints(tmp_path: Path) -> None:
    """A database restored from yesterday is caught by a kept checkpoint."""
    old, place = enclave("one", tmp_path), enclave("two", tmp_path)
    result = export_ledger(place, tmp_path / "ledger.jsonl")
    assert result.entries == place.state().size
    public = keys.signer("ledger").public
    assert result.fingerprint == public.fingerprint
    note_ = kept(place, tmp_path)
    assert verify_export(tmp_path / "ledger.jsonl", public_key=public, kept=[note_]).kept == 1
    take(place, "next")
    assert verify(place, public_key=public, kept=[note_]).ok
    assert verify_export(tmp_path / "ledger.jsonl", public_key=public, kept=[note_]).ok
    with pytest.raises(LedgerError):
        verify(old, public_key=public, kept=[note_])
    with pytest.raises(ExistsError):
        keep_checkpoint(place, note_)


def test_yesterdays_database_is_found_against_a_checkpoint_a_receipt_and_an_answer(tmp_path: Path) -> None:
    """THREATS, against the record: a database restored from yesterday."""
    place = enclave("two", tmp_path)
    backup(place, tmp_path / "yesterday.db")
    take(place, "next")
    note_ = kept(place, tmp_path)
    receipt = dsse.sign(
        "application/vnd.airlift.receipt+json",
        json.dumps({"checkpoint": note_.read_text()}).encode(),
        keys.signer("ledger"),
    )
    (tmp_path / "receipt.json").write_bytes(dsse.format(receipt))
    proof = prove(place, history(place, limit=1).grounds)
    (tmp_path / "answer.json").write_text(json.dumps({"data": {"proof": proof}}))
    shutil.copy(tmp_path / "yesterday.db", place.ledger_path)
    assert verify(place, public_key=None).ok  # by itself it looks well
    for name in ("kept.note", "receipt.json", "answer.json"):
        with pytest.raises(LedgerError, match="lacks entries"):
            verify(place, public_key=None, kept=[tmp_path / name])


def test_a_backup_is_a_ledger_as_of_one_instant(tmp_path: Path) -> None:
    place = enclave("two", tmp_path)
    size = place.state().size
    assert backup(place, tmp_path / "copy.db").size == size
    shutil.copy(tmp_path / "copy.db", place.ledger_path)
    assert verify(place, public_key=keys.signer("ledger").public).size == size
    with pytest.raises(ExistsError):
        backup(place, tmp_path / "copy.db")


@pytest.mark.parametrize("text", ["{", "{}", '{"data": 1}', '{"data": {"proof": []}}', '{"payloadType": 1}'])
def test_what_holds_no_checkpoint(tmp_path: Path, text: str) -> None:
    (tmp_path / "file").write_text(text)
    with pytest.raises(LedgerError):
        read_kept(tmp_path / "file")


@pytest.mark.parametrize(
    "statement",
    [
        "DELETE FROM contents WHERE idx = (SELECT MIN(idx) FROM contents)",
        "UPDATE contents SET digest = x'00' WHERE idx = (SELECT MIN(idx) FROM contents)",
        "INSERT INTO contents SELECT x'0011', idx FROM entries WHERE type = 'import-commit'",
    ],
)
def test_files_that_are_hidden_or_made_up_are_found(tmp_path: Path, statement: str) -> None:
    place = enclave("one", tmp_path)
    tamper(place.ledger_path, statement.replace("UPDATE contents", "UPDATE OR REPLACE contents"))
    with pytest.raises(LedgerError):
        verify(place, public_key=None)


# -- witness -------------------------------------------------------------------------------------------------------


def test_a_witness_signs_what_continues_its_last_checkpoint(tmp_path: Path) -> None:
    place, signer = enclave("one", tmp_path), keys.signer("auditor")
    first = witness(place, signer=signer, name="auditor", output=tmp_path / "first.note")
    assert (first.held_against, first.already, first.size) == (None, False, place.state().size)
    assert note.signed_by(note.parse((tmp_path / "first.note").read_bytes()), signer.public) == ("auditor",)
    assert witness(place, signer=signer, name="auditor").already
    take(place, "delta")
    second = witness(place, signer=signer, name="auditor", kept=[tmp_path / "first.note"], dry_run=True)
    assert (second.held_against, "auditor" in second.note) == (first.size, False)
    assert witness(place, signer=signer, name="auditor").held_against == first.size
    assert verify(place, public_key=keys.signer("ledger").public).checkpoints == 2
    with pytest.raises(ExistsError):
        witness(place, signer=signer, name="auditor", output=tmp_path / "first.note")


def test_a_witness_refuses_a_ledger_that_was_cut(tmp_path: Path) -> None:
    """THREATS, against the record: the witness's own last checkpoint gives a restored database away."""
    old, place, signer = enclave("one", tmp_path), enclave("two", tmp_path), keys.signer("auditor")
    witness(place, signer=signer, name="auditor", output=tmp_path / "last.note")
    with pytest.raises(LedgerError):
        witness(old, signer=signer, name="auditor", kept=[tmp_path / "last.note"])


def test_the_ledgers_own_key_is_no_witness(tmp_path: Path) -> None:
    with pytest.raises(UsageError):
        witness(enclave("one", tmp_path), signer=keys.signer("ledger"), name="auditor")


def test_another_ledgers_checkpoint(tmp_path: Path) -> None:
    place = enclave("one", tmp_path)
    (tmp_path / "other.note").write_bytes(
        note.format(note.sign("airlift/bravo\n0\n" + "A" * 64 + "\n", "airlift/bravo", operator().signer))
    )
    with pytest.raises(SignatureError):
        verify(place, public_key=None, kept=[tmp_path / "other.note"])


def test_switching_back_and_forth_is_told_in_order(tmp_path: Path) -> None:
    place = enclave("two", tmp_path)
    switch_to(place, "assistant@1")
    assert [p.release for p in during(place, "guard").periods] == [
        "assistant@1",
        "assistant@2",
        "assistant@1",
    ]
