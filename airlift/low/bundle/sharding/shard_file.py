"""Shards in a folder that processes share: written whole or not at all, and read as if anybody had written them."""

import hashlib
import os
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from airlift import files
from airlift.codec import Coded
from airlift.errors import DigestError, InventoryError, MalformedError, ProvenBadError, UncheckedError
from airlift.low.bundle.encode import Encoded
from airlift.low.bundle.sharding import shard_format
from airlift.low.bundle.sharding.division import MAX_SHARDS, Run, Share
from airlift.low.bundle.sharding.shard_format import DIGEST_BYTES, HEAD, ROW, Head, Row
from airlift.media.staging import staging
from airlift.tensors.matching.segment import Segment

NAME = "blocks"
PLAN_HEX = 32

Planned = Iterable[tuple[int, Segment]]
"""The blocks of a part of a plan, in order, each with the number of its file."""

_FOLDER = re.compile(rf"airlift-shard-([0-9a-f]{{{PLAN_HEX}}})-([0-9]{{4}})of([0-9]{{4}})")


@dataclass(frozen=True, slots=True)
class Place:
    """Where a shard is, or will be: its folder, and what it holds: a part of a plan, by the plan's digest (hex)."""

    shared: Path
    plan: str
    share: Share

    @property
    def folder(self) -> Path:
        """The folder of the shard alone."""
        name = f"airlift-shard-{self.plan[:PLAN_HEX]}-{self.share.number:04}of{self.share.of:04}"
        return self.shared / name

    @property
    def path(self) -> Path:
        """Its file."""
        return self.folder / NAME

    def there(self) -> bool:
        """Say whether there is something of that name."""
        with files.reading(self.path):
            try:
                os.lstat(self.path)
            except (FileNotFoundError, NotADirectoryError):
                return False
        return True

    def head(self, run: Run) -> Head:
        """Return how the file begins if it holds this part."""
        return Head(self.plan, self.share, run.blocks)


@dataclass(frozen=True, slots=True)
class Written:
    """What a shard is: its SHA-512 (hex), without what it ends with, and how many bytes its payloads have."""

    digest: str
    coded_bytes: int


def find_places(shared: Path, plan: str) -> tuple[dict[int, set[int]], int]:
    """Return which shards of a plan lie in a folder, by how many it was cut into, and how many of other plans."""
    found: dict[int, set[int]] = {}
    others = 0
    with files.reading(shared):
        names = sorted(path.name for path in shared.iterdir())
    for match in filter(None, map(_FOLDER.fullmatch, names)):
        number, of = int(match[2]), int(match[3])
        if match[1] != plan[:PLAN_HEX]:
            others += 1
        elif 1 <= number <= of <= MAX_SHARDS and Place(shared, plan, Share(number, of)).there():
            found.setdefault(of, set()).add(number)
    return found, others


def write_shard(place: Place, run: Run, items: Iterable[Encoded]) -> Written:
    """Write coded blocks as a shard; it appears whole and synced, or not at all.

    Raises:
        InventoryError: the folder of the shard is a link: who made it wants something else to be written.
        StorageError: it cannot be written.
    """
    if place.folder.is_symlink():
        raise wrong(place, InventoryError("its folder is a link", expected="a folder, or nothing yet"))
    running, rows, coded = hashlib.sha512(), [], 0
    with staging(place.folder) as private:
        with files.writer(private / NAME) as file:

            def write(data: bytes) -> None:
                running.update(data)
                file.write(data)

            write(shard_format.format_head(place.head(run)))
            for item in items:
                made = Coded(item.codec, item.payload)
                rows.append(shard_format.format_row(item.file, item.segment, made))
                write(item.payload)
                coded += len(item.payload)
            write(b"".join(rows))
            file.write(running.digest())
        files.rename_durable(private / NAME, place.path)
    files.sync_folder(place.shared)  # the folder of the shard may be one that a killed command made
    return Written(running.hexdigest(), coded)


