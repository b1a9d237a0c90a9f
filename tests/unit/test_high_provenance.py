"""Questions to the record of an enclave, and an export that answers without it."""

from datetime import timedelta
from pathlib import Path

import pytest

from airlift.errors import LedgerError, NotHeldError
from airlift.high.provenance import at, export_ledger, history, load_record, trace, verify, verify_export
from tests.support import keys
from tests.support.depots import NOW
from tests.support.enclaves import enclave, take

pytestmark = pytest.mark.usefixtures("quick_disk")


def test_what_was_active_then(tmp_path: Path) -> None:
    place = enclave("two", tmp_path)
    found = at(place, NOW)
    assert (found.release, found.until) == ("assistant@2", None)
    assert {item["name"]: item["version"] for item in found.components} == {"base": "2", "guard": "2.1"}
    with pytest.raises(NotHeldError):
        at(place, NOW - timedelta(days=1))


def test_where_it_came_from(tmp_path: Path) -> None:
    place = enclave("two", tmp_path)
    assert trace(place, "guard")
    with pytest.raises(NotHeldError):
        trace(place, "nothing of that name")
    record = load_record(place)
    assert (len(record.releases), len(record.bundles)) == (2, 2)


def test_history_of_one_component(tmp_path: Path) -> None:
    place = enclave("two", tmp_path)
    assert len(history(place)) == place.state().size
    assert history(place, since=NOW + timedelta(seconds=1)) == ()
    assert {entry.type for entry in history(place, component="guard")} >= {"import-commit"}


def test_export_and_kept_checkpoints(tmp_path: Path) -> None:
    """A database restored from yesterday is caught by a kept checkpoint."""
    old, place = enclave("one", tmp_path), enclave("two", tmp_path)
    result = export_ledger(place, tmp_path / "ledger.jsonl")
    assert result.entries == place.state().size
    public = keys.signer("ledger").public
    assert result.fingerprint == public.fingerprint
    assert verify_export(tmp_path / "ledger.jsonl", public_key=public, checkpoint=None).ok
    with place.ledger() as log:
        (tmp_path / "kept").write_bytes(log.checkpoint())
    take(place, "next")
    assert verify(place, public_key=public, checkpoint=tmp_path / "kept").ok
    assert verify_export(tmp_path / "ledger.jsonl", public_key=public, checkpoint=tmp_path / "kept").ok
    with pytest.raises(LedgerError):
        verify(old, public_key=public, checkpoint=tmp_path / "kept")
