"""Codec 4: units in the last place, entropy-coded by rANS with static tables (U1 to U7)."""

import struct
from array import array
from collections.abc import Iterator
from dataclasses import dataclass

from tests.second.codecs import frame, planes
from tests.second.codecs.elements import Element
from tests.second.errors import demand

TOTAL = 2048
LOWEST = 1 << 16
GROUPS = 1 << 20

_HEADER = struct.Struct("<BBBBBBhIIII")
_CODES = {1: "B", 2: "H", 4: "I", 8: "Q"}
_LAST = {4: 15, 8: 255, 16: 103, 32: 167, 64: 255}


@dataclass(frozen=True, slots=True)
class Header:
    """The header of a payload (U2), and the units that it is about (U1)."""

    delta: bool
    nibbles: bool
    context: int
    lanes: int
    tables: int
    shift: int
    offset: int
    runs: int
    scales: int
    words: int
    bits: int
    width: int
    mantissa: int | None

    @property
    def contexts(self) -> int:
        """How many contexts the map has (U4)."""
        return (1, 64, 1 << min(self.width, 8))[self.context]

    @property
    def differences(self) -> bool:
        """Whether differences are coded (U6)."""
        return self.delta or self.mantissa is None


@dataclass(frozen=True, slots=True)
class Table:
    """A table of frequencies: for each slot its symbol, and start and frequency of each symbol (U5)."""

    symbol: list[int]
    start: list[int]
    frequency: list[int]


