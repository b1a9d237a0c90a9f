"""Let a file come in: digested in the pass that writes it, continued after a break, kept if it is right (SPEC L2.19).

A file that grows is ``IDENTITY.part``, a whole one ``IDENTITY.SHA-256.SHA-512``, so that what was fetched under a pin
is found again; its bytes are digested anew before anybody believes the name.
"""

import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from airlift import files
from airlift.errors import DigestError, NoSpaceError, UncheckedError
from airlift.files import Growing
from airlift.low.sources.arriving import Arriving, BrokenError, Origin
from airlift.low.sources.plan import Wanted
from airlift.progress import Progress
from airlift.store import content
from airlift.store.digests import Digested, Digests

DELAYS = (1.0, 2.0, 4.0, 8.0)
"""Seconds before each further attempt, of those in a row that brought no byte."""
MAX_WAIT = 60.0
UNSTATED_BYTES = 1 << 30
"""How much of a file is taken whose length nobody states."""

Sleep = Callable[[float], None]


_Result = TypeVar("_Result")


def persist(attempt: Callable[[], _Result], sleep: Sleep) -> _Result:
    """Return what an attempt returns; one that broke off is made again after each of :data:`DELAYS`."""
    for delay in DELAYS:
        try:
            return attempt()
        except BrokenError as error:
            sleep(min(error.wait or delay, MAX_WAIT))
    return attempt()


@dataclass(frozen=True, slots=True)
class Landed:
    """A whole file, where it lies, with its digests."""

    path: Path
    digested: Digested


class Meter:
    """Counts the bytes of files that come in, against those that are expected, as far as is known by now."""

    __slots__ = ("_done", "_expected", "_progress", "_stage", "_total")

    def __init__(self, stage: str, wanted: Iterable[Wanted], progress: Progress) -> None:
        self._stage, self._progress = stage, progress
        self._done = self._total = 0
        self._expected: dict[str, int] = {}
        for item in wanted:
            if item.size is not None:
                self.expect(item, item.size)

    def expect(self, wanted: Wanted, size: int) -> None:
        """Take note of how long a file is going to be, in bytes."""
        self._total += size - self._expected.get(wanted.path, 0)
        self._expected[wanted.path] = size

    def add(self, count: int) -> None:
        """Count bytes that came; fewer than none, if they have to come again."""
        self._done += count
        self._progress(self._stage, self._done, max(self._done, self._total))


def landed_paths(folder: Path, wanted: Wanted) -> list[Path]:
    """Return where what was fetched whole under the same pin lies, sorted; it is not read."""
    return sorted(folder.glob(f"{wanted.identity}.*.*"))


def part_path(folder: Path, wanted: Wanted) -> Path:
    """Return where a file grows."""
    return folder / f"{wanted.identity}.part"


def find_landed(folder: Path, wanted: Wanted, meter: Meter) -> Landed | None:
    """Return what was fetched before under the same pin, digested anew; what is not what it was is removed."""
    for path in landed_paths(folder, wanted):
        meter.expect(wanted, path.stat().st_size)
        with files.opened(path) as descriptor:
            found = content.digest(descriptor, path, meter.add, pieces=True)
        if path == _whole(folder, wanted, found):
            return Landed(path, found)
        files.remove(path)
    return None


def land(folder: Path, wanted: Wanted, origin: Origin, meter: Meter, sleep: Sleep = time.sleep) -> Landed:
    """Fetch a file into ``folder``; ``meter`` is told of bytes as they come.

    Raises:
        DigestError: it does not have its digest or its length; nothing of it stays.
        NotHeldError: the server does not have it.
        UncheckedError: the server cannot be asked, denies it, or breaks off for good; what came stays.
        NoSpaceError: it does not fit the disk.
    """
    part = part_path(folder, wanted)
    with files.growing(part) as file:
        try:
            return _land(folder, lambda: _Landing(wanted, origin, file, meter, sleep), meter)
        finally:
            if not file.length:
                with suppress(FileNotFoundError):  # it is whole, and has its name
                    files.remove(part)


def _land(folder: Path, begin: Callable[[], "_Landing"], meter: Meter) -> Landed:
    """Let a file come in; one that was continued and is not right, once more from the start."""
    again = False
    while True:
        landing = begin()
        try:
            return _finish(folder, landing)
        except DigestError:
            meter.add(-landing.file.length)
            continued = landing.continued
            landing.file.cut(0)
            if again or not continued:
                raise
        again = True


def _finish(folder: Path, landing: "_Landing") -> Landed:
    found, wanted = landing.run(), landing.wanted
    if wanted.pin is not None:
        hint = "ask its owner which bytes are right; correct the digest only if the vendor states another one"
        wanted.pin.check(wanted.path, found, hint)
    path = _whole(folder, wanted, found)
    landing.file.become(path)
    return Landed(path, found)


