"""Coded factors: 16-bit integers with a power of two for each rank, and their bytes (SPEC P3)."""

import struct
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from airlift.codec.block import Context, Effort
from airlift.codec.plain.planes import PLANES
from airlift.codec.predict.exact import Factors, check
from airlift.errors import MalformedError
from airlift.tensors.element import Element

Integers = NDArray[np.int16]

HEADER = struct.Struct("<hHI")
MAX_RANK = 256
MAX_NUMBERS = 1 << 22
"""Of left and right together: 32 MiB as float64."""
MAX_SHIFT = 20


@dataclass(frozen=True, slots=True)
class CodedFactors:
    """Left (rows, rank) and right (rank, columns); the product of rank ``j`` counts ``2**(exponent + shifts[j])``."""

    left: Integers
    right: Integers
    shifts: tuple[int, ...]
    exponent: int

    def factors(self, *, per_product: bool = False) -> Factors:
        """Return the factors to predict with."""
        scale = np.array([2.0**shift for shift in self.shifts])
        return Factors(self.left * scale, self.right.astype(np.float64), self.exponent, per_product)


def format(coded: CodedFactors, effort: Effort) -> bytes:  # noqa: A001 - the pair of parse, as everywhere
    """Return the bytes of coded factors."""
    numbers = np.concatenate([coded.left.T.reshape(-1), coded.right.reshape(-1)]).astype("<i2")
    body = PLANES.encode(numbers.view(np.uint8).data, Context([], Element.I16), effort) or b""
    return HEADER.pack(coded.exponent, len(coded.shifts), len(body)) + bytes(coded.shifts) + body


def parse(data: memoryview, rows: int, columns: int) -> tuple[CodedFactors, memoryview]:
    """Return the factors of a matrix of ``rows`` and ``columns``, and the bytes after them.

    Raises:
        MalformedError: they are truncated, over a limit, or too large for an exact product.
    """
    if len(data) < HEADER.size:
        raise MalformedError("coded factors are truncated")
    exponent, rank, size = HEADER.unpack_from(data)
    start = HEADER.size + rank
    if not 0 < rank <= MAX_RANK or rank * (rows + columns) > MAX_NUMBERS:
        raise MalformedError("coded factors have an impossible rank", found=str(rank))
    if size > len(data) - start or max(data[HEADER.size : start]) > MAX_SHIFT:
        raise MalformedError("coded factors are truncated, or have too large a shift")
    shifts = tuple(data[HEADER.size : start])
    coded = _parse_numbers(data[start : start + size], rows, columns, shifts, exponent)
    check(coded.factors())
    return coded, data[start + size :]


def _parse_numbers(
    body: memoryview, rows: int, columns: int, shifts: tuple[int, ...], exponent: int
) -> CodedFactors:
    rank = len(shifts)
    data = PLANES.decode(body, Context([], Element.I16), 2 * rank * (rows + columns))
    numbers = np.frombuffer(data, "<i2").astype(np.int16, copy=False)
    left, right = numbers[: rank * rows].reshape(rank, rows), numbers[rank * rows :].reshape(rank, columns)
    return CodedFactors(np.ascontiguousarray(left.T), right, shifts, exponent)
