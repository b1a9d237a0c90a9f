"""Gather the files of one component into the depot: found, judged, read once, digested and kept (SPEC L2).

A component's source is a folder or a single file. Links to regular files are followed wherever they lead (a Hugging
Face cache is made of them) and the file is what counts; links to folders are refused. What tools leave beside a model
(``.git``, ``.DS_Store``) is passed over, and named; so is what the patterns of the source leave out.
"""

import os
import stat
from collections.abc import Callable, Container, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

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
from airlift.store.content import Check, ContentFolder, CountBytes, accept, digest
from airlift.store.digests import Digested

MAX_DEPTH = 64
THREADS = min(8, os.cpu_count() or 1)

Take = Callable[[int, Path, CountBytes], Digested]
"""Takes an open file, its path for messages, and a function that counts bytes read; returns its size and digests."""


def taking(
    content: ContentFolder,
    new: dict[str, int],
    sizes: Container[int],
    *,
    keep: bool,
    check: Check = accept,
    pieces: dict[str, bytes] | None = None,
) -> Take:
    """Return how a file is taken into ``content``, or only digested unless ``keep``.

    What was not held is put down in ``new`` (size in bytes by SHA-512) at once; ``sizes`` are those of held files.
    What ``check`` refuses is not taken. The digests of the pieces of what has any are put down in ``pieces`` (joined,
    by SHA-512), if it is given.
    """
    asked = pieces is not None

    def take(descriptor: int, path: Path, read: CountBytes) -> Digested:
        if not keep:
            taken = digest(descriptor, path, read, pieces=asked)
            check(path, taken.sha256)
            is_new = not content.path(taken.sha512).exists()
        else:
            taken = content.keep(descriptor, path, read, sizes=sizes, check=check, pieces=asked)
            is_new = taken.new
        if pieces is not None and taken.pieces:
            pieces[taken.sha512] = taken.pieces
        if is_new:
            new[taken.sha512] = taken.size
        return taken

    return take


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
    return tuple(
        f"{component}/{relative} is a link to {real}, outside of its source"
        for relative, real in found.paths.items()
        if not any(real.is_relative_to(home) for home in homes)
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
    work = partial(_collect_file, kind, found, lambda open_, path: take(open_, path, read), accepted)
    try:
        form.check_paths(kind, found.paths)
        with ThreadPoolExecutor(THREADS) as pool:
            taken = list(pool.map(work, found.paths))
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


def _collect_file(
    kind: str, found: Survey, take: Callable[[int, Path], Digested], accepted: frozenset[str], relative: str
) -> tuple[Digested, Verdict]:
    path = found.paths[relative]
    descriptor = files.open_regular(path)
    try:
        verdict = judge_file(kind, relative, descriptor, frozenset(found.paths))
        _insist(verdict.objections, accepted)
        check_header(relative, path)
        return take(descriptor, path), verdict
    finally:
        os.close(descriptor)


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
    found = {source.name: source} if alone else dict(_walk(source.resolve(), "", skipped, 0))
    chosen = choose(found, patterns, alone=alone)
    if not chosen.kept:
        raise ForbiddenFileError(
            "there are no files",
            found=f"{source}: {len(chosen.left_out)} left out by patterns, {len(skipped)} leftovers",
            hint="correct the path or the patterns in the manifest",
        )
    if len(chosen.kept) > MAX_FILES:
        raise ForbiddenFileError("too many files", expected=f"at most {MAX_FILES}")
    return {name: _real_file(name, found[name]) for name in chosen.kept}, replace(
        chosen, skipped=tuple(skipped)
    )


def _walk(folder: Path, prefix: str, skipped: list[str], depth: int) -> Iterator[tuple[str, Path]]:
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
            yield relative, Path(entry.path)


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
