"""Full verification of the ledger, and of an exported copy of it, also against kept checkpoints (SPEC 9.5)."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from airlift import files
from airlift.bundle.returns.receipt import PAYLOAD_TYPE
from airlift.errors import LedgerError
from airlift.high.enclave.enclave import Enclave
from airlift.ledger import audit, export, kept_state
from airlift.ledger.entries.kinds import BRINGING
from airlift.ledger.entry import Entry
from airlift.ledger.log import CONTENT_BYTES, Log
from airlift.trust.keys.public import PublicKey
from airlift.trust.statements import dsse

MAX_KEPT_BYTES = 96 << 20
"""How long a file with a kept checkpoint may be: an answer with its proof is the longest."""
INDEXED = 1024
"""How many imports are held against the index of files in one reading of it."""


@dataclass(frozen=True, slots=True)
class Verification:
    """What a full verification of the ledger proved; ``kept`` checkpoints from elsewhere agree with it."""

    size: int
    root: str
    checkpoints: int
    ok: bool
    kept: int


def verify_ledger(
    enclave: Enclave, *, public_key: PublicKey | None, kept: Sequence[Path] = ()
) -> Verification:
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


def verify_exported_ledger(
    path: Path, *, public_key: PublicKey | None, kept: Sequence[Path] = ()
) -> Verification:
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
        if document.get("payloadType") == PAYLOAD_TYPE:
            document = json.loads(dsse.parse(data, limit=MAX_KEPT_BYTES).payload)
            return str(document["checkpoint"]).encode()
        return str(document["data"]["proof"]["checkpoint"]).encode()
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise LedgerError(
            f"{path} holds no checkpoint", expected="a checkpoint, a receipt, or an answer with its proof"
        ) from error


def _check_contents(enclave: Enclave, log: Log) -> None:
    """Compare what files are found by with the release manifests that the entries name, many entries at a time."""
    stray = "SELECT COUNT(*) FROM contents WHERE idx NOT IN (SELECT idx FROM entries WHERE type IN (?, ?))"
    if log.query(stray, BRINGING)[0][0]:
        raise LedgerError(f"{log.path} lets files be found that no import brought")
    commits = log.entries(types=BRINGING)
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
    """Yield the beginnings of digests by which the files are found that an entry brought."""
    digests = enclave.load_release(entry.release).digests() if entry.release else ()
    return (bytes.fromhex(digest)[:CONTENT_BYTES] for digest in digests)
