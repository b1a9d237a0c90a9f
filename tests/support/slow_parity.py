"""The parity code once more, from SPEC 6.9 alone: by polynomials, a byte at a time, without NumPy."""

from collections.abc import Mapping, Sequence
from functools import cache


@cache
def times(a: int, b: int) -> int:
    """Return a product: of polynomials over GF(2), then the rest by x^8 + x^4 + x^3 + x^2 + 1."""
    product = 0
    for bit in range(8):
        product ^= (a << bit) * (b >> bit & 1)
    for bit in range(14, 7, -1):
        product ^= (0b100011101 << bit - 8) * (product >> bit & 1)
    return product


@cache
def inverse(b: int) -> int:
    """Return the one element whose product is 1, by trying all."""
    (found,) = (a for a in range(256) if times(a, b) == 1)
    return found


def over(a: int, b: int) -> int:
    return times(a, inverse(b))


def weight(i: int, j: int, m: int) -> int:
    return over(m + j, i ^ (m + j))


def rows(k: int, m: int) -> list[list[int]]:
    """Return of what every member is made: the data of themselves, the parity by its weights."""
    own = [[int(row == column) for column in range(k)] for row in range(k)]
    return own + [[weight(i, j, m) for j in range(k)] for i in range(m)]


def encode(data: Sequence[bytes], m: int) -> list[bytes]:
    length = max(map(len, data))
    filled = [member.ljust(length, b"\0") for member in data]
    return [_sum(row, filled, length) for row in rows(len(data), m)[len(data) :]]


def decode(present: Mapping[int, bytes], k: int, m: int, length: int) -> list[bytes]:
    """Return all members, by elimination of k equations with k unknowns, whichever members give them."""
    code, used = rows(k, m), sorted(present)[-k:]
    system = [(code[member][:], bytearray(present[member].ljust(length, b"\0"))) for member in used]
    for column in range(k):
        pivot = next(row for row in range(column, k) if system[row][0][column])
        system[column], system[pivot] = system[pivot], system[column]
        _scale(system[column], over(1, system[column][0][column]))
        for row in range(k):
            if row != column:
                _subtract(system[row], system[column], system[row][0][column])
    data = [bytes(values) for _, values in system]
    return data + encode(data, m)


def _sum(row: Sequence[int], members: Sequence[bytes], length: int) -> bytes:
    result = bytearray(length)
    for factor, member in zip(row, members, strict=True):
        for place, byte in enumerate(member):
            result[place] ^= times(factor, byte)
    return bytes(result)


Equation = tuple[list[int], bytearray]


def _scale(equation: Equation, factor: int) -> None:
    for side in equation:
        side[:] = [times(factor, value) for value in side]


def _subtract(equation: Equation, other: Equation, factor: int) -> None:
    for side, taken in zip(equation, other, strict=True):
        side[:] = [value ^ times(factor, more) for value, more in zip(side, taken, strict=True)]
