"""The pipeline that rebuilds files: whatever fails in whichever thread, it stops and leaves nothing behind."""

import fcntl
import hashlib
import os
import struct
import threading
import time
import weakref
from collections.abc import Iterator, Sequence
from concurrent.futures import Executor, Future
from dataclasses import replace
from pathlib import Path
from threading import Timer
from types import SimpleNamespace
from typing import Any, cast

import pytest

from airlift import codec, files
from airlift.bundle import chunk, volume
from airlift.bundle import own as owned
from airlift.bundle.chunk import BUILT, Block, Source
from airlift.bundle.fields import FileDigest
from airlift.errors import (
    AirliftError,
    BaselineDamagedError,
    DigestError,
    MalformedError,
    NoSpaceError,
    StorageError,
    UncheckedError,
)
from airlift.high.enclave.enclave import Enclave
from airlift.high.enclave.expected import Expected
from airlift.high.importing import part_digests, reserve
from airlift.high.importing import rebuild as module
from airlift.high.importing.import_bundle import import_bundle
from airlift.high.verification.verified import VerifiedBundle
from airlift.progress import silent
from airlift.store.small_files import SmallFiles
from tests.support import forge
from tests.support.bundle_values import BUNDLE
from tests.support.enclaves import V1, V2, attempt, enclave, holds_release, operator, overwrite, site

pytestmark = pytest.mark.usefixtures("quick_disk")

PIECE = 32 << 10
OLD = V1["base"]["model.safetensors"]
NEW = V2["base"]["model.safetensors"]
FILES = tuple({data: None for item in V1.values() for data in item.values() if data})


@pytest.fixture(autouse=True)
def _nothing_stays(request: pytest.FixtureRequest) -> Iterator[None]:
    """Check that no thread and no descriptor is left by any test here."""
    threads, descriptors = set(threading.enumerate()), _descriptors()
    yield
    assert set(threading.enumerate()) <= threads
    assert _descriptors() <= descriptors


def _descriptors() -> set[str]:
    """Return what is open below the folders of tests."""
    found = set()
    for path in Path("/proc/self/fd").iterdir() if Path("/proc/self/fd").is_dir() else ():
        try:
            target = str(path.readlink())
        except FileNotFoundError:
            continue
        if "enclave-" in target or "medium" in target:
            found.add(f"{path.name} {target}")
    return found


def cut(file: int, data: bytes) -> list[Block]:
    """Return raw blocks of at most PIECE bytes."""
    return [forge.raw(file, n, data[n : n + PIECE]) for n in range(0, len(data), PIECE)]


def bundle_of(
    tmp_path: Path, contents: Sequence[bytes], blocks: Sequence[Block], each: int = 1000
) -> list[Path]:
    """Publish a bundle of assistant@1 that says that these blocks, so many a chunk, rebuild these files."""
    low = site(tmp_path)
    made = forge.describe(low, "assistant@1", files=[*contents, b""])
    packed = [part for n in range(0, len(blocks), each) for part in forge.packed(*blocks[n : n + each])]
    return forge.publish(low, made, packed, tmp_path / "medium")


def good(tmp_path: Path, each: int = 1000) -> list[Path]:
    """Publish a bundle that rebuilds every file of assistant@1 from many small blocks."""
    return bundle_of(tmp_path, FILES, [b for n, data in enumerate(FILES) for b in cut(n, data)], each)


def copied(tmp_path: Path) -> tuple[list[Path], int]:
    """Publish a delta whose first block is a copy; return its length as well."""
    same = next(n for n in range(len(NEW)) if NEW[n] != OLD[n])
    low = site(tmp_path)
    made = forge.describe(low, "assistant@2", files=[NEW], bases=[OLD])
    blocks = [Block(0, 0, same, 1, 0, (Source(0, 0, same),), b""), forge.raw(0, same, NEW[same:])]
    return forge.publish(low, made, forge.packed(*blocks), tmp_path / "medium"), same


