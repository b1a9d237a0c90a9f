"""Find two small factors whose product explains how a matrix changed, if there are any (SPEC P3). Encoder only.

First a sample of rows and columns: in a merge few singular values stand above what rounding alone makes, and hardly
anything is left beneath them; a full fine-tune has no such gap and is given up at once. Then the factors are fitted
(:mod:`.least_squares`), and rounded so that they cost least together with the residual that they leave.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from airlift.codec.block import Effort
from airlift.codec.predict import exact, least_squares
from airlift.codec.predict.exact import Bits
from airlift.codec.predict.factors import MAX_RANK, MAX_SHIFT, CodedFactors
from airlift.codec.predict.least_squares import Difference, Floats
from airlift.tensors.element import Element

LEAST_SIDE = 32
SAMPLE_ROWS, SAMPLE_COLUMNS = 256, 256
MOST_UNCHANGED = 0.9
GAP = 1.1
"""How far above the largest singular value of rounding noise a singular value must lie."""
SINGLE = 2.0**-22
"""What is smaller, relative to the largest singular value, may come from sums in float32."""
MOST_LEFT = 2.0
"""The energy beneath the gap may be this many times that of rounding."""
MOST_ALIKE = 0.8
"""... and this many times what lies there when every element has a random sign."""
FACTOR_BITS = 8
MOST_COST = 0.5
"""What factors and residual may cost of what the difference from the base costs."""
WEIGHTED_RANK = 32
"""Beyond it the weighted fit (rank squared per element) takes too long."""
SWEEPS = {Effort.LOW: 0, Effort.NORMAL: 1, Effort.HIGH: 2}
PULLS = {Effort.LOW: 0, Effort.NORMAL: 0, Effort.HIGH: 3}
TRIED, TRIED_COLUMNS = 1 << 15, 640
STEPS = range(-11, 4)
"""Powers of two of the roundings that may be tried, relative to the unit of the weights, from fine to coarse."""
FINER, WORTH = 1.5, 1.005
"""The first step tried, in powers of two beyond the size of a matrix by its factors; what a finer step must save."""
LIMIT = 32767


def find_factors(
    target: memoryview, base: memoryview, element: Element, columns: int, effort: Effort
) -> CodedFactors | None:
    """Return coded factors for whole rows of a matrix, or None if it did not move by a low rank."""
    try:
        with np.errstate(over="ignore", invalid="ignore"):
            return _find_factors(target, base, element, columns, effort)
    except np.linalg.LinAlgError:  # rows that the probe did not see moved beyond all numbers
        return None


def _find_factors(
    target: memoryview, base: memoryview, element: Element, columns: int, effort: Effort
) -> CodedFactors | None:
    new = exact.from_bytes(target, element).reshape(-1, columns)
    old = exact.from_bytes(base, element).reshape(-1, columns)
    rank = probe(new, old, element)
    if not rank:
        return None
    found = least_squares.difference(new, old, element)
    limit = min(2 * rank + 4, MAX_RANK, min(new.shape) // 4)
    values, basis = least_squares.spectrum(found.delta, limit)
    rank = min(significant(found, values), limit)
    if not rank:
        return None
    right = np.sqrt(values[:rank, None]) * basis[:, :rank].T
    left, right = refine(found, np.asarray(right, np.float32), effort)
    return cheapest(Case(new, old, element, found), left, right)


def probe(new: Bits, old: Bits, element: Element, height: int = 0) -> int:
    """Return about which rank the difference of two matrices seems to have, by a sample; 0: none that pays.

    ``new`` and ``old`` may be a sample of rows already, of a matrix that has ``height`` rows.
    """
    if min(new.shape) < LEAST_SIDE:
        return 0
    rows, columns = (
        sample_rows(new.shape[0]),
        spread(new.shape[1], min(SAMPLE_COLUMNS, 128 + new.shape[1] // 16)),
    )
    some, other = new[np.ix_(rows, columns)], old[np.ix_(rows, columns)]
    moved = np.any(some != other, axis=1)
    some, other = some[moved], other[moved]
    if np.count_nonzero(moved) < LEAST_SIDE or np.count_nonzero(some == other) > MOST_UNCHANGED * some.size:
        return 0
    rank = _low(least_squares.difference(some, other, element))
    shape = height or new.shape[0], new.shape[1]
    return rank if rank and _pays(rank, shape, _entropy(_ordered(some) - _ordered(other))) else 0


def _low(found: Difference) -> int:
    """Return the rank of a sample if it is low, and more than the weight of single rows and columns; else 0.

    Random signs destroy a low rank, and nothing else: rows that moved far by themselves stand out as before.
    """
    delta = found.delta.astype(np.float64)
    values = _singular(delta)
    rank = significant(found, values)
    beneath = float((values[rank:] ** 2).sum())
    share = max(0.0, (1 - rank / delta.shape[0]) * (1 - rank / delta.shape[1]))
    if not 0 < rank <= min(delta.shape) // 4 or beneath >= MOST_LEFT * found.noise() * delta.size * share:
        return 0
    signs = np.random.default_rng(least_squares.SEED).choice([-1.0, 1.0], delta.shape)
    return rank if beneath < MOST_ALIKE * float((_singular(delta * signs)[rank:] ** 2).sum()) else 0


def _singular(delta: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the singular values, the largest first, one for each row (more rows than columns: some are zero)."""
    return np.asarray(np.sqrt(np.maximum(np.linalg.eigvalsh(delta @ delta.T)[::-1], 0)))


