"""Gather the files of one component into the depot: found, judged, read once, digested and kept (SPEC L2).

A component's source is a folder or a single file. Links to regular files are followed wherever they lead (a Hugging
Face cache is made of them) and the file is what counts; links to folders are refused. What tools leave beside a model
(``.git``, ``.DS_Store``) is passed over, and named; so is what the patterns of the source leave out.
"""

import os
import stat
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from threading import Lock
from typing import Protocol

from airlift import files
from airlift.bundle.component.file_entry import MAX_FILES, FileEntry
from airlift.bundle.paths import check_no_collision, check_relative
from airlift.bundle.patterns import EVERYTHING, Patterns, leftover
from airlift.errors import ForbiddenFileError, MalformedError, UncheckedError
from airlift.intake.choose import Chosen, choose
from airlift.intake.gate.drift.compare import compare_facts
from airlift.intake.gate.forms import form
from airlift.intake.gate.forms.reading import Whole
from airlift.intake.gate.judge import judge as judge_file
from airlift.intake.gate.stated import Tokenizer
from airlift.intake.gate.verdict import Objection, Verdict
from airlift.intake.headers import check_header
from airlift.store.content import (
    Check,
    ContentFolder,
    CountBytes,
    accept,
    digest,
    digest_bytes,
    read_small,
)
from airlift.store.digests import Digested

MAX_DEPTH = 64
THREADS = min(8, os.cpu_count() or 1)


class Take(Protocol):
    """Takes files in, whose paths are for messages, and counts the bytes read; returns their sizes and digests."""

    def one(self, descriptor: int, path: Path, read: CountBytes) -> Digested:
        """Take an open file."""
        ...

    def many(self, found: Sequence[tuple[Path, bytes]], read: CountBytes) -> list[Digested]:
        """Take small files that were read whole, no more than are synced together."""
        ...


class Digesting:
    """Digests files, and takes none in."""

    def one(self, descriptor: int, path: Path, read: CountBytes) -> Digested:
        """Digest an open file."""
        return digest(descriptor, path, read)

    def many(self, found: Sequence[tuple[Path, bytes]], read: CountBytes) -> list[Digested]:
        """Digest small files that were read whole."""
        read(sum(len(data) for _, data in found))
        return [digest_bytes(data) for _, data in found]


@dataclass(frozen=True, slots=True)
class Taking:
    """How files are taken into ``content``; without ``names`` they are only digested.

    What was not held is put down in ``new`` (size in bytes by SHA-512) at once; ``sizes`` are those of held files.
    What ``check`` refuses is not taken. Small files are durable once ``names`` are settled. The digests of the pieces
    of what has any are put down in ``pieces`` (joined, by SHA-512), if it is given.
    """

    content: ContentFolder
    new: dict[str, int]
    sizes: Container[int]
    names: files.Names | None
    check: Check = accept
    pieces: dict[str, bytes] | None = None

    def one(self, descriptor: int, path: Path, read: CountBytes) -> Digested:
        """Take an open file."""
        asked = self.pieces is not None
        if self.names is None:
            return self._found(path, digest(descriptor, path, read, pieces=asked))
        return self._noted(
            self.content.keep(descriptor, path, read, sizes=self.sizes, check=self.check, pieces=asked)
        )

    def many(self, found: Sequence[tuple[Path, bytes]], read: CountBytes) -> list[Digested]:
        """Take small files that were read whole."""
        if self.names is None:
            taken = [self._found(path, digest_bytes(data)) for path, data in found]
        else:
            taken = [self._noted(item) for item in self.content.keep_small(found, self.names, self.check)]
        read(sum(item.size for item in taken))
        return taken

    def _found(self, path: Path, taken: Digested) -> Digested:
        self.check(path, taken.sha256)
        return self._noted(replace(taken, new=not self.content.has(taken.sha512)))

    def _noted(self, taken: Digested) -> Digested:
        if taken.new:
            self.new[taken.sha512] = taken.size
        if self.pieces is not None and taken.pieces:
            self.pieces[taken.sha512] = taken.pieces
        return taken


@dataclass(frozen=True, slots=True)
class Survey:
    """What a source holds: real path and size by portable relative path, sorted.

    ``skipped`` are the leftovers that were passed over, ``left_out`` the files that the source's patterns leave out.
    """

    paths: Mapping[str, Path]
    sizes: Mapping[str, int]
    skipped: tuple[str, ...]
    left_out: tuple[str, ...] = ()


def survey(component: str, source: Path, patterns: Patterns = EVERYTHING) -> Survey:
    """Find the files of a component and judge their paths and types; nothing is read yet.

    Raises:
        ForbiddenFileError: a file, link or name that a component may not hold, or none at all.
        UncheckedError: the source cannot be read.
    """
    if not source.exists():
        raise UncheckedError(
            f"component {component}: there is no {source}", hint="correct the path in the manifest"
        )
    try:
        paths, chosen = _find(source, patterns)
    except ForbiddenFileError as error:
        raise _named(component, error) from error
    return judge(component, paths, chosen.skipped, chosen.left_out)