def check_length(wanted: Wanted, stated: int | None) -> None:
    """Check that the length that a server states, if it does, is the one that is wanted, if there is one.

    Raises:
        DigestError: it is another one.
    """
    if wanted.size is not None and stated is not None and stated != wanted.size:
        raise DigestError(
            f"{wanted.path} does not have the length that is stated for it",
            expected=f"{wanted.size} bytes",
            found=f"{stated} bytes",
            hint="ask its owner which bytes are right",
        )


def _whole(folder: Path, wanted: Wanted, found: Digested) -> Path:
    return folder / f"{wanted.identity}.{found.sha256}.{found.sha512}"


class _Landing:
    """One file that comes in: what it is up to now, and the digests of that."""

    def __init__(self, wanted: Wanted, origin: Origin, file: Growing, meter: Meter, sleep: Sleep) -> None:
        self.wanted, self.origin, self.file = wanted, origin, file
        self._meter, self._sleep = meter, sleep
        self._mark: str | None = None
        self._total = wanted.size
        self._digests = Digests()
        self._read_again()
        self.continued = file.length > 0

    def run(self) -> Digested:
        """Ask until all of it is there."""
        quiet = 0
        while not self._is_whole():
            before = self.file.length
            self.continued = before > 0
            try:
                with self.origin(self.wanted, before, self._mark) as arriving:
                    self._take(arriving)
                if self._total is None or self._is_whole():
                    break
                failure = BrokenError(
                    f"{self.wanted.url} broke off", found=f"{self.file.length} of {self._total} bytes"
                )
            except BrokenError as error:
                failure = error
            if failure.restart:
                self._restart()
            quiet = 0 if self.file.length > before else quiet + 1
            if quiet > len(DELAYS):
                raise failure
            self._sleep(min(failure.wait or DELAYS[max(quiet - 1, 0)], MAX_WAIT))
        return self._digests.digested()

    def _is_whole(self) -> bool:
        return self._total is not None and self.file.length == self._total

    def _take(self, arriving: Arriving) -> None:
        """Append what comes; a server that begins elsewhere than asked is heard from its start."""
        if arriving.start != self.file.length:
            self._restart()
        if arriving.start != self.file.length:
            raise UncheckedError(f"{self.wanted.url} is answered with another part of it than was asked for")
        self._mark = arriving.mark
        most = self._bound(arriving.total)
        for piece in arriving.pieces:
            if self.file.length + len(piece) > most:
                raise self._too_long(most)
            self._digests.add(piece)
            self.file.append(piece)
            self._meter.add(len(piece))

    def _bound(self, stated: int | None) -> int:
        """Return how many bytes are taken at most, and check that they fit the disk."""
        check_length(self.wanted, stated)
        self._total = stated if self.wanted.size is None else self.wanted.size
        if self._total is not None:
            self._meter.expect(self.wanted, self._total)
        most = UNSTATED_BYTES if self._total is None else self._total
        free = files.free_bytes(self.file.path.parent)
        if self._total is not None and most - self.file.length > free:
            raise NoSpaceError(
                f"no space left to fetch {self.wanted.path}",
                expected=f"{most - self.file.length} bytes",
                found=f"{free} bytes",
                hint="free some space, then run the same command again; what was fetched is kept",
            )
        return most

    def _too_long(self, most: int) -> DigestError | UncheckedError:
        if self._total is None:
            return UncheckedError(
                f"{self.wanted.url} is long, and its server states no length",
                expected=f"at most {most} bytes without one",
                hint="state its length in the manifest: `bytes`",
            )
        return DigestError(
            f"{self.wanted.path} is longer than is stated for it",
            expected=f"{most} bytes",
            hint="ask its owner which bytes are right",
        )

    def _read_again(self) -> None:
        """Digest what an earlier command wrote."""
        if self.wanted.size is not None and self.file.length > self.wanted.size:
            self.file.cut(0)
        offset = 0
        with files.reading(self.file.path):
            while piece := files.read_at(self.file.descriptor, offset, files.PIECE_BYTES):
                self._digests.add(piece)
                self._meter.add(len(piece))
                offset += len(piece)

    def _restart(self) -> None:
        self._meter.add(-self.file.length)
        self.file.cut(0)
        self.continued, self._mark = False, None
        self._digests = Digests()


def forget(folder: Path, held: Callable[[str], bool]) -> None:
    """Remove what was fetched whole and is held elsewhere: ``held`` says it of a SHA-512."""
    for path in folder.glob("*.*.*"):
        if held(path.name.rpartition(".")[2]):
            with suppress(FileNotFoundError):
                files.remove(path)
