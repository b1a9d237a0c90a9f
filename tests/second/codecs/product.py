"""Codecs 5 and 6: prediction by a product of two thin factors (P1 to P4)."""

import math
import operator
import struct
from collections.abc import Sequence
from dataclasses import dataclass

from tests.second.codecs import floats, planes
from tests.second.codecs.elements import BF16, F16, F32, I16, Element, element
from tests.second.codecs.inner import INNER, decode_inner
from tests.second.errors import Refused, demand

FLOATS = (BF16, F16, F32)
LARGEST_SUM = 1 << 52


@dataclass(frozen=True, slots=True)
class Factors:
    """L (rows x rank, by row) and R (rank x columns, by column), integers, and their common exponent."""

    left: list[list[int]]
    right: list[list[int]]
    exponent: int


def decode_lowrank(payload: bytes, kind: Element, length: int, base: bytes) -> bytes:
    """Decode a payload of codec 5 (P3).

    Raises:
        Refused: ``malformed``, or ``format-too-new``.
    """
    demand(len(payload) >= 16, "shorter than its header")
    inner, first, zero, columns, exponent, rank, body = struct.unpack_from("<BBHIhHI", payload)
    _known(inner, inner in INNER)
    demand(first <= 1 and zero == 0 and -512 <= exponent <= 512, "a header")
    rows = _rows(kind, length, columns)
    demand(1 <= rank <= 256 and rank * (rows + columns) <= 4_194_304, "factors that are too large")
    at = 16 + rank + body
    demand(at <= len(payload), "a body that is not there")
    shifts = payload[16 : 16 + rank]
    demand(max(shifts) <= 20, "a shift that is too large")
    numbers = _whole_numbers(payload[16 + rank : at], rank * (rows + columns))
    left = [[numbers[j * rows + i] << shifts[j] for j in range(rank)] for i in range(rows)]
    start = rank * rows
    right = [[numbers[start + j * columns + k] for j in range(rank)] for k in range(columns)]
    factors = Factors(left, right, exponent)
    return decode_inner(inner, payload[at:], kind, length, _predict(factors, kind, base, first=bool(first)))


def decode_adapter(payload: bytes, kind: Element, length: int, sources: Sequence[bytes]) -> bytes:
    """Decode a payload of codec 6 (P4).

    Raises:
        Refused: ``malformed``, or ``format-too-new``.
    """
    demand(len(payload) >= 20, "shorter than its header")
    head = struct.unpack_from("<BBBBIHHIf", payload)
    inner, flags, left_code, right_code, columns, rank, zero, first, scale = head
    _known(inner, inner in INNER)
    _known(left_code, left_code in FLOATS)
    _known(right_code, right_code in FLOATS)
    demand(flags < 8 and zero == 0 and math.isfinite(scale) and scale != 0.0, "a header")
    rows = _rows(kind, length, columns)
    demand(1 <= rank <= 1024 and rank * (rows + columns) <= 8_388_608, "factors that are too large")
    demand(first == 0 or flags & 2, "a first column of a matrix that is not transposed")
    base, left_data, right_data = sources[:3]
    left = _left(left_data, left_code, (rows, rank, first), transposed=bool(flags & 2))
    right = _right(right_data, right_code, (columns, rank), transposed=bool(flags & 4))
    scaled = [[number * scale for number in column] for column in right]
    factors = _fixed(left, scaled, rank)
    prediction = _predict(factors, kind, base, first=bool(flags & 1))
    return decode_inner(inner, payload[20:], kind, length, prediction)


def _known(value: int, condition: bool) -> None:
    if not condition:
        raise Refused("format-too-new", f"inner codec or element {value}")


def _rows(kind: Element, length: int, columns: int) -> int:
    demand(kind.code in FLOATS, "an element that is not predicted")
    demand(columns >= 1 and length > 0 and length % (columns * kind.size) == 0, "no whole rows")
    return length // (columns * kind.size)


def _whole_numbers(body: bytes, count: int) -> tuple[int, ...]:
    demand(body[:1] == b"\0", "a body with a predictor")
    return struct.unpack(f"<{count}h", planes.decode(body, element(I16), 2 * count, None))


