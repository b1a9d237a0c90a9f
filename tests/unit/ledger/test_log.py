"""The log: durable appends, honest readers, and every way of tampering with the record."""

import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import textwrap
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from airlift.errors import (
    AirliftError,
    BusyError,
    ExistsError,
    FormatTooNewError,
    InventoryError,
    KeyUnavailableError,
    LedgerError,
    MalformedError,
    NoSpaceError,
    RecoveryNeededError,
    SignatureError,
    StorageError,
    UncheckedError,
)
from airlift.ledger import audit, checkpoint, database, entry, entry_proof, log, note, tree
from airlift.ledger.checkpoint import Checkpoint
from airlift.ledger.entry import Draft
from airlift.trust.keys.file import FileSigner, generate
from tests.support import merkle
from tests.support.ledgers import ORIGIN, R1, R2, TIME, WITNESS, draft, make_log, opened, rows, tamper


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, FileSigner]:
    path = tmp_path_factory.mktemp("ledger") / "ledger.db"
    return path, make_log(path, 5)


@pytest.fixture
def path(original: tuple[Path, FileSigner], tmp_path: Path) -> Path:
    return Path(shutil.copy(original[0], tmp_path / "ledger.db"))


@pytest.fixture
def signer(original: tuple[Path, FileSigner]) -> FileSigner:
    return original[1]


# -- growing and reading -------------------------------------------------------------------------------------------


def test_a_new_ledger_has_a_signed_empty_checkpoint(tmp_path: Path) -> None:
    path, signer = tmp_path / "ledger.db", generate()
    log.create(path, ORIGIN, signer)
    assert list(tmp_path.iterdir()) == [path]
    with opened(path) as reader:
        assert (reader.size, reader.root(), reader.last()) == (0, tree.EMPTY_ROOT, None)
        assert checkpoint.verify(reader.checkpoint(), ORIGIN, signer.public).size == 0
        assert audit.verify_log(reader, signer.public) == audit.Audit(0, tree.EMPTY_ROOT, 1)


def test_append_returns_what_is_durable(path: Path, signer: FileSigner) -> None:
    with opened(path, writable=True) as writer:
        added = writer.append(Draft("import-commit", "Ada", TIME, R1, "alpha-1", {"n": 1}), signer)
        assert added.index == 5
        assert writer.append(Draft("gc", "Ada", TIME), signer).detail == {}
    with opened(path) as reader:
        assert reader.entry(5) == added
        assert reader.size == 7
        assert reader.root() == merkle.root_from(tree.leaf_digest(entry.format(e)) for e in reader.entries())
        assert audit.verify_log(reader, signer.public).checkpoints == 7  # six with a witness, and the newest


def test_several_entries_share_one_checkpoint(path: Path, signer: FileSigner) -> None:
    with opened(path, writable=True) as writer:
        added = writer.append_all([draft(10), draft(11), draft(12)], signer)
        assert writer.append_all([], signer) == []
        assert [e.index for e in added] == [5, 6, 7]
        sizes = [checkpoint.verify(c, ORIGIN, signer.public).size for c in writer.checkpoints()]
    assert sizes == [0, 1, 2, 3, 4, 5, 8]


def test_entries_are_selected(path: Path, signer: FileSigner, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log, "BATCH", 2)
    with opened(path, writable=True) as writer:
        writer.append_all(
            [
                draft(5, "import-commit", release=R1, bundle="alpha-1"),
                draft(6, "activate-commit", release=R1),
                draft(7, "import-commit", release=R2, bundle="alpha-2"),
            ],
            signer,
        )

        def found(*places: int, **conditions: object) -> list[int]:
            return [e.index for e in writer.entries(*places, **conditions)]  # type: ignore[arg-type]

        assert found() == list(range(8))
        assert found(2, 5) == [2, 3, 4]
        assert found(7, 100) == [7]
        assert found(8) == []
        assert found(types=("import-commit", "gc")) == [5, 7]
        assert found(release=R1) == [5, 6]
        assert found(release=R1, bundle="alpha-1") == [5]
        assert len(list(writer.checkpoints())) == 7
        assert writer.last("import-commit", "policy") == writer.last() == writer.entry(7)
        assert writer.last("gc") is None
        with pytest.raises(LedgerError):
            writer.entry(8)


