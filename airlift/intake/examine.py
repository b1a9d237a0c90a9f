"""Ask the gate about a release that is laid out: what it says against the files, save what waivers let through.

The same judgement as when a release is made (SPEC L2.4 to L2.8, L2.13), over a tree ``<component>/...``. A waiver
lets through one kind of objection in the files that it names: what a later gate finds in others is told.
"""

from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from operator import attrgetter
from pathlib import Path

from airlift import files
from airlift.bundle.component.component import Component
from airlift.bundle.release import Release
from airlift.errors import ForbiddenFileError
from airlift.intake.collect import THREADS
from airlift.intake.gate.drift.compare import compare_facts, compare_tokenizers
from airlift.intake.gate.forms import form
from airlift.intake.gate.forms.reading import Whole
from airlift.intake.gate.judge import judge
from airlift.intake.gate.stated import Stated, Tokenizer
from airlift.intake.gate.verdict import Objection
from airlift.intake.headers import check_header

ADAPTER, ADAPTER_OF = "adapter", "adapter-of"


@dataclass(frozen=True, slots=True)
class Finding:
    """What the gate says against a file: in which component, and in words for people."""

    component: str
    message: str
    found: str = ""

    def __str__(self) -> str:
        """The finding on one line."""
        return f"{self.component}: {self.message}{f' ({self.found})' if self.found else ''}"


@dataclass(frozen=True, slots=True)
class _Judged:
    """What is said of a component, and what its files state."""

    findings: tuple[Finding, ...]
    stated: Mapping[str, Stated]


def examine_release(
    release: Release, tree: Path, folder: Callable[[Component], str] = attrgetter("name")
) -> tuple[Finding, ...]:
    """Return what the gate says against the files of ``release`` that lie in ``tree``, in the order of the manifest.

    ``folder`` says in which folder of it a component lies: one that is called as it is, unless told otherwise.

    Raises:
        UncheckedError: a file cannot be read.
        InventoryError: a file is a link, or something else than a file.
    """
    judged = {item.name: _judge(item, tree / folder(item)) for item in release.components}
    return tuple(
        finding
        for component in release.components
        for finding in (*judged[component.name].findings, *_unlike_parents(component, release, judged))
    )


def adapted(component: Component) -> frozenset[str]:
    """Return the digests of the components that an adapter is of, as far as they are known."""
    if component.kind != ADAPTER:
        return frozenset()
    return frozenset(p.digest for p in component.parents if p.relation == ADAPTER_OF and p.digest)


def _judge(component: Component, folder: Path) -> _Judged:
    work = partial(_judge_file, component, frozenset(entry.path for entry in component.files), folder)
    with ThreadPoolExecutor(THREADS) as pool:
        said = list(pool.map(work, (entry.path for entry in component.files)))
    stated = {
        entry.path: facts
        for entry, (_, facts) in zip(component.files, said, strict=True)
        if facts is not None
    }
    against = [finding for findings, _ in said for finding in findings]
    against += _unmet(component, compare_facts(stated).objections)
    against += _misfit(component, folder)
    return _Judged(tuple(against), stated)


def _judge_file(
    component: Component, paths: frozenset[str], folder: Path, relative: str
) -> tuple[list[Finding], Stated | None]:
    try:
        with files.opened(folder / relative) as descriptor:
            verdict = judge(component.kind, relative, descriptor, paths)
        check_header(relative, folder / relative)
    except ForbiddenFileError as error:
        return [Finding(component.name, error.message, error.found or "")], None
    return list(_unmet(component, verdict.objections)), verdict.stated


def _misfit(component: Component, folder: Path) -> Iterator[Finding]:
    """Yield why a component is not of the form of its kind, if so."""
    entries = {entry.path: entry for entry in component.files}
    try:
        form.check_paths(component.kind, entries)
        form.check_whole(component.kind, Whole(entries, partial(_head, folder)))
    except ForbiddenFileError as error:
        yield Finding(component.name, error.message, error.found or "")


def _head(folder: Path, relative: str, most: int) -> bytes:
    with files.opened(folder / relative) as descriptor, files.reading(relative):
        return files.read_at(descriptor, 0, most)


def _unmet(component: Component, objections: tuple[Objection, ...]) -> Iterator[Finding]:
    """Yield the objections that no waiver of a component lets through."""
    waived = {(waiver.what, path) for waiver in component.accept for path in waiver.files}
    for objection in objections:
        if (objection.what, objection.path) not in waived:
            yield Finding(component.name, objection.message, objection.found)


def _unlike_parents(
    component: Component, release: Release, judged: Mapping[str, _Judged]
) -> Iterator[Finding]:
    """Yield what is said of an adapter's tokenizer beside that of its parent in the same release (SPEC L2.14)."""
    wanted = adapted(component)
    for parent in (item for item in release.components if item.digest in wanted):
        others = _tokenizers(judged[parent.name].stated)
        for relative, own in _tokenizers(judged[component.name].stated).items():
            label = f"{parent.name} {parent.version}"
            objection = compare_tokenizers(relative, own, label, others.values())
            yield from _unmet(component, (objection,) if objection else ())


def _tokenizers(stated: Mapping[str, Stated]) -> dict[str, Tokenizer]:
    return {relative: facts for relative, facts in stated.items() if isinstance(facts, Tokenizer)}
