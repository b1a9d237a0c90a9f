"""Plan what is coded: which files to rebuild, and which baseline bytes their blocks are coded against (SPEC L4.1)."""

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

from airlift.bundle.fields import FileDigest
from airlift.bundle.release import FileEntry, Release
from airlift.low.bundle.find_conversions import find_conversions
from airlift.low.bundle.find_hints import find_hints, put_sources_first
from airlift.low.depot.depot import Depot
from airlift.tensors.formats.tiling import spans
from airlift.tensors.matching.hint import LowRank
from airlift.tensors.matching.match import FileSpans, Segment, Side, match
from airlift.tensors.matching.moved_bytes import realign
from airlift.tensors.matching.segment import blocks as cut_blocks
from airlift.tensors.span import TensorSpan

SAMPLES = 64
SAMPLE_BYTES = 4 << 10


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
    wanted = _placed(target)
    lacking = tuple({item.entry.sha512: item for item in wanted if item.entry.sha512 not in held}.values())
    bases = _placed(baseline) if baseline else ()
    target_spans = [_spans(depot, item) for item in lacking]
    base_spans = [_spans(depot, item) for item in bases]

    with depot.content.reader([item.entry.sha512 for item in (*bases, *lacking)]) as numbered:

        def read(side: Side, number: int, start: int, end: int) -> bytes:
            return numbered(number + (len(bases) if side == "target" else 0), start, end)

        def digest(side: Side, number: int, span: TensorSpan) -> bytes:
            return _digest(partial(read, side, number), span)

        found = realign(target_spans, base_spans, match(target_spans, base_spans, digest), read)
        hinted = find_hints(target_spans, base_spans, found, numbered)
        hinted = find_conversions(target_spans, base_spans, hinted, numbered)
    order, parts = put_sources_first(hinted, len(bases))
    return CodingPlan(
        files=tuple(lacking[number] for number in order),
        bases=bases,
        segments=tuple(map(tuple, parts)),
        spans=tuple(tuple(target_spans[number].spans) for number in order),
    )


def cut_plan(plan: CodingPlan, limits: BlockLimits) -> Iterator[tuple[int, Segment]]:
    """Yield the number of each file with each of its blocks, in order."""
    for number, parts in enumerate(plan.segments):
        for part in parts:
            most = limits.low_rank if isinstance(part.hint, LowRank) else limits.ordinary
            for block in cut_blocks(part, most):
                yield number, block


def _placed(release: Release) -> tuple[Placed, ...]:
    return tuple(Placed(component.name, entry) for component, entry in release.files())


def _spans(depot: Depot, item: Placed) -> FileSpans:
    entry = item.entry
    return FileSpans(
        entry.path, item.component, entry.size, spans(depot.content.path(entry.sha512), entry.path)
    )


def _digest(read: Callable[[int, int], bytes], span: TensorSpan) -> bytes:
    """Return what tells a tensor from others of its length: a digest of all of it, or of samples if it is long."""
    running = hashlib.sha256()
    step = max(SAMPLE_BYTES, span.length // SAMPLES)
    for start in range(span.start, span.end, step):
        running.update(read(start, min(start + SAMPLE_BYTES, span.end)))
    return running.digest()