def test_a_bad_entry_leaves_nothing(path: Path, signer: FileSigner) -> None:
    before = rows(path, "SELECT * FROM nodes")
    with opened(path, writable=True) as writer:
        with pytest.raises(MalformedError):
            writer.append_all([draft(5), Draft("party", "a", TIME)], signer)
        assert writer.size == 5
    assert rows(path, "SELECT * FROM nodes") == before


def test_only_the_ledgers_key_appends(path: Path) -> None:
    with opened(path, writable=True) as writer, pytest.raises(KeyUnavailableError):
        writer.append_all([draft(5)], generate("ecdsa-p384"))


def test_a_reader_does_not_write(path: Path, signer: FileSigner) -> None:
    with opened(path) as reader:
        with pytest.raises(UncheckedError):
            reader.append_all([draft(5)], signer)
        with pytest.raises(UncheckedError):
            reader.countersign("witness", signer)
        with pytest.raises(UncheckedError) as caught, database.guarded(path, writing=True):
            reader._connection.execute("INSERT INTO meta VALUES ('x', x'00')")
        assert caught.value.exit_code == 7


def test_roots_and_kept_checkpoints(path: Path, signer: FileSigner) -> None:
    with opened(path, writable=True) as writer:
        kept = list(writer.checkpoints())
        writer.append_all([draft(5)], signer)
        for size, data in enumerate(kept):
            assert writer.check_kept(data).size == size
            assert writer.root(size) == checkpoint.verify(data, ORIGIN, signer.public).root
        for size in (-1, 7):
            with pytest.raises(LedgerError):
                writer.root(size)


def test_a_witness_countersigns(path: Path, signer: FileSigner) -> None:
    witness, second = generate("ecdsa-p384"), generate("ecdsa-p384")
    with opened(path, writable=True) as writer:
        one = writer.countersign("airlift/alpha/witness", witness)
        assert writer.countersign("airlift/alpha/witness", witness) == one
        two = writer.countersign("airlift/alpha/second", second)
        assert writer.checkpoint() == two
        assert len(note.parse(two).signatures) == 4
        assert list(writer.checkpoints())[-1] == two
        assert audit.verify_log(writer).checkpoints == 8
        assert writer.check_kept(one).size == 5


def test_a_proof_of_one_entry(path: Path, signer: FileSigner) -> None:
    with opened(path) as reader:
        for index in range(5):
            shown = entry_proof.parse(entry_proof.format(reader.prove(index)))
            assert entry_proof.verify(shown, ORIGIN, signer.public) == reader.entry(index)
        data = entry_proof.format(reader.prove(3))
        moved = replace(reader.prove(3), leaf=reader.prove(2).leaf)
    with pytest.raises(LedgerError):
        entry_proof.verify(moved, ORIGIN, signer.public)
    for place in range(0, data.index(f"— {WITNESS}".encode()), 3):
        changed = bytearray(data)
        changed[place] ^= 2
        with pytest.raises(AirliftError) as caught:
            entry_proof.verify(entry_proof.parse(bytes(changed)), ORIGIN, signer.public)
        assert caught.value.exit_code == 3
    for wrong in (
        b"",
        data[:-1],
        data.replace(b"index 3", b"index 03"),
        b"x" * (entry_proof.MAX_BYTES + 1),
        b"\xff" + data,
    ):
        with pytest.raises(MalformedError):
            entry_proof.parse(wrong)


def test_a_proof_says_the_entrys_own_index(tmp_path: Path, signer: FileSigner) -> None:
    leaf = entry.format(draft(0).at(1))
    signed = checkpoint.sign(Checkpoint(ORIGIN, 1, tree.leaf_digest(leaf)), signer)
    with pytest.raises(MalformedError, match="another index"):
        entry_proof.verify(entry_proof.Proof(leaf, 0, (), signed), ORIGIN, signer.public)


# -- the file ------------------------------------------------------------------------------------------------------


