"""The codec ``adapter``: the base plus a scaled product of two tensors of an adapter predicts the target (SPEC P4).

The adapter of the same release, or of the baseline, says exactly how its merge moved a matrix: ``left`` is lora_B,
``right`` is lora_A, and the payload holds little more than the scale::

    u8 inner codec   u8 flags: 1 product rounded first, 2 left transposed, 4 right transposed
    u8 element of left   u8 of right   u32 columns   u16 rank   u16 zero   u32 first row   f32 scale
    payload of the inner codec, coded against the prediction

Sources: the base; ``left`` (the rows of this block, or if transposed all rows); ``right``. Floats are not exact in a
product, so both are first rounded to integers (:func:`quantise`), with all the width that an exact product allows.
"""

import math
import struct

import numpy as np

from airlift.codec.block import Codec, Context, Effort
from airlift.codec.predict import exact, inner
from airlift.codec.predict.exact import FLOATS, Array, Factors, widen
from airlift.codec.predict.lowrank import fits
from airlift.errors import FormatTooNewError, MalformedError
from airlift.tensors.element import Element, from_code
from airlift.tensors.matching.hint import Adapter

HEADER = struct.Struct("<BBBBIHHIf")
PER_PRODUCT, LEFT_TRANSPOSED, RIGHT_TRANSPOSED = 1, 2, 4
MAX_RANK = 1024
MAX_NUMBERS = 1 << 23
PRODUCT_BITS = 52


def quantise(left: Array, right: Array, *, per_product: bool = False) -> Factors:
    """Round factors to integers whose product is exact; ``right`` is scaled already.

    Of rank ``j`` let the largest magnitude lie below ``2**a`` in ``left`` and ``2**b`` in ``right``, as frexp says.
    With E the largest a + b and c the least integer such that ``2**c >= rank``, the rank gets n = 52 - c - E + a + b
    bits: n // 2 for ``left``, whose unit is ``2**(a - n // 2)``, the others for ``right``. So the units of every rank
    multiply to ``2**(E + c - 52)``, the common exponent, and the bound on the product is rank * 2**(52 - c) <= 2**52.
    A rank with less than 2 bits, or with nothing but zeros on one side, counts nothing.
    """
    a, b = _exponents(left, 0), _exponents(right, 1)
    counts = np.any(left, axis=0) & np.any(right, axis=1)
    if not counts.any():
        return Factors(np.zeros_like(left), np.zeros_like(right), 0, per_product)
    most, spread = int((a + b)[counts].max()), (left.shape[1] - 1).bit_length()
    bits = PRODUCT_BITS - spread - most + a + b
    counts &= bits >= 2
    half = bits // 2
    whole_left = np.rint(np.ldexp(left, half - a)) * counts
    whole_right = np.rint(np.ldexp(right, (bits - half - b)[:, None])) * counts[:, None]
    return Factors(whole_left, whole_right, most + spread - PRODUCT_BITS, per_product)


def _exponents(values: Array, axis: int) -> "np.ndarray[tuple[int, ...], np.dtype[np.int32]]":
    return np.asarray(np.frexp(np.abs(values).max(axis=axis))[1], np.int32)


def load(data: memoryview, element: Element, shape: tuple[int, int], *, transposed: bool) -> Array:
    """Return a factor of ``shape``, stored row by row, or transposed column by column.

    Raises:
        MalformedError: it has another size, or numbers that are not finite.
    """
    stored = shape[::-1] if transposed else shape
    if len(data) != stored[0] * stored[1] * element.size:
        raise MalformedError("an adapter's factor has the wrong length", found=f"{len(data)} bytes")
    bits = exact.from_bytes(data, element)
    if not exact.is_finite(bits, element):
        raise MalformedError("an adapter's factor has numbers that are not finite")
    values = widen(bits, element).reshape(stored)
    return values.T if transposed else values


def prediction(base: memoryview, context: Context, adapter: Adapter) -> memoryview:
    """Return what the sources and an adapter predict for the whole rows that ``base`` holds.

    Raises:
        MalformedError: sizes do not fit each other, or a factor is not finite.
    """
    rows = len(base) // context.element.size // adapter.columns
    _check_sizes(context, adapter, rows)
    rank, transposed = adapter.rank, adapter.left_transposed
    total = len(context.sources[1]) // (rank * adapter.left.size) if transposed else rows
    if adapter.first + rows > total:
        raise MalformedError("an adapter's factor has too few rows")
    left = load(context.sources[1], adapter.left, (total, rank), transposed=transposed)
    right = load(
        context.sources[2], adapter.right, (rank, adapter.columns), transposed=adapter.right_transposed
    )
    part = left[adapter.first : adapter.first + rows]
    found = quantise(part, right * adapter.scale, per_product=adapter.per_product)
    return exact.predict(base, context.element, found)


def _check_sizes(context: Context, adapter: Adapter, rows: int) -> None:
    if len(context.sources) < 3 or not 0 < adapter.rank <= MAX_RANK:
        raise MalformedError(
            "an adapter block lacks sources, or has an impossible rank", found=str(adapter.rank)
        )
    if adapter.rank * (rows + adapter.columns) > MAX_NUMBERS or (
        adapter.first and not adapter.left_transposed
    ):
        raise MalformedError("an adapter block is too large, or has a first row without need")
    if adapter.left not in FLOATS or adapter.right not in FLOATS:
        raise FormatTooNewError("an adapter block has factors of an unknown kind")
    if not math.isfinite(adapter.scale) or not adapter.scale:
        raise MalformedError("an adapter block has no valid scale", found=str(adapter.scale))


def _encode(target: memoryview, context: Context, effort: Effort) -> bytes | None:
    base, hint = context.parallel(len(target)), context.hint
    if base is None or not isinstance(hint, Adapter) or not fits(len(target), context.element, hint.columns):
        return None
    try:
        predicted = prediction(base, context, hint)
    except MalformedError:
        return None
    codec, rest = inner.encode(target, predicted, context, effort)
    return _format(codec, hint) + rest


def _format(codec: int, adapter: Adapter) -> bytes:
    flags = PER_PRODUCT * adapter.per_product + LEFT_TRANSPOSED * adapter.left_transposed
    flags += RIGHT_TRANSPOSED * adapter.right_transposed
    return HEADER.pack(
        codec,
        flags,
        adapter.left,
        adapter.right,
        adapter.columns,
        adapter.rank,
        0,
        adapter.first,
        adapter.scale,
    )


def _decode(payload: memoryview, context: Context, length: int) -> memoryview:
    base = context.parallel(length)
    if len(payload) < HEADER.size or base is None:
        raise MalformedError("an adapter block has no header, or no source of its own length")
    codec, flags, left, right, columns, rank, zero, first, scale = HEADER.unpack_from(payload)
    if flags > 7 or zero or not fits(length, context.element, columns):
        raise MalformedError("an adapter block has no valid header")
    adapter = Adapter(
        left=from_code(left), right=from_code(right), columns=columns, rank=rank, scale=scale, first=first,
        per_product=bool(flags & PER_PRODUCT), left_transposed=bool(flags & LEFT_TRANSPOSED),
        right_transposed=bool(flags & RIGHT_TRANSPOSED),
    )  # fmt: skip
    return inner.decode(codec, payload[HEADER.size :], prediction(base, context, adapter), context, length)


ADAPTER = Codec(
    6, "adapter", _encode, _decode, sources=3, least=3, parallel=True, elements=frozenset(exact.FLOATS)
)
