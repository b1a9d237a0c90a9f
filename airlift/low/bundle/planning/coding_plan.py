"""Plan what is coded: which files to rebuild, and which baseline bytes their blocks are coded against (SPEC L4.1)."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from airlift.bundle.component.file_entry import FileEntry
from airlift.bundle.fields import FileDigest
from airlift.bundle.release import Release
from airlift.low.bundle.planning.find_conversions import find_conversions
from airlift.low.bundle.planning.find_grids import find_grids
from airlift.low.bundle.planning.find_hints import find_hints
from airlift.low.depot.depot import Depot
from airlift.tensors.formats.tiling import component_spans, tells
from airlift.tensors.matching.evidence import typed
from airlift.tensors.matching.hint import LowRank
from airlift.tensors.matching.match import FileSpans, Read, Segment, match
from airlift.tensors.matching.moved_bytes import realign
from airlift.tensors.matching.order import adapter_holders, order
from airlift.tensors.matching.related import relate
from airlift.tensors.matching.segment import blocks as cut_blocks
from airlift.tensors.matching.segment import merge
from airlift.tensors.matching.small import join_copies
from airlift.tensors.span import TensorSpan, coarse


@dataclass(frozen=True, slots=True)
class Placed:
    """A file of a release: its entry, and the component that it belongs to."""

    component: str
    entry: FileEntry

    @property
    def content(self) -> FileDigest:
        """What identifies the bytes."""
        return self.entry.content


@dataclass(frozen=True, slots=True)
class CodingPlan:
    """What a bundle rebuilds: distinct contents that the baseline lacks, in manifest order, each with its segments.

    The sources of segments are numbers of ``bases``, every file of the baseline in manifest order, and then of
    ``files``: an adapter that explains a merge, or the numbers that others were made from, come before them.
    ``spans`` tile the files.
    """

    files: tuple[Placed, ...]
    bases: tuple[Placed, ...]
    segments: tuple[tuple[Segment, ...], ...]
    spans: tuple[tuple[TensorSpan, ...], ...]

    def contents(self) -> tuple[Placed, ...]:
        """Return the files that will be read, each content once: those to rebuild, and the bases they refer to."""
        used = {source.file for parts in self.segments for part in parts for source in part.sources}
        wanted = [*self.files, *(self.source(number) for number in sorted(used))]
        return tuple({item.entry.sha512: item for item in wanted}.values())

    def source(self, number: int) -> Placed:
        """Return the file that a source refers to by number."""
        built = number - len(self.bases)
        return self.bases[number] if built < 0 else self.files[built]

    @property
    def target_bytes(self) -> int:
        """How many bytes will be rebuilt."""
        return sum(item.entry.size for item in self.files)


@dataclass(frozen=True, slots=True)
class BlockLimits:
    """The most target bytes in a block; those of matrices of a low rank are larger: each repeats the factors."""

    ordinary: int
    low_rank: int


def plan_coding(depot: Depot, target: Release, baseline: Release | None) -> CodingPlan:
    """Plan how ``target`` is coded against ``baseline`` (None: nothing); reads headers of files, and samples."""
    held = baseline.contents() if baseline else {}
    lacking = list(
        {item.entry.sha512: item for item in placed(target) if item.entry.sha512 not in held}.values()
    )
    return plan_some(depot, target, lacking, Held(baseline, placed(baseline) if baseline else ()))


@dataclass(frozen=True, slots=True)
class Held:
    """What files may be coded against: ``bases`` of a release, and files of the target that come ``before``."""

    release: Release | None
    bases: tuple[Placed, ...]
    before: tuple[Placed, ...] = ()


def plan_some(depot: Depot, target: Release, lacking: Sequence[Placed], held: Held) -> CodingPlan:
    """Plan how files of ``target``, each of another content, are coded against what is ``held``.

    What comes before them is among the bases of the plan, after the others.
    """
    files = _spans(depot, held.release, held.bases) if held.release else []
    files += _spans(depot, target, held.before)
    targets = _spans(depot, target, lacking)
    sequence = order(targets)
    lacking = [lacking[number] for number in sequence]
    files += [targets[number] for number in sequence]
    bases = (*held.bases, *held.before)
    with depot.content.reader([item.entry.sha512 for item in (*bases, *lacking)]) as read:
        segments = find_segments(files, len(held.bases), read)[len(held.before) :]
    return CodingPlan(
        files=tuple(lacking),
        bases=bases,
        segments=tuple(map(tuple, segments)),
        spans=tuple(file.spans for file in files[len(bases) :]),
    )


def find_segments(files: Sequence[FileSpans], bases: int, read: Read) -> list[list[Segment]]:
    """Return the segments of every file from number ``bases`` on, coded against files before it."""
    matched = match(files, bases, read)
    moved = realign(files, bases, matched, read, passed_over=adapter_holders(files))
    related = relate(files, bases, moved, read)
    joined = join_copies(files, bases, related, read)
    merged = [merge(parts) for parts in typed(joined, bases, read)]
    hinted = find_hints(files, bases, merged, read)
    return find_grids(files, bases, find_conversions(files, bases, hinted, read), read)


def cut_plan(plan: CodingPlan, limits: BlockLimits) -> Iterator[tuple[int, Segment]]:
    """Yield the number of each file with each of its blocks, in order."""
    for number, parts in enumerate(plan.segments):
        for part in parts:
            most = limits.low_rank if isinstance(part.hint, LowRank) else limits.ordinary
            for block in cut_blocks(part, most):
                yield number, block


def placed(release: Release) -> tuple[Placed, ...]:
    """Return the files of a release, in the order of its manifest."""
    return tuple(Placed(component.name, entry) for component, entry in release.files())


def _spans(depot: Depot, release: Release, wanted: Sequence[Placed]) -> list[FileSpans]:
    """Return the spans of some files of a release; the other files of their components may say what is in them."""
    paths: dict[str, dict[str, Path]] = {}
    for item in wanted:
        paths.setdefault(item.component, {})[item.entry.path] = depot.content.path(item.entry.sha512)
    for component, entry in release.files():
        if component.name in paths and tells(entry.path):
            paths[component.name][entry.path] = depot.content.path(entry.sha512)
    known = {name: component_spans(files) for name, files in paths.items()}
    return [_file(item, known[item.component]) for item in wanted]


def _file(item: Placed, known: Mapping[str, tuple[TensorSpan, ...]]) -> FileSpans:
    path = item.entry.path
    return FileSpans(path, item.component, item.entry.size, coarse(known[path]))
