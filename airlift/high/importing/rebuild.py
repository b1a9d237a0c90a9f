"""Rebuild: decode a bundle's blocks into its files, each written and digested while the next are decoded (SPEC 7.3).

Blocks arrive in the order of the files. Threads read and verify the next chunk, read the sources of the next blocks,
decode and digest them (``prepare``); the caller's own writes. Every byte is read, digested and written once, or
shared with the base if it did not change. What is under way is a fixed number of bytes, whatever the model's size.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from collections.abc import Set as AbstractSet
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from airlift import codec, files
from airlift.bundle.chunk import Block, in_order, parse, pieces, within
from airlift.bundle.fields import FileDigest
from airlift.bundle.own import Own
from airlift.files import Reservation
from airlift.high.enclave.enclave import Enclave
from airlift.high.enclave.expected import Expected
from airlift.high.importing.part_digests import check_whole
from airlift.high.importing.prepare import Preparation, Prepared, Small, window_bytes
from airlift.high.importing.source_files import SourceFiles
from airlift.high.verification.read_chunks import ChunkReader
from airlift.progress import Progress
from airlift.store.small_files import waiting


@dataclass(slots=True)
class Task:
    """The files to rebuild, by SHA-512, and the folder that they come into; ``room`` is held for them, if it is.

    Those of ``begun`` have theirs in the temporary files that they are written to; each is taken out when it is.
    """

    todo: AbstractSet[str]
    folder: Path
    room: Reservation | None = None
    begun: dict[str, files.Begun] = field(default_factory=dict)
    _rooms: list[Future[None]] = field(init=False)

    def __post_init__(self) -> None:
        self._rooms = [one.room for one in self.begun.values()]

    def insist_on_room(self) -> None:
        """Wait until all the room is there: no file gets its name before.

        Raises:
            NoSpaceError: there is not so much.
        """
        while self._rooms:
            self._rooms.pop().result()


def rebuild(
    enclave: Enclave,
    chunks: ChunkReader,
    task: Task,
    progress: Progress,
    *,
    expected: Expected,
    workers: int,
) -> dict[str, int]:
    """Decode the files of a task into its folder, named by digest; return the bytes of each codec.

    Chunks are read, or rebuilt, by ``chunks``.

    What is kept has the digest that is ``expected`` of it.

    Raises:
        BaselineDamagedError: a base at rest is not what was installed.
        DigestError, MalformedError: a chunk, or what came out of it, is not what was signed.
        IncompleteError: a chunk is lost, and what was not given could give it back.
        StorageError: no space, I/O error.
    """
    items = [item for item in chunks.own.files if item.sha512 in task.todo]
    total, done, codecs = sum(item.size for item in items), 0, Counter[str]()

    def wrote(block: Block, count: int) -> None:
        nonlocal done
        done += count
        codecs[codec.names()[block.codec]] += count
        progress("rebuilding", done, total)

    limit = window_bytes(workers)
    with _threads(workers) as pool, waiting(task.folder, task.room) as small:
        source_files = SourceFiles(enclave, chunks.bundle, task.folder, expected, small)
        blocks = _blocks(pool, chunks, limit)
        preparation = Preparation(pool, source_files, chunks.bundle.files, limit)
        prepared = preparation.run(_wanted(blocks, chunks.own, task.todo))
        for item in items:
            if item.size <= files.SMALL_BYTES:
                data = _take_small(source_files, item, prepared, wrote)
                task.insist_on_room()
                small.put(item.sha512, data)
            else:
                small.write()  # it may be shared with one of these
                _write_file(source_files, item, prepared, wrote, task)
        next(prepared, None)  # nothing more: but what is left of the chunks is checked as well
    return dict(codecs)


@contextmanager
def _threads(count: int) -> Iterator[Executor]:
    """Give threads; whatever happens they have ended afterwards, and what they had not begun is not done."""
    pool = ThreadPoolExecutor(count)
    try:
        yield pool
    finally:
        pool.shutdown(cancel_futures=True)


def _blocks(pool: Executor, chunks: ChunkReader, limit: int) -> Iterator[Block]:
    """Yield the blocks of every own chunk, in order; ``limit`` is how many bytes of targets are under way at most.

    The next chunk is read and verified when a block of this one was taken, and no more than that is left of it.
    """
    reading = (pool.submit(chunks.read, item) for item in chunks.own.chunks)
    following = next(reading, None)
    while following is not None:
        blocks, asked = parse(following.result(), chunks.bundle), False
        left = sum(block.length for block in blocks)
        for block in blocks:
            yield block
            left -= block.length
            if left <= limit and not asked:
                following, asked = next(reading, None), True


def _wanted(blocks: Iterable[Block], own: Own, todo: AbstractSet[str]) -> Iterator[Block]:
    """Yield the blocks of the files in ``todo``, long copies in pieces, after checking the order of all blocks."""
    for block in within(in_order(blocks, own.files, own.file_numbers), own):
        if own.bundle.files[block.file].sha512 in todo:
            yield from pieces(block)


def _write_file(
    source_files: SourceFiles,
    item: FileDigest,
    prepared: Iterator[Prepared | Small],
    wrote: Callable[[Block, int], None],
    task: Task,
) -> None:
    """Write one file from the next blocks, telling how many bytes each brought; kept only if it is right."""
    left, begun = item.size, task.begun.pop(item.sha512, None)
    with files.writer(task.folder / item.sha512, begun=begun) as target:
        if task.room is not None and begun is None:
            task.room.hand_over(target, item.size)
        while left:
            found = next(prepared)
            data = found.result()
            _write(source_files, target, found.block, data)
            left -= len(data)
            wrote(found.block, len(data))
            if not left:
                found.insist()
                task.insist_on_room()


def _take_small(
    source_files: SourceFiles,
    item: FileDigest,
    prepared: Iterator[Prepared | Small],
    wrote: Callable[[Block, int], None],
) -> bytes:
    """Return a small file from the next blocks, telling how many bytes each brought, if it is right."""
    whole = bytearray()
    while len(whole) < item.size:
        found = next(prepared)
        whole += found.result()
        wrote(found.block, found.block.length)
        if len(whole) == item.size:
            found.insist()
    if not item.size:
        check_whole(source_files, item, memoryview(whole), ())
    return bytes(whole)


def _write(source_files: SourceFiles, target: files.Writer, block: Block, data: memoryview) -> None:
    """Write a block, or share it with the base that it is a copy of."""
    if codec.names()[block.codec] != "equal":
        target.write(data)
        return
    (source,) = block.sources
    with files.opened(source_files.path(source)) as descriptor:
        target.share(data, descriptor, source.start)
