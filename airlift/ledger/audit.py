"""The full verification of a ledger: every entry, node and checkpoint is recomputed (SPEC 9.5).

All checkpoints are checked against the one tree that the entries give, hence against each other: that is their
consistency. What this cannot see is a history that was rewritten and signed anew with the ledger's own key; only a
checkpoint kept elsewhere shows that (:meth:`airlift.ledger.log.Log.check_kept`).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from airlift.errors import LedgerError
from airlift.ledger import checkpoint, entry, note, tree
from airlift.ledger.entry import Entry
from airlift.ledger.log import BATCH, Log
from airlift.ledger.terms import terms
from airlift.trust.keys.public import PublicKey

Row = tuple[Any, ...]
_NOTES = "SELECT id, size, witnesses, note FROM checkpoints"
INDEXED = 16_384
"""How many entries are compared with the index of terms in one reading of it."""


@dataclass(frozen=True, slots=True)
class Audit:
    """What was proven: entries, their root (48 bytes), and how many checkpoint notes agree with them."""

    size: int
    root: bytes
    checkpoints: int


def verify_log(log: Log, key: PublicKey | None = None) -> Audit:
    """Verify a whole ledger against ``key``, or against the key that it names for itself.

    Entries that are appended meanwhile are left out.

    Raises:
        LedgerError: an entry, node or checkpoint contradicts another.
        MalformedError: an entry or checkpoint is not in its format.
        SignatureError: a checkpoint is not signed by the key.
    """
    log.check_key(key or log.public)
    _check_file(log)
    size, newest = _extent(log)
    roots = _entries(log, size)
    return Audit(size, roots[size], _check_notes(log, roots, size, newest))


def _check_file(log: Log) -> None:
    """Let SQLite check its pages, and that every index names exactly the rows of its table."""
    if log.query("PRAGMA integrity_check(1)") != [(b"ok",)]:
        raise LedgerError(f"{log.path} is damaged")


def _extent(log: Log) -> tuple[int, list[Row]]:
    """Return the number of entries, and the newest checkpoint, of one moment; nothing may lie beyond them.

    The next entry supersedes that checkpoint: it is not there any more when all entries have been read.
    """
    with log.one_moment():
        size, entries, nodes = log.query(
            "SELECT (SELECT COALESCE(MAX(idx) + 1, 0) FROM entries), (SELECT COUNT(*) FROM entries),"
            " (SELECT COUNT(*) FROM nodes)"
        )[0]
        strays = log.query("SELECT COUNT(*) FROM terms WHERE idx < 0 OR idx >= ?", (size,))[0][0]
        newest = log.query(f"{_NOTES} ORDER BY id DESC LIMIT 1")
    if strays or entries != size or nodes != tree.stored_nodes(size):
        raise LedgerError(f"{log.path} lacks rows, or holds some that belong to no entry")
    return size, newest


def _entries(log: Log, size: int) -> dict[int, bytes]:
    """Recompute the tree of ``[0, size)`` and compare it with the stored nodes; return the checkpointed roots."""
    wanted = {row[0] for row in log.query("SELECT DISTINCT size FROM checkpoints WHERE size <= ?", (size,))}
    frontier: tree.Digests = ()
    roots = {0: tree.EMPTY_ROOT, size: tree.EMPTY_ROOT}
    for index, data in _leaves(log, size):
        frontier, nodes = tree.grow(frontier, index, tree.leaf_digest(data))
        if any(log.node(level, position) != digest for level, position, digest in nodes):
            raise LedgerError(f"entry {index} of {log.path} is not the one in the tree")
        if index + 1 in wanted or index + 1 == size:
            roots[index + 1] = tree.fold(frontier)
    return roots


def _leaves(log: Log, size: int) -> Iterator[tuple[int, bytes]]:
    """Yield index and canonical bytes of the entries ``[0, size)``, each checked against its columns and terms."""
    expected, index = 0, _Index(log)
    while expected < size:
        rows = log.query(
            "SELECT idx, type, time, release, bundle, data FROM entries WHERE idx >= ? AND idx < ?"
            " ORDER BY idx LIMIT ?",
            (expected, size, BATCH),
        )
        for row in rows:
            if row[0] != expected or type(row[5]) is not bytes:
                break
            index.take(_check_row(log, row))
            yield expected, row[5]
            expected += 1
        else:
            if rows:
                continue
        raise LedgerError(f"{log.path} lacks entry {expected}")
    index.check(size)


def _check_row(log: Log, row: tuple[Any, ...]) -> Entry:
    found = entry.parse(row[5], f"entry {row[0]} of {log.path}")
    columns = (found.index, found.type, found.time, found.release, found.bundle)
    if row[:5] != tuple(value.encode() if isinstance(value, str) else value for value in columns):
        raise LedgerError(f"entry {row[0]} of {log.path} is not what its columns say")
    return found


class _Index:
    """Compares the index of terms with the entries, many entries at a time: the index is read once for each."""

    def __init__(self, log: Log) -> None:
        self.log, self.start, self.expected = log, 0, set[tuple[int, bytes]]()

    def take(self, found: Entry) -> None:
        self.expected.update((found.index, term.encode()) for term in terms(found))
        if found.index + 1 - self.start >= INDEXED:
            self.check(found.index + 1)

    def check(self, end: int) -> None:
        """Compare the terms of the entries ``[start, end)``.

        Raises:
            LedgerError: one is missing, or belongs to no entry.
        """
        rows = self.log.query("SELECT idx, term FROM terms WHERE idx >= ? AND idx < ?", (self.start, end))
        odd = self.expected.symmetric_difference(rows)
        if odd:
            raise LedgerError(
                f"entry {min(odd)[0]} of {self.log.path} is indexed by other terms than its own"
            )
        self.start, self.expected = end, set()


def _checkpoints(log: Log, newest: list[Row]) -> Iterator[Row]:
    """Yield all checkpoints up to the newest one: those before it are witnessed, and stay."""
    last = -(1 << 63)
    while rows := log.query(
        f"{_NOTES} WHERE id > ? AND id < ? ORDER BY id LIMIT ?", (last, newest[0][0] if newest else 0, BATCH)
    ):
        yield from rows
        last = rows[-1][0]
    yield from newest


def _check_notes(log: Log, roots: dict[int, bytes], size: int, newest: list[Row]) -> int:
    """Verify every checkpoint note up to the newest one; return how many there are."""
    count, covered, before = 0, -1, b""
    for number, claimed, witnesses, data in _checkpoints(log, newest):
        what = f"checkpoint {number} of {log.path}"
        if type(data) is not bytes or type(claimed) is not int or not covered <= claimed <= size:
            raise LedgerError(f"{what} is out of order")
        found = checkpoint.verify(data, log.origin, log.public, what)
        if found.size != claimed or roots.get(claimed) != found.root:
            raise LedgerError(f"{what} contradicts the entries", found=f"size {found.size}")
        if witnesses != len(note.parse(data).signatures) - 1 or (not witnesses and number != newest[0][0]):
            raise LedgerError(f"{what} is not one that is kept")
        if claimed == covered:
            _check_superset(before, data, what)
        count, covered, before = count + 1, claimed, data
    if covered != size:
        raise LedgerError(f"{log.path} does not end at its newest checkpoint", found=str(covered))
    return count


def _check_superset(older: bytes, newer: bytes, what: str) -> None:
    if not set(note.parse(older).signatures) <= set(note.parse(newer).signatures):
        raise LedgerError(f"{what} lost a signature")
