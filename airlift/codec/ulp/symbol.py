"""Symbols: a difference as one of 256 symbols and some raw bits (SPEC U6).

Small values are symbols of their own; of a larger one the symbol tells the logarithm and the next two bits, and the
rest is raw. There is no escape: 64-bit values fit. The raw bits stand one after the other, the lowest bit first.
"""

import numpy as np

from airlift.codec.ulp.unit import Array, Unit
from airlift.errors import MalformedError


def direct(unit: Unit) -> int:
    """Return the logarithm of the number of differences that are symbols of their own."""
    return 6 if unit.bits < 64 else 4


def last(unit: Unit, *, codes: bool) -> int:
    """Return the largest symbol there can be: of differences with ``codes``, else of floats."""
    if unit.bits == 8 or not codes:
        return 255
    return 15 if unit.bits < 8 else (1 << direct(unit)) + 4 * (unit.bits - direct(unit)) - 1


def of_codes(codes: Array, unit: Unit) -> tuple[Array, bytes]:
    """Return the symbol of each zigzagged difference, and all raw bits."""
    if unit.bits <= 8:
        return codes, b""
    symbols, least = codes.astype(np.uint8), direct(unit)
    large = np.flatnonzero(codes >= 1 << least)
    if not large.size:
        return symbols, b""
    values = codes[large].astype(np.uint64)
    log = _log2(values)
    lengths = log - np.uint64(2)
    symbols[large] = (log << np.uint64(2)) + ((values >> lengths) & np.uint64(3)) + np.uint64(_shift(least))
    return symbols, _pack(values & _mask(lengths), lengths)


def to_codes(symbols: Array, raw: bytes | memoryview, unit: Unit) -> Array:
    """Return the zigzagged differences of symbols (at most :func:`last`) and raw bits.

    Raises:
        MalformedError: the raw bits do not end where they should.
    """
    codes = symbols.astype(unit.dtype)
    if unit.bits <= 8:
        _check_end(raw, 0)
        return codes
    least = direct(unit)
    large = np.flatnonzero(symbols >= 1 << least)
    tokens = symbols[large].astype(np.uint64) - np.uint64(_shift(least))
    lengths = (tokens >> np.uint64(2)) - np.uint64(2)
    values = ((np.uint64(4) | (tokens & np.uint64(3))) << lengths) | _unpack(raw, lengths)
    codes[large] = values
    return codes


def of_floats(units: Array, unit: Unit) -> tuple[Array, bytes]:
    """Return the first eight bits after the sign of each float, and the rest with the sign as raw bits."""
    one, rest = units.dtype.type(1), unit.bits - 8
    turned = (units << one) | (units >> units.dtype.type(unit.bits - 1))
    symbols = (turned >> units.dtype.type(rest)).astype(np.uint8)
    if not rest:
        return symbols, b""
    octets = np.ascontiguousarray(turned).view(np.uint8).reshape(-1, unit.size)[:, :-1]
    return symbols, octets.tobytes()


def to_floats(symbols: Array, raw: bytes | memoryview, unit: Unit) -> Array:
    """Return the floats of symbols and raw bits.

    Raises:
        MalformedError: the raw bits do not have the right length.
    """
    octets = np.empty((len(symbols), unit.size), np.uint8)
    _check_end(raw, 8 * len(symbols) * (unit.size - 1))
    octets[:, :-1] = np.frombuffer(raw, np.uint8).reshape(len(symbols), unit.size - 1)
    octets[:, -1] = symbols
    turned = octets.reshape(-1).view(unit.dtype)
    one = turned.dtype.type(1)
    units: Array = (turned >> one) | (turned << turned.dtype.type(unit.bits - 1))
    return units


def _shift(least: int) -> int:
    """Return what is added to four times the logarithm: the first with raw bits is ``1 << least``."""
    return (1 << least) - 4 * least


# -- bits ----------------------------------------------------------------------------------------------------------


def _log2(values: Array) -> Array:
    """Return the floored logarithm of each (more than 0), exactly: a float64 holds any 32-bit integer."""
    high = values >> np.uint64(32)
    part = np.where(high > 0, high, values).astype(np.float64)
    return (np.frexp(part)[1] - 1 + np.where(high > 0, 32, 0)).astype(np.uint64)


def _mask(lengths: Array) -> Array:
    return (np.uint64(1) << lengths) - np.uint64(1)


def _pack(values: Array, lengths: Array) -> bytes:
    ends = np.cumsum(lengths)
    starts = ends - lengths
    words, shifts = (starts >> np.uint64(6)).astype(np.intp), starts & np.uint64(63)
    packed = np.zeros(int(words[-1]) + 2, "<u8")
    firsts = np.flatnonzero(np.diff(words, prepend=-1))
    packed[words[firsts]] = np.bitwise_or.reduceat(values << shifts, firsts)
    over = np.flatnonzero(shifts + lengths > 64)
    packed[words[over] + 1] |= values[over] >> (np.uint64(64) - shifts[over])
    return packed.tobytes()[: (int(ends[-1]) + 7) // 8]


def _unpack(raw: bytes | memoryview, lengths: Array) -> Array:
    ends = np.cumsum(lengths)
    _check_end(raw, int(ends[-1]) if ends.size else 0)
    starts = ends - lengths
    padded = np.frombuffer(bytes(raw) + bytes(16), np.uint8)
    windows = np.ndarray(len(padded) - 7, "<u8", padded, strides=(1,))
    places, shifts = (starts >> np.uint64(3)).astype(np.intp), starts & np.uint64(7)
    values = windows[places] >> shifts
    if lengths.size and lengths.max() > 57:  # these may reach into a ninth byte
        ninth = padded[places + 8].astype(np.uint64) << (np.uint64(63) - shifts)
        values |= ninth << np.uint64(1)
    kept: Array = values & _mask(lengths)
    return kept


def _check_end(raw: bytes | memoryview, count: int) -> None:
    """Check that ``raw`` holds ``count`` bits and nothing else."""
    if len(raw) != (count + 7) // 8 or (count % 8 and raw[-1] >> (count % 8)):
        raise MalformedError("an ulp block's raw bits do not end where they should")
