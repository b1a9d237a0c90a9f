"""Tables: frequencies of symbols, one table for contexts that are alike (SPEC U5).

Neighbouring contexts share a table where that costs less than writing one more. Frequencies are in 1/2048.
"""

from dataclasses import dataclass

import numpy as np

from airlift.codec.ulp.rans import SYMBOLS, TOTAL
from airlift.codec.ulp.unit import Array
from airlift.errors import MalformedError

MAX_TABLES = 32
MOST_WRITTEN = 1 + 2 * SYMBOLS
"""No table is longer, in bytes."""

WRITTEN_TABLES = 16
"""As many as an encoder here makes: their lookups fit the second-level cache, and more save less than 0.3 %."""

SYMBOL_BITS = 9
"""About what a symbol of a written table costs."""

LOG_BITS = 20
"""How many bits after the point a logarithm has: what tables are shared follows from integers."""


@dataclass(frozen=True, slots=True)
class Tables:
    """``map[context]`` is the number of a row of ``frequencies``, u16 of shape (tables, 256)."""

    map: Array
    frequencies: Array

    def cost(self, counts: Array) -> float:
        """Return about how many bits the counted symbols take, with the tables themselves."""
        share = self.frequencies[self.map].astype(np.float64)
        used = counts > 0
        bits = -np.log2(share[used] / TOTAL) * counts[used]
        return float(bits.sum() + SYMBOL_BITS * np.count_nonzero(self.frequencies))


def fit(counts: Array, most: int = WRITTEN_TABLES) -> Tables:
    """Return tables for ``counts[context, symbol]``, of which all are below 2^25."""
    last = int(np.flatnonzero(counts.sum(axis=0)).max(initial=0))
    groups = _merge(counts[:, : last + 1].astype(np.int64), most)
    mapped = np.zeros(len(counts), np.uint8)
    rows = []
    for number, (start, end) in enumerate(groups):
        mapped[start:end] = number
        rows.append(normalise(counts[start:end].sum(axis=0)))
    return Tables(mapped, np.stack(rows))


