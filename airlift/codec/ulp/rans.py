"""Entropy coding with static tables: interleaved rANS, the reference (SPEC U7).

Unit ``i`` belongs to lane ``i mod L``. One step decodes one unit of every lane at once, which is what NumPy wants:
with a thousand lanes its overhead is small. All lanes share one stream of 16-bit words.

Source: J. Duda, "Asymmetric numeral systems" (arXiv 1311.2540); F. Giesen, "Interleaved entropy coders" (arXiv
1402.3392).
"""

import numpy as np

from airlift.codec.ulp.unit import Array
from airlift.errors import MalformedError

TABLE_BITS = 11
TOTAL = 1 << TABLE_BITS
LOW = 1 << 16
SYMBOLS = 256

STEPS = 64
_STATE = np.int64  # what NumPy indexes with; the values are below 2^32


def lookup(frequencies: Array) -> Array:
    """Return what a decoder looks up for each table and slot: of shape (tables * 2048).

    Bits 0 to 10 are slot - start, bits 11 to 18 the symbol, bits 20 to 31 the frequency.
    """
    tables = len(frequencies)
    flat = frequencies.reshape(-1).astype(np.int64)
    starts = (np.cumsum(flat) - flat) % TOTAL  # every table sums to TOTAL
    slots = np.arange(tables * TOTAL) % TOTAL - np.repeat(starts, flat)
    entry = (np.tile(np.arange(SYMBOLS), tables) << TABLE_BITS) | (flat << 20)
    looked: Array = np.repeat(entry, flat) + slots
    return looked


def encode(units: Array, frequencies: Array, lanes: int) -> tuple[bytes, bytes]:
    """Return the states and the words of units, each the number of its table (a row) << 8 | symbol."""
    flat = frequencies.reshape(-1).astype(_STATE)
    starts = (np.cumsum(flat) - flat) % TOTAL
    state = np.full(lanes, LOW, _STATE)
    words: list[Array] = []
    for first in range((len(units) - 1) // lanes * lanes, -1, -lanes):
        index = units[first : first + lanes].astype(_STATE)
        x, frequency = state[: len(index)], flat[index]
        full = np.flatnonzero((x >> (32 - TABLE_BITS)) >= frequency)
        words.append((x[full] & (LOW - 1)).astype("<u2"))
        x[full] >>= 16
        quotient = (x / frequency).astype(_STATE)  # exact: x < 2^32 and frequency <= 2^11
        x += quotient * (TOTAL - frequency) + starts[index]
    return state.astype("<u4").tobytes(), b"".join(part.tobytes() for part in reversed(words))


def decode(states: memoryview, words: memoryview, tables: Array, looked: Array) -> Array:
    """Return the symbol of each unit, given the number of its table and :func:`lookup` of the tables.

    Raises:
        MalformedError: a word is missing or left over, or a state starts or ends where it cannot.
    """
    state = np.frombuffer(states, "<u4").astype(_STATE)
    stream = np.frombuffer(words, "<u2").astype(_STATE)
    if len(state) and state.min() < LOW:
        raise MalformedError("an ulp block starts with an impossible state")
    symbols = np.empty(len(tables), np.uint8)
    read = _run(state, stream, tables, looked, symbols)
    if read != len(stream) or np.any(state != LOW):
        raise MalformedError("an ulp block's words do not end where they should")
    return symbols


def _run(state: Array, stream: Array, tables: Array, looked: Array, symbols: Array) -> int:
    """Decode into ``symbols``; return how many words were read."""
    lanes, read, many = len(state), 0, len(state) * STEPS
    for start in range(0, len(tables), many):
        entries = tables[start : start + many].astype(_STATE) << TABLE_BITS
        for first in range(0, len(entries), lanes):
            read = _step(state, stream, read, entries[first : first + lanes], looked)
        symbols[start : start + many] = entries >> TABLE_BITS
    return read


def _step(state: Array, stream: Array, read: int, entry: Array, looked: Array) -> int:
    """Advance the lanes by a unit each; ``entry`` holds where their tables start and then what they looked up."""
    x = state[: len(entry)]
    entry |= x & (TOTAL - 1)
    looked.take(entry, out=entry, mode="clip")
    x >>= TABLE_BITS
    x *= entry >> 20
    x += entry & (TOTAL - 1)
    low = (x < LOW).nonzero()[0]
    end = read + len(low)
    if end > len(stream):
        raise MalformedError("an ulp block has too few words")
    x[low] = (x[low] << 16) | stream[read:end]
    return end
