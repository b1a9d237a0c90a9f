"""The Merkle tree of RFC 9162 section 2.1 with SHA-384: pure functions, no I/O (SPEC 9.1).

Leaves are bytes; ``D[start:end)`` is the half-open run of leaves that a digest covers. A stored node ``(level,
index)`` is the digest of the complete subtree over leaves ``[index << level, (index + 1) << level)``; only complete
subtrees are stored, so a stored node never changes. ``Node`` is the callable that looks one up.

A *frontier* is the tuple of roots of the complete subtrees that make up a tree, left to right: one digest for every
bit set in the tree's size. It is all that is needed to append, in O(log n).
"""

import hashlib
from collections.abc import Callable, Sequence

from airlift.errors import LedgerError

DIGEST_BYTES = 48
MAX_SIZE = 2**53 - 1
MAX_PATH = 64

Digests = tuple[bytes, ...]
Node = Callable[[int, int], bytes]
StoredNode = tuple[int, int, bytes]

EMPTY_ROOT = hashlib.sha384(b"").digest()
"""MTH({}) = HASH() (RFC 9162 section 2.1.1)."""


def leaf_digest(data: bytes) -> bytes:
    """Return MTH({d[0]}) = HASH(0x00 || d[0]) (RFC 9162 section 2.1.1)."""
    return hashlib.sha384(b"\x00" + data).digest()


def node_digest(left: bytes, right: bytes) -> bytes:
    """Return HASH(0x01 || left || right) (RFC 9162 section 2.1.1)."""
    return hashlib.sha384(b"\x01" + left + right).digest()


# -- growing -------------------------------------------------------------------------------------------------------


def grow(frontier: Digests, size: int, leaf: bytes) -> tuple[Digests, list[StoredNode]]:
    """Append a leaf digest to a tree of ``size`` leaves.

    Returns the new frontier and the nodes that became complete, leaf first.
    """
    peaks, nodes, level, digest = list(frontier), [(0, size, leaf)], 0, leaf
    while size >> level & 1:
        digest = node_digest(peaks.pop(), digest)
        level += 1
        nodes.append((level, size >> level, digest))
    return (*peaks, digest), nodes


def fold(frontier: Digests) -> bytes:
    """Return the root of the tree whose frontier this is: MTH splits at the largest power of two (2.1.1)."""
    if not frontier:
        return EMPTY_ROOT
    digest = frontier[-1]
    for peak in reversed(frontier[:-1]):
        digest = node_digest(peak, digest)
    return digest


def frontier_of(node: Node, size: int) -> Digests:
    """Return the frontier of the tree of the first ``size`` leaves from stored nodes."""
    levels = [level for level in reversed(range(size.bit_length())) if size >> level & 1]
    return tuple(node(level, (size >> level) - 1) for level in levels)


def root_of(node: Node, size: int) -> bytes:
    """Return the root of the tree of the first ``size`` leaves from stored nodes, in O(log n)."""
    return fold(frontier_of(node, size))


def stored_nodes(size: int) -> int:
    """Return how many complete subtrees a tree of ``size`` leaves has."""
    return sum(size >> level for level in range(size.bit_length()))


# -- proofs --------------------------------------------------------------------------------------------------------


def inclusion_proof(node: Node, index: int, size: int) -> Digests:
    """Return PATH(index, D[0:size)): siblings from the leaf upwards (RFC 9162 section 2.1.3.1).

    Raises:
        LedgerError: ``index`` is not in ``[0, size)``.
    """
    if not 0 <= index < size <= MAX_SIZE:
        raise LedgerError("no such entry", expected=f"an index below {size}", found=str(index))
    path, start, end = [], 0, size
    while end - start > 1:
        middle = start + _split(end - start)
        if index < middle:
            path.append(_subtree(node, middle, end))
            end = middle
        else:
            path.append(_subtree(node, start, middle))
            start = middle
    return tuple(reversed(path))


def verify_inclusion(path: Sequence[bytes], index: int, size: int, leaf: bytes, root: bytes) -> None:
    """Verify that ``leaf`` is at ``index`` of the tree of ``size`` leaves with ``root`` (section 2.1.3.2).

    Raises:
        LedgerError: it is not, or the path has the wrong length.
    """
    if not 0 <= index < size <= MAX_SIZE:
        raise LedgerError(
            "an inclusion proof is out of range", expected=f"an index below {size}", found=str(index)
        )
    position, last, digest = index, size - 1, leaf
    for sibling in _checked(path):
        if last == 0:
            raise LedgerError("an inclusion proof is too long")
        if position & 1 or position == last:
            digest = node_digest(sibling, digest)
            while not position & 1 and position:
                position, last = position >> 1, last >> 1
        else:
            digest = node_digest(digest, sibling)
        position, last = position >> 1, last >> 1
    if last != 0 or digest != root:
        raise LedgerError("an inclusion proof does not lead to the root")


def consistency_proof(node: Node, old: int, new: int) -> Digests:
    """Return PROOF(old, D[0:new)) for ``0 <= old <= new`` (RFC 9162 section 2.1.4.1); empty for 0 and for equals.

    Raises:
        LedgerError: ``old`` is larger than ``new``.
    """
    if not 0 <= old <= new <= MAX_SIZE:
        raise LedgerError("a tree cannot shrink", expected=f"a size of at most {new}", found=str(old))
    if old in {0, new}:
        return ()
    path, start, end, whole = [], 0, new, True
    while end - start and end != old:  # SUBPROOF(m, D[start:end), b), b = whole
        middle = start + _split(end - start)
        if old <= middle:
            path.append(_subtree(node, middle, end))
            end = middle
        else:
            path.append(_subtree(node, start, middle))
            start, whole = middle, False
    if not whole:
        path.append(_subtree(node, start, end))
    return tuple(reversed(path))


def _split(count: int) -> int:
    """Return the largest power of two smaller than ``count`` (``count`` > 1)."""
    return 1 << ((count - 1).bit_length() - 1)


def _subtree(node: Node, start: int, end: int) -> bytes:
    """Return MTH(D[start:end)) where ``start`` is a multiple of the largest power of two within the run."""
    offset, digests = start, []
    for level in reversed(range((end - start).bit_length())):
        if (end - start) >> level & 1:
            digests.append(node(level, offset >> level))
            offset += 1 << level
    return fold(tuple(digests))


def _checked(path: Sequence[bytes]) -> Digests:
    if len(path) > MAX_PATH or any(len(digest) != DIGEST_BYTES for digest in path):
        raise LedgerError(
            "a proof is not a list of digests", expected=f"at most {MAX_PATH} of {DIGEST_BYTES} bytes"
        )
    return tuple(path)
