"""Blocks that are taken up ahead of whoever writes them."""

import hashlib
from collections.abc import Callable, Iterator
from concurrent.futures import Executor
from types import SimpleNamespace
from typing import Any, cast

import pytest

from airlift import codec
from airlift.bundle.chunk import Block
from airlift.bundle.fields import FileDigest
from airlift.high.enclave.expected import Expected
from airlift.high.importing import prepare
from airlift.high.importing.prepare import MAX_BLOCKS, Preparation
from airlift.high.importing.source_files import SourceFiles

SIZE, COUNT = 100_000, 20
DATA = b"".join(bytes([number]) * SIZE for number in range(COUNT))


class Threads:
    """Stands in for threads: what it was given is done by :meth:`go_on`."""

    def __init__(self) -> None:
        self.given: list[Callable[[], object]] = []

    def submit(self, work: Callable[..., object], *arguments: Any) -> None:
        self.given.append(lambda: work(*arguments))

    def go_on(self, count: int) -> None:
        for _ in range(count):
            self.given.pop(0)()


def preparation(threads: Threads) -> Preparation:
    item = FileDigest(hashlib.sha512(DATA).hexdigest(), len(DATA))
    sources = cast("SourceFiles", SimpleNamespace(expected=Expected()))
    return Preparation(cast("Executor", threads), sources, (item,), 2 * len(DATA))


def blocks(threads: Threads, taken: list[int], done: Callable[[int], int]) -> Iterator[Block]:
    """Yield blocks; before each as many are decoded as ``done`` says."""
    raw = next(number for number, name in codec.names().items() if name == "raw")
    for number in range(COUNT):
        threads.go_on(done(number))
        taken.append(number)
        start = number * SIZE
        yield Block(0, start, SIZE, raw, 0, (), memoryview(DATA)[start : start + SIZE])


def test_what_is_decoded_is_written_although_there_is_room_for_more(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is still in the cache of the processor then."""
    monkeypatch.setattr(prepare, "AHEAD_BLOCKS", 1)
    threads, taken, written = Threads(), list[int](), list[tuple[int, int]]()
    whole = b""
    for found in preparation(threads).run(blocks(threads, taken, lambda number: min(number, 1))):
        whole += found.result()
        written.append((found.block.start // SIZE, len(taken)))
        if len(taken) == COUNT:
            threads.go_on(len(threads.given))
    assert whole == DATA
    assert written == [(number, min(number + 2, COUNT)) for number in range(COUNT)]


def test_what_is_not_decoded_yet_is_not_waited_for_as_long_as_there_is_room() -> None:
    threads, taken = Threads(), list[int]()
    prepared = preparation(threads).run(blocks(threads, taken, lambda _: 0))
    assert COUNT < MAX_BLOCKS
    first = next(prepared)
    assert (first.block.start, len(taken), len(threads.given)) == (0, COUNT, COUNT)


def test_threads_are_not_left_without_work_by_writing(monkeypatch: pytest.MonkeyPatch) -> None:
    """While a block is written there are always some to be decoded, until the last was taken."""
    monkeypatch.setattr(prepare, "AHEAD_BLOCKS", 4)
    threads, taken = Threads(), list[int]()
    left = list[int]()
    for found in preparation(threads).run(blocks(threads, taken, lambda number: min(number, 1))):
        if len(taken) == COUNT:
            threads.go_on(len(threads.given))
        else:
            left.append(len(threads.given))
        found.result()
    assert left == []  # one is decoded for each that is taken: never as many as four are left
    threads, taken = Threads(), list[int]()
    for found in preparation(threads).run(blocks(threads, taken, lambda number: int(number > 4))):
        if len(taken) == COUNT:
            threads.go_on(len(threads.given))
        else:
            left.append(len(threads.given))
        found.result()
    assert left
    assert min(left) >= 4