def test_commits_are_synced_to_the_last(path: Path) -> None:
    """Rollback journal and synchronous=EXTRA: what SQLite needs for a commit to survive a power cut."""
    with opened(path, writable=True) as writer:
        assert writer.query("PRAGMA synchronous") == [(3,)]
        assert writer.query("PRAGMA journal_mode") == [(b"delete",)]


def test_a_ledger_is_never_overwritten(path: Path, signer: FileSigner, tmp_path: Path) -> None:
    before = path.read_bytes()
    with pytest.raises(ExistsError):
        log.create(path, ORIGIN, signer)
    (tmp_path / "link").symlink_to("nowhere")
    with pytest.raises(ExistsError):
        log.create(tmp_path / "link", ORIGIN, signer)
    assert path.read_bytes() == before


def test_creating_in_a_missing_folder_leaves_nothing(tmp_path: Path, signer: FileSigner) -> None:
    with pytest.raises(UncheckedError):
        log.create(tmp_path / "missing" / "ledger.db", ORIGIN, signer)
    assert list(tmp_path.iterdir()) == []


def test_what_is_no_ledger(tmp_path: Path, path: Path) -> None:
    cases: dict[str, tuple[Callable[[Path], object], type[AirliftError]]] = {
        "missing": (lambda p: None, UncheckedError),
        "empty": (lambda p: p.write_bytes(b""), LedgerError),
        "text": (lambda p: p.write_bytes(b"no database at all" * 100), LedgerError),
        "folder": (lambda p: p.mkdir(), InventoryError),
        "link": (lambda p: p.symlink_to(path), InventoryError),
        "other": (lambda p: sqlite3.connect(p).execute("CREATE TABLE t (x)").connection.close(), LedgerError),
    }
    for name, (make, kind) in cases.items():
        place = tmp_path / name
        make(place)
        with pytest.raises(kind), opened(place):
            pass


@pytest.mark.parametrize(
    ("statement", "kind"),
    [
        ("PRAGMA user_version = 2", FormatTooNewError),
        ("PRAGMA user_version = 0", LedgerError),
        ("PRAGMA application_id = 7", LedgerError),
        ("DROP TRIGGER entries_update", LedgerError),
        ("CREATE TRIGGER mine AFTER INSERT ON entries BEGIN DELETE FROM nodes; END", LedgerError),
        ("CREATE VIEW v AS SELECT 1", LedgerError),
        ("PRAGMA journal_mode = WAL", LedgerError),
    ],
)
def test_another_schema_is_refused(path: Path, statement: str, kind: type[AirliftError]) -> None:
    connection = sqlite3.connect(path)
    connection.execute(statement).fetchall()
    connection.commit()
    connection.close()
    with pytest.raises(kind), opened(path, writable=True):
        pass


@pytest.mark.parametrize("table", ["meta", "entries", "nodes", "checkpoints"])
def test_the_seat_belt(path: Path, table: str) -> None:
    with opened(path, writable=True) as writer:
        column = "value" if table == "meta" else "rowid" if table != "nodes" else "level"
        for statement in (f"DELETE FROM {table}", f"UPDATE {table} SET {column} = {column}"):  # noqa: S608
            with pytest.raises(LedgerError), database.guarded(path, writing=True):
                writer._connection.execute(statement)


def test_a_full_disk_appends_nothing(path: Path, signer: FileSigner) -> None:
    with opened(path, writable=True) as writer:
        pages = writer.query("PRAGMA page_count")[0][0]
        writer._connection.execute(f"PRAGMA max_page_count = {pages}")
        with pytest.raises(NoSpaceError):
            writer.append_all([draft(5, detail={"text": "x" * 50_000})], signer)
        assert writer.size == 5
        assert audit.verify_log(writer).size == 5
    with opened(path, writable=True) as writer:
        writer.append_all([draft(5)], signer)


def test_two_writers(path: Path, signer: FileSigner, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database, "BUSY_SECONDS", 0.0)
    with opened(path, writable=True) as one, opened(path, writable=True) as two:
        with database.transaction(one._connection), pytest.raises(BusyError):
            two.append_all([draft(5)], signer)
        two.append_all([draft(5)], signer)
        one.append_all([draft(6)], signer)
        assert one.size == 7


