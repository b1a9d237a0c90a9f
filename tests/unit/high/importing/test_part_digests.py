"""The chains of a file's digests: whatever order its blocks come in, from whatever threads (SPEC 7.3-9)."""

import hashlib
import random
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace
from typing import Any, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airlift import digests
from airlift.bundle import release as releases
from airlift.bundle.chunk import Block, Source
from airlift.bundle.fields import FileDigest
from airlift.errors import AirliftError, BaselineDamagedError, DigestError
from airlift.high.enclave.expected import Expected
from airlift.high.importing import part_digests
from airlift.high.importing.part_digests import PartDigests, Segment, check_whole
from airlift.high.importing.source_files import SourceFiles

PIECE = 1000
DATA = random.Random(5).randbytes(7300)


@pytest.fixture(autouse=True, name="_small")
def _small() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(releases, "PIECE_BYTES", PIECE)
        yield


class Sources:
    """Stands in for the sources of blocks; ``damaged`` says that the bases are, ``blamed`` what was looked at."""

    def __init__(self, expected: Expected, *, damaged: bool = False) -> None:
        self.expected, self.damaged, self.blamed = expected, damaged, list[Source]()

    def blame(self, sources: Iterable[Source], error: AirliftError) -> None:
        self.blamed = list(sources)
        if self.damaged:
            raise BaselineDamagedError("a base is damaged") from error


def stated(data: bytes) -> tuple[FileDigest, Expected]:
    """Return content, and what is expected of it by pieces."""
    sha512 = hashlib.sha512(data).hexdigest()
    pieces = b"".join(hashlib.sha512(data[n : n + PIECE]).digest() for n in range(0, len(data), PIECE))
    return FileDigest(sha512, len(data)), Expected(pieces={sha512: pieces})


def blocks(size: int, cuts: Sequence[int]) -> list[Block]:
    """Return blocks that end at these places."""
    ends = sorted({*(cut % size for cut in cuts), size} - {0})
    starts = [0, *ends[:-1]]
    return [
        Block(0, start, end - start, 0, 0, (Source(1, start, end - start),), b"")
        for start, end in zip(starts, ends, strict=True)
    ]


def run(
    sources: Sources, item: FileDigest, data: bytes, cuts: Sequence[int], order: random.Random
) -> PartDigests:
    """Announce all blocks in order, and let their bytes come from three threads in another one."""
    file = PartDigests(cast("SourceFiles", sources), item)
    announced = [(block, file.announce(block)) for block in blocks(len(data), cuts)]
    segments = [segment for _, segment in announced]
    order.shuffle(announced)

    def come(pair: tuple[Block, Segment]) -> None:
        block, segment = pair
        file.add(segment, memoryview(data)[block.start : block.start + block.length])

    with ThreadPoolExecutor(3) as pool:
        list(pool.map(come, announced))
    for segment in segments:
        file.settle(segment)
    return file


@settings(max_examples=60, deadline=None)
@given(cuts=st.lists(st.integers(1, len(DATA)), max_size=25), seed=st.integers(0, 99), pieces=st.booleans())
def test_blocks_in_any_order(cuts: list[int], seed: int, pieces: bool) -> None:
    item, expected = stated(DATA)
    sources = Sources(expected if pieces else Expected())
    file = run(sources, item, DATA, cuts, random.Random(seed))
    assert file.right.result(timeout=5) is None
    assert sources.blamed == []


@settings(max_examples=60, deadline=None)
@given(
    cuts=st.lists(st.integers(1, len(DATA)), max_size=25), seed=st.integers(0, 99), width=st.integers(2, 4)
)
def test_blocks_of_groups_in_any_order(cuts: list[int], seed: int, width: int) -> None:
    """Whatever the machine: as many pieces at once as the fastest digests, fewer at the end."""
    item, expected = stated(DATA)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(digests, "width", lambda: width)
        counts, start = list[int](), digests.start

        def counting(count: int) -> digests.Running:
            counts.append(count)
            return start(count)

        patch.setattr(digests, "start", counting)
        file = run(Sources(expected), item, DATA, cuts, random.Random(seed))
    assert file.right.result(timeout=5) is None
    assert sorted(counts) == {2: [2, 2, 2], 3: [3, 3], 4: [3, 4]}[width]


def test_a_group_that_cannot_come_is_broken_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """A piece is waited for while the rest of its group has not been announced: there may be no room for it."""
    monkeypatch.setattr(digests, "width", lambda: 4)
    item, expected = stated(DATA)
    file = PartDigests(cast("SourceFiles", Sources(expected)), item)
    every = blocks(len(DATA), range(500, len(DATA), 1000))
    segments = [file.announce(block) for block in every[:2]]
    for block, segment in zip(every[1::-1], segments[1::-1], strict=True):
        file.add(segment, memoryview(DATA)[block.start : block.start + block.length])
    file.settle(segments[0])
    file.settle(segments[1])
    for block in every[2:]:
        file.add(file.announce(block), memoryview(DATA)[block.start : block.start + block.length])
    assert file.right.result(timeout=5) is None


def test_what_will_come_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(digests, "width", lambda: 4)
    item, expected = stated(DATA)
    file = PartDigests(cast("SourceFiles", Sources(expected)), item)
    announced = [(block, file.announce(block)) for block in blocks(len(DATA), range(1000, len(DATA), 1000))]

    def come() -> None:
        for block, segment in announced:
            time.sleep(0.01)
            file.add(segment, memoryview(DATA)[block.start : block.start + block.length])

    thread = threading.Thread(target=come)
    thread.start()
    file.settle(announced[0][1])
    assert not file._chains.keys() & range(4), "they were digested together"
    thread.join()
    assert file.right.result(timeout=5) is None


