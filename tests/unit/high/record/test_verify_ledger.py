"""The whole record is verified, against kept checkpoints too; copies that answer without it; witnesses."""

import json
import shutil
from pathlib import Path

import pytest

from airlift.errors import ExistsError, LedgerError, SignatureError, UsageError
from airlift.high.enclave.enclave import Enclave
from airlift.high.record.ledger_copies import back_up_ledger, copy_checkpoint, export_ledger
from airlift.high.record.questions import history, prove_answer
from airlift.high.record.verify_ledger import read_kept, verify_exported_ledger, verify_ledger
from airlift.high.record.witness import countersign
from airlift.ledger import note
from airlift.trust.statements import dsse
from tests.support import keys
from tests.support.enclaves import enclave, operator, take
from tests.support.ledgers import tamper

pytestmark = pytest.mark.usefixtures("quick_disk")


def kept(place: Enclave, folder: Path, name: str = "kept.note") -> Path:
    copy_checkpoint(place, folder / name)
    return folder / name


def test_export_and_kept_checkpoints(tmp_path: Path) -> None:
    """A database restored from yesterday is caught by a kept checkpoint."""
    old, place = enclave("one", tmp_path), enclave("two", tmp_path)
    result = export_ledger(place, tmp_path / "ledger.jsonl")
    assert result.entries == place.state().size
    public = keys.signer("ledger").public
    assert result.fingerprint == public.fingerprint
    note_ = kept(place, tmp_path)
    assert verify_exported_ledger(tmp_path / "ledger.jsonl", public_key=public, kept=[note_]).kept == 1
    take(place, "next")
    assert verify_ledger(place, public_key=public, kept=[note_]).ok
    assert verify_exported_ledger(tmp_path / "ledger.jsonl", public_key=public, kept=[note_]).ok
    with pytest.raises(LedgerError):
        verify_ledger(old, public_key=public, kept=[note_])
    with pytest.raises(ExistsError):
        copy_checkpoint(place, note_)


def test_yesterdays_database_is_found_against_a_checkpoint_a_receipt_and_an_answer(tmp_path: Path) -> None:
    """THREATS, against the record: a database restored from yesterday."""
    place = enclave("two", tmp_path)
    back_up_ledger(place, tmp_path / "yesterday.db")
    take(place, "next")
    note_ = kept(place, tmp_path)
    receipt = dsse.sign(
        "application/vnd.airlift.receipt+json",
        json.dumps({"checkpoint": note_.read_text()}).encode(),
        keys.signer("ledger"),
    )
    (tmp_path / "receipt.json").write_bytes(dsse.format(receipt))
    proof = prove_answer(place, history(place, limit=1).grounds)
    (tmp_path / "answer.json").write_text(json.dumps({"data": {"proof": proof}}))
    shutil.copy(tmp_path / "yesterday.db", place.ledger_path)
    assert verify_ledger(place, public_key=None).ok  # by itself it looks well
    for name in ("kept.note", "receipt.json", "answer.json"):
        with pytest.raises(LedgerError, match="lacks entries"):
            verify_ledger(place, public_key=None, kept=[tmp_path / name])


def test_a_backup_is_a_ledger_as_of_one_instant(tmp_path: Path) -> None:
    place = enclave("two", tmp_path)
    size = place.state().size
    assert back_up_ledger(place, tmp_path / "copy.db").size == size
    shutil.copy(tmp_path / "copy.db", place.ledger_path)
    assert verify_ledger(place, public_key=keys.signer("ledger").public).size == size
    with pytest.raises(ExistsError):
        back_up_ledger(place, tmp_path / "copy.db")


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
        verify_ledger(place, public_key=None)


# -- witness -------------------------------------------------------------------------------------------------------


def test_a_witness_signs_what_continues_its_last_checkpoint(tmp_path: Path) -> None:
    place, signer = enclave("one", tmp_path), keys.signer("auditor")
    first = countersign(place, signer=signer, name="auditor", output=tmp_path / "first.note")
    assert (first.held_against, first.already, first.size) == (None, False, place.state().size)
    assert note.signed_by(note.parse((tmp_path / "first.note").read_bytes()), signer.public) == ("auditor",)
    assert countersign(place, signer=signer, name="auditor").already
    take(place, "delta")
    second = countersign(place, signer=signer, name="auditor", kept=[tmp_path / "first.note"], dry_run=True)
    assert (second.held_against, "auditor" in second.note) == (first.size, False)
    assert countersign(place, signer=signer, name="auditor").held_against == first.size
    assert verify_ledger(place, public_key=keys.signer("ledger").public).checkpoints == 2
    with pytest.raises(ExistsError):
        countersign(place, signer=signer, name="auditor", output=tmp_path / "first.note")


def test_a_witness_refuses_a_ledger_that_was_cut(tmp_path: Path) -> None:
    """THREATS, against the record: the witness's own last checkpoint gives a restored database away."""
    old, place, signer = enclave("one", tmp_path), enclave("two", tmp_path), keys.signer("auditor")
    countersign(place, signer=signer, name="auditor", output=tmp_path / "last.note")
    with pytest.raises(LedgerError):
        countersign(old, signer=signer, name="auditor", kept=[tmp_path / "last.note"])


def test_the_ledgers_own_key_is_no_witness(tmp_path: Path) -> None:
    with pytest.raises(UsageError):
        countersign(enclave("one", tmp_path), signer=keys.signer("ledger"), name="auditor")


def test_another_ledgers_checkpoint(tmp_path: Path) -> None:
    place = enclave("one", tmp_path)
    (tmp_path / "other.note").write_bytes(
        note.format(note.sign("airlift/bravo\n0\n" + "A" * 64 + "\n", "airlift/bravo", operator().signer))
    )
    with pytest.raises(SignatureError):
        verify_ledger(place, public_key=None, kept=[tmp_path / "other.note"])
