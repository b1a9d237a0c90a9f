"""Assess the record: verify all of it, hold it against kept checkpoints, have it witnessed, copy it (SPEC 9.5)."""

import json
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from airlift import files
from airlift.errors import LedgerError, UsageError
from airlift.high.enclave.enclave import Enclave
from airlift.high.record.output import check_new
from airlift.ledger import audit, export, kept_state, note
from airlift.ledger.entries.imports import ImportCommit
from airlift.ledger.entry import Entry
from airlift.ledger.log import CONTENT_BYTES, Log
from airlift.trust.keys.key import PublicKey, Signer
from airlift.trust.statements import dsse

MAX_KEPT_BYTES = 96 << 20
INDEXED = 1024
"""How many imports are held against the index of files in one reading of it."""
RECEIPT = "application/vnd.airlift.receipt+json"


@dataclass(frozen=True, slots=True)
class Verification:
    """What a full verification of the ledger proved; ``kept`` checkpoints from elsewhere agree with it."""

    size: int
    root: str
    checkpoints: int
    ok: bool
    kept: int


def verify(enclave: Enclave, *, public_key: PublicKey | None, kept: Sequence[Path] = ()) -> Verification:
    """Recompute the whole ledger and what its files are found by, and hold it against kept checkpoints.

    Raises:
        LedgerError, SignatureError: the record was changed.
    """
    with enclave.ledger() as log:
        result = audit.verify_log(log, public_key)
        for path in kept:
            log.check_kept(read_kept(path), str(path))
        _check_contents(enclave, log)
        kept_state.check(log, enclave.state_path)
    return Verification(result.size, result.root.hex(), result.checkpoints, ok=True, kept=len(kept))


def verify_export(path: Path, *, public_key: PublicKey | None, kept: Sequence[Path] = ()) -> Verification:
    """Do the same for an exported ledger file; no enclave is needed."""
    read = export.read(path)
    for old in kept:
        export.verify(read, public_key, read_kept(old))
    result = export.verify(read, public_key)
    return Verification(result.size, result.root.hex(), result.checkpoints, ok=True, kept=len(kept))


def read_kept(path: Path) -> bytes:
    """Return the checkpoint note in a file: the note itself, or what a receipt or an answer carries.

    Nothing is verified here: a note stands on its own signature.

    Raises:
        LedgerError: there is none in it.
    """
    data = files.read_bounded(path, MAX_KEPT_BYTES)
    if not data.startswith(b"{"):
        return data
    try:
        document = json.loads(data)
        if document.get("payloadType") == RECEIPT:
            document = json.loads(dsse.parse(data, limit=MAX_KEPT_BYTES).payload)
            return str(document["checkpoint"]).encode()
        return str(document["data"]["proof"]["checkpoint"]).encode()
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise LedgerError(
            f"{path} holds no checkpoint", expected="a checkpoint, a receipt, or an answer with its proof"
        ) from error


def _check_contents(enclave: Enclave, log: Log) -> None:
    """Compare what files are found by with the release manifests that the entries name, many entries at a time."""
    stray = "SELECT COUNT(*) FROM contents WHERE idx NOT IN (SELECT idx FROM entries WHERE type = ?)"
    if log.query(stray, (ImportCommit.TYPE,))[0][0]:
        raise LedgerError(f"{log.path} lets files be found that no import brought")
    commits = log.entries(types=(ImportCommit.TYPE,))
    while some := tuple(islice(commits, INDEXED)):
        expected = {(entry.index, cut) for entry in some for cut in _cuts(enclave, entry)}
        found = log.query(
            "SELECT idx, digest FROM contents WHERE idx >= ? AND idx <= ?", (some[0].index, some[-1].index)
        )
        odd = expected.symmetric_difference(found)
        if odd:
            raise LedgerError(
                f"entry {min(odd)[0]} of {log.path} is found by other files than its release has"
            )