def _pays(rank: int, shape: tuple[int, int], plain: float) -> bool:
    """Return whether factors can cost clearly less than the ``plain`` bits of an element without them."""
    return rank * sum(shape) * FACTOR_BITS < MOST_COST * plain * shape[0] * shape[1]


def significant(found: Difference, values: NDArray[np.float64]) -> int:
    """Return how many singular values stand above those of rounding noise, that of float32 included."""
    least = max(GAP * found.edge(), SINGLE * float(values.max(initial=0)))
    return int(np.count_nonzero(values > least))


def refine(found: Difference, right: Floats, effort: Effort) -> tuple[Floats, Floats]:
    """Return the factors of shape (rows, rank) and (rank, columns) that fit best, balanced; starts from ``right``."""
    if not SWEEPS[effort]:
        basis = right / np.linalg.norm(right, axis=1)[:, None]
        return least_squares.balance(found.delta @ basis.T, basis)
    left, right = _sweep(found, found.delta, right)
    for _ in range(SWEEPS[effort] - 1):
        left, right = _sweep(found, found.delta, right)
    for _ in range(PULLS[effort]):
        left, right = _sweep(found, least_squares.pulled(found, left, right), right)
    return left, right


def _sweep(found: Difference, delta: Floats, right: Floats) -> tuple[Floats, Floats]:
    if right.shape[0] > WEIGHTED_RANK:
        return least_squares.balance(*least_squares.fit(delta, right))
    return least_squares.balance(*least_squares.fit_weighted(found, delta, right))


