"""Codec 8: numbers that were made from others by a closed rule (V1 to V7)."""

import math
import struct
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from tests.second.codecs import floats, groups
from tests.second.codecs.elements import (
    BF16,
    F8_E4M3,
    F8_E5M2,
    F16,
    F32,
    F64,
    I8,
    Q4_0,
    Q8_0,
    Element,
    element,
)
from tests.second.codecs.groups import Groups
from tests.second.codecs.inner import INNER, decode_inner
from tests.second.errors import Refused, demand

CAST, TRUNCATE, SCALE, GGML, SCALES = range(5)
NOWHERE, PAYLOAD, SECOND, LARGEST = range(4)
RECORD = 32

_NARROW = (F32, F16, BF16)
_FROM = {CAST: (F64, *_NARROW), TRUNCATE: (F32,), SCALE: _NARROW, GGML: _NARROW, SCALES: _NARROW}
_TO = {
    CAST: (F64, *_NARROW, F8_E4M3, F8_E5M2),
    TRUNCATE: (BF16,),
    SCALE: (F8_E4M3, F8_E5M2, I8),
    GGML: (Q8_0, Q4_0),
    SCALES: _NARROW,
}
_HEADER = struct.Struct("<BBBBBBBBIIII4sI")


@dataclass(frozen=True, slots=True)
class Header:
    """The header of a payload (V1), after it was checked."""

    inner: int
    rule: int
    source: int
    scales_from: int
    scale: int
    work: int
    multiply: bool
    fused: bool
    columns: int
    head: int
    group_rows: int
    group_columns: int
    limit: float
    scales: int


def decode(payload: bytes, kind: Element, length: int, sources: Sequence[bytes]) -> bytes:
    """Decode a payload of codec 8.

    Raises:
        Refused: ``malformed``, or ``format-too-new``.
    """
    header = _header(payload, kind)
    demand(length > 0 and length % kind.size == 0, "no whole elements")
    size = header.columns * element(header.source).size
    rows = len(sources[0]) // size
    demand(rows >= 1 and rows * size == len(sources[0]), "no whole rows")
    demand(header.head == 0 or (rows % header.head == 0 and header.head <= LIMIT_HEAD), "no whole heads")
    shape = groups.make(rows, header.columns, header.group_rows, header.group_columns)
    _sized(header, kind, length, shape)
    scales = _scales(header, payload, sources, shape)
    if header.rule == TRUNCATE:
        prediction = _upper_halves(_rows_in_order(list(_rows(sources[0], size)), header))
    else:
        matrix = _matrix(sources[0], header, size)
        prediction = _convert(header, kind, matrix, shape, scales)
    rest = payload[_HEADER.size + header.scales :]
    return decode_inner(header.inner, rest, kind, length, prediction)


LIMIT_HEAD = 1 << 20


def _header(payload: bytes, kind: Element) -> Header:
    demand(len(payload) >= _HEADER.size, "shorter than its header")
    fields = _HEADER.unpack_from(payload)
    inner, rule, source, scales_from, scale, work, flags, zero, columns, head, high, wide, limit, scales = (
        fields
    )
    _known(inner in INNER and rule <= SCALES and scales_from <= LARGEST)
    for code in (source, scale, work):
        element(code)
    _known(source in _FROM[rule])
    demand(any(kind.code in made for made in _TO.values()), "an element that no rule makes")
    _known(kind.code in _TO[rule])
    scaled = rule in (SCALE, SCALES)
    demand(zero == 0 and flags < 4 and columns >= 1 and head % 2 == 0, "a header")
    demand(flags == 0 or scaled or (flags == 2 and kind.code == Q4_0), "flags that say nothing")
    demand(not scaled or flags < 2, "flags that say nothing")
    demand((scales_from != NOWHERE) == (rule == SCALE), "scales that say nothing, or lack")
    demand(scaled or high == wide == 0, "groups that say nothing")
    given = scales_from in (PAYLOAD, SECOND)
    demand(not given or scale in _NARROW, "no scale element")
    demand(given or scale == 0, "a scale element that says nothing")
    demand(not scaled or work in _NARROW, "no work element")
    demand(scaled or work == 0, "a work element that says nothing")
    demand(scales == 0 or scales_from == PAYLOAD, "scales that say nothing")
    demand(_HEADER.size + scales <= len(payload), "scales that are not there")
    value = groups.limit_of(limit, computed=rule == SCALES or scales_from == LARGEST)
    multiply, fused = bool(flags & 1), bool(flags & 2)
    return Header(
        inner,
        rule,
        source,
        scales_from,
        scale,
        work,
        multiply,
        fused,
        columns,
        head,
        high,
        wide,
        value,
        scales,
    )


def _known(condition: object) -> None:
    if not condition:
        raise Refused("format-too-new", "a codec, rule or element that is not known")


def _sized(header: Header, kind: Element, length: int, shape: Groups) -> None:
    numbers = shape.rows * shape.columns
    if header.rule == SCALES:
        numbers = shape.count
    if header.rule == GGML:
        demand(shape.columns % RECORD == 0, "no whole records")
        numbers //= RECORD
    demand(length == numbers * kind.size, "a target of another number of elements")


def _scales(header: Header, payload: bytes, sources: Sequence[bytes], shape: Groups) -> list[float]:
    if header.scales_from == PAYLOAD:
        body = payload[_HEADER.size : _HEADER.size + header.scales]
        return groups.unpack_scales(body, header.scale, shape)
    if header.scales_from == SECOND:
        demand(len(sources) >= 2, "too few sources")
        return groups.read_scales(sources[1], header.scale, shape)
    return []