def normalise(counts: Array) -> Array:
    """Return frequencies, u16, that sum to 2048; what occurred has at least 1."""
    counts = counts.astype(np.int64)
    total = int(counts.sum())
    if not total:
        counts = np.zeros(SYMBOLS, np.int64)
        counts[0] = total = 1
    scaled = np.where(counts > 0, np.maximum(1, (2 * counts * TOTAL + total) // (2 * total)), 0)
    while (excess := int(scaled.sum()) - TOTAL) > 0:
        most = int(scaled.argmax())
        scaled[most] -= min(excess, max(1, int(scaled[most]) // 64))
    scaled[scaled.argmax()] -= excess
    return scaled.astype(np.uint16)


def _entropy(counts: Array) -> Array:
    """Return the bits of the symbols counted in each row, and of its table, in units of 2^-20."""
    own: Array = _weigh(counts.sum(axis=-1)) - _weigh(counts).sum(axis=-1)
    own += (SYMBOL_BITS << LOG_BITS) * (counts > 0).sum(axis=-1)
    return own


def _weigh(n: Array) -> Array:
    """Return n log2 n, 0 for 0, of integers below 2^32: the logarithm is interpolated, and cut off after 20 bits."""
    log = np.frexp(np.maximum(n, 1).astype(np.float64))[1].astype(np.int64) - 1
    high = n << (31 - log)
    place = (high >> 23) & 255
    between = (np.diff(_LOGS)[place] * ((high >> 7) & 0xFFFF)) >> 16
    weighed: Array = n * ((log << LOG_BITS) + _LOGS[place] + between)
    return weighed


def _logs() -> Array:
    """Return log2(1 + i / 256) for i = 0 to 256 in units of 2^-20, cut off: bit by bit, from squares."""
    x, found = np.arange(256, 512) << 22, np.zeros(256, np.int64)
    for _ in range(LOG_BITS):
        x = (x * x) >> 30
        found = (found << 1) | (x >> 31)
        x >>= x >> 31
    return np.append(found, 1 << LOG_BITS)


_LOGS = _logs()


def _merge(counts: Array, most: int) -> list[tuple[int, int]]:
    """Return half-open ranges of contexts that share a table: the cheapest neighbours are joined first."""
    used = np.flatnonzero(counts.sum(axis=1))
    if not used.size:
        return [(0, len(counts))]
    ends = [*used[1:].tolist(), len(counts)]
    rows = list(counts[used])
    alone = _entropy(counts[used]).tolist()
    joint = _entropy(counts[used][:-1] + counts[used][1:]).tolist()
    while joint:
        added = [both - one - other for both, one, other in zip(joint, alone, alone[1:], strict=False)]
        n = min(range(len(added)), key=added.__getitem__)
        if len(rows) <= most and added[n] > 0:
            break
        rows[n : n + 2] = [rows[n] + rows[n + 1]]
        alone[n : n + 2] = [joint.pop(n)]
        del ends[n]
        places = [place for place in (n - 1, n) if 0 <= place < len(joint)]
        if places:
            sums = np.stack([rows[place] + rows[place + 1] for place in places])
            for place, bits in zip(places, _entropy(sums).tolist(), strict=True):
                joint[place] = bits
    return list(zip([0, *ends[:-1]], ends, strict=True))


# -- as bytes ------------------------------------------------------------------------------------------------------


def format_tables(tables: Tables) -> bytes:
    """Return the bytes of the map and the tables."""
    return tables.map.tobytes() + b"".join(_format(row) for row in tables.frequencies)


def parse_tables(data: memoryview, contexts: int, count: int, last: int) -> tuple[Tables, int]:
    """Return ``count`` tables for ``contexts`` contexts, and how many bytes of ``data`` they are.

    No symbol is above ``last``.

    Raises:
        MalformedError: they are truncated, a context has no table, or a table does not sum to 2048.
    """
    mapped = np.frombuffer(data[:contexts], np.uint8)
    if len(mapped) != contexts or mapped.max() >= count:
        raise MalformedError("an ulp block has a context without a table")
    position, rows = contexts, np.zeros((count, SYMBOLS), np.uint16)
    written = bytes(data[: contexts + count * MOST_WRITTEN])
    for row in rows:
        position = _parse(written, position, row[: last + 1])
    return Tables(mapped, rows), position


def _format(frequencies: Array) -> bytes:
    last = int(np.flatnonzero(frequencies)[-1])
    written, zeros = bytearray([last]), 0
    for frequency in frequencies[: last + 1].tolist():
        if not frequency:
            zeros += 1
            continue
        if zeros:
            written += bytes([0, zeros - 1])
            zeros = 0
        written += bytes([frequency]) if frequency < 128 else bytes([128 + frequency % 128, frequency >> 7])
    return bytes(written)


def _parse(data: bytes, position: int, row: Array) -> int:
    """Read one table into ``row``, which has as many places as there are symbols; return where it ends."""
    try:
        found, end = _frequencies(data, position + 1, data[position])
    except IndexError as error:
        raise MalformedError("an ulp block's tables are truncated") from error
    if data[position] >= len(row):
        raise MalformedError("an ulp block has a symbol beyond its unit")
    if len(found) != data[position] + 1 or not found[-1] or sum(found) != TOTAL:
        raise MalformedError("an ulp block's table does not sum to 2048")
    row[: len(found)] = found
    return end


def _frequencies(data: bytes, position: int, last: int) -> tuple[list[int], int]:
    """Return the frequencies of the symbols up to ``last`` or a run beyond it, and where they end."""
    found: list[int] = []
    while len(found) <= last:
        value, position = data[position], position + 1
        if 0 < value < 128:
            found.append(value)
            continue
        more, position = data[position], position + 1
        if value:
            found.append(value + 128 * (more - 1))
        else:
            found += bytes(more + 1)
        if not 1 <= more <= TOTAL >> 7 if value else not data[position]:
            raise MalformedError("an ulp block has a frequency that is written another way")
    return found, position