def _cuts(enclave: Enclave, entry: Entry) -> Iterator[bytes]:
    """Yield the beginnings of digests by which an import's files are found."""
    digests = enclave.load_release(entry.release).digests() if entry.release else ()
    return (bytes.fromhex(digest)[:CONTENT_BYTES] for digest in digests)


# -- witness -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class WitnessResult:
    """What a witness signed: ``size`` entries with ``root``; ``held_against`` is the size of its own last checkpoint.

    ``held_against`` is None for a witness that had signed nothing before.
    """

    witness: str
    size: int
    root: str
    held_against: int | None
    already: bool
    note: str


def witness(
    enclave: Enclave,
    *,
    signer: Signer,
    name: str,
    kept: Sequence[Path] = (),
    output: Path | None = None,
    dry_run: bool = False,
) -> WitnessResult:
    """Countersign the newest checkpoint, after checking that the ledger still holds all that the witness saw before.

    Raises:
        LedgerError: the ledger was cut or rewritten since.
        UsageError: the key is the ledger's own.
        ExistsError: ``output`` exists.
    """
    if output is not None:
        check_new(output)
    with nullcontext() if dry_run else enclave.lock(), enclave.ledger(writable=not dry_run) as log:
        if signer.public == log.public:
            raise UsageError("the ledger's own key is no witness", hint="use a key that somebody else holds")
        before = [_own(log, signer.public), *(log.check_kept(read_kept(p), str(p)).size for p in kept)]
        sizes = [size for size in before if size is not None]
        head, already = log.head(), bool(note.signed_by(note.parse(log.checkpoint()), signer.public))
        signed = log.checkpoint() if dry_run else log.countersign(name, signer)
    if output is not None and not dry_run:
        files.write_durable(output, signed, mode=0o644, replace=False)
    return WitnessResult(name, head.size, head.root.hex(), max(sizes, default=None), already, signed.decode())


def _own(log: Log, key: PublicKey) -> int | None:
    """Check the newest checkpoint in the ledger that a witness signed; return its size."""
    for data in reversed(list(log.checkpoints())):
        if note.signed_by(note.parse(data), key):
            return log.check_kept(data, "the witness's last checkpoint").size
    return None


# -- copies --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class CopyResult:
    """What was written where: how many entries it covers, and the root."""

    output: str
    size: int
    root: str


def keep_checkpoint(enclave: Enclave, output: Path) -> CopyResult:
    """Write the newest checkpoint, to be kept where nobody who can change the ledger can change it.

    Raises:
        ExistsError: ``output`` exists.
    """
    check_new(output)
    with enclave.ledger() as log:
        data, head = log.checkpoint(), log.head()
    files.write_durable(output, data, mode=0o644, replace=False)
    return CopyResult(str(output), head.size, head.root.hex())


def backup(enclave: Enclave, output: Path) -> CopyResult:
    """Write a copy of the ledger's database as of one instant, whole or not at all; writers wait meanwhile.

    Raises:
        ExistsError: ``output`` exists.
        StorageError: it cannot be written.
    """
    check_new(output)
    with enclave.ledger() as log, log.one_moment():
        head, offset = log.head(), 0
        with files.writer(output, mode=0o600, replace=False) as target, files.opened(log.path) as source:
            while data := files.read_at(source, offset, files.COPY_BYTES):
                target.write(data)
                offset += len(data)
    return CopyResult(str(output), head.size, head.root.hex())


@dataclass(frozen=True, slots=True)
class ExportResult:
    """What was written where, and the fingerprint of the key that verifies it."""

    output: str
    entries: int
    checkpoints: int
    fingerprint: str


def export_ledger(enclave: Enclave, output: Path) -> ExportResult:
    """Write the whole ledger into one file that an assessor verifies with a public key alone.

    Raises:
        ExistsError: ``output`` exists.
    """
    with enclave.ledger() as log:
        header = export.write(log, output)
    return ExportResult(str(output), header.entries, header.checkpoints, header.public.fingerprint)