def staged(place: Enclave) -> set[str]:
    """Return the names of the files that stand in staging."""
    return {path.name for path in place.staging.rglob("*") if path.is_file()}


@pytest.mark.parametrize("workers", [1, 2, 5])
@pytest.mark.parametrize("each", [1, 5, 1000])
def test_any_number_of_threads_and_chunks(tmp_path: Path, workers: int, each: int) -> None:
    place, seen = enclave("fresh", tmp_path), list[tuple[int, int]]()
    import_bundle(
        place,
        good(tmp_path, each),
        operator=operator(),
        activate=True,
        workers=workers,
        progress=lambda _stage, done, total: seen.append((done, total)),
    )
    assert holds_release(place, V1)
    total = sum(map(len, FILES))
    assert seen[-1] == (total, total)
    assert [done for done, _ in seen] == sorted(done for done, _ in seen)


@pytest.mark.parametrize("workers", [1, 4])
def test_a_file_that_is_built_from_one_of_the_same_bundle(tmp_path: Path, workers: int) -> None:
    """It is read only when it is complete, however far decoding runs ahead (SPEC 6.3-6)."""
    place = enclave("fresh", tmp_path)
    order = sorted(FILES, key=len, reverse=True)
    whole, again = cut(0, order[0]), []
    for n, data in enumerate(order[1:], 1):
        at = order[0].find(data[:1])
        again.append(Block(n, 0, 1, 1, 0, (Source(BUILT, at, 1),), b""))
        again.append(forge.raw(n, 1, data[1:]))
    paths = bundle_of(tmp_path, order, [*whole, *again])
    import_bundle(place, paths, operator=operator(), activate=True, workers=workers)
    assert holds_release(place, V1)


# -- what fails ----------------------------------------------------------------------------------------------------


def failing_at(call: int, real: Any, error: BaseException) -> Any:
    """Return ``real``, but the call of that number, from 1, raises."""
    lock, count = threading.Lock(), 0

    def called(*args: Any, **named: Any) -> Any:
        nonlocal count
        with lock:
            count += 1
            mine = count
        if mine == call:
            raise error
        return real(*args, **named)

    return called


@pytest.mark.parametrize("call", [1, 9, 24])
def test_a_thread_that_fails_in_the_middle(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: int
) -> None:
    place, paths = enclave("fresh", tmp_path), good(tmp_path)
    failing = failing_at(call, codec.decode, MalformedError("injected"))
    with monkeypatch.context() as patch:
        patch.setattr(codec, "decode", failing)
        attempt(place, paths, MalformedError, 3)
    assert [name for name in staged(place) if name.startswith(".tmp-")] == []
    import_bundle(place, paths, operator=operator(), activate=True)
    assert holds_release(place, V1)


@pytest.mark.parametrize("wrong", [0, 1, len(FILES) - 1])
def test_one_file_that_is_not_what_was_signed(tmp_path: Path, wrong: int) -> None:
    """Those before it are kept for the next run, it and those after it are not."""
    place = enclave("fresh", tmp_path)
    lies = [bytes(len(data)) if n == wrong else data for n, data in enumerate(FILES)]
    paths = bundle_of(tmp_path, FILES, [b for n, data in enumerate(lies) for b in cut(n, data)])
    attempt(place, paths, DigestError, 3)
    assert staged(place) == {forge.digest(data).sha512 for data in FILES[:wrong]}


def test_a_small_file_that_waits_is_not_to_blame_for_what_is_made_from_it(tmp_path: Path) -> None:
    """Broke: it was looked for in the store, and what was proven bad was said to be unreadable there."""
    place = enclave("fresh", tmp_path)
    first, second, *others = sorted(FILES, key=len)
    assert len(second) <= files.SMALL_BYTES
    copied_byte = Block(1, 0, 1, 1, 0, (Source(BUILT, 0, 1),), b"")
    blocks = [*cut(0, first), copied_byte, forge.raw(1, 1, bytes(len(second) - 1))]
    rest = [block for n, data in enumerate(others, 2) for block in cut(n, data)]
    paths = bundle_of(tmp_path, [first, second, *others], [*blocks, *rest])
    attempt(place, paths, DigestError, 3)
    assert staged(place) == {forge.digest(first).sha512}


