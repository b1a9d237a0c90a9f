"""Proofs that go with an answer, so that it can be checked alone (SPEC 9.11).

    {"origin": "airlift/alpha", "checkpoint": <note>, "documents": [<base64>, ...],
     "entries": [{"index": 5, "leaf": <canonical JSON of the entry>, "path": [<base64>, ...]}, ...],
     "consistency": [{"checkpoint": <older note>, "path": [<base64>, ...]}, ...]}

All proofs lead to the one checkpoint, the newest. ``airlift/verify.py`` checks them, and that the answer says nothing
that does not stand in a proven entry, or in a document that one of them names by its SHA-512.
"""

import base64
from collections.abc import Collection, Iterable
from typing import Any

from airlift.errors import UsageError
from airlift.ledger import entry, tree
from airlift.ledger.log import Log

MAX_ENTRIES = 10_000
MAX_DOCUMENT_BYTES = 64 << 20


def prove(
    log: Log, indices: Collection[int], documents: Iterable[bytes] = (), older: Iterable[bytes] = ()
) -> dict[str, Any]:
    """Return the proof of these entries, with documents that they name, and consistency with older checkpoint notes.

    Raises:
        UsageError: more than MAX_ENTRIES, or documents of more than MAX_DOCUMENT_BYTES.
        LedgerError: there is no such entry, or an older checkpoint contradicts the ledger.
    """
    held = list(documents)
    if len(indices) > MAX_ENTRIES or sum(map(len, held)) > MAX_DOCUMENT_BYTES:
        raise UsageError(
            "the answer is too large to be proven in one file",
            expected=f"at most {MAX_ENTRIES} entries and {MAX_DOCUMENT_BYTES >> 20} MiB of documents",
            hint="ask for less (--limit N), or export the whole ledger: `airlift provenance export --as ledger`",
        )
    head, newest = log.newest()
    return {
        "origin": log.origin,
        "checkpoint": newest.decode(),
        "entries": [_entry(log, index, head.size) for index in sorted(set(indices))],
        "documents": [_encode(data) for data in held],
        "consistency": [_consistency(log, note, head.size) for note in older],
    }


def _entry(log: Log, index: int, size: int) -> dict[str, Any]:
    leaf = entry.format(log.entry(index))
    path = tree.inclusion_proof(log.node, index, size)
    return {"index": index, "leaf": leaf.decode(), "path": [_encode(digest) for digest in path]}


def _consistency(log: Log, note: bytes, size: int) -> dict[str, Any]:
    kept = log.check_kept(note)
    path = tree.consistency_proof(log.node, kept.size, size)
    return {"checkpoint": note.decode(), "path": [_encode(digest) for digest in path]}


def _encode(data: bytes) -> str:
    return base64.b64encode(data).decode()
