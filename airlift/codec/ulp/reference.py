"""The coder in NumPy: what the compiled kernel does too, byte for byte (SPEC U4 to U7). To read, and to fall back on.

``new`` and ``base`` are whole blocks; contexts and symbols are those of coded units, without what is still.
"""

import numpy as np

from airlift.codec.ulp import rans, symbol
from airlift.codec.ulp.group import FRACTION_BITS, Groups, Model, contexts
from airlift.codec.ulp.payload import Payload
from airlift.codec.ulp.rans import SYMBOLS
from airlift.codec.ulp.table import Tables, fit
from airlift.codec.ulp.unit import Array, Unit, difference, exponent, restore, zigzag

__all__ = ["analyse", "fit", "name", "read", "survey", "write"]

name = "numpy"
"""Its name among the kernels."""

TILE, EVERY = 2048, 4
LARGE = 1024 * TILE
"""Of as many units or more, the first tile (units) of every four is counted."""
COMMON = 512
"""What is found there less often is counted in the others as well."""


def survey(new: Array, base: Array | None, sizes: Array, unit: Unit) -> tuple[Array, Array, Array]:
    """Return of each group what its scale follows from: sums (u64), tops (u16) and whether anything moved (bool).

    The mean of ``|d| * 2**(exponent + 8)`` over the group is ``sums / size * 2**tops``; without a base it is that of
    ``2**(exponent + 8)``. What one term has beyond 8 bits after the point is cut off.
    """
    starts = np.concatenate([[0], np.cumsum(sizes, dtype=np.int64)[:-1]])
    powers = exponent(new if base is None else base, unit)
    tops = np.maximum.reduceat(powers, starts)
    steps = np.ones(len(new), np.uint64) if base is None else _steps(difference(new, base, unit))
    below = np.minimum(np.repeat(tops, sizes) - powers, 63).astype(np.uint64)
    sums = np.add.reduceat((steps << np.uint64(FRACTION_BITS)) >> below, starts)
    moved = np.logical_or.reduceat(steps != 0, starts)
    return sums, tops.astype(np.uint16), moved


def _steps(delta: Array) -> Array:
    """Return |d|, at most 2^32 - 1, so that sums of 2^24 of them fit."""
    sign = delta >> (8 * delta.itemsize - 1)
    steps = ((delta ^ sign) - sign).view(f"<u{delta.itemsize}").astype(np.uint64)
    most: Array = np.minimum(steps, np.uint64(0xFFFFFFFF))
    return most


def analyse(new: Array, base: Array | None, groups: Groups, model: Model) -> tuple[Array, Array, bytes]:
    """Return context << 8 | symbol of coded units (u16), counts[context, symbol] (i64), and the raw bits."""
    new, base = groups.take(new), None if base is None else groups.take(base)
    if model.codes:
        codes = zigzag(difference(new, np.zeros_like(new) if base is None else base, model.unit))
        symbols, raw = symbol.of_codes(codes, model.unit)
    else:
        symbols, raw = symbol.of_floats(new, model.unit)
    places = contexts(base, groups.live(), model) if model.context else np.zeros(len(new), np.uint8)
    index = (places.astype(np.uint16) << np.uint16(8)) | symbols
    return index, _counts(index, model.contexts), raw


def _counts(index: Array, contexts: int) -> Array:
    """Return about how often each context and symbol occurs; exact of small blocks, and of what is rare."""
    counts = np.bincount(index, minlength=contexts * SYMBOLS)
    if len(index) >= LARGE:
        parts = [index[start : start + TILE] for start in range(0, len(index), EVERY * TILE)]
        counted = np.bincount(np.concatenate(parts), minlength=len(counts))
        counts = np.where(counted < COMMON, counts, EVERY * counted)
    return counts.reshape(contexts, SYMBOLS)


def write(index: Array, tables: Tables, lanes: int) -> tuple[bytes, bytes]:
    """Return the states and words of coded units, each context << 8 | symbol."""
    return rans.encode(index, tables.frequencies[tables.map], lanes)


def read(payload: Payload, base: Array | None, out: Array) -> None:
    """Fill ``out`` with the units of a payload.

    Raises:
        MalformedError: the payload is not what an encoder makes.
    """
    groups, model, tables = payload.groups, payload.model, payload.tables
    count = int(groups.live().sizes.sum(dtype=np.int64))
    known = None if base is None else groups.take(base)
    places = contexts(known, groups.live(), model) if model.context else np.zeros(count, np.uint8)
    looked = rans.lookup(tables.frequencies)
    mapped = np.frombuffer(places.tobytes().translate(tables.map.tobytes().ljust(256)), np.uint8)
    symbols = rans.decode(payload.states, payload.words, mapped, looked)
    if not model.codes:
        out[:] = symbol.to_floats(symbols, payload.raw, model.unit)
        return
    codes = symbol.to_codes(symbols, payload.raw, model.unit)
    if base is None or known is None:
        out[:] = restore(codes, np.zeros_like(codes), model.unit)
    else:
        out[:] = groups.put(restore(codes, known, model.unit), base)
