import itertools
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from airlift.errors import UncheckedError
from airlift.intake.gate.views import (
    KEPT,
    Budget,
    DamagedStreamError,
    Held,
    Part,
    Unpacked,
    View,
    read_whole,
    view_file,
)
from tests.support.weights import noise

DATA = noise(1, 3 * KEPT // 2)


def pieces(data: bytes = DATA, *, breaks: bool = False) -> Iterator[bytes]:
    for start in range(0, len(data), 10_000):
        yield data[start : start + 10_000]
    if breaks:
        raise DamagedStreamError


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[View]:
    (tmp_path / "file").write_bytes(DATA)
    descriptor = os.open(tmp_path / "file", os.O_RDONLY)
    yield view_file(descriptor, "file")
    os.close(descriptor)


def test_all_views_read_alike(opened: View) -> None:
    views = [opened, Held(DATA), Unpacked(pieces, Budget()), Part(Held(b"xx" + DATA + b"yy"), 2, len(DATA))]
    for offset, length in [(0, 9), (5, 70_000), (len(DATA) - 3, 9), (len(DATA), 1), (1, 3), (KEPT, 5)]:
        assert {view.read(offset, length) for view in views} == {DATA[offset : offset + length]}


def test_sizes(opened: View) -> None:
    assert opened.size() == opened.reach() == len(DATA)
    long = Unpacked(pieces, Budget())
    assert (long.size(), long.reach()) == (None, None)
    short = Unpacked(lambda: pieces(b"abc"), Budget())
    assert (short.size(), short.reach(), short.size()) == (None, 3, 3)
    assert Part(Held(b"abc"), 1, 9).size() == 2
    assert Part(Held(b"abc"), 5).size() == 0
    assert Part(Unpacked(pieces, Budget()), 1, 9).size() == 9
    assert Part(Unpacked(pieces, Budget()), 1, KEPT).size() is None


def test_a_budget_ends_it() -> None:
    budget = Budget(unpacked=100_000)
    view = Unpacked(pieces, budget)
    assert len(view.read(0, 200_000)) == 100_000
    assert view.read(150_000, 5) == b""
    assert budget.spent
    many = Unpacked(lambda: itertools.repeat(b""), Budget(unpacked=10_000))
    assert many.read(0, 1) == b""


def test_a_stream_that_breaks() -> None:
    view = Unpacked(lambda: pieces(b"abc", breaks=True), Budget())
    assert view.read(0, 9) == b"abc"
    assert (view.damaged, view.reach()) == (True, None)


def test_whole_reads_are_bounded() -> None:
    assert read_whole(Held(b"abc"), 3) == b"abc"
    assert read_whole(Held(b"abcd"), 3) is None
    assert read_whole(Unpacked(pieces, Budget()), len(DATA)) == DATA


def test_a_file_that_cannot_be_read() -> None:
    with pytest.raises(UncheckedError):
        view_file(1 << 20, "file").read(0, 1)
