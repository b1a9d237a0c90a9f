"""The log: entries, their tree and its signed checkpoints in one SQLite file (SPEC 9.4).

:meth:`Log.append` is the enclave's commit point: entry, nodes and signed checkpoint become durable in one transaction
before it returns. Readers open the file read-only and never hold a lock longer than one batch of rows; because
nothing that was written ever changes, what they read up to a size stays true.
"""

import sqlite3
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

from airlift.errors import KeyUnavailableError, LedgerError, UncheckedError
from airlift.ledger import checkpoint, database, note, tree
from airlift.ledger import entry as entries_
from airlift.ledger.checkpoint import Checkpoint
from airlift.ledger.entry import Draft, Entry
from airlift.ledger.entry_proof import Proof
from airlift.ledger.terms import terms
from airlift.trust.keys.public import PublicKey, Signer

BATCH = 256
MAX_SIZE = (1 << 63) - 1
"""The largest number of entries that SQLite can name."""
CONTENT_BYTES = 16
"""How much of a file's digest the index keeps: enough to find it; the release manifest decides."""


def create(path: Path, origin: str, signer: Signer) -> None:
    """Create an empty ledger with a signed checkpoint of size 0; it appears whole and durable, or not at all.

    Raises:
        ExistsError: ``path`` exists.
    """
    empty = checkpoint.sign(Checkpoint(checkpoint.check_origin(origin), 0, tree.EMPTY_ROOT), signer)
    database.create(path, {"origin": origin.encode(), "public_key": signer.public.pem()}, 0, empty)


def open_log(path: Path, origin: str, *, writable: bool = False, key: PublicKey | None = None) -> "Log":
    """Open a ledger and check that it is the one of ``origin`` (and ``key``) and agrees with its newest checkpoint.

    The key that the file names for itself is used when ``key`` is None; only a caller that knows the key from
    elsewhere proves anything by it.

    Raises:
        LedgerError: it belongs to another enclave or key, or contradicts its newest checkpoint.
        RecoveryNeededError: read-only, and an interrupted transaction waits to be undone by the next writer.
    """
    connection = database.connect(path, writable=writable)
    try:
        log = Log(connection, path, origin, writable=writable)
        log.check_key(key or log.public)
        log.head()
    except BaseException:
        connection.close()
        raise
    return log


