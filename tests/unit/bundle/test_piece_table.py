"""The table of pieces (SPEC 5.8): what is in it, how long it is, and what is none."""

import hashlib
from collections.abc import Callable
from dataclasses import replace

import pytest

from airlift.bundle import piece_table
from airlift.bundle import release as releases
from airlift.bundle.component.file_entry import FileEntry
from airlift.bundle.release import Release
from airlift.errors import DigestError
from tests.support.bundle_values import GUARD, LARGE, PIECED, RELEASE, sha256

MIB = 1 << 20


def large(name: str, size: int) -> FileEntry:
    """Return a file of that size, called after its digest."""
    return FileEntry(f"{name}.bin", size, hashlib.sha512(name.encode()).hexdigest(), sha256(name))


def stating(*entries: FileEntry) -> tuple[Release, bytes]:
    """Return a release of these files that states their pieces, and its table."""
    made = replace(PIECED, components=(replace(GUARD, files=tuple(sorted(entries, key=lambda e: e.path))),))
    pieces = {
        entry.sha512: b"".join(
            hashlib.sha512(f"{entry.path} {n}".encode()).digest()
            for n in range(piece_table.count(entry.size))
        )
        for entry in entries
    }
    table = piece_table.format(made, pieces)
    return replace(made, pieces=hashlib.sha512(table).hexdigest()), table


@pytest.mark.parametrize(
    ("size", "count"), [(0, 0), (16 * MIB, 0), (16 * MIB + 1, 2), (32 * MIB, 2), (32 * MIB + 1, 3)]
)
def test_only_what_is_larger_than_a_piece_has_pieces(size: int, count: int) -> None:
    assert piece_table.count(size) == count


def test_a_table_is_in_the_order_of_digests() -> None:
    made, table = stating(large("b", 20 * MIB), large("a", 33 * MIB), large("c", 7))
    parsed = piece_table.parse(table, made)
    assert list(parsed) == sorted(parsed)
    assert {len(pieces) for pieces in parsed.values()} == {128, 192}
    assert b"".join(parsed.values()) == table
    assert piece_table.length(made) == len(table) == 5 * 64


def test_one_content_at_two_paths_is_in_it_once() -> None:
    again = replace(LARGE, path="other.gguf")
    made, table = stating(LARGE, again)
    assert len(table) == 3 * 64
    assert list(piece_table.parse(table, made)) == [LARGE.sha512]


def test_it_is_of_the_whole_release_also_in_a_choice() -> None:
    made, table = stating(LARGE)
    chosen = replace(made, components=(), omitted=made.components)
    assert piece_table.parse(table, chosen) == piece_table.parse(table, made)


@pytest.mark.parametrize(
    "change", [lambda t: t[:-1], lambda t: t + b"\0", lambda t: t[64:] + t[:64], lambda _: b""]
)
def test_another_table_is_refused(change: Callable[[bytes], bytes]) -> None:
    made, table = stating(LARGE)
    with pytest.raises(DigestError):
        piece_table.parse(change(table), made)


def test_a_signed_table_of_another_length_is_refused() -> None:
    """The authority may sign anything; what it is about follows from the files."""
    made, table = stating(LARGE)
    longer = table + bytes(64)
    with pytest.raises(DigestError, match="table of pieces"):
        piece_table.parse(longer, replace(made, pieces=hashlib.sha512(longer).hexdigest()))


def test_a_release_that_can_have_none() -> None:
    assert not piece_table.can_have(RELEASE)
    assert piece_table.can_have(PIECED)
    huge = replace(LARGE, size=(16 << 40) + 1)
    assert not piece_table.can_have(replace(PIECED, components=(replace(GUARD, files=(huge,)),)))


def test_two_terabytes_have_a_table_of_eight_megabytes() -> None:
    entries = [large(f"{n:03}", 12_500_000_000) for n in range(160)]
    made = replace(PIECED, components=(replace(GUARD, files=tuple(entries)),))
    assert piece_table.length(made) < 8 << 20
    assert releases.PIECE_BYTES == 16 * MIB
