"""The other half of the Merkle tree: what whoever receives roots and proofs does with them (RFC 9162)."""

from collections.abc import Iterable, Sequence

from airlift.errors import LedgerError
from airlift.ledger import tree


def root_from(leaves: Iterable[bytes]) -> bytes:
    """Return the root over leaf digests, in order."""
    frontier: tree.Digests = ()
    for size, leaf in enumerate(leaves):
        frontier, _ = tree.grow(frontier, size, leaf)
    return tree.fold(frontier)


def verify_consistency(path: Sequence[bytes], old: int, new: int, old_root: bytes, new_root: bytes) -> None:
    """Verify that the tree of ``old`` leaves is a prefix of the tree of ``new`` leaves (section 2.1.4.2).

    Raises:
        LedgerError: it is not, or the proof has the wrong length.
    """
    path = tuple(path)
    if not 0 <= old <= new <= tree.MAX_SIZE:
        raise LedgerError("a tree cannot shrink", expected=f"a size of at least {old}", found=str(new))
    if old in {0, new}:
        if path or old_root != (tree.EMPTY_ROOT if old == 0 else new_root):
            raise LedgerError("two roots of one tree size differ")
        return
    if old & (old - 1) == 0:
        path = (old_root, *path)
    if not path or _replay(path, old - 1, new - 1) != (old_root, new_root):
        raise LedgerError("a consistency proof does not connect the roots")


def _replay(path: tree.Digests, position: int, last: int) -> tuple[bytes, bytes]:
    """Return the old and the new root that a consistency proof leads to (RFC 9162 section 2.1.4.2, steps 3-6)."""
    while position & 1:
        position, last = position >> 1, last >> 1
    older = newer = path[0]
    for sibling in path[1:]:
        if last == 0:
            raise LedgerError("a consistency proof is too long")
        if position & 1 or position == last:
            older, newer = tree.node_digest(sibling, older), tree.node_digest(sibling, newer)
            while not position & 1 and position:
                position, last = position >> 1, last >> 1
        else:
            newer = tree.node_digest(newer, sibling)
        position, last = position >> 1, last >> 1
    if last != 0:
        raise LedgerError("a consistency proof is too short")
    return older, newer
