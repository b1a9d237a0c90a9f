"""The tree against an independent, recursive reading of RFC 9162, for every size up to 100."""

import hashlib

import pytest

from airlift.errors import LedgerError
from airlift.ledger import tree
from tests.support import merkle

SIZES = 100
LEAVES = [tree.leaf_digest(bytes([n])) for n in range(SIZES + 1)]


def naive(leaves: list[bytes]) -> bytes:
    """MTH as the RFC writes it."""
    if not leaves:
        return hashlib.sha384().digest()
    if len(leaves) == 1:
        return leaves[0]
    split = 1
    while split * 2 < len(leaves):
        split *= 2
    return hashlib.sha384(b"\x01" + naive(leaves[:split]) + naive(leaves[split:])).digest()


def naive_path(index: int, leaves: list[bytes]) -> list[bytes]:
    if len(leaves) == 1:
        return []
    split = 1
    while split * 2 < len(leaves):
        split *= 2
    if index < split:
        return [*naive_path(index, leaves[:split]), naive(leaves[split:])]
    return [*naive_path(index - split, leaves[split:]), naive(leaves[:split])]


def naive_subproof(old: int, leaves: list[bytes], whole: bool) -> list[bytes]:
    if old == len(leaves):
        return [] if whole else [naive(leaves)]
    split = 1
    while split * 2 < len(leaves):
        split *= 2
    if old <= split:
        return [*naive_subproof(old, leaves[:split], whole), naive(leaves[split:])]
    return [*naive_subproof(old - split, leaves[split:], False), naive(leaves[:split])]


@pytest.fixture(scope="module")
def nodes() -> dict[tuple[int, int], bytes]:
    """All stored nodes of the tree of SIZES leaves."""
    stored: dict[tuple[int, int], bytes] = {}
    frontier: tree.Digests = ()
    for size, leaf in enumerate(LEAVES[:SIZES]):
        frontier, added = tree.grow(frontier, size, leaf)
        stored |= {(level, index): digest for level, index, digest in added}
        assert len(stored) == tree.stored_nodes(size + 1)
    return stored


@pytest.fixture(scope="module")
def roots() -> list[bytes]:
    return [naive(LEAVES[:size]) for size in range(SIZES + 1)]


def lookup(nodes: dict[tuple[int, int], bytes]) -> tree.Node:
    return lambda level, index: nodes[level, index]


def test_known_digests() -> None:
    assert hashlib.sha384(b"").digest() == tree.EMPTY_ROOT
    assert tree.leaf_digest(b"x") == hashlib.sha384(b"\x00x").digest()
    assert tree.node_digest(b"l", b"r") == hashlib.sha384(b"\x01lr").digest()


def test_roots_of_every_size(nodes: dict[tuple[int, int], bytes], roots: list[bytes]) -> None:
    for size in range(SIZES + 1):
        assert merkle.root_from(LEAVES[:size]) == roots[size]
        assert tree.root_of(lookup(nodes), size) == roots[size]


def test_every_inclusion_proof(nodes: dict[tuple[int, int], bytes], roots: list[bytes]) -> None:
    for size in range(1, SIZES + 1):
        for index in range(size):
            path = tree.inclusion_proof(lookup(nodes), index, size)
            tree.verify_inclusion(path, index, size, LEAVES[index], roots[size])
            if size <= 33:
                assert list(path) == naive_path(index, LEAVES[:size])


def test_every_consistency_proof(nodes: dict[tuple[int, int], bytes], roots: list[bytes]) -> None:
    for new in range(SIZES + 1):
        for old in range(new + 1):
            path = tree.consistency_proof(lookup(nodes), old, new)
            merkle.verify_consistency(path, old, new, roots[old], roots[new])
            if old > 0 and new <= 33:
                assert list(path) == naive_subproof(old, LEAVES[:new], True)


def test_a_changed_inclusion_proof_fails(nodes: dict[tuple[int, int], bytes], roots: list[bytes]) -> None:
    for size in range(1, 33):
        for index in range(size):
            path = tree.inclusion_proof(lookup(nodes), index, size)
            wrong = [
                ((*path, LEAVES[0]), index, LEAVES[index]),
                (path, index, LEAVES[SIZES]),
                (path, size, LEAVES[index]),
                (path, -1, LEAVES[index]),
                *((path[:n] + path[n + 1 :], index, LEAVES[index]) for n in range(len(path))),
                *(
                    ((*path[:n], LEAVES[SIZES], *path[n + 1 :]), index, LEAVES[index])
                    for n in range(len(path))
                ),
                *((path, other, LEAVES[index]) for other in range(size) if other != index),
            ]
            for changed, place, leaf in wrong:
                with pytest.raises(LedgerError):
                    tree.verify_inclusion(changed, place, size, leaf, roots[size])


def test_a_changed_consistency_proof_fails(nodes: dict[tuple[int, int], bytes], roots: list[bytes]) -> None:
    for new in range(1, 25):
        for old in range(1, new + 1):
            path = tree.consistency_proof(lookup(nodes), old, new)
            wrong = [
                ((*path, LEAVES[0]), old, roots[old], roots[new]),
                (path, old, LEAVES[SIZES], roots[new]),
                (path, old, roots[old], LEAVES[SIZES]),
                *((path[:n] + path[n + 1 :], old, roots[old], roots[new]) for n in range(len(path))),
                *(
                    ((*path[:n], LEAVES[SIZES], *path[n + 1 :]), old, roots[old], roots[new])
                    for n in range(len(path))
                ),
            ]
            for changed, size, first, second in wrong:
                with pytest.raises(LedgerError):
                    merkle.verify_consistency(changed, size, new, first, second)


def test_out_of_range(nodes: dict[tuple[int, int], bytes], roots: list[bytes]) -> None:
    for index, size in ((5, 5), (-1, 5), (0, 0)):
        with pytest.raises(LedgerError):
            tree.inclusion_proof(lookup(nodes), index, size)
    for old, new in ((6, 5), (-1, 5)):
        with pytest.raises(LedgerError):
            tree.consistency_proof(lookup(nodes), old, new)
        with pytest.raises(LedgerError):
            merkle.verify_consistency((), old, new, roots[5], roots[5])
    with pytest.raises(LedgerError):
        merkle.verify_consistency((), 0, 5, roots[5], roots[5])
    with pytest.raises(LedgerError):
        merkle.verify_consistency((), 3, 5, roots[3], roots[5])


@pytest.mark.parametrize("path", [[b"short"], [LEAVES[0]] * 65])
def test_a_path_is_a_short_list_of_digests(path: list[bytes]) -> None:
    with pytest.raises(LedgerError, match="not a list of digests"):
        tree.verify_inclusion(path, 0, 2, LEAVES[0], LEAVES[0])
