"""Apply: decode the chunks of a verified bundle into staging, byte-exactly (SPEC 7.3).

Blocks arrive in the order of the files, so every file is written and digested in one pass: chunk bytes are read once,
bases once per block, targets never. Decoding runs ahead on threads within a fixed window; memory is one chunk and a
few blocks, whatever the model's size. A file that does not come out with its signed digest is not kept, and if a base
at rest is to blame it is named.
"""

import hashlib
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from itertools import groupby
from pathlib import Path

from airlift import codec, files
from airlift.bundle import volume
from airlift.bundle.chunk import BUILT, Block, Source, in_order, parse, pieces
from airlift.bundle.fields import FileDigest
from airlift.bundle.manifest import Bundle
from airlift.bundle.release import Release
from airlift.errors import (
    BaselineDamagedError,
    BaselineError,
    DigestError,
    IncompleteError,
    MalformedError,
    NoSpaceError,
    ProvenBadError,
)
from airlift.high.enclave import Enclave
from airlift.high.verified import VerifiedBundle
from airlift.progress import Progress

SPACE_MARGIN = 16 << 20


@dataclass(frozen=True, slots=True)
class StagedRelease:
    """A release whose every file is held already or stands verified in ``folder``; ``built`` are the latter."""

    verified: VerifiedBundle
    release: Release
    folder: Path
    built: tuple[FileDigest, ...]


def needed_files(enclave: Enclave, verified: VerifiedBundle) -> tuple[FileDigest, ...]:
    """Return the files of the bundle that the enclave does not hold, after checking that it holds all the rest.

    Raises:
        BaselineError: the release has files that neither the enclave nor the bundle has, or a base is not held.
    """
    if verified.release is None:
        return ()
    contents = verified.release.contents()
    missing = {digest for digest, size in contents.items() if not enclave.holds(digest, size)}
    needed = tuple(item for item in verified.bundle.files if item.sha512 in missing)
    if len(needed) < len(missing):
        raise _no_baseline(verified, len(missing) - len(needed))
    if needed:
        needed_bases(enclave, verified)
    return needed


def needed_bases(enclave: Enclave, verified: VerifiedBundle) -> None:
    """Check that every base of the bundle is held.

    Raises:
        BaselineError: one is not.
    """
    absent = sum(not enclave.holds(base.sha512, base.size) for base in verified.bundle.bases)
    if absent:
        raise _no_baseline(verified, absent)


def _no_baseline(verified: VerifiedBundle, absent: int) -> BaselineError:
    baseline = verified.bundle.baseline
    return BaselineError(
        "the bundle is a delta whose baseline is not held here",
        expected=f"baseline {baseline.label if baseline else 'none'}",
        found=f"{absent} of its files missing",
    )


def stage_chunks(enclave: Enclave, verified: VerifiedBundle) -> None:
    """Check that every chunk is at hand; if not, keep those that are, verified, for the next run.

    Raises:
        IncompleteError: chunks are missing; ``data`` lists them.
    """
    kept = enclave.staging_path(verified.digest) / volume.CHUNKS
    missing = [digest for digest in verified.missing if not (kept / volume.chunk_name(digest)).exists()]
    if not missing:
        return
    files.make_folder(kept)
    for item in verified.bundle.chunks:
        path = kept / volume.chunk_name(item.sha512)
        if verified.chunk_paths[item.sha512] and not path.exists():
            files.write_durable(path, verified.read_chunk(item))
    raise IncompleteError(
        f"{len(missing)} of {len(verified.bundle.chunks)} chunks are missing",
        expected=f"{verified.volumes_total} volumes",
        found=f"{verified.volumes_present} volumes",
        data={"missing": missing},
    )


def apply(
    enclave: Enclave, verified: VerifiedBundle, progress: Progress, *, workers: int = 2
) -> StagedRelease:
    """Rebuild every needed file of a verified bundle in staging.

    Raises:
        BaselineError, BaselineDamagedError: the baseline is not held, or not intact: exit 5.
        DigestError, MalformedError: a chunk, or what came out of it, is not what was signed: exit 3.
        IncompleteError: chunks are missing: exit 4.
        StorageError: no space, I/O error: exit 8.
    """
    if verified.release is None:
        raise ValueError("a bundle without a target has nothing to apply")
    folder = enclave.staging_path(verified.digest)
    needed = needed_files(enclave, verified)
    built = folder / "files"
    todo = {item.sha512 for item in needed if not (built / item.sha512).exists()}
    if todo:
        _check_space(enclave, [item.size for item in needed if item.sha512 in todo])
        stage_chunks(enclave, verified)
        files.make_folder(built)
        rebuild(enclave, verified, built, todo, progress, workers=workers)
    return StagedRelease(verified, verified.release, folder, needed)


