r"""The ledger as one text file that an assessor verifies with a public key alone (SPEC 9.7).

Lines of canonical JSON, each ended by a newline:

    {"airlift":1,"checkpoints":2,"entries":3,"origin":"airlift/alpha","public_key":"-----BEGIN ...","type":"ledger"}
    {"actor":...,"airlift":1,...,"index":0,...}             every entry's canonical bytes, a leaf each
    {"checkpoint":"airlift/alpha\n2\n...\n\n— ..."}        every checkpoint note, by ascending size
    {"digest":"<SHA-384 of all bytes before this line, hex>"}

The last line is no proof of anything: it finds damage in transit, also in signatures whose keys the reader lacks.
``airlift/verify.py`` reads this format without anything else of airlift.
"""

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

from airlift import files, strict
from airlift.errors import ExistsError, FormatTooNewError, LedgerError, MalformedError, SignatureError
from airlift.ledger import checkpoint, entry, note, tree
from airlift.ledger.audit import Audit
from airlift.ledger.checkpoint import Checkpoint
from airlift.ledger.entry import Entry
from airlift.ledger.log import Log
from airlift.trust.keys.public import PublicKey

FORMAT = 1
MAX_LINE_BYTES = entry.MAX_BYTES
MAX_HEADER_BYTES = 64 * 1024
MAX_ENTRIES = 10_000_000

_HEADER_KEYS = frozenset({"airlift", "type", "origin", "public_key", "entries", "checkpoints"})


@dataclass(frozen=True, slots=True)
class Header:
    """What an export claims to be; nothing of it is verified."""

    origin: str
    public: PublicKey
    entries: int
    checkpoints: int


@dataclass(frozen=True, slots=True)
class Export:
    """A parsed export: its header, its entries in order, and its checkpoint notes by ascending size."""

    header: Header
    entries: tuple[Entry, ...]
    checkpoints: tuple[bytes, ...]


def write(log: Log, path: Path) -> Header:
    """Write the whole ledger to ``path``, durably, whole or not at all; return what was written.

    Raises:
        ExistsError: ``path`` exists already.
    """
    head, newest = log.newest()
    end, older = head.size, "SELECT COUNT(DISTINCT size) FROM checkpoints WHERE size < ?"
    header = Header(log.origin, log.public, end, log.query(older, (end,))[0][0] + 1)
    if path.is_symlink() or path.exists():
        raise ExistsError(f"{path} exists")
    with files.writer(path, replace=False) as file:
        for line in lines(header, log.entries(0, end), chain(log.checkpoints(end), (newest,))):
            file.write(line)
    return header


def lines(header: Header, entries: Iterable[Entry], checkpoints: Iterable[bytes]) -> Iterator[bytes]:
    """Yield the lines of an export, each with its newline; surplus checkpoints are left out."""
    running = hashlib.sha384()
    for data in _body(header, entries, checkpoints):
        running.update(data + b"\n")
        yield data + b"\n"
    yield strict.format({"digest": running.hexdigest()}) + b"\n"


def read(path: Path) -> Export:
    """Read an export line by line, every line bounded; nothing is verified but the last line's digest.

    Raises:
        MalformedError: it is no export.
        FormatTooNewError: it has a later format.
        UncheckedError: it cannot be read.
    """
    with files.reading(path), path.open("rb") as file:
        return parse(iter(lambda: file.readline(MAX_LINE_BYTES + 2), b""))


def parse(source: Iterator[bytes]) -> Export:
    """Parse the lines of an export, each with its newline; see :func:`read`."""
    running = hashlib.sha384()
    header = _parse_header(_next(source, running))
    found = tuple(entry.parse(_next(source, running), f"entry {index}") for index in range(header.entries))
    if any(item.index != index for index, item in enumerate(found)):
        raise MalformedError("an export's entries are not in order")
    notes = tuple(_parse_checkpoint(_next(source, running)) for _ in range(header.checkpoints))
    expected = strict.format({"digest": running.hexdigest()})
    if _next(source, running) != expected or next(source, b""):
        raise MalformedError("an export does not end in the digest of its lines")
    return Export(header, found, notes)


