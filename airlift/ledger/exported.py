"""The full verification of an export: the same proof as of a ledger, from one file (SPEC 9.7)."""

from airlift.errors import LedgerError
from airlift.ledger import checkpoint, entry, tree
from airlift.ledger.audit import Audit
from airlift.ledger.checkpoint import Checkpoint
from airlift.ledger.export import Export
from airlift.trust.keys import PublicKey


def verify(export: Export, key: PublicKey | None = None, kept: bytes | None = None) -> Audit:
    """Verify every entry and checkpoint of an export against ``key`` and an older, kept checkpoint note.

    The key that the export names for itself is used when ``key`` is None; that proves consistency, not origin.

    Raises:
        LedgerError: a checkpoint contradicts the entries, or the kept one does.
        SignatureError: a checkpoint is not signed by the key.
    """
    public = key or export.header.public
    roots = _roots(export)
    notes = [*export.checkpoints, *([kept] if kept is not None else [])]
    newest: Checkpoint | None = None
    for number, data in enumerate(notes):
        found = checkpoint.verify(data, export.header.origin, public, f"checkpoint {number}")
        if found.size >= len(roots) or roots[found.size] != found.root:
            raise LedgerError(f"checkpoint {number} covers another history", found=f"{found.size} entries")
        newest = found if newest is None or found.size > newest.size else newest
    if newest is None or newest.size != len(roots) - 1:
        raise LedgerError("the export does not end at a signed checkpoint")
    return Audit(newest.size, newest.root, len(export.checkpoints))


def _roots(export: Export) -> list[bytes]:
    """Return the root of every prefix of the entries, the empty one first."""
    frontier: tree.Digests = ()
    roots = [tree.EMPTY_ROOT]
    for item in export.entries:
        frontier, _ = tree.grow(frontier, item.index, tree.leaf_digest(entry.format(item)))
        roots.append(tree.fold(frontier))
    return roots
