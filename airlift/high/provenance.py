"""Provenance: questions to the ledger and to history, answered in plain values (SPEC 9.8)."""

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from airlift import files
from airlift.bundle import manifest
from airlift.bundle.fields import format_time
from airlift.errors import NotHeldError
from airlift.high.enclave import Enclave
from airlift.ledger import audit, export, exported, lineage, query
from airlift.ledger.entry import Entry
from airlift.ledger.lineage import Node, Record
from airlift.trust.keys import PublicKey

MAX_CHECKPOINT_BYTES = 64 << 10


def load_record(enclave: Enclave) -> Record:
    """Return every manifest that was imported, verified by digest against the ledger, and all entries."""
    with enclave.ledger() as log:
        entries = tuple(log.entries())
    commits = [entry for entry in entries if entry.type == "import-commit"]
    found = {entry.release: enclave.load_release(entry.release) for entry in commits if entry.release}
    bundles = {
        digest: manifest.parse(enclave.load_document(digest, manifest.MAX_BYTES))
        for digest in (entry.detail["bundle_manifest"] for entry in commits)
    }
    return Record(found, bundles, entries)


def trace(enclave: Enclave, subject: str) -> tuple[Node, ...]:
    """Return the lineage of everything that ``subject`` names.

    Raises:
        NotHeldError: nothing does.
    """
    return lineage.trace(load_record(enclave), subject)


@dataclass(frozen=True, slots=True)
class ActiveAt:
    """What was active at a time: the release and the entries that say so."""

    time: str
    release: str
    digest: str
    since: dict[str, Any]
    until: dict[str, Any] | None
    components: tuple[dict[str, Any], ...]


def at(enclave: Enclave, moment: datetime) -> ActiveAt:
    """Return what was active at ``moment``.

    Raises:
        NotHeldError: nothing was.
    """
    text = format_time(moment)
    with enclave.ledger() as log:
        period = query.active_at(log.entries(), text)
    if period is None:
        raise NotHeldError("nothing was active then", expected=text, hint="see `airlift provenance history`")
    release = enclave.load_release(period.release)
    return ActiveAt(
        time=text,
        release=release.label,
        digest=release.digest,
        since=period.since.to_json(),
        until=period.until.to_json() if period.until else None,
        components=tuple(
            {"name": c.name, "kind": c.kind, "version": c.version, "digest": c.digest}
            for c in release.components
        ),
    )


def history(
    enclave: Enclave, *, since: datetime | None = None, component: str | None = None
) -> tuple[Entry, ...]:
    """Return the entries since a time, and about one component if it is given."""
    with enclave.ledger() as log:
        return tuple(
            query.history(log.entries(), since=format_time(since) if since else None, component=component)
        )


@dataclass(frozen=True, slots=True)
class Verification:
    """What a full verification of the ledger proved."""

    size: int
    root: str
    checkpoints: int
    ok: bool


def verify(enclave: Enclave, *, public_key: PublicKey | None, checkpoint: Path | None) -> Verification:
    """Recompute the whole ledger, and hold it against an older checkpoint if one was kept.

    Raises:
        LedgerError, SignatureError: the record was changed.
    """
    with enclave.ledger() as log:
        result = audit.verify(log, public_key)
        if checkpoint is not None:
            log.check_kept(files.read_bounded(checkpoint, MAX_CHECKPOINT_BYTES), str(checkpoint))
    return Verification(result.size, result.root.hex(), result.checkpoints, ok=True)


def verify_export(path: Path, *, public_key: PublicKey | None, checkpoint: Path | None) -> Verification:
    """Do the same for an exported ledger file; no enclave is needed."""
    kept = files.read_bounded(checkpoint, MAX_CHECKPOINT_BYTES) if checkpoint else None
    result = exported.verify(export.read(path), public_key, kept)
    return Verification(result.size, result.root.hex(), result.checkpoints, ok=True)


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