@pytest.mark.parametrize(
    ("number", "count"),
    [(0, 1), (1, 0), (1, 2), (1, 4), (2, 2), (3, 2), (4, 2), (5, 0), (6, 2), (6, 4), (7, 2)],
)
def test_a_block_with_too_few_or_too_many_sources(tmp_path: Path, number: int, count: int) -> None:
    """Broke: a copy with two sources ended in ValueError and exit 1; surplus sources of others were ignored."""
    low, part = site(tmp_path), NEW[:PIECE]
    made = forge.describe(low, "assistant@2", files=[NEW], bases=[OLD])
    block = Block(0, 0, PIECE, number, 0, (Source(0, 0, PIECE),) * count, b"" if number else part)
    paths = forge.publish(
        low, made, forge.packed(block, forge.raw(0, PIECE, NEW[PIECE:])), tmp_path / "medium"
    )
    error = attempt(enclave("one", tmp_path), paths, MalformedError, 3)
    assert "sources" in error.message


def test_an_empty_file_that_is_not_empty_as_signed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place, paths = enclave("fresh", tmp_path), good(tmp_path)
    digests = SimpleNamespace(new=lambda _name, _data=b"": hashlib.sha512(b"x"))
    monkeypatch.setattr(part_digests, "hashlib", digests)
    attempt(place, paths, DigestError, 3)


@pytest.mark.parametrize("number", [0, 2, -1])
def test_a_chunk_that_is_damaged(tmp_path: Path, number: int) -> None:
    place, paths = enclave("fresh", tmp_path), good(tmp_path, each=5)
    damaged = sorted((paths[0] / volume.CHUNKS).iterdir())[number]
    overwrite(damaged, bytes(damaged.stat().st_size))
    attempt(place, paths, DigestError, 3)


@pytest.mark.parametrize("done", [1, PIECE * 5])
def test_an_interruption(tmp_path: Path, done: int) -> None:
    place, paths = enclave("fresh", tmp_path), good(tmp_path)

    def interrupt(_stage: str, count: int, _total: int) -> None:
        if count >= done:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        import_bundle(place, paths, operator=operator(), progress=interrupt)
    assert [name for name in staged(place) if name.startswith(".tmp-")] == []
    assert import_bundle(place, paths, operator=operator(), activate=True).installed


