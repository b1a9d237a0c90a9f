"""Parts of files at rest that are digested at once: what is damaged is named, part by part (SPEC 7.3-8, 8.4-1)."""

import hashlib
import random
from collections.abc import Sequence
from pathlib import Path

import pytest

from airlift import digests, files
from airlift.bundle import release as releases
from airlift.bundle.fields import FileDigest
from airlift.high.enclave.expected import Expected, Part, Range, damage, together

PIECE = 1000
DATA = random.Random(9).randbytes(6300)
SHA512 = hashlib.sha512(DATA).hexdigest()
CONTENT = FileDigest(SHA512, len(DATA))
PIECES = b"".join(hashlib.sha512(DATA[n : n + PIECE]).digest() for n in range(0, len(DATA), PIECE))


@pytest.fixture(autouse=True, params=[1, 2, 4])
def width(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> int:
    """Return how many pieces are digested at once, however many are best here; pieces and reads are short."""
    count: int = request.param
    monkeypatch.setattr(digests, "width", lambda: count)
    monkeypatch.setattr(releases, "PIECE_BYTES", PIECE)
    monkeypatch.setattr(files, "COPY_BYTES", 300)
    return count


def groups() -> list[tuple[Part, ...]]:
    return list(together(Expected(pieces={SHA512: PIECES}).parts(CONTENT)))


def damaged(path: Path, read: list[int] | None = None) -> list[Range]:
    counted = [] if read is None else read
    return [bad for parts in groups() for bad in damage(path, parts, len(DATA), counted.append)]


def test_parts_of_one_length_go_together(width: int) -> None:
    sizes = {1: [1] * 7, 2: [2, 2, 2, 1], 4: [4, 2, 1]}[width]
    assert [len(parts) for parts in groups()] == sizes
    assert [part.start for parts in groups() for part in parts] == list(range(0, len(DATA), PIECE))
    assert list(together(Expected().parts(CONTENT))) == [(Part(0, len(DATA), "sha512", SHA512),)]
    assert list(together([])) == []


def test_what_is_sound_is_read_once(tmp_path: Path) -> None:
    read = list[int]()
    (tmp_path / "f").write_bytes(DATA)
    assert damaged(tmp_path / "f", read) == []
    assert sum(read) == len(DATA)


@pytest.mark.parametrize("offsets", [[0], [999], [1000, 3999], [5999], [6000], [6299], [0, 2500, 6100]])
def test_each_piece_with_a_wrong_byte_is_named(tmp_path: Path, offsets: Sequence[int]) -> None:
    wrong = bytearray(DATA)
    for offset in offsets:
        wrong[offset] ^= 1
    (tmp_path / "f").write_bytes(wrong)
    starts = sorted({offset // PIECE * PIECE for offset in offsets})
    assert damaged(tmp_path / "f") == [(start, min(start + PIECE, len(DATA))) for start in starts]


@pytest.mark.parametrize("size", [0, 1, 999, 1000, 2345, 6299])
def test_what_is_missing_is_named(tmp_path: Path, size: int) -> None:
    (tmp_path / "f").write_bytes(DATA[:size])
    starts = range(size // PIECE * PIECE, len(DATA), PIECE)
    assert damaged(tmp_path / "f") == [(start, min(start + PIECE, len(DATA))) for start in starts]


def test_what_is_too_much_is_named(tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(DATA + b"more")
    assert damaged(tmp_path / "f") == [(len(DATA), len(DATA) + 4)]


def test_a_kernel_that_errs_calls_nothing_damaged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, width: int
) -> None:
    class Wrong:
        def feed(self, members: Sequence[memoryview]) -> None:
            assert len(members) > 1

        def finish(self) -> list[str]:
            return ["0" * 128] * width

    monkeypatch.setattr(digests, "start", lambda _count: Wrong())
    (tmp_path / "f").write_bytes(DATA)
    assert damaged(tmp_path / "f") == []
