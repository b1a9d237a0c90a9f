"""The parity code (6.9): a Cauchy matrix over GF(2^8), modulo 0x11D."""

from collections.abc import Mapping, Sequence

POLYNOMIAL = 0x11D


def product(a: int, b: int) -> int:
    """Return the product of two elements [6.9-2]."""
    result = 0
    while b:
        result ^= a * (b & 1)
        a = a << 1 ^ (POLYNOMIAL if a & 0x80 else 0)
        b >>= 1
    return result


def inverse(a: int) -> int:
    """Return the element whose product with an element but 0 is 1: its power of 254."""
    result = 1
    for _ in range(254):
        result = product(result, a)
    return result


def coefficient(i: int, j: int, m: int) -> int:
    """Return c(i, j) of a stripe with m parity members [6.9-3]."""
    return product(m + j, inverse(i ^ (m + j)))


def encode(data: Sequence[bytes], m: int) -> list[bytes]:
    """Return the m parity members of data members, which are filled up to the longest."""
    length = max(map(len, data))
    return [_sum({j: coefficient(i, j, m) for j in range(len(data))}, data, length) for i in range(m)]


def decode(members: Mapping[int, bytes], k: int, m: int, length: int) -> list[bytes]:
    """Return all data members of a stripe from k members or more, by number [6.9-4].

    Those that were lost come out filled up to the stripe's length.
    """
    lost = [j for j in range(k) if j not in members]
    used = [number - k for number in sorted(members) if number >= k][: len(lost)]
    there = {j: members[j] for j in range(k) if j in members}
    right = []
    for i in used:
        known = _sum({j: coefficient(i, j, m) for j in there}, there, length)
        right.append(_xor(known, members[k + i], length))
    matrix = invert([[coefficient(i, j, m) for j in lost] for i in used])
    solved = [_sum(dict(enumerate(row)), right, length) for row in matrix]
    return [there[j] if j in there else solved[lost.index(j)] for j in range(k)]


def invert(matrix: Sequence[Sequence[int]]) -> list[list[int]]:
    """Return the inverse of a square matrix that has one, by Gauss and Jordan."""
    size = len(matrix)
    rows = [[*row, *(int(column == number) for column in range(size))] for number, row in enumerate(matrix)]
    for column in range(size):
        pivot = next(number for number in range(column, size) if rows[number][column])
        rows[column], rows[pivot] = rows[pivot], rows[column]
        scale = inverse(rows[column][column])
        rows[column] = [product(scale, value) for value in rows[column]]
        for number in range(size):
            factor = rows[number][column]
            if number != column and factor:
                pairs = zip(rows[number], rows[column], strict=True)
                rows[number] = [value ^ product(factor, other) for value, other in pairs]
    return [row[size:] for row in rows]


def _sum(factors: Mapping[int, int], members: Mapping[int, bytes] | Sequence[bytes], length: int) -> bytes:
    total = bytes(length)
    for number, factor in factors.items():
        times = bytes(product(factor, byte) for byte in range(256))
        total = _xor(total, members[number].translate(times), length)
    return total


def _xor(one: bytes, other: bytes, length: int) -> bytes:
    """Return the sum of two members, each filled up with zeros."""
    whole = int.from_bytes(one, "little") ^ int.from_bytes(other, "little")
    return whole.to_bytes(length, "little")
