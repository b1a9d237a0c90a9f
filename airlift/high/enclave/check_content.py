"""Check: digest everything at rest again, through the trees that model servers read (SPEC 8.4).

What is damaged is repaired by :mod:`airlift.high.importing.repair`.
"""

import os
import stat
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from airlift import files
from airlift.bundle.release import Release
from airlift.errors import ContentDamagedError
from airlift.high.enclave.enclave import Enclave
from airlift.high.enclave.expected import Expected, load_expected
from airlift.high.enclave.switching import follow
from airlift.ledger.entries.imports import SHA512
from airlift.ledger.state import State
from airlift.progress import Progress, Tally, silent
from airlift.store.content import CountBytes

NAMED = 3
"""So many damaged files are named in a message; all are in its data, by digest."""


@dataclass(frozen=True, slots=True)
class CheckResult:
    """How much was checked, what was damaged (SHA-512 of each content), what was repaired.

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


def check_content(enclave: Enclave, progress: Progress = silent) -> CheckResult:
    """Digest every file of every installed release, through the tree that model servers read.

    Raises:
        ContentDamagedError: something is damaged, or lies there unlisted; ``data`` lists it.
        BusyError: garbage is being collected.
    """
    with enclave.reading():
        expected = enclave.look(lambda state: load_expected(enclave, state))
        return insist_intact(enclave, examine(enclave, expected, progress))


def insist_intact(enclave: Enclave, result: CheckResult) -> CheckResult:
    """Return the result if it tells of no damage, and of no file that nobody listed; else name what it is.

    Raises:
        ContentDamagedError: it does; ``data`` lists it.
    """
    if result.damaged:
        message = f"{len(result.damaged)} of {result.files} files at rest are damaged"
        raise ContentDamagedError(message, found=_named(enclave, result.damaged), data=asdict(result))
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


def _named(enclave: Enclave, damaged: tuple[str, ...]) -> str:
    """Say where damaged contents are served: ``guard/config.json of assistant@2``, the first few of them."""
    bad = frozenset(damaged)
    found = (
        f"{component.folder}/{entry.path} of {release.label}"
        for release in map(enclave.load_release, enclave.state().installed)
        for component, entry in release.files()
        if entry.sha512 in bad
    )
    names = list(dict.fromkeys(found))
    more = f", and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return f"{', '.join(names[:NAMED])}{more}"


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


def examine(enclave: Enclave, expected: Expected, progress: Progress) -> CheckResult:
    """Return what is damaged or unlisted, after reading everything that is installed."""
    places = installed_places(enclave)
    total, damaged = sum(size for size, _ in places.values()), []
    tally = Tally("checking", total, progress)
    for sha512, (_size, paths) in places.items():
        first, *others = _by_inode(paths)
        if not _intact(first, sha512, expected, tally.add) or not all(
            _intact(path, sha512, expected) for path in others
        ):
            damaged.append(sha512)
    return CheckResult(
        len(places),
        total,
        tuple(damaged),
        unlisted=tuple(_unlisted(enclave)),
        digest=expected.algorithm,
        exports=tuple(follow.differing(enclave, enclave.state())),
    )


def _unlisted(enclave: Enclave) -> Iterator[str]:
    """Yield the files and links in the trees of releases that their manifests do not list."""
    for top, release in _trees(enclave, enclave.state()):
        listed = {f"{component.folder}/{entry.path}" for component, entry in release.files()}
        found = files.names_below(top)
        yield from (f"{top.relative_to(enclave.folder)}/{name}" for name in found if name not in listed)


def _by_inode(places: Sequence[str]) -> list[Path | None]:
    """Return one path for each distinct file behind ``places``; None stands for what is missing, or is no file."""
    found: dict[tuple[int, int] | None, Path | None] = {}
    for place in places:
        try:
            status = os.lstat(place)
        except FileNotFoundError:
            found[None] = None
        else:
            plain = stat.S_ISREG(status.st_mode)
            found[(status.st_dev, status.st_ino) if plain else None] = Path(place) if plain else None
    return list(found.values())


def _intact(
    path: Path | None, sha512: str, expected: Expected, read: CountBytes = lambda _count: None
) -> bool:
    return path is not None and expected.fits(path, sha512, read)
