"""What a release changed against another one: by component, by file and, from content, by tensor (SPEC 9.13)."""

from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from dataclasses import dataclass
from itertools import repeat
from pathlib import Path
from typing import Any

from airlift import files
from airlift.bundle.component.component import Component
from airlift.bundle.component.file_entry import FileEntry
from airlift.bundle.difference import CHANGED, REMOVED, ComponentChange, FileChange, compare_releases
from airlift.bundle.release import Release
from airlift.errors import ContentDamagedError, NotHeldError, UsageError
from airlift.high.enclave.enclave import Enclave
from airlift.high.enclave.expected import Expected, load_expected
from airlift.ledger import details
from airlift.ledger.entries.imports import ImportCommit
from airlift.ledger.entries.kinds import BRINGING
from airlift.ledger.entries.registration import Registration
from airlift.ledger.state import State
from airlift.progress import Progress, Tally, silent
from airlift.store import release_lookup
from airlift.tensors.comparison import Counts, compare_runs
from airlift.tensors.formats import tiling
from airlift.tensors.span import TensorSpan

PIECE = 8 << 20


@dataclass(frozen=True, slots=True)
class TensorChange:
    """What became of a tensor (``name`` is empty for bytes outside of tensors).

    ``change`` is added, removed, reshaped (another type or shape) or changed; numbers as in
    :class:`airlift.tensors.comparison.Counts`, of a changed one only.
    """

    component: str
    path: str
    name: str
    element: str
    shape: tuple[int, ...]
    change: str
    elements: int
    changed: int
    share: float
    absolute: float | None
    ulps: int | None
    not_finite: int


@dataclass(frozen=True, slots=True)
class Changes:
    """What ``release`` changed against ``against``; ``why`` says how that one was chosen.

    ``tensors`` is None unless it was asked for; ``not_held`` lists files whose earlier content is no longer here.
    """

    release: str
    digest: str
    against: str | None
    why: str
    components: tuple[dict[str, Any], ...]
    tensors: tuple[TensorChange, ...] | None
    tensors_compared: int
    not_held: tuple[str, ...]


def find_changes(
    enclave: Enclave,
    reference: str,
    *,
    from_: str | None = None,
    tensors: bool = False,
    component: str | None = None,
    progress: Progress = silent,
) -> Changes:
    """Return what a release changed, by default against what it came in as a delta from, or was made from.

    Raises:
        NotHeldError: a release never came in, or has no such component.
        ContentDamagedError: content at rest is not what was installed.
        BusyError: content is to be read, and garbage is being collected.
    """
    with enclave.reading() if tensors else nullcontext():
        state = enclave.state()
        release = _find(enclave, state, reference)
        old, why = _against(enclave, state, release, from_)
        found = [item for item in compare_releases(release, old) if component in {None, item.name}]
        if component is not None and not found:
            raise NotHeldError(
                f"neither release has a component {component!a}", hint="see `airlift high list`"
            )
        pairs = [(item, file) for item in found for file in item.files if file.change == CHANGED]
        held = [(i, f) for i, f in pairs if _held(enclave, f.before) and _held(enclave, f.after)]
        changed, compared = _tensors(enclave, state, held, progress) if tensors else ((), 0)
        return Changes(
            release=release.label,
            digest=release.digest,
            against=old.label if old else None,
            why=why,
            components=tuple(_told(item) for item in found),
            tensors=changed if tensors else None,
            tensors_compared=compared,
            not_held=tuple(f"{i.name}/{f.path}" for i, f in pairs if (i, f) not in held) if tensors else (),
        )


# -- which releases ------------------------------------------------------------------------------------------------


def _find(enclave: Enclave, state: State, reference: str) -> Release:
    """Return a release that was imported or registered, whether it is still installed or not."""
    known = [enclave.load_release(digest) for digest in _brought(enclave, state)]
    found = release_lookup.find(reference, known)
    if len(found) != 1:
        raise NotHeldError(
            f"no release that came in is named {reference!a}",
            expected="one of " + (", ".join(r.label for r in known[-8:]) or "none"),
        )
    return found[0]


def _against(
    enclave: Enclave, state: State, release: Release, from_: str | None
) -> tuple[Release | None, str]:
    if from_ is not None:
        other = _find(enclave, state, from_)
        if other.digest == release.digest:
            raise UsageError("a release cannot be compared with itself", hint="say another one with --from")
        return other, "as asked"
    imported = [bundle.release for bundle in state.bundles if bundle.release]
    with enclave.ledger() as log:
        first = next(log.entries(types=BRINGING, release=release.digest))
    if first.type == Registration.TYPE:
        base = details.read(first, Registration).base.digest
        return enclave.load_release(base), "what it was made from"
    baseline = details.read(first, ImportCommit).baseline
    if baseline is not None and baseline.digest in imported:
        return enclave.load_release(baseline.digest), "what it came in as a delta from"
    before = imported[: imported.index(release.digest)]
    if before:
        return enclave.load_release(before[-1]), "the release imported before it"
    return None, "the first release: everything is new"


def _brought(enclave: Enclave, state: State) -> tuple[str, ...]:
    """Return the releases (digests) that were imported, then those that were registered, each once."""
    with enclave.ledger() as log:
        registered = [entry.release for entry in log.entries(types=(Registration.TYPE,))]
    imported = [bundle.release for bundle in state.bundles]
    return tuple(dict.fromkeys(digest for digest in (*imported, *registered) if digest))


