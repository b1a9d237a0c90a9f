"""Ledgers for tests: small real ones, and ways to tamper with them."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from functools import cache
from pathlib import Path
from typing import Any

from airlift.ledger import database, log
from airlift.ledger.entry import Draft
from airlift.ledger.log import Log
from airlift.trust.keys.file import FileSigner, generate

ORIGIN = "airlift/alpha"
TIME = "2026-03-03T12:00:00Z"
WITNESS = "witness.example"
R1, R2, R3 = "1" * 128, "2" * 128, "3" * 128


def draft(number: int, kind: str = "policy", **fields: Any) -> Draft:
    """Return a small draft that differs for every number."""
    detail = fields.pop("detail", {"sha512": f"{number:0128x}", "keys": {}, "text": "Grüße"})
    return Draft(kind, fields.pop("actor", "admin"), fields.pop("time", TIME), detail=detail, **fields)


@cache
def witness() -> FileSigner:
    """Return the witness that signs every checkpoint of these ledgers, so that all are kept."""
    return generate("ecdsa-p384")


def make_log(
    path: Path, count: int = 5, signer: FileSigner | None = None, origin: str = ORIGIN
) -> FileSigner:
    """Create a ledger of ``count`` entries, each in a transaction of its own and witnessed; return its signer."""
    signer = signer or generate("ecdsa-p384")
    log.create(path, origin, signer)
    with log.open_log(path, origin, writable=True) as opened:
        opened.countersign(WITNESS, witness())
        for number in range(count):
            opened.append_all([draft(number)], signer)
            opened.countersign(WITNESS, witness())
    return signer


@contextmanager
def opened(path: Path, *, writable: bool = False) -> Iterator[Log]:
    """Open a ledger of ORIGIN."""
    with log.open_log(path, ORIGIN, writable=writable) as result:
        yield result


def tamper(path: Path, *statements: str | tuple[str, tuple[Any, ...]]) -> None:
    """Change a ledger behind its back: without its triggers, which are put back afterwards."""
    with closing(sqlite3.connect(path)) as connection, connection:
        triggers = [sql for sql in database.SCHEMA if sql.startswith("CREATE TRIGGER")]
        for sql in triggers:
            connection.execute(f"DROP TRIGGER {sql.split()[2]}")
        for statement in statements:
            sql, values = (statement, ()) if isinstance(statement, str) else statement
            connection.execute(sql, values)
        for sql in triggers:
            connection.execute(sql)


def rows(path: Path, statement: str) -> list[tuple[Any, ...]]:
    """Return the rows of a SELECT, read past airlift."""
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute(statement).fetchall()
