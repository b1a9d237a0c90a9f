"""The ledger's SQLite file: schema, connections, and what its errors mean (SPEC 9.4).

Durability: rollback journal (``journal_mode=DELETE``) with ``synchronous=EXTRA``. SQLite then syncs the journal, the
database, and the folder after it has removed the journal, so a commit that has returned survives a power cut; with
``FULL`` the journal could reappear and undo it. A write-ahead log would be faster, but cannot be read in a folder
that the reader may not write to. A new database is built under a temporary name and appears whole.

Of the checkpoints only the newest and those that a witness signed are kept (SPEC 9.4-6): an older one proves nothing
that the newest does not, and whoever kept a copy can hold it against the tree for ever.

The triggers that refuse UPDATE and DELETE are a seat belt against mistakes, not against an attacker: those are caught
by the tree and its signed checkpoints. The schema must be exactly the one below, so a file cannot bring triggers or
views of its own.
"""

import os
import secrets
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

from airlift import files
from airlift.errors import (
    AirliftError,
    BusyError,
    ExistsError,
    FormatTooNewError,
    LedgerError,
    NoSpaceError,
    PermissionDeniedError,
    RecoveryNeededError,
    StorageError,
    UncheckedError,
)

APPLICATION_ID = 0x41_4C_52_31
SCHEMA_VERSION = 1
BUSY_SECONDS = 5.0
MAX_VALUE_BYTES = 2 << 20

_TABLES = (
    "CREATE TABLE meta (name TEXT PRIMARY KEY, value BLOB NOT NULL)",
    """CREATE TABLE entries (idx INTEGER PRIMARY KEY, type TEXT NOT NULL, time TEXT NOT NULL,
        release TEXT, bundle TEXT, data BLOB NOT NULL)""",
    """CREATE TABLE nodes (level INTEGER NOT NULL, idx INTEGER NOT NULL, digest BLOB NOT NULL,
        PRIMARY KEY (level, idx)) WITHOUT ROWID""",
    """CREATE TABLE checkpoints (id INTEGER PRIMARY KEY, size INTEGER NOT NULL, witnesses INTEGER NOT NULL,
        note BLOB NOT NULL)""",
    "CREATE TABLE terms (term TEXT NOT NULL, idx INTEGER NOT NULL, PRIMARY KEY (term, idx)) WITHOUT ROWID",
    "CREATE TABLE contents (digest BLOB NOT NULL, idx INTEGER NOT NULL, PRIMARY KEY (digest, idx)) WITHOUT ROWID",
    "CREATE INDEX entries_type ON entries (type, time)",
    "CREATE INDEX entries_time ON entries (time)",
    "CREATE INDEX entries_release ON entries (release)",
    "CREATE INDEX entries_bundle ON entries (bundle)",
    "CREATE INDEX checkpoints_size ON checkpoints (size)",
)
_FOR_EVER = ("meta", "entries", "nodes", "terms", "contents")
_SEAT_BELTS = (
    *(
        f"CREATE TRIGGER {table}_{verb.lower()} BEFORE {verb} ON {table}"
        f" BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END"
        for table, verb in [(name, verb) for name in _FOR_EVER for verb in ("UPDATE", "DELETE")]
        + [("checkpoints", "UPDATE")]
    ),
    """CREATE TRIGGER checkpoints_delete BEFORE DELETE ON checkpoints
        WHEN OLD.witnesses > 0 OR OLD.id = (SELECT MAX(id) FROM checkpoints)
        BEGIN SELECT RAISE(ABORT, 'only a superseded checkpoint without a witness may go'); END""",
)
SCHEMA = (*_TABLES, *_SEAT_BELTS)

_ROLLBACK_NEEDED = {sqlite3.SQLITE_READONLY_ROLLBACK, sqlite3.SQLITE_READONLY_RECOVERY}
_BUSY = {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}
_BAD = {
    sqlite3.SQLITE_CORRUPT,
    sqlite3.SQLITE_NOTADB,
    sqlite3.SQLITE_CONSTRAINT,
    sqlite3.SQLITE_FORMAT,
    sqlite3.SQLITE_MISMATCH,
    sqlite3.SQLITE_TOOBIG,
}
_DENIED = {sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM, sqlite3.SQLITE_AUTH}


@contextmanager
def guarded(path: Path, *, writing: bool) -> Iterator[None]:
    """Turn the sqlite3 errors of the body into airlift's; wrong use of sqlite3 itself passes through as a bug."""
    try:
        yield
    except sqlite3.DatabaseError as error:
        if not hasattr(error, "sqlite_errorcode"):
            raise
        raise _translated(error, path, writing=writing) from error
    except UnicodeDecodeError as error:  # sqlite3 could not even decode SQLite's message about the damage
        raise LedgerError(f"{path} is damaged, or is no ledger") from error