def _told(item: ComponentChange) -> dict[str, Any]:
    """Return a component's change as plain values."""
    return {
        "name": item.name,
        "change": item.change,
        "before": item.before.version if item.before else None,
        "after": item.after.version if item.after else None,
        "files": [
            {
                "path": file.path,
                "change": file.change,
                "was": file.before.path if file.before and file.before.path != file.path else None,
                "size_before": file.before.size if file.before else None,
                "size_after": file.after.size if file.after else None,
            }
            for file in item.files
        ],
    }


# -- tensors -------------------------------------------------------------------------------------------------------


def _held(enclave: Enclave, entry: FileEntry | None) -> bool:
    return entry is not None and enclave.content.holds(entry.sha512, entry.size)


def _tensors(
    enclave: Enclave, state: State, pairs: list[tuple[ComponentChange, FileChange]], progress: Progress
) -> tuple[tuple[TensorChange, ...], int]:
    """Return what changed in these files, largest difference first, and how many tensors were compared.

    Progress is told by bytes: those of contents that are digested, and those of files that are compared.
    """
    found, expected, checked = list[TensorChange](), load_expected(enclave, state), set[str]()
    files_of = [
        (item.name, _side(enclave, item.before, file.before), _side(enclave, item.after, file.after))
        for item, file in pairs
        if file.before is not None and file.after is not None
    ]
    sizes = {key: size for _, old, new in files_of for key, size in (*old.sizes.items(), *new.sizes.items())}
    total = sum(sizes.values()) + sum(new.entry.size for _, _, new in files_of)
    tally, compared = Tally("comparing", total, progress), 0
    for name, old, new in files_of:
        _check(enclave, expected, checked, (old, new), tally)
        for change in _file(name, old, new, tally):
            compared += 1
            if change.change != CHANGED or change.changed:
                found.append(change)
    return tuple(sorted(found, key=_rank)), compared


def _rank(item: TensorChange) -> tuple[Any, ...]:
    return (-(item.absolute or 0), -item.changed, item.component, item.path, item.name)


@dataclass(frozen=True, slots=True)
class _Side:
    """A file as it was or is, and the files of its component that may say what is in it, by path.

    ``sizes`` are the bytes of all of their contents, by digest.
    """

    entry: FileEntry
    paths: Mapping[str, Path]
    sizes: Mapping[str, int]

    @property
    def path(self) -> Path:
        """Where its content is."""
        return self.paths[self.entry.path]

    def spans(self) -> tuple[TensorSpan, ...]:
        """Return the spans that tile it."""
        return tiling.component_spans(self.paths)[self.entry.path]


def _side(enclave: Enclave, component: Component | None, entry: FileEntry) -> _Side:
    alone = tiling.tells(entry.path) or tiling.reader(entry.path) is not None
    others = component.files if component is not None and not alone else ()
    told = [entry, *(other for other in others if tiling.tells(other.path) and _held(enclave, other))]
    paths = {item.path: enclave.content.path(item.sha512) for item in told}
    return _Side(entry, paths, {item.sha512: item.size for item in told})


def _check(
    enclave: Enclave, expected: Expected, checked: set[str], sides: Iterable[_Side], tally: Tally
) -> None:
    """Digest all content that is read before anything is said of it, each once."""
    names = sorted({name for side in sides for name in side.sizes} - checked)
    if not names:
        return
    with ThreadPoolExecutor(min(2, len(names))) as pool:
        paths = [enclave.content.path(name) for name in names]
        counts = repeat(tally.add, len(names))
        for name, path, fits in zip(names, paths, pool.map(expected.fits, paths, names, counts), strict=True):
            if not fits:
                raise ContentDamagedError(f"{path} is damaged", expected=name[:16], found="another digest")
    checked.update(names)


def _file(component: str, old: _Side, new: _Side, tally: Tally) -> Iterator[TensorChange]:
    """Yield what became of each tensor; ``tally`` has counted all bytes of the new file at the end."""
    left, bases, path = new.entry.size, {span.name: span for span in old.spans() if span.name}, new.entry.path
    with files.opened(old.path) as source, files.opened(new.path) as target:
        for span in new.spans():
            if not span.name:
                continue
            base = bases.pop(span.name, None)
            if base is None:
                yield _whole(component, path, span, "added")
            elif (base.element, base.shape) != (span.element, span.shape):
                yield _whole(component, path, span, "reshaped")
            else:
                left -= span.length
                yield _compared(component, path, span, _counts(source, base, target, span, tally))
    tally.add(left)
    for gone in bases.values():
        yield _whole(component, path, gone, REMOVED)


def _counts(source: int, base: TensorSpan, target: int, span: TensorSpan, tally: Tally) -> Counts:
    size, found = span.element.size, Counts()
    step = PIECE // size * size
    for offset in range(0, span.length, step):
        length = min(step, span.length - offset)
        old = files.read_at(source, base.start + offset, length)
        found += compare_runs(old, files.read_at(target, span.start + offset, length), span.element)
        tally.add(length)
    return found


def _compared(component: str, path: str, span: TensorSpan, found: Counts) -> TensorChange:
    return TensorChange(
        component=component,
        path=path,
        name=span.name,
        element=span.element.name,
        shape=span.shape,
        change=CHANGED,
        elements=found.elements,
        changed=found.changed,
        share=round(found.changed / found.elements, 6) if found.elements else 0.0,
        absolute=found.absolute,
        ulps=found.ulps,
        not_finite=found.not_finite,
    )


def _whole(component: str, path: str, span: TensorSpan, change: str) -> TensorChange:
    count = span.length // span.element.size
    return TensorChange(
        component, path, span.name, span.element.name, span.shape, change, count, 0, 0.0, None, None, 0
    )