def judge(
    component: str,
    paths: Mapping[str, Path],
    skipped: tuple[str, ...] = (),
    left_out: tuple[str, ...] = (),
) -> Survey:
    """Judge the paths of a component; ``paths`` are real paths by relative path, sorted.

    Raises:
        ForbiddenFileError: a name that a component may not hold, or that is not portable.
    """
    try:
        for relative in paths:
            check_relative(relative)
        check_no_collision(list(paths))
    except (MalformedError, ForbiddenFileError) as error:
        raise _named(component, error) from error
    sizes = {relative: _size(relative, path) for relative, path in paths.items()}
    return Survey(paths, sizes, skipped, left_out)


def led_outside(component: str, source: Path, found: Survey) -> tuple[str, ...]:
    """Return a warning for each file that a link brings in from outside of its source folder.

    In the cache of a hub links lead to ``blobs``, which lies beside ``snapshots``: that is part of the source.
    """
    top = source.resolve()
    if not top.is_dir():
        return ()
    homes = (top, top.parents[1] / "blobs") if top.parent.name == "snapshots" else (top,)
    inside = tuple(f"{home}/" for home in homes)
    return tuple(
        f"{component}/{relative} is a link to {real}, outside of its source"
        for relative, real in found.paths.items()
        if not str(real).startswith(inside)
    )


@dataclass(frozen=True, slots=True)
class Collected:
    """The files of a component, sorted by path, and what the gate said of them.

    ``met`` are the objections that were accepted; ``unrecognised`` the paths of files that the gate neither objects
    to nor knows, each with ": " and a remark after it where there is one; ``told`` what a person should look at.
    ``tokenizers`` are the tokenizers among the files, by path.
    """

    entries: tuple[FileEntry, ...]
    met: tuple[Objection, ...]
    unrecognised: tuple[str, ...]
    told: tuple[str, ...] = ()
    tokenizers: Mapping[str, Tokenizer] = field(default_factory=dict)


def collect(
    component: str,
    kind: str,
    found: Survey,
    take: Take,
    read: CountBytes,
    *,
    accepted: frozenset[str] = frozenset(),
) -> Collected:
    """Read and judge every file of a survey on threads, hand each to ``take``, and hold them against each other.

    ``accepted`` are the kinds of objections that do not stand in the way (``gate.verdict.KINDS``).

    Raises:
        ForbiddenFileError: a file that is damaged or not whole, or the first objection that is not accepted.
        UncheckedError: a file cannot be read, or changes while it is read.
    """
    work = _Work(kind, found, frozenset(found.paths), accepted, take, read).collect
    try:
        form.check_paths(kind, found.paths)
        with ThreadPoolExecutor(THREADS) as pool:
            taken = [item for some in pool.map(work, _parts(found)) for item in some]
        verdicts = {relative: verdict for relative, (_, verdict) in zip(found.paths, taken, strict=True)}
        stated = {path: said.stated for path, said in verdicts.items() if said.stated is not None}
        compared = compare_facts(stated)
        _insist(compared.objections, accepted)
        entries = tuple(
            FileEntry(relative, item.size, item.sha512, item.sha256)
            for relative, (item, _) in zip(found.paths, taken, strict=True)
        )
        form.check_whole(kind, Whole({entry.path: entry for entry in entries}, partial(_head, found)))
    except ForbiddenFileError as error:
        raise _named(component, error) from error
    return Collected(
        entries,
        (*(objection for said in verdicts.values() for objection in said.objections), *compared.objections),
        tuple(
            f"{relative}: {said.remark}" if said.remark else relative
            for relative, said in verdicts.items()
            if not said.recognised and not said.objections
        ),
        compared.told,
        {path: facts for path, facts in stated.items() if isinstance(facts, Tokenizer)},
    )


def insist(component: str, objections: Iterable[Objection], accepted: frozenset[str]) -> None:
    """Refuse a component for the first objection that is not accepted.

    Raises:
        ForbiddenFileError: there is one.
    """
    try:
        _insist(objections, accepted)
    except ForbiddenFileError as error:
        raise _named(component, error) from error


def _insist(objections: Iterable[Objection], accepted: frozenset[str]) -> None:
    for objection in objections:
        if objection.what not in accepted:
            raise objection.error()


def _parts(found: Survey) -> Iterator[list[str]]:
    """Yield the files of a survey in order, by what is read at once: a large one, or small ones."""
    part, size = list[str](), 0
    for relative in found.paths:
        more = found.sizes[relative]
        small = more <= files.SMALL_BYTES
        if part and (not small or len(part) == files.TOGETHER_FILES or size + more > files.TOGETHER_BYTES):
            yield part
            part, size = [], 0
        if small:
            part.append(relative)
            size += more
        else:
            yield [relative]
    if part:
        yield part


