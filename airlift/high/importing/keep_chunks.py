"""Keep chunks: stage what an incomplete import has verified, and tell what is missing and where it is (SPEC 7.8)."""

from collections.abc import Collection, Iterator
from collections.abc import Set as AbstractSet
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from pathlib import Path

from airlift import files
from airlift.bundle import manifest, volume
from airlift.bundle.fields import FileDigest, format_time
from airlift.errors import AirliftError, DigestError, IncompleteError, UncheckedError
from airlift.files import Reservation
from airlift.high.enclave import staged_record
from airlift.high.enclave.enclave import Enclave
from airlift.high.enclave.staged import MANIFEST, RECORD, load_manifest, load_record
from airlift.high.enclave.staged_record import Record, SeenVolume, Wanted
from airlift.high.importing.reserve import reserve
from airlift.high.verification.read_chunks import ChunkReader
from airlift.high.verification.verified import VerifiedBundle
from airlift.progress import Progress
from airlift.store.content import digest_file


def take_stock(enclave: Enclave, verified: VerifiedBundle, workers: int) -> frozenset[str]:
    """Digest every staged chunk of a bundle, remove what is damaged; return the SHA-512 of the others (SPEC 7.8-2).

    Raises:
        StorageError: a damaged one cannot be removed.
    """
    folder = enclave.staging_path(verified.digest) / volume.CHUNKS
    if not folder.is_dir():
        return frozenset()
    chunks = verified.bundle.all_chunks
    with ThreadPoolExecutor(workers) as pool:
        good = pool.map(lambda item: _is_good(folder / volume.chunk_name(item.sha512), item), chunks)
        return frozenset(item.sha512 for item, is_good in zip(chunks, good, strict=True) if is_good)


def _is_good(path: Path, item: FileDigest) -> bool:
    """Say whether a staged chunk is there and what was signed; if it is not, it is removed."""
    try:
        if path.lstat().st_size == item.size and digest_file(path) == item.sha512:
            return True
    except FileNotFoundError:
        return False
    except AirliftError:
        pass
    files.remove(path)
    return False


def keep_chunks(
    enclave: Enclave,
    chunks: ChunkReader,
    staged: AbstractSet[str],
    progress: Progress,
    *,
    work: int,
    now: datetime,
) -> IncompleteError:
    """Stage every good chunk of the given volumes, durably; return the error that says what is missing.

    Parity is staged of stripes that lack data. Room is held for all that is still to come, in whole blocks: missing
    chunks, and ``work`` bytes of rebuilt files.

    Raises:
        NoSpaceError: there is not so much room; nothing was changed.
        DigestError: chunks on the volumes are damaged, and there is no parity; the others were staged.
        UncheckedError: a volume cannot be read, and there is no parity; what was read before is staged.
    """
    folder = enclave.staging_path(chunks.verified.digest)
    wanted = dict.fromkeys((*chunks.own.chunks, *_members(chunks)))
    new = [item for item in wanted if item.sha512 not in staged]
    need = work + sum(files.in_blocks(item.size) for item in new)
    with reserve(enclave, chunks.verified.digest, need, keep=True) as room:
        record = _remember(folder, chunks.verified, now)
        files.make_folder(folder / volume.CHUNKS)
        damaged = _stage_each(chunks, [item for item in new if chunks.is_good(item)], room, progress)
    if damaged:
        raise damaged
    return _incomplete(chunks, record)


def _members(chunks: ChunkReader) -> Iterator[FileDigest]:
    """Yield the members at hand of stripes that lack data of this enclave's."""
    data, mine = chunks.bundle.chunks, {item.sha512 for item in chunks.own.chunks}
    for stripe in chunks.bundle.parity:
        own = [data[index] for index in stripe.data if data[index].sha512 in mine]
        if not all(chunks.is_good(item) for item in own):
            yield from (item for item in stripe.members(data) if chunks.is_good(item))


def _remember(folder: Path, verified: VerifiedBundle, now: datetime) -> Record:
    """Write what the bundle is, and what its volumes claim, for people who look for the others."""
    if verified.trusted is None:
        raise ValueError("a bundle that was committed before is not staged")
    if load_manifest(folder) is None:
        files.write_durable(folder / MANIFEST, manifest.format(verified.bundle))
    known, trusted = load_record(folder), verified.trusted
    expires = min(time for role, time in trusted.expires.items() if role != "root")
    record = Record(
        since=known.since if known else format_time(now),
        timestamp=trusted.versions["timestamp"],
        expires=expires,
        volumes=known.volumes if known else (),
    )
    record = staged_record.remember(record, _seen(verified))
    if record != known:
        files.write_durable(folder / RECORD, staged_record.format(record))
    return record


def _seen(verified: VerifiedBundle) -> list[SeenVolume]:
    """Return what the given volumes claim to hold."""
    names = [volume.chunk_name(item.sha512) for item in verified.bundle.chunks]
    return [
        SeenVolume(
            claim.volume,
            claim.volumes,
            staged_record.ranges(index for index, name in enumerate(names) if name in claim.names),
        )
        for claim in verified.volumes
    ]


def _stage_each(
    chunks: ChunkReader, given: Collection[FileDigest], room: Reservation, progress: Progress
) -> DigestError | None:
    """Stage the chunks that the volumes have, each in room that was held for it; return what was damaged.

    Where there is parity, what is damaged is only lost.
    """
    damaged: list[str] = []
    first: DigestError | None = None
    total, done = sum(item.size for item in given), 0
    for item in given:
        done += item.size
        try:
            data = chunks.read_copy(item)
        except (DigestError, UncheckedError) as error:
            if not chunks.bundle.parity and isinstance(error, UncheckedError):
                raise
            if not chunks.bundle.parity and isinstance(error, DigestError):
                first = first or error
                damaged.append(item.sha512)
            continue
        with files.writer(chunks.path(item)) as target:
            room.hand_over(target, item.size)
            target.write(data)
        progress("staging", done, total)
    if first is not None:
        first.data["damaged"] = damaged
    return first


def _incomplete(chunks: ChunkReader, record: Record) -> IncompleteError:
    """Return the error of an import that lacks chunks: how many, and which volumes should have them."""
    bundle, missing = chunks.bundle, chunks.missing()
    absent = set(missing)
    indices = [index for index, item in enumerate(bundle.chunks) if item.sha512 in absent]
    found = staged_record.wanted(bundle, record.volumes, indices)
    return IncompleteError(
        f"{len(missing)} of {len(chunks.own.chunks)} chunks are missing",
        expected=_told(found),
        found=f"{staged_record.spell(record.volumes)} so far",
        hint=_hint(found),
        data={
            "missing": list(missing),
            "wanted": found,
            "damaged_volumes": [str(path) for path in sorted(chunks.damaged)],
        },
    )


def _told(found: Collection[Wanted]) -> str:
    """Return where missing chunks should be, as people say it."""
    parts = [
        f"{item.chunks} on volume {item.volume} of {item.volumes}, which was seen"
        for item in found
        if item.seen
    ]
    unseen = [item for item in found if not item.seen]
    counts = {item.chunks for item in unseen} - {None}
    if unseen:
        count = f"{counts.pop()} " if counts else "the rest " if parts else ""
        parts.append(f"{count}on {staged_record.spell(unseen)}, not seen yet")
    return "; ".join(parts) or "a volume that lists them"


def _hint(found: Collection[Wanted]) -> str | None:
    if not found:
        return "no volume that was seen lists them: ask the low side for the missing chunks"
    return (
        f"insert {staged_record.spell(found, last='or')} and run the same command on it; "
        "what was verified is kept, see `airlift high status`"
    )
