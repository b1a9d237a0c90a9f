"""The codec ``lowrank``: the base plus a product of coded factors predicts the target (SPEC P3).

For the merge of an adapter that is not at hand: a run of whole rows of a matrix moved by a matrix of low rank, and by
rounding. What the encoder is told of the matrix (:class:`Hint`) decides whether it looks at all::

    u8 inner codec   u8 1 if the product is rounded first   u16 zero   u32 columns
    i16 exponent     u16 rank     u32 length of the body    u8 shift, for each rank
    body: left (rank by rank, a number for each row), then right (rank by rank), int16, as planes
    payload of the inner codec, coded against the prediction
"""

import struct

from airlift.codec.block import Codec, Context, Effort
from airlift.codec.predict import exact, factors, inner, lowrank_search
from airlift.errors import MalformedError
from airlift.tensors.element import Element
from airlift.tensors.matching.hint import LowRank

HEADER = struct.Struct("<BBHI")


def _encode(target: memoryview, context: Context, effort: Effort) -> bytes | None:
    base, hint = context.parallel(len(target)), context.hint
    if base is None or not isinstance(hint, LowRank) or not fits(len(target), context.element, hint.columns):
        return None
    coded = lowrank_search.find_factors(target, base, context.element, hint.columns, effort)
    if coded is None:
        return None
    prediction = exact.predict(base, context.element, coded.factors())
    codec, rest = inner.encode(target, prediction, context, effort)
    return HEADER.pack(codec, 0, 0, hint.columns) + factors.format(coded, effort) + rest


def _decode(payload: memoryview, context: Context, length: int) -> memoryview:
    base = context.parallel(length)
    if len(payload) < HEADER.size or base is None:
        raise MalformedError("a low-rank block has no header, or no source of its own length")
    codec, per_product, zero, columns = HEADER.unpack_from(payload)
    if per_product > 1 or zero or not fits(length, context.element, columns):
        raise MalformedError("a low-rank block has no valid header", found=f"{columns} columns")
    rows = length // context.element.size // columns
    coded, rest = factors.parse(payload[HEADER.size :], rows, columns)
    found = coded.factors(per_product=bool(per_product))
    return inner.decode(codec, rest, exact.predict(base, context.element, found), context, length)


def fits(length: int, element: Element, columns: int) -> bool:
    """Return whether ``length`` bytes (more than 0) are whole rows of a matrix of numbers that can be predicted."""
    return element in exact.FLOATS and length > 0 and columns > 0 and not length % (columns * element.size)


LOWRANK = Codec(5, "lowrank", _encode, _decode, least=1, parallel=True, elements=frozenset(exact.FLOATS))
