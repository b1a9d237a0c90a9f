"""Check: digest everything at rest again, through the trees that model servers read (SPEC 8.4).

What is damaged is repaired by :mod:`airlift.high.importing.repair`.
"""

import os
import stat
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path

from airlift import files
from airlift.bundle.fields import FileDigest
from airlift.bundle.release import Release
from airlift.errors import ContentDamagedError
from airlift.high.enclave.enclave import Enclave
from airlift.high.enclave.expected import Expected, Part, Range, damage, load_expected, together
from airlift.high.enclave.switching import follow
from airlift.ledger.entries.imports import SHA512
from airlift.ledger.state import State
from airlift.progress import Progress, Tally, silent
from airlift.store.content import CountBytes

NAMED = 3
"""So many damaged files, and ranges of one, are named in a message; all are in its data."""

AHEAD = 4
"""How many jobs wait for each thread."""


@dataclass(frozen=True, slots=True)
class DamagedPieces:
    """What of a content is damaged that consists of pieces: ranges of bytes ``[start, end)``, none beside another."""

    sha512: str
    ranges: tuple[Range, ...]


@dataclass(frozen=True, slots=True)
class CheckResult:
    """How much was checked, what was damaged (SHA-512 of each content), what was repaired.

    Of what was damaged and consists of pieces, ``pieces`` says which of them are (SPEC 8.4-1).
    ``unlisted`` are paths in releases' trees that no manifest lists; ``digest`` is the one that policy verifies by.
    ``passed_over`` are leftovers of desktops on the media that a repair read, ``repaired_chunks`` those (SHA-512)
    that it rebuilt from parity, and ``damaged_volumes`` those with a chunk that is damaged or lacking. ``exports``
    are paths of what follows (SPEC 8.7-9) that are not as they must be.
    """

    files: int
    bytes: int
    damaged: tuple[str, ...]
    repaired: tuple[str, ...] = ()
    unlisted: tuple[str, ...] = ()
    digest: str = SHA512
    passed_over: tuple[Path, ...] = ()
    repaired_chunks: tuple[str, ...] = ()
    damaged_volumes: tuple[Path, ...] = ()
    exports: tuple[str, ...] = ()
    pieces: tuple[DamagedPieces, ...] = ()


def check_content(enclave: Enclave, progress: Progress = silent, workers: int = 2) -> CheckResult:
    """Digest every file of every installed release, through the tree that model servers read, on so many threads.

    Raises:
        ContentDamagedError: something is damaged, or lies there unlisted; ``data`` lists it.
        BusyError: garbage is being collected.
    """
    with enclave.reading():
        expected = enclave.look(lambda state: load_expected(enclave, state))
        return insist_intact(enclave, examine(enclave, expected, progress, workers))


def insist_intact(enclave: Enclave, result: CheckResult) -> CheckResult:
    """Return the result if it tells of no damage, and of no file that nobody listed; else name what it is.

    Raises:
        ContentDamagedError: it does; ``data`` lists it.
    """
    if result.damaged:
        message = f"{len(result.damaged)} of {result.files} files at rest are damaged"
        raise ContentDamagedError(message, found=_named(enclave, result), data=asdict(result))
    if result.unlisted:
        raise ContentDamagedError(
            f"{len(result.unlisted)} files lie in releases that do not list them",
            found=ascii(result.unlisted[0]),
            data=asdict(result),
            hint="find out who put them there, and remove them",
        )
    if result.exports:
        raise ContentDamagedError(
            f"{len(result.exports)} files of exports that follow are not as they must be",
            found=result.exports[0],
            data=asdict(result),
            hint="export it again with the same options: airlift high export active --follow ...",
        )
    return result


def _trees(enclave: Enclave, state: State) -> Iterator[tuple[Path, Release]]:
    """Yield every tree that the ledger says is laid out, with the release in the choice that it is in."""
    for digest, chosen in state.trees():
        yield enclave.release_path(digest, chosen), enclave.load_release(digest).only(chosen)


def _named(enclave: Enclave, result: CheckResult) -> str:
    """Say where damaged contents are served: ``guard/config.json of assistant@2``, the first few of them."""
    bad = frozenset(result.damaged)
    pieces = {item.sha512: f" ({_told(item.ranges)})" for item in result.pieces}
    found = (
        f"{component.folder}/{entry.path} of {release.label}{pieces.get(entry.sha512, '')}"
        for release in map(enclave.load_release, enclave.state().installed)
        for component, entry in release.files()
        if entry.sha512 in bad
    )
    names = list(dict.fromkeys(found))
    more = f", and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return f"{', '.join(names[:NAMED])}{more}"