def _rows(data: bytes, size: int) -> Iterator[bytes]:
    return (data[at : at + size] for at in range(0, len(data), size))


def _rows_in_order(rows: list[bytes], header: Header) -> list[bytes]:
    """Return the rows of the source in the order that the rule is given (V2)."""
    if not header.head:
        return rows
    half = header.head // 2
    starts = range(0, len(rows), header.head)
    return [rows[start + i % 2 * half + i // 2] for start in starts for i in range(header.head)]


def _matrix(source: bytes, header: Header, size: int) -> list[float]:
    """Return float32 numbers in the order that the rule is given (V2, V3)."""
    whole = b"".join(_rows_in_order(list(_rows(source, size)), header))
    return [floats.single(number) for number in floats.values(whole, header.source)]


def _upper_halves(rows: list[bytes]) -> bytes:
    """Return the upper 16 bits of float32 numbers, whatever they are (V4)."""
    return b"".join(row[at + 2 : at + 4] for row in rows for at in range(0, len(row), 4))


def _convert(header: Header, kind: Element, matrix: list[float], shape: Groups, scales: list[float]) -> bytes:
    if header.rule == CAST:
        return floats.pack(matrix, kind.code)
    if header.rule == GGML:
        record = _q8_0 if kind.code == Q8_0 else _q4_0
        return b"".join(
            record(matrix[at : at + RECORD], fused=header.fused) for at in range(0, len(matrix), RECORD)
        )
    if header.rule == SCALES:
        return floats.pack(_stored(header, groups.largest(matrix, shape)), kind.code)
    return _scaled(header, kind, matrix, shape.of_numbers(), _factors(header, matrix, shape, scales))


def _work(number: float, header: Header) -> float:
    return floats.normalised(floats.rounded(number, header.work))


def _quotient(above: float, below: float) -> float:
    """Return 1 / s or limit / a, as V5-3 says."""
    if below == 0.0 or not math.isfinite(below):
        return 0.0
    quotient = floats.normalised(floats.divided(above, below))
    return quotient if math.isfinite(quotient) else 0.0


def _from_largest(header: Header, most: float) -> float:
    if header.multiply:
        return _work(_quotient(header.limit, most), header)
    return _work(floats.divided(most, header.limit), header)


def _factors(header: Header, matrix: list[float], shape: Groups, scales: list[float]) -> list[float]:
    if header.scales_from == LARGEST:
        return [_from_largest(header, most) for most in groups.largest(matrix, shape)]
    given = map(floats.normalised, scales)
    return [_work(_quotient(1.0, scale), header) if header.multiply else scale for scale in given]


def _stored(header: Header, largest: Iterable[float]) -> list[float]:
    """Return scales as they are stored (V7)."""
    factors = [_from_largest(header, most) for most in largest]
    return [_quotient(1.0, factor) for factor in factors] if header.multiply else factors


def _scaled(
    header: Header, kind: Element, matrix: list[float], group_of: list[int], factors: list[float]
) -> bytes:
    """Scale each number, and round it (V5-4)."""
    numbers = []
    for number, group in zip(matrix, group_of, strict=True):
        factor = factors[group]
        before = floats.normalised(number)
        if factor == 0.0 or not math.isfinite(factor):
            numbers.append(0.0)
        elif header.multiply:
            numbers.append(floats.rounded(floats.single(before * factor), header.work))
        else:
            numbers.append(floats.rounded(floats.divided(before, factor), header.work))
    if kind.code == I8:
        return struct.pack(f"<{len(numbers)}b", *(whole(number, -128, 127) for number in numbers))
    return floats.pack(numbers, kind.code)


def whole(number: float, least: int, most: int) -> int:
    """Round to an integer, to nearest, ties to even, clipped; a NaN is the least."""
    if math.isnan(number):
        return least
    if math.isinf(number):
        return most if number > 0 else least
    return min(max(round(number), least), most)


def _q8_0(numbers: list[float], *, fused: bool) -> bytes:
    most = floats.largest(numbers)
    if not math.isfinite(most):
        return bytes(2 + RECORD)
    scale = floats.normalised(floats.divided(most, 127.0))
    inverse = floats.divided(1.0, scale) if scale else 0.0
    steps = (_away(floats.single(floats.normalised(number) * inverse)) for number in numbers)
    return floats.pack([scale], F16) + struct.pack(f"<{RECORD}b", *steps)


def _away(number: float) -> int:
    """Round to an integer, to nearest, ties away from zero."""
    down = math.floor(abs(number))
    up = down + (abs(number) - down >= 0.5)
    return int(math.copysign(up, number))


def _q4_0(numbers: list[float], *, fused: bool) -> bytes:
    most = floats.largest(numbers)
    first = next((number for number in numbers if abs(number) == most), 0.0) if math.isfinite(most) else 0.0
    scale = floats.normalised(floats.divided(first, -8.0))
    steps = [8] * RECORD
    if scale:
        inverse = floats.divided(1.0, scale)
        steps = [_quarter(floats.normalised(number), inverse, fused=fused) for number in numbers]
    half = RECORD // 2
    packed = bytes(low | high << 4 for low, high in zip(steps[:half], steps[half:], strict=True))
    return floats.pack([scale], F16) + packed


def _quarter(number: float, inverse: float, *, fused: bool) -> int:
    product = number * inverse
    value = floats.single(product + 8.5) if fused else floats.single(floats.single(product) + 8.5)
    return min(max(int(value), 0), 15)