@pytest.mark.parametrize(
    ("code", "name", "writing", "kind"),
    [
        (sqlite3.SQLITE_IOERR | 3 << 8, "SQLITE_IOERR_WRITE", True, StorageError),
        (sqlite3.SQLITE_IOERR | 1 << 8, "SQLITE_IOERR_READ", False, UncheckedError),
        (sqlite3.SQLITE_CANTOPEN, "SQLITE_CANTOPEN", True, UncheckedError),
        (sqlite3.SQLITE_FULL, "SQLITE_FULL", True, NoSpaceError),
        (sqlite3.SQLITE_CORRUPT | 2 << 8, "SQLITE_CORRUPT_SEQUENCE", True, LedgerError),
    ],
)
def test_what_sqlite_errors_mean(code: int, name: str, writing: bool, kind: type[AirliftError]) -> None:
    error = sqlite3.OperationalError("x")
    error.sqlite_errorcode, error.sqlite_errorname = code, name
    with pytest.raises(kind) as caught, database.guarded(Path("ledger.db"), writing=writing):
        raise error
    assert caught.value.found == name


def test_a_bug_stays_a_bug(path: Path) -> None:
    with opened(path) as reader:
        reader.close()
        with pytest.raises(sqlite3.ProgrammingError):
            reader.query("SELECT 1")


# -- interruptions -------------------------------------------------------------------------------------------------

INTERRUPTED = """
    import os, sys
    from airlift.ledger import log
    from airlift.ledger.database import transaction
    opened = log.open_log(__import__("pathlib").Path(sys.argv[1]), "airlift/alpha", writable=True)
    opened._connection.execute("PRAGMA cache_size = 1")
    with transaction(opened._connection):
        for index in range(200):
            opened._connection.execute("INSERT INTO nodes VALUES (60, ?, zeroblob(4000))", (index,))
        os._exit(9)
"""


def interrupt(path: Path) -> None:
    """Leave a transaction unfinished, as a power cut does: part of it is in the file already."""
    command = [sys.executable, "-c", textwrap.dedent(INTERRUPTED), str(path)]
    assert subprocess.run(command, check=False).returncode == 9
    assert path.with_name("ledger.db-journal").exists()


def test_readers_report_an_interrupted_transaction_and_writers_undo_it(
    path: Path, signer: FileSigner
) -> None:
    interrupt(path)
    with pytest.raises(RecoveryNeededError), opened(path):
        pass
    with opened(path, writable=True) as writer:
        assert audit.verify_log(writer).size == 5
        writer.append_all([draft(5)], signer)
    with opened(path) as reader:
        assert audit.verify_log(reader, signer.public).size == 6


@pytest.fixture
def unprivileged() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp())
    yield folder
    folder.chmod(0o755)
    shutil.rmtree(folder)


def test_a_read_only_folder_can_be_read(original: tuple[Path, FileSigner], unprivileged: Path) -> None:
    path = Path(shutil.copy(original[0], unprivileged / "ledger.db"))
    path.chmod(0o444)
    unprivileged.chmod(0o555)
    child = os.fork()
    if child == 0:  # permissions do not bind root
        if os.geteuid() == 0:
            os.setuid(65534)
        try:
            with opened(path) as reader:
                os._exit(0 if audit.verify_log(reader).size == 5 else 1)
        finally:
            os._exit(2)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


# -- against the record --------------------------------------------------------------------------------------------


def data_of(path: Path, index: int) -> bytes:
    data: bytes = rows(path, f"SELECT data FROM entries WHERE idx = {index}")[0][0]  # noqa: S608
    return data


def refused(path: Path) -> AirliftError:
    """Open and verify, which must fail as proven bad; return the error."""
    with pytest.raises(AirliftError) as caught, opened(path) as reader:
        audit.verify_log(reader)
    assert caught.value.exit_code == 3
    return caught.value


def test_an_entry_edited(path: Path) -> None:
    """THREATS, against the record: an entry edited, with and without its stored nodes."""
    edited = data_of(path, 2).replace(b"admin", b"nobody")
    tamper(path, ("UPDATE entries SET data = ? WHERE idx = 2", (edited,)))
    assert isinstance(refused(path), LedgerError)
    tamper(path, ("UPDATE nodes SET digest = ? WHERE level = 0 AND idx = 2", (tree.leaf_digest(edited),)))
    refused(path)