def _translated(error: sqlite3.DatabaseError, path: Path, *, writing: bool) -> AirliftError:
    extended, found = error.sqlite_errorcode, error.sqlite_errorname
    code = extended & 0xFF
    if code in _BUSY:
        return BusyError(f"{path} is in use by another command", found=found)
    if extended in _ROLLBACK_NEEDED:
        return RecoveryNeededError(f"{path} holds an unfinished transaction", found=found)
    if code == sqlite3.SQLITE_FULL:
        return NoSpaceError(f"no space left to write {path}", found=found)
    if code in _BAD:
        return LedgerError(f"{path} is damaged, or is no ledger", found=found)
    if code in _DENIED:
        return PermissionDeniedError(f"{path} may not be written", found=found)
    if writing and code != sqlite3.SQLITE_CANTOPEN:
        return StorageError(f"cannot write {path}", found=found)
    return UncheckedError(f"cannot read {path}", found=found)


def connect(path: Path, *, writable: bool) -> sqlite3.Connection:
    """Open a ledger file and check its application id, version and schema.

    Raises:
        InventoryError: it is a link or a special file.
        LedgerError: it is no ledger, is damaged, or has another schema.
        FormatTooNewError: a newer airlift made it.
        RecoveryNeededError: read-only, and an interrupted transaction waits to be undone.
        UncheckedError: it is missing or cannot be read.
    """
    os.close(files.open_regular(path))
    with guarded(path, writing=False):
        connection = _open(path, "rw" if writable else "ro")
        try:
            _check(connection, path)
        except BaseException:
            connection.close()
            raise
        return connection


def create(path: Path, meta: dict[str, bytes], size: int, note: bytes) -> None:
    """Create a ledger file durably, with its meta values and first checkpoint; it appears whole or not at all.

    Raises:
        ExistsError: ``path`` exists.
        StorageError: it cannot be written.
    """
    if path.is_symlink() or path.exists():
        raise ExistsError(f"{path} exists", hint="a ledger is never overwritten")
    temporary = path.with_name(f".tmp-{secrets.token_hex(8)}")
    try:
        with guarded(path, writing=True):
            connection = _open(temporary, "rwc")
            try:
                _build(connection, meta, size, note)
            finally:
                connection.close()
        files.rename_durable(temporary, path)
    except BaseException:
        for leftover in (temporary, temporary.with_name(f"{temporary.name}-journal")):
            files.remove(leftover)
        raise


def transaction(connection: sqlite3.Connection) -> "Transaction":
    """Return a context that commits its body as one transaction, or leaves nothing of it."""
    return Transaction(connection)


class Transaction:
    """BEGIN IMMEDIATE ... COMMIT; ROLLBACK when the body or the commit fails."""

    __slots__ = ("connection",)

    def __init__(self, connection: sqlite3.Connection) -> None:
        self.connection = connection

    def __enter__(self) -> None:
        self.connection.execute("BEGIN IMMEDIATE")

    def __exit__(self, kind: object, *_rest: object) -> None:
        try:
            if kind is None:
                self.connection.execute("COMMIT")
        finally:
            if self.connection.in_transaction:
                self.connection.execute("ROLLBACK")


# -- inside --------------------------------------------------------------------------------------------------------


def _open(path: Path, mode: str) -> sqlite3.Connection:
    connection = sqlite3.connect(
        f"{path.absolute().as_uri()}?mode={mode}", uri=True, isolation_level=None, timeout=BUSY_SECONDS
    )
    connection.text_factory = bytes
    connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, MAX_VALUE_BYTES)
    connection.setlimit(sqlite3.SQLITE_LIMIT_ATTACHED, 0)
    try:
        for pragma in ("trusted_schema = OFF", "cell_size_check = ON", "synchronous = EXTRA"):
            connection.execute(f"PRAGMA {pragma}")
    except BaseException:
        connection.close()
        raise
    return connection


def _build(connection: sqlite3.Connection, meta: dict[str, bytes], size: int, note: bytes) -> None:
    with Transaction(connection):
        connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
        for statement in SCHEMA:
            connection.execute(statement)
        connection.executemany("INSERT INTO meta (name, value) VALUES (?, ?)", sorted(meta.items()))
        connection.execute("INSERT INTO checkpoints (size, witnesses, note) VALUES (?, 0, ?)", (size, note))


def _check(connection: sqlite3.Connection, path: Path) -> None:
    if _pragma(connection, "application_id") != APPLICATION_ID:
        raise LedgerError(f"{path} is no ledger")
    version = _pragma(connection, "user_version")
    if version > SCHEMA_VERSION:
        raise FormatTooNewError(
            f"{path} has a newer format", expected=str(SCHEMA_VERSION), found=str(version)
        )
    if version != SCHEMA_VERSION or _schema(connection) != _expected_schema():
        raise LedgerError(f"{path} does not have the tables of a ledger")
    if _pragma(connection, "journal_mode") != b"delete":
        raise LedgerError(f"{path} is not in rollback-journal mode")


def _pragma(connection: sqlite3.Connection, name: str) -> Any:
    return connection.execute(f"PRAGMA {name}").fetchone()[0]


def _schema(connection: sqlite3.Connection) -> list[Any]:
    return connection.execute(
        "SELECT type, name, tbl_name, sql FROM sqlite_master ORDER BY type, name"
    ).fetchall()


@cache
def _expected_schema() -> list[Any]:
    """Return what SQLite makes of the schema, asked for once: a command opens its ledger many times."""
    memory = sqlite3.connect(":memory:")
    try:
        memory.text_factory = bytes
        for statement in SCHEMA:
            memory.execute(statement)
        return _schema(memory)
    finally:
        memory.close()