class _Reader:
    """Takes parts of a payload from the front; nothing is read beyond its end."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def take(self, size: int) -> bytes:
        demand(self._at + size <= len(self._data), "a payload that is cut")
        self._at += size
        return self._data[self._at - size : self._at]

    def byte(self) -> int:
        return self.take(1)[0]

    def finish(self) -> None:
        demand(self._at == len(self._data), "a payload with more than it says")


def decode(payload: bytes, element: Element, length: int, source: bytes | None) -> bytes:
    """Decode a payload of units.

    Raises:
        Refused: ``malformed``.
    """
    reader = _Reader(payload)
    header = _header(reader.take(_HEADER.size), element)
    unit = element.size if element.record else max(1, header.width // 8)
    demand(length > 0 and length % unit == 0, "no whole units")
    demand(
        not header.delta or (source is not None and len(source) == length), "a source that is not parallel"
    )
    base = None
    if header.delta:
        assert source is not None
        base = _units(planes.split(source, element) if element.record else source, header)
    count = length * 8 // header.width
    scales = _scales(reader, header, count)
    table_of = list(reader.take(header.contexts))
    demand(max(table_of) < header.tables, "a map to a table that is not there")
    tables = [_table(reader, header) for _ in range(header.tables)]
    states = list(struct.unpack(f"<{1 << header.lanes}I", reader.take(4 << header.lanes)))
    words = struct.unpack(f"<{header.words}H", reader.take(2 * header.words))
    bits = reader.take(header.bits)
    reader.finish()
    wanted = _coded(header, base, scales, count)
    contexts = [tables[table_of[context]] for context in _contexts(header, base, scales, wanted)]
    symbols = _symbols(contexts, states, words)
    units = list(base) if base is not None and len(wanted) < count else [0] * count
    _finish_units(header, units, base, list(zip(wanted, symbols, strict=True)), bits)
    whole = _pack(units, header)
    if element.record:
        return planes.merge(_cut(whole, element), element)
    return whole


def _header(data: bytes, element: Element) -> Header:
    flags, context, lanes, tables, shift, zero, offset, runs, scales, words, bits = _HEADER.unpack(data)
    delta, nibbles = bool(flags & 1), bool(flags & 2)
    demand(flags < 4 and zero == 0 and context <= 2 and lanes <= 11 and 1 <= tables <= 32, "a header")
    demand(not nibbles or element.mantissa is None, "nibbles of floats")
    width = 4 if nibbles else element.unit * 8
    float_delta = context == 1 and delta and element.mantissa is not None
    demand(shift == 0 or (float_delta and shift <= 3), "a shift that says nothing")
    if context == 1:
        demand(1 <= runs <= 65_536 and 1 <= scales <= GROUPS, "no runs or scales")
    else:
        demand(offset == 0 and runs == 0 and scales == 0, "runs and scales that say nothing")
    demand(context != 2 or (delta and width <= 8), "a context of symbols")
    demand(words <= 1 << 23 and bits <= 1 << 24, "too many words or bits")
    return Header(
        delta,
        nibbles,
        context,
        lanes,
        tables,
        shift,
        offset,
        runs,
        scales,
        words,
        bits,
        width,
        element.mantissa,
    )


def _units(data: bytes, header: Header) -> list[int]:
    if header.nibbles:
        return [half for byte in data for half in (byte & 15, byte >> 4)]
    units = array(_CODES[header.width // 8])
    units.frombytes(data)
    return units.tolist()


def _pack(units: list[int], header: Header) -> bytes:
    if header.nibbles:
        return bytes(low | high << 4 for low, high in zip(units[::2], units[1::2], strict=True))
    return array(_CODES[header.width // 8], units).tobytes()


def _cut(data: bytes, element: Element) -> list[bytes]:
    count = len(data) // element.size
    parts, at = [], 0
    for field in element.fields:
        parts.append(data[at : at + field * count])
        at += field * count
    return parts


def _scales(reader: _Reader, header: Header, count: int) -> list[int]:
    """Return the scale of each unit (U3); nothing in other contexts than 1."""
    runs = [struct.unpack("<II", reader.take(8)) for _ in range(header.runs)]
    if header.context != 1:
        return []
    demand(all(size and groups for size, groups in runs), "an empty run")
    total = sum(groups for _, groups in runs)
    demand(
        total <= GROUPS and sum(size * groups for size, groups in runs) == count, "groups that do not cover"
    )
    body = reader.take(header.scales)
    demand(len(body) <= total, "scales that are longer than their number")
    scales = body if len(body) == total else frame.unpack(body, total)
    demand(header.delta or 0 not in scales, "a still group without a source")
    sizes = (size for size, groups in runs for _ in range(groups))
    return [scale for size, scale in zip(sizes, scales, strict=True) for _ in range(size)]


def _table(reader: _Reader, header: Header) -> Table:
    last = reader.byte()
    demand(last <= (_LAST[header.width] if header.differences else 255), "a symbol without a meaning")
    frequency: list[int] = []
    after_run = False
    while len(frequency) <= last:
        first = reader.byte()
        if first == 0:
            demand(not after_run, "two runs of zeros")
            frequency += [0] * (reader.byte() + 1)
            after_run = True
            continue
        if first >= 128:
            second = reader.byte()
            demand(1 <= second <= 16, "a frequency in another spelling")
            first = first - 128 + (second << 7)
        frequency.append(first)
        after_run = False
    demand(len(frequency) == last + 1 and frequency[last] > 0 and sum(frequency) == TOTAL, "a table's sum")
    start = [sum(frequency[:symbol]) for symbol in range(last + 1)]
    symbol_of = [symbol for symbol in range(last + 1) for _ in range(frequency[symbol])]
    return Table(symbol_of, start, frequency)


def _coded(header: Header, base: list[int] | None, scales: list[int], count: int) -> list[int]:
    """Return the numbers of the units that are coded: those that are not still."""
    if header.context != 1 or base is None:
        return list(range(count))
    return [unit for unit, scale in enumerate(scales) if scale]


def _contexts(header: Header, base: list[int] | None, scales: list[int], wanted: list[int]) -> Iterator[int]:
    """Yield the context of each unit that is coded (U4)."""
    if header.context == 0:
        yield from (0 for _ in wanted)
    elif header.context == 2:
        assert base is not None
        yield from (base[unit] for unit in wanted)
    elif base is None or header.mantissa is None:
        yield from (min(63, max(0, header.offset + scales[unit])) for unit in wanted)
    else:
        magnitude = (1 << header.width - 1) - 1
        for unit in wanted:
            exponent = max(1, (base[unit] & magnitude) >> header.mantissa) << header.shift
            yield min(63, max(0, header.offset + scales[unit] - exponent))


def _symbols(tables: list[Table], states: list[int], words: tuple[int, ...]) -> list[int]:
    """Decode one symbol for each unit (U7)."""
    demand(all(state >= LOWEST for state in states), "a state that is too low")
    lanes, at = len(states), 0
    symbols = []
    for number, table in enumerate(tables):
        lane = number % lanes
        state = states[lane]
        slot = state % TOTAL
        symbol = table.symbol[slot]
        state = table.frequency[symbol] * (state >> 11) + slot - table.start[symbol]
        if state < LOWEST:
            demand(at < len(words), "a word that is not there")
            state = state << 16 | words[at]
            at += 1
        states[lane] = state
        symbols.append(symbol)
    demand(at == len(words) and all(state == LOWEST for state in states), "words or states that are left")
    return symbols


class _Bits:
    """The raw bits, the lowest bit of each byte first."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0
        self._value = 0
        self._held = 0

    def take(self, count: int) -> int:
        while self._held < count:
            demand(self._at < len(self._data), "raw bits that are not there")
            self._value |= self._data[self._at] << self._held
            self._held += 8
            self._at += 1
        taken = self._value & ((1 << count) - 1)
        self._value >>= count
        self._held -= count
        return taken

    def finish(self) -> None:
        demand(self._at == len(self._data) and self._value == 0, "bits that are left")


def _finish_units(
    header: Header, units: list[int], base: list[int] | None, coded: list[tuple[int, int]], data: bytes
) -> None:
    """Make units of symbols and raw bits (U6)."""
    bits = _Bits(data)
    width, whole = header.width, (1 << header.width) - 1
    for unit, symbol in coded:
        if header.differences:
            zigzag = _zigzag(symbol, width, bits)
            difference = zigzag >> 1 if zigzag & 1 == 0 else -(zigzag >> 1) - 1
            before = _order(base[unit], header) if base is not None else 0
            units[unit] = _order((before + difference) & whole, header)
        else:
            rotated = symbol << (width - 8) | bits.take(width - 8)
            units[unit] = rotated >> 1 | (rotated & 1) << (width - 1)
    bits.finish()


def _zigzag(symbol: int, width: int, bits: _Bits) -> int:
    if width <= 8:
        return symbol
    direct = 4 if width == 64 else 6
    if symbol < 1 << direct:
        return symbol
    above, quarter = divmod(symbol - (1 << direct), 4)
    length = direct + above
    return (4 + quarter) << (length - 2) | bits.take(length - 2)


def _order(unit: int, header: Header) -> int:
    """Return ord(x) modulo 2^w, or its inverse, which is the same."""
    sign = 1 << (header.width - 1)
    if header.mantissa is not None and unit & sign:
        return unit ^ (sign - 1)
    return unit