def test_an_entry_edited_with_the_whole_tree(path: Path) -> None:
    """THREATS, against the record: an entry edited and every node recomputed; the signed root still tells."""
    edited = data_of(path, 2).replace(b"admin", b"nobody")
    frontier: tree.Digests = ()
    statements: list[tuple[str, tuple[object, ...]]] = [
        ("UPDATE entries SET data = ? WHERE idx = 2", (edited,))
    ]
    for index in range(5):
        leaf = tree.leaf_digest(edited if index == 2 else data_of(path, index))
        frontier, nodes = tree.grow(frontier, index, leaf)
        statements += (
            ("UPDATE nodes SET digest = ? WHERE level = ? AND idx = ?", (d, lv, i)) for lv, i, d in nodes
        )
    tamper(path, *statements)
    assert "newest checkpoint" in refused(path).message


def test_an_entry_deleted(path: Path) -> None:
    """THREATS, against the record: an entry deleted from the middle, and the newest one."""
    copy = Path(shutil.copy(path, path.with_name("copy.db")))
    tamper(path, "DELETE FROM entries WHERE idx = 2")
    refused(path)
    tamper(copy, "DELETE FROM entries WHERE idx = 4", "DELETE FROM nodes WHERE level = 0 AND idx = 4")
    assert "does not end" in refused(copy).message


def test_entries_deleted_from_the_end_with_their_checkpoints(path: Path, signer: FileSigner) -> None:
    """THREATS, against the record: a consistent but shorter ledger, caught against a newer checkpoint."""
    with opened(path) as reader:
        kept = reader.checkpoint()
    tamper(
        path,
        "DELETE FROM entries WHERE idx >= 3",
        "DELETE FROM nodes WHERE (idx + 1) << level > 3",
        "DELETE FROM terms WHERE idx >= 3",
        "DELETE FROM checkpoints WHERE size > 3",
    )
    with opened(path) as reader:
        assert audit.verify_log(reader, signer.public).size == 3
        with pytest.raises(LedgerError, match="lacks entries"):
            reader.check_kept(kept)


def test_entries_reordered(path: Path) -> None:
    """THREATS, against the record: two entries exchanged, with and without their own index."""
    one, two = data_of(path, 1), data_of(path, 2)
    copy = Path(shutil.copy(path, path.with_name("copy.db")))
    update = "UPDATE entries SET data = ? WHERE idx = ?"
    tamper(path, (update, (two, 1)), (update, (one, 2)))
    refused(path)
    moved = two.replace(b'"index":2', b'"index":1'), one.replace(b'"index":1', b'"index":2')
    tamper(copy, (update, (moved[0], 1)), (update, (moved[1], 2)))
    refused(copy)


@pytest.mark.parametrize("index", [-1, 5, 9])
def test_an_entry_inserted(path: Path, index: int) -> None:
    """THREATS, against the record: an entry inserted before, behind or far beyond the others."""
    data = entry.format(draft(9).at(max(index, 0)))
    tamper(path, ("INSERT INTO entries VALUES (?, 'policy', ?, NULL, NULL, ?)", (index, TIME, data)))
    refused(path)


def test_a_database_restored_from_yesterday(path: Path, signer: FileSigner) -> None:
    """THREATS, against the record: a database restored from yesterday, caught against a newer checkpoint."""
    yesterday = path.read_bytes()
    with opened(path, writable=True) as writer:
        writer.append_all([draft(5)], signer)
        kept = writer.checkpoint()
    path.write_bytes(yesterday)
    with opened(path, writable=True) as writer:
        with pytest.raises(LedgerError, match="lacks entries"):
            writer.check_kept(kept)
        writer.append_all([draft(6)], signer)  # it goes on growing, differently
        with pytest.raises(LedgerError, match="rewritten"):
            writer.check_kept(kept)


