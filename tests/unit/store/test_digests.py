"""Digests of bytes as they come: in whatever parts, those of the pieces are those of the pieces."""

import hashlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airlift.bundle import release as releases
from airlift.store.content import ContentFolder, digest
from airlift.store.digests import Digests, PieceDigests

PIECE = 1000
DATA = bytes(n * 7 % 251 for n in range(10_500))


@pytest.fixture(autouse=True, name="_small")
def _small() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(releases, "PIECE_BYTES", PIECE)
        yield


def pieces(data: bytes) -> bytes:
    """Return what the SHA-512 of the pieces of these bytes are, joined."""
    return b"".join(hashlib.sha512(data[n : n + PIECE]).digest() for n in range(0, len(data), PIECE))


@given(st.lists(st.integers(1, 3000), max_size=12))
def test_any_cuts(cuts: list[int]) -> None:
    running, done = PieceDigests(), 0
    for cut in cuts:
        running.add(memoryview(DATA)[done : done + cut])
        done = min(done + cut, len(DATA))
    assert running.joined() == (pieces(DATA[:done]) if done > PIECE else b"")


@pytest.mark.parametrize("length", [0, 1, 999, 1000, 1001, 2000, 2001, 10_500])
def test_all_digests_of_one_pass(length: int) -> None:
    data = DATA[:length]
    with ThreadPoolExecutor(1) as beside:
        for running in (Digests(), Digests(beside=beside)):
            buffer = bytearray(700)  # used again, as a reader does
            for at in range(0, length, 700):
                part = data[at : at + 700]
                buffer[: len(part)] = part
                running.add(memoryview(buffer)[: len(part)])
            found = running.digested()
            assert (found.size, found.sha512) == (length, hashlib.sha512(data).hexdigest())
            assert found.sha256 == hashlib.sha256(data).hexdigest()
            assert found.pieces == (pieces(data) if length > PIECE else b"")
    assert Digests(pieces=False).digested().pieces == b""


def test_a_file_whose_pieces_are_asked_for(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(DATA)
    with path.open("rb") as file:
        assert digest(file.fileno(), path, lambda _count: None).pieces == b""
        assert digest(file.fileno(), path, lambda _count: None, pieces=True).pieces == pieces(DATA)
    (tmp_path / "content").mkdir()
    content = ContentFolder(tmp_path / "content")
    with path.open("rb") as file:
        kept = content.keep(file.fileno(), path, lambda _count: None, sizes=(), pieces=True)
        again = content.keep(file.fileno(), path, lambda _count: None, sizes={len(DATA)}, pieces=True)
    assert (kept.new, again.new, kept.pieces, again.pieces) == (True, False, pieces(DATA), pieces(DATA))
    assert content.verified_stamp(kept.sha512, lambda _count: None, pieces(DATA))
    assert content.verified_stamp(kept.sha512, lambda _count: None, pieces(DATA)[64:]) is None
