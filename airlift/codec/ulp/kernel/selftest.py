"""The known answer: what every implementation of the coder must make of a small input that is always the same.

Each case goes through all five operations, and one digest covers all results, decoded units included. The cases reach
all that is written by hand for vectors, units of every width and every kind of context, in the least time. Other
combinations, and that blocks of 2 Mi units or more are counted in part, are left to the tests.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

import numpy as np

from airlift.codec.ulp.group import PLAIN, SCALED, STILL, SYMBOL, Groups, Model
from airlift.codec.ulp.kernel.operations import Kernel
from airlift.codec.ulp.payload import Payload
from airlift.codec.ulp.unit import NIBBLE, Array, Unit
from airlift.errors import MalformedError
from airlift.kernels import noise

DIGEST = "99cfe7fa8b5b44a73f3e83b3cf8adda98c0c1347cf310ecf957dbce79448716f"
"""SHA-256 over the results of all cases, as the NumPy reference gives them; a test holds them equal."""

SIZES, SCALES = (700, 41, 1, 1906), (12, STILL, 3, 20)
"""Units and scales of the groups: more than a tile of 2048 units, and no multiple of any vector."""

LANES = 512
MODELS = (
    Model(Unit(16, 7), True, SCALED, 1, 120),
    Model(Unit(32, 23), True, SCALED, 1, 120),
    Model(NIBBLE, True, SYMBOL),
    Model(Unit(16, 10), False, SCALED, 1, 9),
    Model(Unit(64), False, PLAIN),
)
_WRONG = (ArithmeticError, AttributeError, LookupError, MalformedError, TypeError, ValueError)
"""What an implementation may raise that is wrong, or of another version."""


@dataclass(frozen=True, slots=True)
class Case:
    """Units to code, and the base that they are coded against, if any."""

    model: Model
    groups: Groups
    new: Array
    base: Array | None


def passes(using: Kernel) -> bool:
    """Say whether an implementation gives the known answer."""
    try:
        return digest(using) == DIGEST
    except _WRONG:
        return False


def digest(using: Kernel) -> str:
    """Return the digest of what an implementation makes of all cases, in hexadecimal."""
    found = hashlib.sha256()
    for model in MODELS:
        for part in _results(_case(model), using):
            found.update(part)
    return found.hexdigest()


def _case(model: Model) -> Case:
    sizes, scales, base = np.array(SIZES, "<u4"), np.array(SCALES, np.uint8), _base(model.unit)
    if not model.delta:
        return Case(model, Groups(sizes, np.maximum(scales, 1)), base, None)
    steps = _steps(base, model.unit)
    steps[np.repeat(scales == STILL, sizes)] = 0
    return Case(model, Groups(sizes, scales), (base + steps) & base.dtype.type(2**model.unit.bits - 1), base)


@cache
def _noise(seed: int) -> Array:
    """Return an integer below 2^64 for each unit, by arithmetic that no library can change."""
    mixed = noise(sum(SIZES), seed)
    mixed.flags.writeable = False
    return mixed


def _base(unit: Unit) -> Array:
    """Return units of random bits, save that the exponents of floats lie close together, as those of models do."""
    if not unit.floating:
        return (_noise(0) & np.uint64(2**unit.bits - 1)).astype(unit.dtype)
    sign, rest = (
        2 ** (unit.bits - 1),
        2 ** (unit.mantissa + 4) - 1,
    )  # four bits of the exponent, and the fraction
    return (_noise(0) & np.uint64(sign | rest) | np.uint64(40 << unit.mantissa)).astype(unit.dtype)


def _steps(base: Array, unit: Unit) -> Array:
    """Return by how much each unit changes: how far at most follows from its base, and mostly it is less."""
    widths = (base >> base.dtype.type(max(unit.mantissa, 0)) & base.dtype.type(3)).astype(np.uint64)
    bits = _noise(1 << 20) % (np.uint64(2) + widths * np.uint64(unit.bits // 4))
    steps: Array = _noise(1 << 21) >> np.uint64(63) - bits
    return steps.astype(unit.dtype)


def _results(case: Case, using: Kernel) -> Iterator[bytes]:
    model, groups, new, base = case.model, case.groups, case.new, case.base
    sums, tops, moved = using.survey(new, base, groups.sizes, model.unit)
    yield from (_little(sums, "<u8"), _little(tops, "<u2"), _little(moved, "?"))
    index, counts, raw = using.analyse(new, base, groups, model)
    counted = np.flatnonzero(counts)
    yield from (
        _little(index, "<u2"),
        _little(counted, "<u4"),
        _little(counts.flat[counted], "<u4"),
        bytes(raw),
    )
    tables = using.fit(counts)
    yield from (_little(tables.map, "u1"), _little(tables.frequencies, "<u2"))
    states, words = using.write(index, tables, LANES)
    yield from (bytes(states), bytes(words))
    out = np.zeros_like(new)
    parts = (memoryview(part) for part in (states, words, raw))
    using.read(Payload(model, groups, tables, *parts), base, out)
    yield _little(out, model.unit.dtype.str)


def _little(values: Array, kind: str) -> bytes:
    return np.ascontiguousarray(values, kind).tobytes()