def check_shard(place: Place, run: Run, planned: Planned) -> None:
    """Hold the head and the table of a shard against the plan; payloads are not read.

    Raises:
        ProvenBadError: they are not what the plan says.
        UncheckedError: it cannot be read.
    """
    with _judged(place), _Reader(place, run) as reader:
        for _ in shard_format.check_rows(reader.table, planned, reader.payload):
            pass


def read_shard(place: Place, run: Run, planned: Planned) -> Iterator[tuple[int, Segment, Coded]]:
    """Yield the number of the file with each block of a shard, and what it was coded as; each byte is read once.

    Raises:
        ProvenBadError: it is not what the plan says; or, at the end, it has not the SHA-512 that it states.
        UncheckedError: it cannot be read.
    """
    with _judged(place), _Reader(place, run) as reader:
        for row, block in shard_format.check_rows(reader.table, planned, reader.payload):
            yield row.file, block, Coded(row.codec, reader.next(row))
        reader.finish()


def verify_shard(place: Place, run: Run, planned: Planned) -> Written:
    """Read a shard to its end, and return what it is.

    Raises:
        ProvenBadError, UncheckedError: as :func:`read_shard`.
    """
    with _judged(place), _Reader(place, run) as reader:
        for row, _ in shard_format.check_rows(reader.table, planned, reader.payload):
            reader.next(row)
        return Written(reader.finish(), reader.payload)


def wrong(place: Place, error: ProvenBadError | UncheckedError) -> ProvenBadError:
    """Return the error that names a shard as what is wrong."""
    kind = type(error) if isinstance(error, ProvenBadError) else MalformedError
    number, of = place.share.number, place.share.of
    return kind(
        f"shard {number} of {of} is wrong: {error.message}",
        expected=error.expected,
        found=error.found,
        hint=f"find out who wrote it, remove {place.folder}, and have it made again with --shard {number}/{of}",
        data={"shard": number, "of": of, "path": str(place.path)},
    )


@contextmanager
def _judged(place: Place) -> Iterator[None]:
    """Name the shard in whatever is found to be wrong with it."""
    try:
        yield
    except ProvenBadError as error:
        raise wrong(place, error) from error
    except UncheckedError as error:
        error.data |= {"shard": place.share.number, "of": place.share.of, "path": str(place.path)}
        raise


class _Reader:
    """An open shard: its ``table``, and the bytes of all its ``payload``, read in order and digested meanwhile."""

    __slots__ = ("_descriptor", "_place", "_position", "_running", "payload", "table")

    def __init__(self, place: Place, run: Run) -> None:
        self._place = place
        self._descriptor = files.open_regular(place.path)
        try:
            self._begin(place.head(run))
        except BaseException:
            os.close(self._descriptor)
            raise

    def _begin(self, head: Head) -> None:
        with files.reading(self._place.path):
            size = os.fstat(self._descriptor).st_size
        start = self._take(0, min(size, HEAD.size))
        shard_format.check_head(start, head)
        self.payload = shard_format.payload_bytes(size, head.blocks)
        self._position = HEAD.size
        self.table = self._take(HEAD.size + self.payload, ROW.size * head.blocks)
        self._running = hashlib.sha512(start)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_raised: object) -> None:
        os.close(self._descriptor)

    def next(self, row: Row) -> bytes:
        """Return the payload of the next row."""
        data = self._take(self._position, row.payload)
        self._running.update(data)
        self._position += row.payload
        return data

    def finish(self) -> str:
        """Check the SHA-512 that it ends with, and return it."""
        self._running.update(self.table)
        end = self._take(self._position + len(self.table), DIGEST_BYTES)
        if end != self._running.digest():
            raise DigestError(
                "it is not as it was written",
                expected=f"SHA-512 {end.hex()}, as it says itself",
                found=self._running.hexdigest(),
            )
        return self._running.hexdigest()

    def _take(self, start: int, length: int) -> bytes:
        with files.reading(self._place.path):
            data = files.read_at(self._descriptor, start, length)
        if len(data) != length:
            raise UncheckedError(f"{self._place.path} changed while it was read")
        return data