def rebuild(
    enclave: Enclave,
    verified: VerifiedBundle,
    folder: Path,
    todo: set[str],
    progress: Progress,
    *,
    workers: int,
) -> None:
    """Decode the files whose SHA-512 is in ``todo`` into ``folder``, named by digest; errors as in :func:`apply`."""
    bundle = verified.bundle
    total, done = sum(item.size for item in bundle.files if item.sha512 in todo), 0
    for item in bundle.files:
        if item.sha512 in todo and not item.size:
            _check_digest(hashlib.sha512().hexdigest(), item)
            files.write_durable(folder / item.sha512, b"")
    blocks = in_order(_blocks(enclave, verified), bundle.files)
    wanted = (piece for block in blocks if bundle.files[block.file].sha512 in todo for piece in pieces(block))
    contents = _Contents(enclave, bundle, folder)
    with ThreadPoolExecutor(workers) as pool:
        for number, parts in groupby(wanted, key=lambda block: block.file):
            decoded = _ahead(pool, parts, partial(_decode, contents), 2 * workers)
            for size in _write_file(contents, bundle.files[number], decoded):
                done += size
                progress("rebuilding", done, total)


@dataclass(frozen=True, slots=True)
class _Contents:
    """Where sources are read from: files of this bundle that were just rebuilt, else content at rest.

    A file of the bundle is a source only of files after it, and decoding never runs ahead of the end of a file: what
    stands in ``folder`` is complete and has its signed digest.
    """

    enclave: Enclave
    bundle: Bundle
    folder: Path

    def path(self, source: Source) -> Path:
        """Return the file that a source is of."""
        digest = source.content(self.bundle).sha512
        built = self.folder / digest
        return built if source.base & BUILT and built.exists() else self.enclave.content_path(digest)

    def at_rest(self, sources: Iterable[Source]) -> list[FileDigest]:
        """Return the contents at rest among these, each once."""
        found = {source.content(self.bundle): self.path(source) for source in sources}
        return [content for content, path in found.items() if path.parent != self.folder]


def _blocks(enclave: Enclave, verified: VerifiedBundle) -> Iterator[Block]:
    kept = enclave.staging_path(verified.digest) / volume.CHUNKS
    for item in verified.bundle.chunks:
        yield from parse(verified.read_chunk(item, kept), verified.bundle)


def _decode(contents: _Contents, block: Block) -> memoryview:
    """Return the target bytes of a block; runs on a worker thread."""
    sources = [_read_source(contents.path(source), source) for source in block.sources]
    try:
        return codec.decode(block.codec, block.payload, sources, block.length, block.element)
    except MalformedError as error:
        _blame(contents.enclave, contents.at_rest(block.sources), error)
        raise


def _read_source(path: Path, source: Source) -> bytes:
    descriptor = files.open_regular(path)
    try:
        with files.reading(path):
            data = files.read_at(descriptor, source.start, source.length)
    finally:
        os.close(descriptor)
    if len(data) != source.length:
        raise BaselineDamagedError("a base at rest is shorter than it was", found=path.name)
    return data


def _ahead(
    pool: ThreadPoolExecutor, blocks: Iterator[Block], work: Callable[[Block], memoryview], window: int
) -> Iterator[tuple[Block, memoryview]]:
    """Yield each block with its decoded bytes, in order, while up to ``window`` further ones are being decoded."""
    queue: deque[tuple[Block, Future[memoryview]]] = deque()
    try:
        for block in blocks:
            queue.append((block, pool.submit(work, block)))
            if len(queue) > window:
                first, future = queue.popleft()
                yield first, future.result()
        while queue:
            first, future = queue.popleft()
            yield first, future.result()
    finally:
        for _, future in queue:
            future.cancel()


def _write_file(
    contents: _Contents, item: FileDigest, parts: Iterable[tuple[Block, memoryview]]
) -> Iterator[int]:
    """Write one file from its decoded blocks, yielding the bytes that each brought; kept only if it is right."""
    running = hashlib.sha512()
    used: dict[int, Source] = {}
    try:
        with files.writer(contents.folder / item.sha512) as target:
            for block, data in parts:
                used.update((source.base, source) for source in block.sources)
                running.update(data)
                target.write(data)
                yield len(data)
            _check_digest(running.hexdigest(), item)
    except (DigestError, MalformedError) as error:
        _blame(contents.enclave, contents.at_rest(used.values()), error)
        raise


def _check_digest(found: str, item: FileDigest) -> None:
    if found != item.sha512:
        raise DigestError("a rebuilt file does not have its signed digest", expected=item.sha512, found=found)


def _blame(enclave: Enclave, bases: list[FileDigest], error: ProvenBadError) -> None:
    """Raise BaselineDamagedError if one of these bases is no longer what it was when it was installed."""
    for base in bases:
        path = enclave.content_path(base.sha512)
        if digest_file(path) != base.sha512:
            raise BaselineDamagedError(
                "a base at rest is damaged: nothing was installed", expected=base.sha512, found=str(path)
            ) from error


def digest_file(path: Path) -> str:
    """Return the SHA-512 (hex) of a file at rest."""
    running = hashlib.sha512()
    descriptor = files.open_regular(path)
    try:
        offset = 0
        with files.reading(path):
            while data := files.read_at(descriptor, offset, files.COPY_BYTES):
                running.update(data)
                offset += len(data)
    finally:
        os.close(descriptor)
    return running.hexdigest()


def _check_space(enclave: Enclave, sizes: list[int]) -> None:
    need, free = sum(sizes) + SPACE_MARGIN, files.free_bytes(enclave.folder)
    if need > free:
        raise NoSpaceError(
            "not enough space to rebuild the release", expected=f"{need} bytes", found=f"{free} bytes"
        )