def test_a_disk_that_fails_to_read_a_base(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """EIO in a thread: exit 7 with the file's name, and not the end of the process."""
    place, (paths, _), real = enclave("one", tmp_path), copied(tmp_path), files.read_into

    def read_into(descriptor: int, offset: int, buffer: memoryview) -> int:
        if "/content/" in str(Path(f"/proc/self/fd/{descriptor}").readlink()):
            raise OSError(5, "injected")
        return real(descriptor, offset, buffer)

    monkeypatch.setattr(files, "read_into", read_into)
    found = attempt(place, paths, UncheckedError, 7)
    assert forge.digest(OLD).sha512 in found.message


def test_a_disk_that_fails_to_write_late(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place, paths = enclave("fresh", tmp_path), good(tmp_path)
    monkeypatch.setattr(files.Writer, "write", failing_at(12, files.Writer.write, OSError(5, "injected")))
    attempt(place, paths, StorageError, 8)


# -- bounds --------------------------------------------------------------------------------------------------------


def test_decoding_runs_ahead_only_so_far(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A slow digest holds up everything else: memory is a fixed number of bytes (SPEC 7.3-3, 7.3-9)."""
    place, paths = enclave("fresh", tmp_path), good(tmp_path)
    monkeypatch.setattr(module, "window_bytes", lambda _workers: 12 * PIECE)
    lock, alive, most = threading.Lock(), 0, 0

    def count(change: int) -> None:
        nonlocal alive, most
        with lock:
            alive += change
            most = max(most, alive)

    real = codec.decode

    def decode(*args: Any, **named: Any) -> memoryview:
        count(1)
        return real(*args, **named)

    class Slow:
        def __init__(self, data: bytes | memoryview) -> None:
            self.running = hashlib.sha512(data)
            count(-bool(data))  # a small file is digested at once

        def update(self, data: memoryview) -> None:
            time.sleep(0.002)
            self.running.update(data)
            count(-1)

        def hexdigest(self) -> str:
            return self.running.hexdigest()

    monkeypatch.setattr(codec, "decode", decode)
    monkeypatch.setattr(part_digests, "hashlib", SimpleNamespace(new=lambda _name, data=b"": Slow(data)))
    import_bundle(place, paths, operator=operator(), activate=True, workers=2)
    assert holds_release(place, V1)
    assert 4 <= most <= 7  # one more, if the last block of a file is short
    assert alive == 0


@pytest.mark.parametrize("held", [True, False])
def test_what_waits_lies_in_few_chunks(tmp_path: Path, held: bool) -> None:
    """Small files of many chunks of which the rest is held: each payload would keep its chunk (SPEC 7.3-3)."""
    count, alive, most = 40, weakref.WeakSet[Any](), 0
    small, large = [b"config %d" % n for n in range(count)], [bytes([n]) * 300_000 for n in range(count)]
    items = [forge.digest(data) for pair in zip(large, small, strict=True) for data in pair]
    bundle = replace(
        BUNDLE, bases=(), files=tuple(items), chunks=tuple(FileDigest(f"{n:0128x}", 9) for n in range(count))
    )

    class Chunk(bytearray):
        """A chunk that can be counted."""

        __hash__ = object.__hash__  # type: ignore[assignment]

    def read(item: FileDigest) -> Any:
        nonlocal most
        number = int(item.sha512, 16)
        blocks = (
            Block(2 * number, 0, 300_000, 0, 0, (), large[number]),
            Block(2 * number + 1, 0, len(small[number]), 0, 0, (), small[number]),
        )
        made = Chunk(chunk.format(blocks))
        alive.add(made)
        most = max(most, len(alive))
        return made

    todo = {item.sha512 for item in (items[1::2] if held else items)}
    place, folder = Enclave(tmp_path, "alpha", ""), files.make_folder(tmp_path / "files")
    given = SimpleNamespace(bundle=bundle, own=owned.whole(bundle), read=read)
    module.rebuild(
        place, cast("Any", given), module.Task(todo, folder), silent, expected=Expected(), workers=2
    )
    assert {path.name for path in folder.iterdir()} == todo
    assert most <= 4  # the three of SPEC 7.3-3, and the one that is being made


def test_only_the_next_chunk_is_read_ahead(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place, paths = enclave("fresh", tmp_path), good(tmp_path, each=5)
    real, parse, read, parsed = VerifiedBundle.read_chunk, chunk.parse, 0, 0

    def read_chunk(*args: Any) -> memoryview:
        nonlocal read
        read += 1
        assert read <= parsed + 1
        return real(*args)

    def parsing(*args: Any) -> Any:
        nonlocal parsed
        parsed += 1
        return parse(*args)

    monkeypatch.setattr(VerifiedBundle, "read_chunk", read_chunk)
    monkeypatch.setattr(module, "parse", parsing)
    import_bundle(place, paths, operator=operator(), activate=True)
    assert read == parsed > 5


# -- copies --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("sharing", [True, False])
def test_what_did_not_change_is_shared_where_that_can_be(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sharing: bool
) -> None:
    """With a stand-in for file systems that share blocks, which copies them."""
    place = enclave("one", tmp_path)
    paths, same = copied(tmp_path)
    shared = []

    def ioctl(target: int, request: int, data: bytes) -> int:
        if request == files.FS_IOC_RESVSP:
            raise OSError(95, "Operation not supported")
        source, offset, length, start = struct.unpack("qQQQ", data)
        assert (request, offset % 4096, start % 4096, length % 4096) == (files.FICLONERANGE, 0, 0, 0)
        if not sharing:
            raise OSError(95, "Operation not supported")
        os.pwrite(target, os.pread(source, length, offset), start)
        shared.append(length)
        return 0

    monkeypatch.setattr(fcntl, "ioctl", ioctl)
    import_bundle(place, paths, operator=operator(), activate=True)
    assert holds_release(place, V2)
    assert shared == ([same // 4096 * 4096] if sharing else [])


def test_a_rotten_base_is_named_although_it_would_only_be_shared(tmp_path: Path) -> None:
    place = enclave("one", tmp_path)
    paths, _ = copied(tmp_path)
    rotten = bytearray(OLD)
    rotten[100] ^= 1
    at_rest = place.content.path(forge.digest(OLD).sha512)
    overwrite(at_rest, bytes(rotten))
    found: AirliftError = attempt(place, paths, BaselineDamagedError, 5)
    assert str(at_rest) in str(found.found)


# -- room ----------------------------------------------------------------------------------------------------------


def test_large_files_have_their_room_in_themselves(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is allocated once, and none of it in the common reservation (SPEC 7.8-5)."""
    place, paths, real, held = enclave("fresh", tmp_path), good(tmp_path), files.begin, list[int]()
    asked, resize = list[int](), files.Reservation.resize

    def begin(path: Path, length: int, pool: Executor) -> files.Begun:
        held.append(length)
        return real(path, length, pool)

    def resized(room: files.Reservation, length: int) -> None:
        asked.append(length)
        resize(room, length)

    monkeypatch.setattr(reserve, "LARGE_BYTES", len(OLD))
    monkeypatch.setattr(files, "begin", begin)
    monkeypatch.setattr(files.Reservation, "resize", resized)
    import_bundle(place, paths, operator=operator(), activate=True)
    assert holds_release(place, V1)
    assert held == [len(OLD)]
    small = sum(files.in_blocks(len(data)) for data in FILES if data is not OLD)
    assert asked[0] == small + reserve.SPACE_MARGIN


@pytest.mark.parametrize(("fails", "least"), [(True, 1), (True, len(OLD)), (False, 1)])
def test_nothing_is_left_of_room_that_was_not_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fails: bool, least: int
) -> None:
    """Blocks are decoded, and some written, before it is known that there is no room for all of them."""
    place, paths, real = enclave("fresh", tmp_path), good(tmp_path), files.begin

    def begin(path: Path, length: int, pool: Executor) -> files.Begun:
        begun = real(path, length, pool)
        if fails and length == len(OLD):
            begun.room.result()
            late = Future[None]()
            Timer(0.2, lambda: late.set_exception(NoSpaceError("injected"))).start()
            return replace(begun, room=late)
        return begun

    monkeypatch.setattr(reserve, "LARGE_BYTES", least)
    monkeypatch.setattr(files, "begin", begin)
    with monkeypatch.context() as patch:
        if not fails:
            patch.setattr(files.Writer, "write", failing_at(3, files.Writer.write, OSError(5, "injected")))
        attempt(place, paths, NoSpaceError if fails else StorageError, 8)
    assert [name for name in staged(place) if name.startswith(".tmp-")] == []
    assert list(place.staging.iterdir()) == [] if fails else True


def test_what_was_rebuilt_is_kept_if_all_the_room_was_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A disk can be full all the same; then the next import goes on from there."""
    place, paths, model = enclave("fresh", tmp_path), good(tmp_path), forge.digest(OLD).sha512

    def settle(_: SmallFiles) -> None:
        assert model in staged(place)
        raise NoSpaceError("injected")

    monkeypatch.setattr(reserve, "LARGE_BYTES", len(OLD))
    with monkeypatch.context() as patch:
        patch.setattr(SmallFiles, "settle", settle)
        attempt(place, paths, NoSpaceError, 8)
    assert model in staged(place)
    import_bundle(place, paths, operator=operator(), activate=True)
    assert holds_release(place, V1)
