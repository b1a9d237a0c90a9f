"""Runs: stretches of a target file whose bytes lie, shifted, in a base file. Pure; bytes come from a callable.

Anchors that agree on file and shift make a run; its ends are then found byte by byte, so that a run begins and ends
where the bytes do. Inside a run bytes may differ: they were overwritten in place.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from airlift.tensors.matching.anchor import WINDOW, Digests, Lookup, Places, Read

FIRST_STEP = 4 << 10
LAST_STEP = 1 << 20


@dataclass(frozen=True, slots=True)
class Run:
    """Bytes ``[start, end)`` of a target: those of base ``file`` at ``shift`` more; ``anchors`` that say so."""

    file: int
    shift: int
    start: int
    end: int
    anchors: int = 1

    @property
    def length(self) -> int:
        """The length in bytes."""
        return self.end - self.start

    @property
    def base_start(self) -> int:
        """Where the base's bytes begin."""
        return self.start + self.shift

    @property
    def base_end(self) -> int:
        """Where the base's bytes end."""
        return self.end + self.shift

    def continues(self, other: "Run") -> bool:
        """Whether both are of one file and shift."""
        return (self.file, self.shift) == (other.file, other.shift)


@dataclass(frozen=True, slots=True)
class Content:
    """A file of ``size`` bytes."""

    size: int
    read: Read


def find(
    anchors: Iterable[tuple[Places, Digests]],
    index: Lookup,
    target: Content,
    base: Sequence[Content],
    *,
    preferred: int | None,
    shortest: int,
) -> list[Run]:
    """Return the runs of at least ``shortest`` bytes of a target with these anchors, ascending and apart.

    Of several base places that an anchor may come from, the one that continues the run at hand goes first, then one
    in file ``preferred``.
    """
    found = _joined(_follow(anchors, index, preferred))
    grown = [run for run in _grown(found, target, base) if run.length >= shortest]
    return _joined(grown)


def _follow(anchors: Iterable[tuple[Places, Digests]], index: Lookup, preferred: int | None) -> Iterator[Run]:
    """Yield the runs that the anchors make, in the order of the target."""
    run: Run | None = None
    for place, candidates in _candidates(anchors, index):
        if run is not None and (run.file, place + run.shift) in candidates:
            run = replace(run, end=place + WINDOW, anchors=run.anchors + 1)
            continue
        if run is not None:
            yield run
        file, base = next((item for item in candidates if item[0] == preferred), candidates[0])
        run = Run(file, base - place, place, place + WINDOW)
    if run is not None:
        yield run


def _candidates(
    anchors: Iterable[tuple[Places, Digests]], index: Lookup
) -> Iterator[tuple[int, list[tuple[int, int]]]]:
    """Yield each place of the target that has equals, with (file, place) of those."""
    for places, digests in anchors:
        first, last = index.find(digests)
        for number in np.flatnonzero(first < last):
            equals = slice(first[number], last[number])
            candidates = zip(index.files[equals].tolist(), index.places[equals].tolist(), strict=True)
            yield int(places[number]), list(candidates)


def _joined(runs: Iterable[Run]) -> list[Run]:
    """Join neighbours of one file and shift; a single anchor between two such is a chance, and dropped."""
    joined: list[Run] = []
    for run in runs:
        if len(joined) > 1 and joined[-1].anchors == 1 and joined[-2].continues(run):
            joined.pop()
        if joined and joined[-1].continues(run):
            joined[-1] = replace(joined[-1], end=run.end, anchors=joined[-1].anchors + run.anchors)
        else:
            joined.append(run)
    return joined


# -- the ends of runs ----------------------------------------------------------------------------------------------


def _grown(runs: Sequence[Run], target: Content, base: Sequence[Content]) -> Iterator[Run]:
    """Yield the runs as far as their bytes are equal, none into another; the earlier one takes what both could."""
    position = 0
    ends = [*(run.start for run in runs[1:]), target.size]
    for number, run in enumerate(runs):
        if position >= run.end:
            continue
        start = max(run.start, position)
        whole = replace(run, start=start, end=max(run.end, start))
        source = base[run.file]
        before = _equal_before(target, whole.start, source, whole.base_start, whole.start - position)
        after = _equal_after(target, whole.end, source, whole.base_end, ends[number] - whole.end)
        yield replace(whole, start=whole.start - before, end=whole.end + after)
        position = whole.end + after


def _equal_after(target: Content, start: int, base: Content, base_start: int, limit: int) -> int:
    """Return how many bytes from the two starts on are equal, at most ``limit``."""
    limit = min(limit, target.size - start, base.size - base_start)
    done, step = 0, FIRST_STEP
    while done < limit:
        count = min(step, limit - done)
        equal = _equal(
            target.read(start + done, start + done + count),
            base.read(base_start + done, base_start + done + count),
        )
        done += equal
        if equal < count:
            break
        step = min(2 * step, LAST_STEP)
    return done


def _equal_before(target: Content, end: int, base: Content, base_end: int, limit: int) -> int:
    """Return how many bytes before the two ends are equal, at most ``limit``."""
    limit = min(limit, end, base_end)
    done, step = 0, FIRST_STEP
    while done < limit:
        count = min(step, limit - done)
        equal = _equal(
            target.read(end - done - count, end - done)[::-1],
            base.read(base_end - done - count, base_end - done)[::-1],
        )
        done += equal
        if equal < count:
            break
        step = min(2 * step, LAST_STEP)
    return done


def _equal(first: bytes, second: bytes) -> int:
    """Return how many leading bytes are equal."""
    count = min(len(first), len(second))
    unequal = np.flatnonzero(np.frombuffer(first, np.uint8, count) != np.frombuffer(second, np.uint8, count))
    return int(unequal[0]) if unequal.size else count
