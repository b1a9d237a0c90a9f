"""Groups of units and their scales (SPEC U3, U4).

A training step moves the numbers of a row by about as much each, so the row's scale and the exponent of a base
element tell how many units in the last place the difference will be. The scale is a logarithm, one byte a group: what
a measured scale becomes is the encoder's affair, what a scale byte means is exact.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from airlift.codec.ulp.unit import Array, Unit, exponent
from airlift.errors import MalformedError

MAX_GROUPS = 1 << 20
MAX_RUNS = 1 << 16
MOST_LEVEL = (1 << 11 << 3) + 63
"""A level above it means no more than this: exponents are below 2^11, and shifted by at most 3."""

LEAST, MOST = 256, 1 << 14
"""A group made here has about this many units or a row, if rows are shorter or longer."""

PLAIN, SCALED, SYMBOL = 0, 1, 2
CONTEXTS = 64
STILL = 0
SHIFT = 1
OCTAVE = 1 << SHIFT
FRACTION_BITS = 8
"""How many bits after the point a measured mean has."""

_CENTRES = {4: 32, 8: 32, 16: 32, 32: 12, 64: -56}
"""The context of a group whose mean difference is one unit in the last place, by the bits of a unit."""

Run = tuple[int, int]
"""Units a group, and groups."""


@dataclass(frozen=True, slots=True)
class Model:
    """How a context follows from the base and the scale (SPEC U4)."""

    unit: Unit
    delta: bool
    context: int
    shift: int = 0
    offset: int = 0

    @property
    def contexts(self) -> int:
        """How many contexts there are."""
        return {PLAIN: 1, SCALED: CONTEXTS, SYMBOL: 1 << min(self.unit.bits, 8)}[self.context]

    @property
    def codes(self) -> bool:
        """Whether differences are coded; else floats as they are."""
        return self.delta or not self.unit.floating


@dataclass(frozen=True, slots=True)
class Groups:
    """Groups, one after the other: how many units each has, and its scale."""

    sizes: Array
    scales: Array

    def live(self) -> "Groups":
        """Return the groups that are coded."""
        keep = self.scales != STILL
        return Groups(self.sizes[keep], self.scales[keep])

    def ranges(self) -> Iterator[tuple[int, int]]:
        """Yield the half-open ranges of units that are coded, longest possible."""
        edges = np.diff((self.scales != STILL).astype(np.int8), prepend=0, append=0)
        bounds = np.concatenate([[0], np.cumsum(self.sizes, dtype=np.int64)])
        firsts, lasts = bounds[edges > 0], bounds[edges < 0]
        return zip(firsts.tolist(), lasts.tolist(), strict=True)

    def take(self, units: Array) -> Array:
        """Return the units that are coded."""
        if self.scales.all():
            return units
        parts = [units[start:end] for start, end in self.ranges()]
        return np.concatenate(parts) if parts else units[:0]

    def put(self, coded: Array, base: Array) -> Array:
        """Return ``base`` with the coded units in their places."""
        if self.scales.all():
            return coded
        whole, position = base.copy(), 0
        for start, end in self.ranges():
            whole[start:end] = coded[position : position + end - start]
            position += end - start
        return whole


def runs_of(rows: Sequence[Run], count: int) -> list[Run]:
    """Return runs of groups for ``count`` units; ``rows`` are (units a row, units), a hint that may be wrong."""
    runs: list[Run] = []
    for row, hinted in [*rows, (0, count)]:
        units = min(hinted, count)
        size = min(_size(row), max(units, 1))
        for run in ((size, units // size), (units % size, 1)):
            if run[0] and run[1]:
                _append(runs, run)
        count -= units
    return runs if len(runs) <= MAX_RUNS else _coarse(runs)


def _size(row: int) -> int:
    if not 0 < row <= MOST:
        return LEAST
    return row * -(-LEAST // row)


def _append(runs: list[Run], run: Run) -> None:
    if runs and runs[-1][0] == run[0]:
        runs[-1] = (run[0], runs[-1][1] + run[1])
    else:
        runs.append(run)


def _coarse(runs: list[Run]) -> list[Run]:
    return runs_of((), sum(size * count for size, count in runs))


def sizes_of(runs: Array) -> Array:
    """Return the size of every group of runs, of shape (runs, 2)."""
    return np.repeat(runs[:, 0], runs[:, 1].astype(np.intp))


def check_runs(runs: Array, units: int) -> None:
    """Check that runs, u32 of shape (runs, 2), cover ``units`` units with few enough groups.

    Raises:
        MalformedError: they do not.
    """
    wide = runs.astype(np.uint64)  # a sum of 2^16 products of 32 bits each could not be told from a small one
    groups, covered = int(wide[:, 1].sum()), sum(int(size) * int(count) for size, count in runs.tolist())
    if not wide.all() or groups > MAX_GROUPS or covered != units:
        raise MalformedError("an ulp block's groups do not cover it")


def contexts(base: Array | None, groups: Groups, model: Model) -> Array:
    """Return the context of each coded unit; ``base`` and ``groups`` are without what is still."""
    if model.context == SYMBOL and base is not None:
        return base
    level = model.offset + groups.scales.astype(np.int32)
    level = np.repeat(np.clip(level, -1, MOST_LEVEL).astype(np.int16), groups.sizes)
    if base is not None and model.delta:
        level -= exponent(base, model.unit) << model.shift
    return np.clip(level, 0, CONTEXTS - 1, out=level).astype(np.uint8)


# -- measured ------------------------------------------------------------------------------------------------------


def quantise(sums: Array, tops: Array, moved: Array, sizes: Array) -> tuple[Array, int]:
    """Return a scale for each group, ``OCTAVE`` steps to the octave, and the level that a scale of 0 would stand for.

    The mean of a group is ``sums / sizes * 2**tops``. Groups of which nothing has ``moved`` are still.
    """
    if not moved.any():
        return np.zeros(len(sums), np.uint8), 0
    mean = np.log2(np.maximum(sums, 1) / sizes) + tops
    level = np.floor(OCTAVE * mean + 0.5).astype(np.int64)
    lowest = max(int(level[moved].min()), int(level[moved].max()) - 254)
    scales = np.where(moved, np.maximum(level - lowest, 0) + 1, STILL).astype(np.uint8)
    return scales, lowest - 1


def offset_for(scales: Array, level: int, model: Model) -> int:
    """Return the offset that puts the contexts in use into the middle of what there are."""
    if not model.delta:
        live = scales[scales != STILL]
        return CONTEXTS // 2 - int(np.median(live)) if live.size else 0
    return level - OCTAVE * FRACTION_BITS + _CENTRES[model.unit.bits]