@dataclass(frozen=True, slots=True)
class _Work:
    """What it takes to judge a file of a component, and to take it in; ``paths`` are all of its files.

    One thread at a time looks at small files, which is work of the interpreter; another writes meanwhile. It alone:
    all files of what it writes are open at once.
    """

    kind: str
    found: Survey
    paths: frozenset[str]
    accepted: frozenset[str]
    take: Take
    read: CountBytes
    looking: Lock = field(default_factory=Lock)
    taking: Lock = field(default_factory=Lock)

    def collect(self, part: Sequence[str]) -> list[tuple[Digested, Verdict]]:
        """Judge and take one large file, or small ones."""
        if self.found.sizes[part[0]] > files.SMALL_BYTES:
            path = self.found.paths[part[0]]
            with files.opened(path) as descriptor:
                verdict = self._judge(descriptor, part[0])
                return [(self.take.one(descriptor, path, self.read), verdict)]
        verdicts, held = list[Verdict](), list[tuple[Path, bytes]]()
        with self.looking:
            for relative in part:
                path = self.found.paths[relative]
                with files.opened(path) as descriptor:
                    verdicts.append(self._judge(descriptor, relative))
                    held.append((path, read_small(descriptor, path)))
        with self.taking:
            return list(zip(self.take.many(held, self.read), verdicts, strict=True))

    def _judge(self, descriptor: int, relative: str) -> Verdict:
        verdict = judge_file(self.kind, relative, descriptor, self.paths)
        _insist(verdict.objections, self.accepted)
        check_header(relative, self.found.paths[relative])
        return verdict


def _head(found: Survey, relative: str, most: int) -> bytes:
    with files.opened(found.paths[relative]) as descriptor, files.reading(relative):
        return files.read_at(descriptor, 0, most)


def _named(component: str, error: MalformedError | ForbiddenFileError) -> ForbiddenFileError:
    hint = error.hint if isinstance(error, ForbiddenFileError) else "rename it: names must be portable"
    return ForbiddenFileError(
        f"component {component}: {error.message}", expected=error.expected, found=error.found, hint=hint
    )


# -- finding -------------------------------------------------------------------------------------------------------


def _find(source: Path, patterns: Patterns) -> tuple[dict[str, Path], Chosen]:
    skipped: list[str] = []
    alone = not source.is_dir()
    found = {source.name: (source, False)} if alone else dict(_walk(source.resolve(), "", skipped, 0))
    chosen = choose(found, patterns, alone=alone)
    if not chosen.kept:
        raise ForbiddenFileError(
            "there are no files",
            found=f"{source}: {len(chosen.left_out)} left out by patterns, {len(skipped)} leftovers",
            hint="correct the path or the patterns in the manifest",
        )
    if len(chosen.kept) > MAX_FILES:
        raise ForbiddenFileError("too many files", expected=f"at most {MAX_FILES}")
    real = {
        name: path if plain else _real_file(name, path)
        for name in chosen.kept
        for path, plain in [found[name]]
    }
    return real, replace(chosen, skipped=tuple(skipped))


def _walk(
    folder: Path, prefix: str, skipped: list[str], depth: int
) -> Iterator[tuple[str, tuple[Path, bool]]]:
    """Yield relative path, path, and whether it is a plain file: below a real folder that leads nowhere else."""
    if depth > MAX_DEPTH:
        raise ForbiddenFileError("folders are nested too deeply", expected=f"at most {MAX_DEPTH} levels")
    with files.reading(folder), os.scandir(folder) as entries:
        listing = sorted(entries, key=lambda entry: entry.name)
    for entry in listing:
        relative = prefix + entry.name
        if leftover(entry.name) is not None:
            skipped.append(relative)
        elif entry.is_dir(follow_symlinks=False):
            yield from _walk(Path(entry.path), f"{relative}/", skipped, depth + 1)
        else:
            yield relative, (Path(entry.path), entry.is_file(follow_symlinks=False))


def _real_file(relative: str, path: Path) -> Path:
    """Return what ``path`` leads to, which must be a regular file."""
    with files.reading(relative):
        try:
            real = path.resolve(strict=True)
            mode = real.stat().st_mode
        except (
            FileNotFoundError,
            NotADirectoryError,
            RuntimeError,
        ) as error:  # RuntimeError: a loop of links
            raise ForbiddenFileError(
                f"{_shown(relative)} is a link that leads nowhere", hint="remove it, or complete the download"
            ) from error
    if stat.S_ISDIR(mode):
        raise ForbiddenFileError(
            f"{_shown(relative)} is a link to a folder", hint="put the files themselves there"
        )
    if not stat.S_ISREG(mode):
        raise ForbiddenFileError(f"{_shown(relative)} is neither a file nor a folder", hint="remove it")
    return real


def _size(relative: str, path: Path) -> int:
    with files.reading(relative):
        return path.stat().st_size


def _shown(relative: str) -> str:
    return ascii(relative)[1:-1]
