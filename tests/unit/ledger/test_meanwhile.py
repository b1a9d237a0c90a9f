"""Reading beside a writer: an entry appended between any two queries makes nothing wrong, and nothing endless."""

import json
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from airlift import verify
from airlift.errors import AirliftError
from airlift.ledger import audit, entry_proof, export
from airlift.ledger.answers import answer_proof
from airlift.ledger.log import Log
from airlift.trust.keys.file import FileSigner, generate
from tests.support.ledgers import ORIGIN, draft, make_log, opened

SIZE = 5
MANY = 200


@pytest.fixture(scope="module", params=["newest alone", "newest witnessed"])
def original(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, FileSigner]:
    """A ledger whose newest checkpoint the next entry removes, and one where it stays."""
    path = tmp_path_factory.mktemp("ledger") / "ledger.db"
    signer = make_log(path, SIZE)
    if request.param == "newest alone":
        with opened(path, writable=True) as writer:
            writer.append_all([draft(SIZE)], signer)
    return path, signer


def audit_all(log: Log) -> None:
    found = audit.verify_log(log)
    assert found.size >= SIZE
    assert found.checkpoints >= SIZE + 1


def prove_entry(log: Log) -> None:
    shown = entry_proof.parse(entry_proof.format(log.prove(2)))
    assert entry_proof.verify(shown, ORIGIN, log.public).index == 2


def prove_answer(log: Log) -> None:
    entries, older = list(log.entries(end=SIZE)), log.checkpoint()
    data = {
        "entries": [entry.to_json() for entry in entries],
        "more": False,
        "proof": answer_proof.prove(log, range(SIZE), (), [older]),
    }
    document = {"airlift": 1, "command": "provenance history", "ok": True, "data": data}
    key = verify.load_key(log.public.pem(), "key")
    assert verify._verify_small(json.dumps(document).encode(), key, [("older", older)], []).kind == "answer"


def export_all(log: Log) -> None:
    path = log.path.with_name("export.jsonl")
    path.unlink(missing_ok=True)
    export.write(log, path)
    assert export.verify(export.read(path), log.public).size >= SIZE


def read_all(log: Log) -> None:
    size = log.head().size
    assert [entry.index for entry in log.entries(end=size)] == list(range(size))
    assert len(list(log.checkpoints())) >= SIZE + 1


@pytest.mark.timeout(60)  # what broke went on for ever
@pytest.mark.parametrize("countersigned", [False, True], ids=["appended", "countersigned too"])
@pytest.mark.parametrize("read", [audit_all, prove_entry, prove_answer, export_all, read_all])
def test_an_entry_between_any_two_queries(
    read: Callable[[Log], None],
    original: tuple[Path, FileSigner],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    *,
    countersigned: bool,
) -> None:
    """Broke: the verification of a ledger that grew meanwhile never ended, or found a fault where there was none."""
    path, signer = tmp_path / "ledger.db", original[1]
    usual, witness = Log.query, generate("ecdsa-p384")
    queries, due = 0, 0

    def query(log: Log, statement: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        nonlocal queries
        if not log._writable and not log._connection.in_transaction:
            queries += 1
            if queries == due:
                with opened(path, writable=True) as writer:
                    writer.append_all([draft(SIZE + 1), draft(SIZE + 2)], signer)
                    if countersigned:
                        writer.countersign("airlift/alpha/other", witness)
        return usual(log, statement, values)

    monkeypatch.setattr(Log, "query", query)
    for due in range(1, MANY):
        shutil.copy(original[0], path)
        queries = 0
        with opened(path) as log:
            try:
                read(log)
            except (AirliftError, verify.Failure) as error:
                pytest.fail(f"query {due} of {queries}: {error}")
        if queries < due:
            assert due > 2
            return
    pytest.fail("there are more queries than were tried")
