"""The full verification of an export: the same proof as of a ledger, from one file (SPEC 9.7)."""

from airlift.errors import LedgerError, SignatureError
from airlift.ledger import checkpoint, entry, tree
from airlift.ledger.audit import Audit
from airlift.ledger.checkpoint import Checkpoint
from airlift.ledger.export import Export
from airlift.trust.keys.public import PublicKey


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