def verify(export: Export, key: PublicKey | None = None, kept: bytes | None = None) -> Audit:
    """Verify every entry and checkpoint of an export against ``key`` and an older, kept checkpoint note.

    The key that the export names for itself is used when ``key`` is None; that proves consistency, not origin.

    Raises:
        LedgerError: a checkpoint contradicts the entries, or the kept one does.
        SignatureError: a checkpoint is not signed by the key.
    """
    public = export.header.public
    if key is not None and key != public:
        raise SignatureError(
            "the export names another ledger key",
            expected=key.fingerprint[:16],
            found=public.fingerprint[:16],
        )
    roots, newest = _roots(export), None
    for number, data in enumerate(export.checkpoints):
        newest = _agree(export, roots, data, f"checkpoint {number}")
    if kept is not None:
        _agree(export, roots, kept, "the kept checkpoint")
    if newest is None or newest.size != len(roots) - 1:
        raise LedgerError("the export does not end at a signed checkpoint")
    return Audit(newest.size, newest.root, len(export.checkpoints))


# -- inside --------------------------------------------------------------------------------------------------------


def _body(header: Header, entries: Iterable[Entry], checkpoints: Iterable[bytes]) -> Iterator[bytes]:
    yield strict.format(
        {
            "airlift": FORMAT,
            "type": "ledger",
            "origin": header.origin,
            "public_key": header.public.pem().decode(),
            "entries": header.entries,
            "checkpoints": header.checkpoints,
        }
    )
    yield from map(entry.format, entries)
    for _, data in zip(range(header.checkpoints), checkpoints, strict=False):
        yield strict.format({"checkpoint": data.decode()})


def _parse_header(line: bytes) -> Header:
    what = "export header"
    document: dict[str, Any] = strict.parse(line, limit=MAX_HEADER_BYTES, what=what)
    if strict.member(document, "type", str, what) != "ledger":
        raise MalformedError("not the export of a ledger")
    version = strict.member(document, "airlift", int, what)
    if version > FORMAT:
        raise FormatTooNewError(f"{what} has format {version}", expected=f"at most {FORMAT}")
    strict.only(document, _HEADER_KEYS, what)
    pem = strict.member(document, "public_key", str, what).encode()
    public = PublicKey.from_pem(pem, f"public key in {what}")
    if version != FORMAT or public.pem() != pem:
        raise MalformedError(f"{what} is not in canonical form")
    return Header(
        origin=checkpoint.check_origin(strict.member(document, "origin", str, what)),
        public=public,
        entries=_count(document, "entries"),
        checkpoints=_count(document, "checkpoints"),
    )


def _count(document: dict[str, Any], key: str) -> int:
    value: int = strict.member(document, key, int, "export header")
    if not 0 <= value <= MAX_ENTRIES:
        raise MalformedError(f"export header: {key!r} is out of range", expected=f"at most {MAX_ENTRIES}")
    return value


def _parse_checkpoint(line: bytes) -> bytes:
    what = "checkpoint line"
    document = strict.only(
        strict.parse(line, limit=2 * note.MAX_BYTES, what=what), frozenset({"checkpoint"}), what
    )
    data: bytes = strict.member(document, "checkpoint", str, what).encode()
    checkpoint.parse(note.parse(data).text)
    return data


def _next(source: Iterator[bytes], running: Any) -> bytes:
    """Return the next line without its newline, after adding it to the running digest."""
    line = next(source, b"")
    if not line.endswith(b"\n") or len(line) > MAX_LINE_BYTES + 1:
        raise MalformedError("an export ends early, or has a line that is too long")
    running.update(line)
    return line[:-1]


def _agree(export: Export, roots: list[bytes], data: bytes, what: str) -> Checkpoint:
    found = checkpoint.verify(data, export.header.origin, export.header.public, what)
    if found.size >= len(roots) or roots[found.size] != found.root:
        raise LedgerError(f"{what} covers another history", found=f"{found.size} entries")
    return found


def _roots(export: Export) -> list[bytes]:
    """Return the root of every prefix of the entries, the empty one first."""
    frontier: tree.Digests = ()
    roots = [tree.EMPTY_ROOT]
    for index, item in enumerate(export.entries):
        frontier, _ = tree.grow(frontier, index, tree.leaf_digest(entry.format(item)))
        roots.append(tree.fold(frontier))
    return roots