def test_a_kernel_that_errs_refuses_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is not right is said by OpenSSL."""

    class Wrong:
        def feed(self, members: Sequence[memoryview]) -> None:
            assert members

        def finish(self) -> list[str]:
            return ["0" * 128] * 4

    monkeypatch.setattr(digests, "width", lambda: 4)
    monkeypatch.setattr(digests, "start", lambda _count: Wrong())
    data = DATA[: 4 * PIECE]
    item, expected = stated(data)
    sources = Sources(expected)
    file = run(sources, item, data, [500, 1500, 2700], random.Random(2))
    assert file.right.result(timeout=5) is None
    assert sources.blamed == []


@pytest.mark.parametrize("offset", [0, 999, 1000, 4321, 7299])
def test_a_wrong_byte_is_found_in_its_piece(offset: int) -> None:
    item, expected = stated(DATA)
    wrong = bytearray(DATA)
    wrong[offset] ^= 1
    sources = Sources(expected)
    with pytest.raises(DigestError) as caught:
        run(sources, item, bytes(wrong), [500, 1500, 1700, 4300, 6000], random.Random(1))
    start = offset // PIECE * PIECE
    assert f"bytes {start} to {min(start + PIECE, len(DATA))}" in caught.value.message
    (hull,) = sources.blamed
    assert (hull.start <= start, hull.start + hull.length >= min(start + PIECE, len(DATA))) == (True, True)
    assert hull.length < len(DATA), "only what was read for this piece is to blame"


def test_a_damaged_base_is_blamed() -> None:
    item, expected = stated(DATA)
    with pytest.raises(BaselineDamagedError):
        run(Sources(expected, damaged=True), item, bytes(len(DATA)), [3000], random.Random(1))


def test_what_was_read_is_remembered_range_by_range() -> None:
    chain = part_digests._Chain(Expected().part(FileDigest("a" * 128, 10), 0))
    chain.note([Source(0, 100, 10), Source(0, 110, 5), Source(1, 0, 4), Source(0, 500, 5), Source(0, 498, 3)])
    assert chain.used == {0: [Source(0, 100, 15), Source(0, 498, 7)], 1: [Source(1, 0, 4)]}
    chain.note(Source(2, 10 * n, 1) for n in range(part_digests.MAX_RANGES + 1))
    assert chain.used[2] == [Source(2, 0, 10 * part_digests.MAX_RANGES + 1)]


def test_what_is_remembered_of_all_bases_is_bounded() -> None:
    chain = part_digests._Chain(Expected().part(FileDigest("a" * 128, 10), 0))
    for n in range(3 * part_digests.MAX_RANGES):
        chain.note([Source(base, 10 * n, 1) for base in range(20)])
    assert sum(map(len, chain.used.values())) <= 20 + part_digests.MAX_RANGES + 20
    assert {base: ranges[0].start for base, ranges in chain.used.items()} == dict.fromkeys(range(20), 0)
    assert {ranges[-1].start + ranges[-1].length for ranges in chain.used.values()} == {10 * n + 1}


@pytest.mark.parametrize("data", [b"", b"small"])
def test_a_whole_file(data: bytes) -> None:
    right = FileDigest(hashlib.sha512(data).hexdigest(), len(data))
    read = [Source(0, 3, len(data))]
    sources = Sources(Expected())
    check_whole(cast("SourceFiles", sources), right, memoryview(data), read)
    assert sources.blamed == []
    wrong = FileDigest("0" * 128, len(data))
    with pytest.raises(DigestError, match=r"signed digest$"):
        check_whole(cast("SourceFiles", sources), wrong, memoryview(data), read)
    assert sources.blamed == read
    with pytest.raises(BaselineDamagedError):
        check_whole(cast("SourceFiles", Sources(Expected(), damaged=True)), wrong, memoryview(data), read)


def test_a_digest_that_breaks_is_told() -> None:
    """What a thread raises reaches whoever waits for the bytes, although they were never digested."""
    item, expected = stated(DATA)
    file = PartDigests(cast("SourceFiles", Sources(expected)), item)
    segment = file.announce(blocks(len(DATA), [])[0])
    file.fail(MemoryError("first"))
    file.fail(OSError("second"))
    with pytest.raises(MemoryError, match="first"):
        file.settle(segment)


@pytest.mark.parametrize(("pieces", "most"), [(True, 2), (False, 1)])
def test_pieces_are_digested_side_by_side(monkeypatch: pytest.MonkeyPatch, pieces: bool, most: int) -> None:
    lock, running, seen = threading.Lock(), 0, 0

    class Slow:
        def __init__(self) -> None:
            self.real = hashlib.sha512()

        def update(self, data: Any) -> None:
            nonlocal running, seen
            with lock:
                running += 1
                seen = max(seen, running)
            time.sleep(0.02)
            self.real.update(data)
            with lock:
                running -= 1

        def hexdigest(self) -> str:
            return self.real.hexdigest()

    monkeypatch.setattr(part_digests, "hashlib", SimpleNamespace(new=lambda _name: Slow()))
    monkeypatch.setattr(digests, "width", lambda: 1)
    item, expected = stated(DATA)
    cuts = list(range(0, len(DATA), PIECE // 2))
    run(Sources(expected if pieces else Expected()), item, DATA, cuts, random.Random(3))
    assert seen >= 2 if most == 2 else seen == 1
