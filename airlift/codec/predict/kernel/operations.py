"""The operation that every implementation offers, and the one that leaves all of it out."""

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from airlift.tensors.element import Element

Doubles = NDArray[np.float64]
Bits = NDArray[Any]
Rows = NDArray[np.bool_]


class Kernel(Protocol):
    """An implementation."""

    @property
    def name(self) -> str:
        """Its name."""

    def add(self, base: Bits, element: Element, left: Doubles, right: Doubles, out: Bits) -> Rows:
        """Put ``base + left @ right``, rounded, into ``out``; return which rows were left out (SPEC P2).

        ``base`` and ``out`` (rows, columns) are the bits of one of BF16, F16 and F32, row by row. Every partial sum
        of the product of ``left`` (rows, rank) and ``right`` (rank, columns) is exact. What a row that was left out
        has in ``out`` means nothing.
        """


@dataclass(frozen=True, slots=True)
class Nothing:
    """Leaves everything to NumPy."""

    name: str = "numpy"

    def add(self, base: Bits, _element: Element, _left: Doubles, _right: Doubles, _out: Bits) -> Rows:
        """Do nothing; see :class:`Kernel`."""
        return np.ones(len(base), np.bool_)