def _told(ranges: tuple[Range, ...]) -> str:
    """Name ranges of bytes, the first few of them."""
    shown = " and ".join(f"{start} to {end}" for start, end in ranges[:NAMED])
    return (
        f"bytes {shown}, and {len(ranges) - NAMED} ranges more" if len(ranges) > NAMED else f"bytes {shown}"
    )


def installed_places(enclave: Enclave) -> dict[str, tuple[int, list[str]]]:
    """Return for each content its size and every place, as text, it is installed at, content folder included."""
    places: dict[str, tuple[int, list[str]]] = {}
    state, content = enclave.state(), enclave.content
    for top, release in _trees(enclave, state):
        for component, entry in release.files():
            if entry.sha512 not in places:
                places[entry.sha512] = entry.size, [content.place(entry.sha512)]
            places[entry.sha512][1].append(f"{top}/{component.folder}/{entry.path}")
    for item in state.variants:  # those that are held and laid out nowhere
        for _, entry in enclave.load_release(item.release).only(item.held).files():
            places.setdefault(entry.sha512, (entry.size, [content.place(entry.sha512)]))
    return places


def examine(enclave: Enclave, expected: Expected, progress: Progress, workers: int = 2) -> CheckResult:
    """Return what is damaged or unlisted, after reading everything that is installed, on so many threads."""
    places = installed_places(enclave)
    total = sum(size for size, _ in places.values())
    tally, found = Tally("checking", total, progress), dict[str, list[Range]]()
    jobs = (
        _Job(FileDigest(sha512, size), path, parts, silently if number else tally.add)
        for sha512, (size, paths) in places.items()
        for number, path in enumerate(_by_inode(paths))
        for parts in together(expected.parts(FileDigest(sha512, size)))
    )
    for job, ranges in _digested(jobs, workers):
        found.setdefault(job.content.sha512, []).extend(ranges)
    damaged = tuple(sha512 for sha512, ranges in found.items() if ranges)
    return CheckResult(
        len(places),
        total,
        damaged,
        unlisted=tuple(_unlisted(enclave)),
        digest=expected.algorithm,
        exports=tuple(follow.differing(enclave, enclave.state())),
        pieces=tuple(
            DamagedPieces(sha512, _joined(found[sha512])) for sha512 in damaged if sha512 in expected.pieces
        ),
    )


@dataclass(frozen=True, slots=True)
class _Job:
    """Parts of a content to digest, in one place where it is installed; None if nothing is there."""

    content: FileDigest
    path: Path | None
    parts: tuple[Part, ...]
    read: CountBytes

    def run(self) -> tuple[Range, ...]:
        """Return what is damaged of it."""
        path, parts = self.path, self.parts
        if path is None:
            return ((parts[0].start, parts[-1].end),)
        return damage(path, parts, self.content.size, self.read)


def silently(_count: int) -> None:
    """Count nothing."""


def _digested(jobs: Iterable[_Job], workers: int) -> Iterator[tuple[_Job, tuple[Range, ...]]]:
    """Yield each job with what is damaged, in order; a fixed number of them are under way."""
    waiting = deque[tuple[_Job, Future[tuple[Range, ...]]]]()
    pool = ThreadPoolExecutor(workers)
    try:
        for job in jobs:
            waiting.append((job, pool.submit(job.run)))
            if len(waiting) > AHEAD * workers:
                first, future = waiting.popleft()
                yield first, future.result()
        for first, future in waiting:
            yield first, future.result()
    finally:
        pool.shutdown(cancel_futures=True)


def _joined(ranges: Iterable[Range]) -> tuple[Range, ...]:
    """Return ranges in order, those that touch as one."""
    found = list[Range]()
    for start, end in sorted(ranges):
        if found and start <= found[-1][1]:
            found[-1] = found[-1][0], max(end, found[-1][1])
        else:
            found.append((start, end))
    return tuple(found)


def _unlisted(enclave: Enclave) -> Iterator[str]:
    """Yield the files and links in the trees of releases that their manifests do not list."""
    for top, release in _trees(enclave, enclave.state()):
        if not top.is_dir():
            continue  # its files are missing, and told as that
        listed = {f"{component.folder}/{entry.path}" for component, entry in release.files()}
        found = files.names_below(top)
        yield from (f"{top.relative_to(enclave.folder)}/{name}" for name in found if name not in listed)


def _by_inode(places: Sequence[str]) -> list[Path | None]:
    """Return one path for each distinct file behind ``places``; None stands for what is missing, or is no file."""
    found: dict[tuple[int, int] | None, Path | None] = {}
    for place in places:
        try:
            status = os.lstat(place)
        except (FileNotFoundError, NotADirectoryError):
            found[None] = None
        else:
            plain = stat.S_ISREG(status.st_mode)
            found[(status.st_dev, status.st_ino) if plain else None] = Path(place) if plain else None
    return list(found.values())