def test_a_ledger_signed_anew_with_a_stolen_key(path: Path, signer: FileSigner, tmp_path: Path) -> None:
    """THREATS, against the record: a ledger re-signed with a stolen key, caught against an older checkpoint."""
    with opened(path) as reader:
        kept = list(reader.checkpoints())[3]
    forged = tmp_path / "forged.db"
    log.create(forged, ORIGIN, signer)
    with opened(forged, writable=True) as writer:
        writer.append_all([draft(number, actor="nobody") for number in range(9)], signer)
        assert audit.verify_log(writer, signer.public).size == 9
        with pytest.raises(LedgerError, match="rewritten"):
            writer.check_kept(kept)


def test_a_checkpoint_for_another_log(path: Path, signer: FileSigner, tmp_path: Path) -> None:
    """THREATS, against the record: a checkpoint for another log, offered as kept and put into the file."""
    other = tmp_path / "other.db"
    make_log(other, 5, signer, "airlift/beta")
    with log.open_log(other, "airlift/beta") as reader:
        foreign = reader.checkpoint()
    with opened(path) as reader, pytest.raises(SignatureError):
        reader.check_kept(foreign)
    with pytest.raises(LedgerError, match="another enclave"), opened(other):
        pass
    tamper(path, ("INSERT INTO checkpoints (size, witnesses, note) VALUES (5, 1, ?)", (foreign,)))
    refused(path)


def test_another_key_than_the_expected_one(path: Path, signer: FileSigner) -> None:
    stranger = generate("ecdsa-p384").public
    with pytest.raises(LedgerError, match="another key"):
        log.open_log(path, ORIGIN, key=stranger)
    with (
        log.open_log(path, ORIGIN, key=signer.public) as reader,
        pytest.raises(LedgerError, match="another key"),
    ):
        audit.verify_log(reader, stranger)


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE entries SET type = 'gc' WHERE idx = 1",
        "UPDATE entries SET time = '2020-01-01T00:00:00Z' WHERE idx = 1",
        "UPDATE entries SET release = 'abc' WHERE idx = 1",
        "UPDATE entries SET data = 'text' WHERE idx = 1",
        "UPDATE entries SET data = zeroblob(2000000) WHERE idx = 1",
        "UPDATE entries SET data = 7 WHERE idx = 1",
        "UPDATE entries SET idx = 99 WHERE idx = 4",
        "UPDATE entries SET idx = -1 WHERE idx = 2",
        "UPDATE checkpoints SET note = 7 WHERE size = 5",
        "DELETE FROM entries",
        "UPDATE nodes SET digest = zeroblob(48) WHERE level = 1 AND idx = 0",
        "UPDATE nodes SET digest = 'short' WHERE level = 2",
        "DELETE FROM nodes WHERE level = 2",
        "DELETE FROM nodes WHERE level = 0 AND idx = 1",
        "INSERT INTO nodes VALUES (7, 7, zeroblob(48))",
        "INSERT INTO nodes VALUES (-7, -7, zeroblob(48))",
        "DELETE FROM checkpoints",
        "DELETE FROM checkpoints WHERE size = 5",
        "UPDATE checkpoints SET size = 9 WHERE size = 1",
        "UPDATE checkpoints SET size = 'x' WHERE size = 1",
        "UPDATE checkpoints SET size = 2 WHERE size = 1",
        "UPDATE checkpoints SET note = 'x' WHERE size = 1",
        "UPDATE checkpoints SET note = zeroblob(100) WHERE size = 5",
        "INSERT INTO checkpoints (size, witnesses, note) SELECT size, 1, note FROM checkpoints WHERE size = 1",
        "UPDATE checkpoints SET id = 1000 WHERE size = 0",
        "UPDATE checkpoints SET witnesses = 2 WHERE size = 1",
        "UPDATE checkpoints SET witnesses = 0 WHERE size = 1",
        "DELETE FROM terms WHERE idx = 2",
        "UPDATE terms SET term = 'other' WHERE term = 'admin' AND idx = 2",
        "UPDATE terms SET idx = 99 WHERE term = 'admin' AND idx = 2",
        "INSERT INTO terms VALUES ('nobody', 3)",
        "INSERT INTO terms VALUES ('admin', -1)",
        "DELETE FROM meta WHERE name = 'origin'",
        "UPDATE meta SET value = 'text' WHERE name = 'origin'",
        "UPDATE meta SET value = x'00' WHERE name = 'public_key'",
    ],
)
def test_no_row_can_be_changed(path: Path, statement: str) -> None:
    tamper(path, statement)
    refused(path)