def _left(data: bytes, code: int, shape: tuple[int, int, int], *, transposed: bool) -> list[list[float]]:
    """Return rows x rank of the second source."""
    rows, rank, first = shape
    size = element(code).size
    if not transposed:
        demand(len(data) == rows * rank * size, "a left factor of another size")
        numbers = _finite(data, code)
        return [list(numbers[i * rank : (i + 1) * rank]) for i in range(rows)]
    demand(len(data) % (rank * size) == 0, "a left factor of another size")
    total = len(data) // (rank * size)
    demand(first + rows <= total, "columns that are not there")
    numbers = _finite(data, code)
    return [[numbers[j * total + first + i] for j in range(rank)] for i in range(rows)]


def _right(data: bytes, code: int, shape: tuple[int, int], *, transposed: bool) -> list[list[float]]:
    """Return rank x columns of the third source, column by column."""
    columns, rank = shape
    demand(len(data) == columns * rank * element(code).size, "a right factor of another size")
    numbers = _finite(data, code)
    if transposed:
        return [list(numbers[k * rank : (k + 1) * rank]) for k in range(columns)]
    return [[numbers[j * columns + k] for j in range(rank)] for k in range(columns)]


def _finite(data: bytes, code: int) -> Sequence[float]:
    numbers = floats.values(data, code)
    demand(all(map(math.isfinite, numbers)), "a factor that is not finite")
    return numbers


def _fixed(left: list[list[float]], right: list[list[float]], rank: int) -> Factors:
    """Make integers of the factors of an adapter (P4)."""
    above = [_exponent([row[j] for row in left]) for j in range(rank)]
    below = [_exponent([column[j] for column in right]) for j in range(rank)]
    sums = [None if a is None or b is None else a + b for a, b in zip(above, below, strict=True)]
    if all(total is None for total in sums):
        return Factors([[0] * rank for _ in left], [[0] * rank for _ in right], 0)
    most = max(total for total in sums if total is not None)
    spare = (rank - 1).bit_length()
    shifts: list[tuple[int, int] | None] = []
    for total, a, b in zip(sums, above, below, strict=True):
        bits = 0 if total is None else 52 - spare - most + total
        if bits < 2 or a is None or b is None:
            shifts.append(None)
        else:
            shifts.append((bits // 2 - a, bits - bits // 2 - b))
    return Factors(
        [
            [0 if s is None else round(math.ldexp(x, s[0])) for x, s in zip(row, shifts, strict=True)]
            for row in left
        ],
        [
            [0 if s is None else round(math.ldexp(x, s[1])) for x, s in zip(row, shifts, strict=True)]
            for row in right
        ],
        most + spare - 52,
    )


def _exponent(numbers: Sequence[float]) -> int | None:
    """Return the least integer a with max |x| < 2^a, or None if all are zero."""
    most = max(map(abs, numbers))
    return math.frexp(most)[1] if most else None


def _predict(factors: Factors, kind: Element, base: bytes, *, first: bool) -> bytes:
    """Return the prediction (P2)."""
    _bounded(factors)
    before = floats.values(base, kind.code)
    columns = len(factors.right)
    whole = bytearray(base)
    for i, row in enumerate(factors.left):
        for k, column in enumerate(factors.right):
            delta = math.ldexp(sum(map(operator.mul, row, column)), factors.exponent)
            if first:
                delta = floats.rounded(floats.single(delta), kind.code)
            number = i * columns + k
            value = before[number]
            if delta != 0.0 and math.isfinite(value):
                at = number * kind.size
                whole[at : at + kind.size] = floats.pack([floats.single(value + delta)], kind.code)
    return bytes(whole)


def _bounded(factors: Factors) -> None:
    ranks = range(len(factors.left[0]))
    total = sum(
        max(abs(row[j]) for row in factors.left) * max(abs(column[j]) for column in factors.right)
        for j in ranks
    )
    demand(total <= LARGEST_SUM, "a product that float64 does not hold exactly")
