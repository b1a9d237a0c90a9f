"""Regions read what is there and no more; a cursor's work is bounded."""

import struct
from pathlib import Path

import pytest

from airlift.errors import InventoryError, MalformedError
from airlift.tensors import region
from airlift.tensors.region import PAGE_BYTES, Cursor, Region, of_bytes, opened

DATA = bytes(range(256)) * 1024


def test_a_region_reads_small_and_large_pieces(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(DATA)
    with opened(tmp_path / "file") as found:
        assert found.size == len(DATA)
        for start, length in (
            (0, 4),
            (PAGE_BYTES - 2, 4),
            (7, 3 * PAGE_BYTES),
            (len(DATA), 0),
            (len(DATA) - 1, 1),
        ):
            assert found.read(start, length) == DATA[start : start + length]


def test_a_part_is_read_from_its_own_start() -> None:
    part = of_bytes(DATA).part(1000, 500)
    assert part.read(3, 5) == DATA[1003:1008]
    assert part.part(100, 10).read(0, 10) == DATA[1100:1110]


@pytest.mark.parametrize(("start", "length"), [(-1, 1), (0, 501), (500, 1), (2**64, 1), (1, -1)])
def test_nothing_outside_is_read(start: int, length: int) -> None:
    part = of_bytes(DATA).part(1000, 500)
    with pytest.raises(MalformedError):
        part.read(start, length)
    with pytest.raises(MalformedError):
        part.part(start, length)


def test_a_file_that_became_shorter_is_malformed() -> None:
    with pytest.raises(MalformedError, match="ends early"):
        Region(lambda _start, _length: b"", 0, 10).read(0, 4)


def test_pages_are_read_once_and_forgotten_in_turn() -> None:
    loads = list[int]()

    def load(start: int, length: int) -> bytes:
        loads.append(start)
        return bytes(length)

    found = Region(load, 0, 100 * PAGE_BYTES)
    for _ in range(3):
        found.read(10, 4)
    assert loads == [0]
    for number in range(region.MAX_PAGES + 1):
        found.read(number * PAGE_BYTES, 4)
    assert len(found.pages) == region.MAX_PAGES


def test_links_are_not_followed(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(DATA)
    (tmp_path / "link").symlink_to(tmp_path / "file")
    with pytest.raises(InventoryError), opened(tmp_path / "link"):
        pass


def test_a_cursor_takes_and_skips() -> None:
    cursor = Cursor(of_bytes(DATA))
    assert cursor.take(3) == b"\0\1\2"
    assert cursor.skip(PAGE_BYTES) == 3
    assert cursor.take(2) == DATA[PAGE_BYTES + 3 : PAGE_BYTES + 5]
    assert cursor.number(struct.Struct("<H")) == int.from_bytes(
        DATA[PAGE_BYTES + 5 : PAGE_BYTES + 7], "little"
    )
    assert Cursor(of_bytes("é".encode())).text(2) == "é"


def test_a_cursor_stops_at_its_end() -> None:
    cursor = Cursor(of_bytes(DATA), 0, 10)
    for length in (11, -1, 2**64):
        with pytest.raises(MalformedError):
            cursor.skip(length)
    with pytest.raises(MalformedError):
        Cursor(of_bytes(b"\xff")).text(1)


def test_what_a_cursor_takes_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(region, "MAX_TAKEN_BYTES", 8)
    cursor = Cursor(of_bytes(DATA))
    cursor.take(8)
    with pytest.raises(MalformedError, match="too long"):
        cursor.take(1)


def test_how_often_a_cursor_moves_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(region, "MAX_STEPS", 3)
    cursor = Cursor(of_bytes(DATA))
    for _ in range(3):
        cursor.skip(1)
    with pytest.raises(MalformedError, match="too many parts"):
        cursor.skip(1)