def sample_rows(height: int) -> NDArray[np.int64]:
    """Return the numbers of the rows that a probe looks at, ascending: fewer of a small matrix."""
    return spread(height, min(SAMPLE_ROWS, 96 + height // 16))


def spread(count: int, wanted: int) -> NDArray[np.int64]:
    """Return numbers of rows or columns, evenly spread but for a jitter that no period can follow."""
    if count <= wanted:
        return np.arange(count)
    edges = np.arange(wanted + 1) * count // wanted
    jitter = np.random.default_rng(least_squares.SEED).random(wanted)
    return np.asarray(edges[:-1] + (jitter * np.diff(edges)), np.int64)


# -- rounding the factors ------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Case:
    """A matrix of which factors are rounded: its bits, those of its base, and the difference."""

    new: Bits
    old: Bits
    element: Element
    found: Difference


@dataclass(frozen=True, slots=True)
class _Sample:
    """Some rows and columns of a matrix of ``size`` elements, by number and by their bits on both sides."""

    rows: NDArray[np.int64]
    columns: NDArray[np.int64]
    new: NDArray[np.int64]
    old: Bits
    element: Element
    size: int


def cheapest(case: Case, left: Floats, right: Floats) -> CodedFactors | None:
    """Return the factors rounded to the steps at which they and the residual cost least, as a sample has it.

    From a likely step on the search goes to finer or coarser ones as long as that pays.
    """
    sample = _sample(case)
    unit = float(case.found.typical_unit())
    tried: dict[int, tuple[float, CodedFactors]] = {}

    def cost(power: int) -> float:
        if power not in tried:
            coded = rounded(left, right, unit * 2.0**power) if power in STEPS else None
            if coded is None:
                return math.inf
            tried[power] = _cost(sample, coded), coded
        return tried[power][0] * WORTH**-power

    power = _likely_step(case, right.shape[0])
    for way in (-1, 1):
        while cost(power + way) < cost(power) or (math.isinf(cost(power)) and power + way in STEPS):
            power += way
    least, best = tried.get(power, (math.inf, None))
    return best if least < MOST_COST * _entropy(sample.new - _ordered(sample.old)) else None


def _likely_step(case: Case, rank: int) -> int:
    """Return the power of two of the steps that matrices of a size and rank mostly get: the larger, the finer."""
    if case.element is Element.F32:
        return STEPS[-1]
    rows, columns = case.new.shape
    wanted = -round(math.log2(rows * columns / (rank * (rows + columns))) + FINER)
    return min(max(wanted, STEPS[0]), STEPS[-1])


def _sample(case: Case) -> _Sample:
    height, width = case.new.shape
    columns = spread(width, TRIED_COLUMNS)
    rows = spread(height, TRIED // len(columns))
    some = np.ix_(rows, columns)
    return _Sample(rows, columns, _ordered(case.new[some]), case.old[some], case.element, case.new.size)


def rounded(left: Floats, right: Floats, error: float) -> CodedFactors | None:
    """Round balanced factors so that the roundings of each change the product by about ``error``.

    The step of a rank on one side is ``error`` divided by the root mean square of the other side, as a power of two,
    and at least what brings it into 16 bits; None if the steps of the ranks lie too far apart.
    """
    a, b = _steps(left.T, right, error), _steps(right, left.T, error)
    sums = a + b
    shifts = sums - sums.min()
    if shifts.max() > MAX_SHIFT or abs(sums.min()) > exact.MAX_EXPONENT:
        return None
    whole_left, whole_right = np.rint(np.ldexp(left, -a)), np.rint(np.ldexp(right, -b[:, None]))
    coded = CodedFactors(
        whole_left.astype(np.int16), whole_right.astype(np.int16), tuple(map(int, shifts)), int(sums.min())
    )
    factors = coded.factors()
    return coded if exact.bound(factors.left, factors.right) <= exact.MAX_BOUND else None


def _steps(side: Floats, other: Floats, error: float) -> NDArray[np.int32]:
    """Return for each rank (a row) the exponent of its step."""
    strength = np.sqrt(np.mean(np.square(other, dtype=np.float64), axis=1))
    wanted = np.floor(np.log2(error / np.maximum(strength, 1e-30)) + 0.5)
    least = np.ceil(np.log2(np.maximum(np.abs(side).max(axis=1), 1e-30) / LIMIT))
    return np.asarray(np.maximum(wanted, least), np.int32)


def _cost(sample: _Sample, coded: CodedFactors) -> float:
    """Return about how many bits an element costs: its share of the factors, and the residual in a sample."""
    some = CodedFactors(
        coded.left[sample.rows],
        np.ascontiguousarray(coded.right[:, sample.columns]),
        coded.shifts,
        coded.exponent,
    )
    data = exact.predict(sample.old.reshape(-1).view(np.uint8).data, sample.element, some.factors())
    prediction = exact.from_bytes(memoryview(data), sample.element).reshape(sample.old.shape)
    residual = _entropy(sample.new - _ordered(prediction))
    return residual + (_numbers(coded.left.T) + _numbers(coded.right)) / sample.size


def _numbers(ranks: NDArray[np.int16]) -> float:
    """Return about how many bits the integers of each rank (a row) cost, taken as normally distributed."""
    spread = np.var(ranks, axis=1, dtype=np.float64) + 1 / 12
    return float(ranks.shape[1] * np.log2(2 * np.pi * np.e * spread).sum() / 2)


def _ordered(bits: Bits) -> NDArray[np.int64]:
    """Return integers in the order of the numbers: a difference counts units in the last place."""
    signed = bits.astype(np.int64)
    top = 1 << (8 * bits.itemsize - 1)
    return np.where(signed & top, top - 1 - signed, signed)


def _entropy(values: NDArray[np.int64]) -> float:
    """Return the bits a value costs, in small classes exactly and beyond by its logarithm."""
    magnitude = np.abs(values).reshape(-1)
    few = np.bincount(np.minimum(magnitude, 8), minlength=9)
    logs = np.log2(magnitude[magnitude >= 8]) if few[8] else np.empty(0)
    counts = np.concatenate([few[:8], np.bincount(logs.astype(np.int64))])
    raw = few[1:8].sum() + logs.size + logs.sum()
    counts = counts[counts > 0]
    return float((raw - (counts * np.log2(counts / values.size)).sum()) / values.size)
