"""An export is verified like the ledger it came from: origin, entries, checkpoints, and an older kept checkpoint."""

from dataclasses import replace
from pathlib import Path

import pytest

from airlift.errors import LedgerError, SignatureError
from airlift.ledger import export
from airlift.ledger.export import Export
from airlift.trust.keys.file import generate
from tests.support.ledgers import make_log, opened


def exported_ledger(folder: Path, count: int = 4) -> Export:
    make_log(folder / "ledger.db", count)
    with opened(folder / "ledger.db") as log:
        export.write(log, folder / "ledger.jsonl")
    return export.read(folder / "ledger.jsonl")


def test_an_export_proves_what_its_ledger_proves(tmp_path: Path) -> None:
    found = exported_ledger(tmp_path)
    with opened(tmp_path / "ledger.db") as log:
        result = export.verify(found, log.public, log.checkpoint())
        assert (result.size, result.root) == (log.size, log.root())
    assert result.checkpoints == 5


def test_another_key_than_expected_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SignatureError, match="another ledger key"):
        export.verify(exported_ledger(tmp_path), generate("ecdsa-p384").public)


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda e: replace(e, entries=e.entries[:-1]), id="deleted"),
        pytest.param(
            lambda e: replace(e, entries=(e.entries[1], e.entries[0], *e.entries[2:])), id="reordered"
        ),
        pytest.param(lambda e: replace(e, entries=(*e.entries, e.entries[-1])), id="inserted"),
        pytest.param(
            lambda e: replace(e, entries=(replace(e.entries[0], actor="mallory"), *e.entries[1:])),
            id="edited",
        ),
        pytest.param(lambda e: replace(e, checkpoints=e.checkpoints[:-1]), id="last checkpoint missing"),
        pytest.param(lambda e: replace(e, checkpoints=()), id="no checkpoint"),
    ],
)
def test_a_changed_record_contradicts_its_checkpoints(tmp_path: Path, change: object) -> None:
    """THREATS, against the record: an entry edited, deleted, reordered or inserted."""
    assert callable(change)
    with pytest.raises(LedgerError):
        export.verify(change(exported_ledger(tmp_path)))


def test_a_kept_checkpoint_catches_a_history_signed_anew(tmp_path: Path) -> None:
    """THREATS, against the record: a ledger re-signed with a stolen key, caught against an older checkpoint."""
    (tmp_path / "old").mkdir()
    (tmp_path / "new").mkdir()
    signer = make_log(tmp_path / "old" / "ledger.db", 3)
    with opened(tmp_path / "old" / "ledger.db") as log:
        kept = log.checkpoint()
    make_log(tmp_path / "new" / "ledger.db", 2, signer)
    with opened(tmp_path / "new" / "ledger.db") as log:
        export.write(log, tmp_path / "ledger.jsonl")
    forged = export.read(tmp_path / "ledger.jsonl")
    assert export.verify(forged, signer.public).size == 2
    with pytest.raises(LedgerError, match="kept checkpoint"):
        export.verify(forged, signer.public, kept)