class Log:
    """An open ledger; a context manager. ``origin`` and ``public`` are whose it is."""

    __slots__ = ("_connection", "_writable", "origin", "path", "public")

    def __init__(self, connection: sqlite3.Connection, path: Path, origin: str, *, writable: bool) -> None:
        self._connection = connection
        self._writable = writable
        self.path = path
        self.origin = origin
        self.public = PublicKey.from_pem(self._meta("public_key"), f"the key in {path}")
        if self._meta("origin") != origin.encode():
            raise LedgerError(f"{path} is the ledger of another enclave", expected=origin)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_details: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file."""
        self._connection.close()

    # -- what it holds ---------------------------------------------------------------------------------------------

    @property
    def size(self) -> int:
        """How many entries there are."""
        return int(self.query("SELECT COALESCE(MAX(idx) + 1, 0) FROM entries")[0][0])

    def root(self, size: int | None = None) -> bytes:
        """Return the root (48 bytes) of the first ``size`` entries, of all by default, in O(log n).

        Raises:
            LedgerError: there are fewer entries, or a node is missing.
        """
        total = self.size
        if size is not None and not 0 <= size <= total:
            raise LedgerError(f"{self.path} has fewer entries", expected=str(size), found=str(total))
        return tree.root_of(self.node, total if size is None else size)

    def checkpoint(self) -> bytes:
        """Return the newest checkpoint note, with all its signatures."""
        rows = self.query("SELECT note FROM checkpoints ORDER BY id DESC LIMIT 1")
        if not rows:
            raise LedgerError(f"{self.path} has no checkpoint")
        return _blob(rows[0][0], self.path)

    def checkpoints(self, end: int = MAX_SIZE) -> Iterator[bytes]:
        """Yield one note per checkpointed size below ``end``, oldest first: the one with the most signatures.

        These are those that witnesses signed, which stay as they are, and the newest, which the next one may replace.
        """
        last = -1
        while rows := self.query(
            "SELECT size, note FROM checkpoints WHERE id IN (SELECT MAX(id) FROM checkpoints"
            " WHERE size > ? AND size < ? GROUP BY size ORDER BY size LIMIT ?) ORDER BY size",
            (last, end, BATCH),
        ):
            yield from (_blob(data, self.path) for _, data in rows)
            last = rows[-1][0]

    def head(self) -> Checkpoint:
        """Return the newest checkpoint after verifying it; errors as of :meth:`newest`."""
        return self.newest()[0]

    def newest(self) -> tuple[Checkpoint, bytes]:
        """Verify the newest checkpoint against the number of entries and the stored nodes; return it and its note.

        Raises:
            LedgerError: they disagree.
            SignatureError: the checkpoint is not signed by the ledger's key.
        """
        with self.one_moment():
            data, size = self.checkpoint(), self.size
            held = int(self.query("SELECT COUNT(*) FROM entries")[0][0])
        newest = checkpoint.verify(data, self.origin, self.public, f"newest checkpoint of {self.path}")
        if size != newest.size or held != size:
            raise LedgerError(
                f"{self.path} does not end at its newest checkpoint"
                if size != newest.size
                else f"{self.path} lacks entries",
                expected=f"{newest.size}",
                found=f"{min(size, held)}",
            )
        if tree.root_of(self.node, size) != newest.root:
            raise LedgerError(f"{self.path} does not have the root of its newest checkpoint")
        return newest, data

    def entry(self, index: int) -> Entry:
        """Return the entry at ``index``.

        Raises:
            LedgerError: there is none.
        """
        for found in self.entries(index, index + 1):
            return found
        raise LedgerError(f"{self.path} has no entry {index}")

    def entries(
        self,
        start: int = 0,
        end: int | None = None,
        *,
        types: Sequence[str] = (),
        release: str | None = None,
        bundle: str | None = None,
    ) -> Iterator[Entry]:
        """Yield the entries of ``[start, end)`` in order: of one of ``types``, about ``release`` and ``bundle``."""
        condition, values = _condition(types, release, bundle)
        stop = self.size if end is None else min(end, self.size)
        while rows := self.query(
            f"SELECT idx, data FROM entries WHERE idx >= ? AND idx < ?{condition} ORDER BY idx LIMIT ?",  # noqa: S608
            (start, stop, *values, BATCH),
        ):
            yield from (self._parsed(index, data) for index, data in rows)
            start = rows[-1][0] + 1

    def counts(self) -> dict[str, int]:
        """Return how many entries of each type there are."""
        return {
            kind.decode(): count
            for kind, count in self.query("SELECT type, COUNT(*) FROM entries GROUP BY type")
        }

    def last(self, *types: str) -> Entry | None:
        """Return the newest entry of one of ``types``, or None."""
        condition, values = _condition(types, None, None)
        rows = self.query(f"SELECT MAX(idx) FROM entries WHERE TRUE{condition}", values)  # noqa: S608
        return self.entry(rows[0][0]) if rows[0][0] is not None else None

    def prove(self, index: int) -> Proof:
        """Return the proof that entry ``index`` is in the newest checkpoint."""
        leaf, (head, data) = entries_.format(self.entry(index)), self.newest()
        return Proof(leaf, index, tree.inclusion_proof(self.node, index, head.size), data)

    def check_kept(self, data: bytes, what: str = "kept checkpoint") -> Checkpoint:
        """Verify that this ledger still holds everything that an earlier, kept checkpoint covers.

        Raises:
            LedgerError: the ledger is shorter (restored from a backup) or its history was rewritten.
            SignatureError: the checkpoint is not signed by this ledger's key.
        """
        kept = checkpoint.verify(data, self.origin, self.public, what)
        if kept.size > self.size:
            raise LedgerError(
                f"{self.path} lacks entries that {what} covers",
                expected=f"{kept.size} or more",
                found=f"{self.size}",
            )
        if self.root(kept.size) != kept.root:
            raise LedgerError(f"{self.path} was rewritten: {what} has another root for {kept.size} entries")
        return kept

    def check_key(self, key: PublicKey) -> None:
        """Raise LedgerError unless ``key`` is the one that this ledger is kept with."""
        if key != self.public:
            raise LedgerError(
                f"{self.path} is kept with another key",
                expected=key.fingerprint[:16],
                found=self.public.fingerprint[:16],
            )

    # -- how it grows ----------------------------------------------------------------------------------------------

    def append(self, draft: Draft, signer: Signer) -> Entry:
        """Append one entry; it is durable, with a signed checkpoint, when this returns.

        Raises:
            AirliftError: as of :meth:`append_all`.
        """
        return self.append_all([draft], signer)[0]

    def append_all(self, drafts: Sequence[Draft], signer: Signer) -> list[Entry]:
        """Append entries and one checkpoint over all of them in one durable transaction; all or none.

        Raises:
            KeyUnavailableError: ``signer`` does not hold this ledger's key.
            LedgerError: the ledger is inconsistent; nothing is signed on top of it.
            NoSpaceError: the disk is full; nothing was appended.
        """
        self._check_writer(signer)
        with database.guarded(self.path, writing=True), database.transaction(self._connection):
            head = self.head()
            frontier, added = tree.frontier_of(self.node, head.size), []
            for index, draft in enumerate(drafts, head.size):
                entry = draft.at(index)
                frontier = self._insert(entry, frontier, draft.contents)
                added.append(entry)
            if added:
                newest = Checkpoint(self.origin, head.size + len(added), tree.fold(frontier))
                self._keep(newest.size, checkpoint.sign(newest, signer))
        return added

    def countersign(self, name: str, witness: Signer) -> bytes:
        """Add a witness's signature to the newest checkpoint, durably; return the note. Doing it twice is a no-op.

        The witness vouches that the log only grew: call :meth:`check_kept` with its previous checkpoint first.
        """
        self._check_writer(None)
        with database.guarded(self.path, writing=True), database.transaction(self._connection):
            head, data = self.newest()
            signed = checkpoint.countersign(data, name, witness)
            if signed != data:
                self._keep(head.size, signed)
        return signed

    def _check_writer(self, signer: Signer | None) -> None:
        if not self._writable:
            raise UncheckedError(f"{self.path} was opened for reading only")
        if signer is not None and signer.public != self.public:
            raise KeyUnavailableError(
                f"{self.path} is kept with another key",
                expected=self.public.fingerprint[:16],
                found=signer.public.fingerprint[:16],
            )

    def _insert(self, entry: Entry, frontier: tree.Digests, contents: Collection[str]) -> tree.Digests:
        data = entries_.format(entry)
        self._connection.execute(
            "INSERT INTO entries (idx, type, time, release, bundle, data) VALUES (?, ?, ?, ?, ?, ?)",
            (entry.index, entry.type, entry.time, entry.release, entry.bundle, data),
        )
        self._connection.executemany(
            "INSERT INTO terms (term, idx) VALUES (?, ?)",
            [(term, entry.index) for term in sorted(terms(entry))],
        )
        self._connection.executemany(
            "INSERT OR IGNORE INTO contents (digest, idx) VALUES (?, ?)",
            [(bytes.fromhex(digest)[:CONTENT_BYTES], entry.index) for digest in contents],
        )
        frontier, nodes = tree.grow(frontier, entry.index, tree.leaf_digest(data))
        self._connection.executemany("INSERT INTO nodes (level, idx, digest) VALUES (?, ?, ?)", nodes)
        return frontier

    def _keep(self, size: int, data: bytes) -> None:
        """Store a checkpoint; what it supersedes goes, unless a witness signed it (SPEC 9.4-6)."""
        witnesses = len(note.parse(data).signatures) - 1
        stored = self._connection.execute(
            "INSERT INTO checkpoints (size, witnesses, note) VALUES (?, ?, ?)", (size, witnesses, data)
        ).lastrowid
        self._connection.execute("DELETE FROM checkpoints WHERE witnesses = 0 AND id < ?", (stored,))

    # -- rows ------------------------------------------------------------------------------------------------------

    @contextmanager
    def one_moment(self) -> Iterator[None]:
        """Read several things as of one instant: no writer can commit, nor change the file, before this ends."""
        if self._connection.in_transaction:
            yield
            return
        with database.guarded(self.path, writing=False):
            self._connection.execute("BEGIN")
            try:
                self._connection.execute("SELECT COUNT(*) FROM meta").fetchone()  # takes the lock
                yield
            finally:
                self._connection.execute("COMMIT")

    def node(self, level: int, index: int) -> bytes:
        """Return a stored node's digest (48 bytes); see :mod:`airlift.ledger.tree`.

        Raises:
            LedgerError: it is missing.
        """
        rows = self.query("SELECT digest FROM nodes WHERE level = ? AND idx = ?", (level, index))
        if not rows or type(rows[0][0]) is not bytes or len(rows[0][0]) != tree.DIGEST_BYTES:
            raise LedgerError(f"{self.path} lacks a node of its tree", found=f"level {level}, index {index}")
        digest: bytes = rows[0][0]
        return digest

    def query(self, statement: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """Return the rows of a SELECT; text comes as bytes."""
        with database.guarded(self.path, writing=False):
            return self._connection.execute(statement, values).fetchall()

    def _meta(self, name: str) -> bytes:
        rows = self.query("SELECT value FROM meta WHERE name = ?", (name,))
        if not rows:
            raise LedgerError(f"{self.path} does not say its {name}")
        return _blob(rows[0][0], self.path)

    def _parsed(self, index: Any, data: Any) -> Entry:
        what = f"entry {index} of {self.path}"
        entry = entries_.parse(_blob(data, self.path), what)
        if entry.index != index:
            raise LedgerError(f"{what} says another index", found=str(entry.index))
        return entry


def _blob(value: Any, path: Path) -> bytes:
    if type(value) is not bytes:
        raise LedgerError(f"{path} holds a value of the wrong type")
    return value


def _condition(types: Sequence[str], release: str | None, bundle: str | None) -> tuple[str, list[str]]:
    """Return the rest of a WHERE clause, and its values."""
    clauses, values = "", list(types)
    if types:
        clauses += f" AND type IN ({', '.join('?' * len(types))})"
    for column, value in (("release", release), ("bundle", bundle)):
        if value is not None:
            clauses += f" AND {column} = ?"
            values.append(value)
    return clauses, values
