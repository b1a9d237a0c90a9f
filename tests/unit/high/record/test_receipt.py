"""Receipts: made from the enclave, read back, and what no receipt may be."""

import json
from pathlib import Path
from typing import Any

import pytest

from airlift.bundle.fields import Marking
from airlift.bundle.returns import code
from airlift.bundle.returns import receipt as receipts
from airlift.bundle.returns.code import ReceiptCode
from airlift.errors import AirliftError, ExistsError, FormatTooNewError, LedgerError, MalformedError
from airlift.high.enclave.enclave import Operator
from airlift.high.importing.import_bundle import import_bundle
from airlift.high.record.receipt import highest_marking, issue_receipt, print_receipt
from airlift.strict import format as canonical
from airlift.trust.statements import dsse
from tests.support import keys
from tests.support.depots import NOW
from tests.support.enclaves import enclave, operator, picture, world
from tests.support.envelopes import require_signature
from tests.support.facts import releases

pytestmark = pytest.mark.usefixtures("quick_disk")


def test_what_an_enclave_holds(tmp_path: Path) -> None:
    place = enclave("two", tmp_path)
    before = picture(place.folder)
    result = issue_receipt(place, operator=operator(), output=tmp_path / "receipt.json")
    assert picture(place.folder) == before
    envelope = dsse.parse((tmp_path / "receipt.json").read_bytes(), limit=receipts.MAX_BYTES)
    require_signature(envelope, keys.signer("ledger").public)
    found = receipts.parse(envelope.payload)
    assert receipts.format(found) == envelope.payload
    assert (found.enclave, found.sequence, found.size) == ("alpha", 2, place.state().size)
    assert (
        [release.label for release in found.installed]
        == list(result.installed)
        == ["assistant@1", "assistant@2"]
    )
    assert (found.active and found.active.label, found.previous and found.previous.label) == (
        "assistant@2",
        "assistant@1",
    )
    with pytest.raises(ExistsError):
        issue_receipt(place, operator=operator(), output=tmp_path / "receipt.json")


def test_an_empty_enclave(tmp_path: Path) -> None:
    result = issue_receipt(enclave("fresh", tmp_path), operator=operator())
    payload = dsse.parse((result.receipt or "").encode()).payload
    found = receipts.parse(payload)
    assert (found.active, found.installed, found.sequence, found.manifest) == (None, (), 0, "")
    assert found.marking == Marking("UNCLASSIFIED")


def test_only_with_the_ledgers_key(tmp_path: Path) -> None:
    with pytest.raises(LedgerError):
        issue_receipt(enclave("one", tmp_path), operator=Operator("x", keys.signer("stranger"), NOW))


def test_the_highest_marking() -> None:
    levels = ("UNCLASSIFIED", "SECRET")
    assert highest_marking(releases(), levels) == Marking("SECRET", ("NOFORN",))
    assert highest_marking(releases(), ("SECRET",)).level == "UNCLASSIFIED"  # not listed: above all
    assert highest_marking([], levels) == Marking("UNCLASSIFIED")


@pytest.fixture(scope="module")
def document(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    result = issue_receipt(enclave("two", tmp_path_factory.mktemp("receipt")), operator=operator())
    loaded: dict[str, Any] = json.loads(dsse.parse((result.receipt or "").encode()).payload)
    return loaded


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"airlift": 3}, FormatTooNewError),
        ({"airlift": 2}, MalformedError),
        ({"airlift": 2, "metadata": 2}, MalformedError),
        ({"airlift": 2, "metadata": 2**31}, MalformedError),
        ({"metadata": 9}, MalformedError),
        ({"bundle": {"sequence": 2**31, "manifest": None}}, MalformedError),
        ({"type": "request"}, MalformedError),
        ({"further": 1}, MalformedError),
        ({"enclave": "Alpha"}, MalformedError),
        ({"issued": "yesterday"}, MalformedError),
        ({"active": {}}, MalformedError),
        ({"installed": [1]}, MalformedError),
        ({"installed": [None] * 5000}, MalformedError),
        ({"bundle": {"sequence": -1, "manifest": None}}, MalformedError),
        ({"bundle": {"sequence": 1, "manifest": "x"}}, MalformedError),
        ({"bundle": {"sequence": 1, "manifest": None, "x": 1}}, MalformedError),
        ({"checkpoint": ""}, MalformedError),
        ({"ledger": {"size": 1, "root": "0"}}, MalformedError),
        ({"marking": {}}, MalformedError),
    ],
)
def test_what_is_no_receipt(document: dict[str, Any], changes: Any, error: type[AirliftError]) -> None:
    with pytest.raises(error):
        receipts.parse(canonical({**document, **changes}))


def test_a_receipt_as_a_code(tmp_path: Path) -> None:
    place = enclave("two", tmp_path)
    before = picture(place.folder)
    result = print_receipt(place, now=NOW, output=tmp_path / "receipt.txt")
    assert picture(place.folder) == before
    assert (result.receipt, (tmp_path / "receipt.txt").read_text()) == (None, result.sheet)
    assert result.code is not None
    said = code.parse("\n".join(result.code))
    newest = place.state().installed[-1]
    key = keys.signer("ledger").public.fingerprint
    assert said == ReceiptCode(key[:10], result.size, result.root[:10], 2, newest[:10])
    sheet = result.sheet or ""
    assert sheet.splitlines()[0] == sheet.splitlines()[-1] == str(result.marking)
    assert "assistant@2" in sheet


def test_the_code_of_an_empty_enclave(tmp_path: Path) -> None:
    result = print_receipt(enclave("fresh", tmp_path), now=NOW)
    said = code.parse("\n".join(result.code or ()))
    assert isinstance(said, ReceiptCode)
    assert (said.sequence, said.release) == (0, "")
    assert "no release" in (result.sheet or "")


def test_metadata_that_is_ahead_of_the_sequence_is_stated(document: dict[str, Any]) -> None:
    """A withdrawal raises versions and no sequence number: a restored depot must get above both."""
    stated = receipts.parse(canonical({**document, "airlift": 2, "metadata": 9}))
    assert stated.metadata == 9
    assert receipts.format(stated) == canonical({**document, "airlift": 2, "metadata": 9})


def test_an_enclave_states_metadata_that_is_ahead(tmp_path: Path) -> None:
    place = enclave("one", tmp_path)
    import_bundle(place, world().bundles["renewal"], operator=operator())
    stated = receipts.parse(
        dsse.parse((issue_receipt(place, operator=operator()).receipt or "").encode()).payload
    )
    version = json.loads(place.load_trust(place.state())["timestamp.json"])["signed"]["version"]
    assert (stated.sequence, stated.metadata) == (8, version)
    assert version > stated.sequence