def test_nothing_is_signed_on_top_of_a_changed_tree(path: Path, signer: FileSigner) -> None:
    with opened(path, writable=True) as writer:
        tamper(path, "UPDATE nodes SET digest = zeroblob(48) WHERE level = 0 AND idx = 4")
        with pytest.raises(LedgerError):
            writer.append_all([draft(5)], signer)


def test_only_the_newest_checkpoint_and_witnessed_ones_are_kept(path: Path, signer: FileSigner) -> None:
    with opened(path, writable=True) as writer:
        before = [checkpoint.parse(note.parse(c).text).size for c in writer.checkpoints()]
        for number in range(5, 8):
            writer.append_all([draft(number)], signer)
        after = [checkpoint.parse(note.parse(c).text).size for c in writer.checkpoints()]
    assert after == [*before, 8]


def test_a_superseded_checkpoint_that_stayed_is_noticed(path: Path, signer: FileSigner) -> None:
    with opened(path, writable=True) as writer:
        writer.append_all([draft(5)], signer)
        superseded = writer.checkpoint()
        writer.append_all([draft(6)], signer)
        newest = writer.checkpoint()
    tamper(
        path,
        "DELETE FROM checkpoints WHERE size = 7",
        ("INSERT INTO checkpoints (size, witnesses, note) VALUES (6, 0, ?)", (superseded,)),
        ("INSERT INTO checkpoints (size, witnesses, note) VALUES (7, 0, ?)", (newest,)),
    )
    assert "is not one that is kept" in refused(path).message


@pytest.mark.parametrize(
    "statement",
    ["DELETE FROM checkpoints WHERE size = 5", "DELETE FROM terms", "UPDATE checkpoints SET size = 4"],
)
def test_the_seat_belts_hold(path: Path, statement: str) -> None:
    with closing(sqlite3.connect(path)) as connection, pytest.raises(sqlite3.IntegrityError):
        connection.execute(statement)


def test_a_lost_witness_signature_is_noticed(path: Path, signer: FileSigner) -> None:
    with opened(path, writable=True) as writer:
        before = writer.checkpoint()
        writer.countersign("airlift/alpha/witness", generate("ecdsa-p384"))
    tamper(path, ("INSERT INTO checkpoints (size, witnesses, note) VALUES (5, 1, ?)", (before,)))
    assert "lost a signature" in refused(path).message


def test_entries_read_back_under_their_own_index(path: Path) -> None:
    tamper(path, ("UPDATE entries SET data = ? WHERE idx = 1", (data_of(path, 2),)))
    with opened(path) as reader, pytest.raises(LedgerError, match="another index"):
        list(reader.entries())


def test_a_checkpoint_that_vanishes_while_the_ledger_is_open(path: Path) -> None:
    with opened(path) as reader:
        tamper(path, "DELETE FROM checkpoints WHERE size = 5")
        with pytest.raises(LedgerError, match="does not end"):
            audit.verify_log(reader)


def test_an_index_that_hides_an_entry(path: Path) -> None:
    """A question by type is answered from an index, so the audit compares the indexes with their tables."""
    with opened(path) as reader:
        root = reader.query("SELECT rootpage FROM sqlite_master WHERE name = 'entries_type'")[0][0]
    data = bytearray(path.read_bytes())
    page = slice((root - 1) * 4096, root * 4096)
    data[page] = data[page].replace(b"policy", b"qolicy")
    path.write_bytes(data)
    with opened(path) as reader:
        assert list(reader.entries(types=["policy"])) == []
    refused(path)


def test_a_truncated_database(path: Path) -> None:
    """THREATS, against the record: a truncated database never passes."""
    data = path.read_bytes()
    for length in (0, 1, 15, 16, 99, 100, 512, *range(4096, len(data), 4096), len(data) - 1):
        path.write_bytes(data[:length])
        refused(path)
