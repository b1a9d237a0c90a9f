"""Rebuild: decode a bundle's blocks into its files, each written and digested while the next are decoded (SPEC 7.3).

Blocks arrive in the order of the files. Threads read and verify the next chunk, read the sources of the next blocks
and decode them; one thread digests; the caller's own writes. Every byte is read, digested and written once, or
shared with the base if it did not change. What is under way is a fixed number of blocks, whatever the model's size.
"""

import hashlib
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator
from collections.abc import Set as AbstractSet
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from airlift import codec, files
from airlift.bundle.chunk import BUILT, Block, Source, in_order, parse, pieces, within
from airlift.bundle.fields import FileDigest
from airlift.bundle.own import Own
from airlift.errors import DigestError, MalformedError
from airlift.files import Reservation
from airlift.high.enclave.enclave import Enclave
from airlift.high.enclave.expected import Expected
from airlift.high.importing.source_files import SourceFiles
from airlift.high.verification.read_chunks import ChunkReader
from airlift.progress import Progress

BEHIND = 2
"""How many written blocks may wait for their digest."""

Decoded = Iterator[tuple[Block, memoryview]]
"""Blocks with their target bytes, in order."""


@dataclass(frozen=True, slots=True)
class Task:
    """The files to rebuild, by SHA-512, and the folder that they come into; ``room`` is held for them, if it is."""

    todo: AbstractSet[str]
    folder: Path
    room: Reservation | None = None


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

    source_files, ahead = SourceFiles(enclave, chunks.bundle, task.folder, expected), 2 * workers
    with _threads(workers) as decoders, _threads(1) as digester:
        blocks = _blocks(decoders, chunks, ahead + BEHIND + 2)
        decoded = _ahead(decoders, source_files, _wanted(blocks, chunks.own, task.todo), ahead)
        for item in items:
            _write_file(source_files, item, decoded, digester, wrote, room=task.room)
        next(decoded, None)  # nothing more: but what is left of the chunks is checked as well
    return dict(codecs)


@contextmanager
def _threads(count: int) -> Iterator[Executor]:
    """Give threads; whatever happens they have ended afterwards, and what they had not begun is not done."""
    pool = ThreadPoolExecutor(count)
    try:
        yield pool
    finally:
        pool.shutdown(cancel_futures=True)


def _blocks(pool: Executor, chunks: ChunkReader, window: int) -> Iterator[Block]:
    """Yield the blocks of every own chunk, in order.

    The next chunk is read and verified as soon as nothing can be left of the one before this.
    """
    reading = (pool.submit(chunks.read, item) for item in chunks.own.chunks)
    following = next(reading, None)
    while following is not None:
        blocks = parse(following.result(), chunks.bundle)
        for number, block in enumerate(blocks):
            if number == min(window, len(blocks) - 1):
                following = next(reading, None)
            yield block


def _wanted(blocks: Iterable[Block], own: Own, todo: AbstractSet[str]) -> Iterator[Block]:
    """Yield the blocks of the files in ``todo``, long copies in pieces, after checking the order of all blocks."""
    for block in within(in_order(blocks, own.files, own.file_numbers), own):
        if own.bundle.files[block.file].sha512 in todo:
            yield from pieces(block)


def _ahead(pool: Executor, source_files: SourceFiles, blocks: Iterable[Block], window: int) -> Decoded:
    """Yield each block with its target bytes, in order, while up to ``window`` further ones are being decoded.

    A block that reads a file of this bundle waits until every block of that file was taken, and the file is complete.
    """
    queue: deque[tuple[Block, Future[memoryview]]] = deque()
    for block in blocks:
        while queue and (len(queue) > window or _reads(block, queue[0][0].file)):
            first, future = queue.popleft()
            yield first, future.result()
        queue.append((block, pool.submit(_decode, source_files, block)))
    for first, future in queue:
        yield first, future.result()


def _reads(block: Block, file: int) -> bool:
    """Say whether a block reads file number ``file`` of its bundle, or a later one."""
    return any(source.base & BUILT and source.base - BUILT >= file for source in block.sources)


def _decode(source_files: SourceFiles, block: Block) -> memoryview:
    """Return the target bytes of a block; runs on a thread.

    Raises:
        BaselineDamagedError: it does not decode, and a base at rest is no longer what was installed.
        FormatTooNewError: its codec or element is unknown.
        MalformedError: it is not of its codec, sources and length.
    """
    codec.check_sources(block.codec, len(block.sources))
    sources = [source_files.read(source) for source in block.sources]
    try:
        return codec.decode(block.codec, block.payload, sources, block.length, block.element)
    except MalformedError as error:
        source_files.blame(block.sources, error)
        raise


def _write_file(
    source_files: SourceFiles,
    item: FileDigest,
    decoded: Decoded,
    digester: Executor,
    wrote: Callable[[Block, int], None],
    *,
    room: Reservation | None,
) -> None:
    """Write one file from the next decoded blocks, telling how many bytes each brought; kept only if it is right."""
    algorithm, digest = source_files.expected.of(item.sha512)
    running, used, left = hashlib.new(algorithm), dict[int, Source](), item.size
    behind = deque[Future[None]]()
    try:
        with files.writer(source_files.folder / item.sha512) as target:
            if room is not None:
                room.hand_over(target, item.size)
            while left:
                block, data = next(decoded)
                used.update((source.base, source) for source in block.sources)
                behind.append(digester.submit(running.update, data))
                _write(source_files, target, block, data)
                left -= len(data)
                if len(behind) > BEHIND:
                    behind.popleft().result()
                wrote(block, len(data))
            _check_digest(digester.submit(running.hexdigest).result(), digest)
    except (DigestError, MalformedError) as error:
        source_files.blame(used.values(), error)
        raise


def _write(source_files: SourceFiles, target: files.Writer, block: Block, data: memoryview) -> None:
    """Write a block, or share it with the base that it is a copy of."""
    if codec.names()[block.codec] != "equal":
        target.write(data)
        return
    (source,) = block.sources
    with files.opened(source_files.path(source)) as descriptor:
        target.share(data, descriptor, source.start)


def _check_digest(found: str, expected: str) -> None:
    if found != expected:
        raise DigestError("a rebuilt file does not have its signed digest", expected=expected, found=found)
