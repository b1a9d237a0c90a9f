"""Hints: what the low side has found out about how a matrix changed, handed to the encoder."""

from dataclasses import dataclass

from airlift.tensors.element import Element


@dataclass(frozen=True, slots=True)
class LowRank:
    """The range is whole rows, of ``columns`` elements, of a matrix that seems to have changed by a low rank."""

    columns: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Adapter:
    """An adapter moved the whole rows of a range by ``scale * left @ right``.

    ``left`` and ``right`` are the elements of factors of shape (rows, rank) and (rank, columns), or if transposed of
    (rank, all rows of the matrix), where ``first`` of these come before the range, and of (columns, rank). ``scale``
    is a float32. If ``per_product`` the product was rounded to the type of the base before it was added.
    """

    left: Element
    right: Element
    columns: int
    rank: int
    scale: float
    first: int = 0
    per_product: bool = False
    left_transposed: bool = False
    right_transposed: bool = False


Hint = LowRank | Adapter | None
