"""What quantisers make of a matrix of floats, with the same bits on every machine (SPEC V4 to V7).

Scaled eight-bit floats and integers are those of compressed-tensors, DeepGEMM and transformers; ``Q8_0`` and ``Q4_0``
those of ggml. Every step is one IEEE operation on float32, rounded once, in NumPy's own order: nothing is fused. What
is 2**-126 or below, where processors may flush to zero, counts as zero wherever it matters.

Source: compressed-tensors 0.20, ``quantization/utils/helpers.py`` (calculate_qparams) and
``lifecycle/forward_helpers.py`` (_quantize); DeepGEMM, ``deep_gemm/utils/math.py`` (per_block_cast_to_fp8);
transformers 5, ``integrations/finegrained_fp8.py`` (Fp8Quantize); ggml, ``ggml-quants.c``
(quantize_row_q8_0_ref, quantize_row_q4_0_ref).
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from airlift.codec.predict import rounding
from airlift.codec.predict.exact import Bits
from airlift.tensors.element import Element
from airlift.tensors.matching.hint import Conversion

Singles = NDArray[np.float32]

TILE = 1 << 17
"""About how many numbers are worked on at once."""
RECORD = 32
_MAGNITUDE = {2: 0x7FFF, 4: 0x7FFFFFFF}
_ROUND = 0x3EFFFFFF
"""The bits of the greatest float32 below a half: added before numbers are cut off, it rounds ties away from zero."""


@dataclass(frozen=True, slots=True)
class Matrix:
    """The bits of a matrix of ``element``, whose row ``r`` is the source's row ``order[r]``, or ``r`` itself."""

    bits: Bits
    element: Element
    order: NDArray[np.int64] | None = None

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        return self.bits.shape[0], self.bits.shape[1]

    def part(self, rows: slice, columns: slice) -> Bits:
        """Return the bits of a part."""
        return self.bits[rows, columns] if self.order is None else self.bits[self.order[rows], columns]

    def magnitudes(self, rows: slice) -> Bits:
        """Return the bits of some rows without their signs."""
        part = self.part(rows, slice(None))
        found: Bits = part & part.dtype.type(_MAGNITUDE[part.dtype.itemsize])
        return found

    def tiles(self, unit: int = 1) -> Iterator[tuple[slice, slice]]:
        """Yield parts that tile the matrix; their columns are a multiple of ``unit``, as those of the matrix are."""
        height, width = self.shape
        wide = min(width, max(TILE - TILE % unit, unit))
        tall = max(1, TILE // wide)
        for top in range(0, height, tall):
            for left in range(0, width, wide):
                yield slice(top, min(top + tall, height)), slice(left, min(left + wide, width))


def turned(rows: int, head: int) -> NDArray[np.int64]:
    """Return which row of the source each row is, if the halves of each ``head`` rows take turns.

    This is how converters to GGUF store the query and key weights of Llama. Source: llama.cpp,
    ``convert_hf_to_gguf.py`` (LlamaModel.permute).
    """
    return np.arange(rows).reshape(-1, 2, head // 2).swapaxes(1, 2).reshape(-1)


def cast(matrix: Matrix, element: Element, out: Bits) -> None:
    """Put every number into ``out`` (of the matrix's shape) as one of ``element``."""
    for tile in matrix.tiles():
        out[tile] = rounding.rounded(rounding.singles(matrix.part(*tile), matrix.element), element)


def truncate(matrix: Matrix, out: Bits) -> None:
    """Put the upper halves of float32 numbers into ``out``."""
    for tile in matrix.tiles():
        out[tile] = matrix.part(*tile) >> np.uint32(16)


# -- scales --------------------------------------------------------------------------------------------------------


def scales(matrix: Matrix, hint: Conversion) -> Singles:
    """Return the scales (groups down, groups across) that the largest magnitudes make; 0 where there is none."""
    found = _factor(_largest(matrix, hint.group), hint)
    return _divided(np.float32(1), found) if hint.multiply else found


def factors(matrix: Matrix, hint: Conversion) -> Singles:
    """Return what numbers are divided or multiplied by, from the largest magnitudes; 0 where that is not finite."""
    return usable(_factor(_largest(matrix, hint.group), hint))


def reciprocals(stored: Singles, hint: Conversion) -> Singles:
    """Return what numbers are divided or multiplied by, from scales; 0 where that is not finite."""
    stored = flushed(usable(stored))
    return usable(_worked(_divided(np.float32(1), stored), hint.work)) if hint.multiply else stored


def _factor(largest: Singles, hint: Conversion) -> Singles:
    limit = np.float32(hint.limit)
    with np.errstate(all="ignore"):
        found = _divided(limit, largest) if hint.multiply else flushed(largest / limit)
    return _worked(found, hint.work)


def extremes(matrix: Matrix, group: tuple[int, int]) -> tuple[Singles, Singles]:
    """Return the largest magnitude of each group among numbers without a sign, and among those with one."""
    signed, none = matrix.bits > _MAGNITUDE[matrix.bits.dtype.itemsize], matrix.bits.dtype.type(0)
    top, bottom = np.where(signed, none, matrix.bits), np.where(signed, matrix.bits, none)
    return _largest(replace(matrix, bits=top), group), _largest(replace(matrix, bits=bottom), group)


def _largest(matrix: Matrix, group: tuple[int, int]) -> Singles:
    """Return the largest magnitude of each group, 0 if it is not normal."""
    height, width = matrix.shape
    down, across = group[0] or height, group[1] or width
    lefts = np.arange(0, width, across)
    step = max(TILE // width // down, 1) * down
    rows = []
    for top in range(0, height, step):
        part = matrix.magnitudes(slice(top, top + step))
        if down > 1:
            part = _down(part, down)
        if across >= width:
            rows.append(part.max(axis=1, keepdims=True))
        elif width % across:
            rows.append(np.maximum.reduceat(part, lefts, axis=1))
        else:
            rows.append(part.reshape(len(part), -1, across).max(axis=2))
    return flushed(rounding.singles(np.concatenate(rows), matrix.element).view(np.float32))


def _down(part: Bits, down: int) -> Bits:
    """Return the largest of each column in each ``down`` rows."""
    if len(part) % down:
        return np.maximum.reduceat(part, np.arange(0, len(part), down), axis=0)
    found: Bits = part.reshape(-1, down, part.shape[1]).max(axis=1)
    return found


def _divided(number: np.float32, by: Singles) -> Singles:
    """Return ``number / by``, 0 where either side, or the quotient, is 0 or not normal."""
    usable = np.isfinite(by) & (by != 0)
    with np.errstate(all="ignore"):
        found = np.divide(number, by, out=np.zeros_like(by), where=usable)
    return np.where(np.isfinite(found), flushed(found), np.float32(0))


def _worked(numbers: Singles, work: Element) -> Singles:
    """Return numbers rounded to the type that quotients have."""
    if work is Element.F32:
        return numbers
    bits = rounding.rounded(np.ascontiguousarray(numbers).view(np.uint32), work)
    return flushed(rounding.singles(bits, work).view(np.float32))


def flushed(numbers: Singles) -> Singles:
    """Return numbers of which those of 2**-126 and below are zero, of their sign."""
    bits = numbers.view(np.uint32)
    magnitude = bits & np.uint32(rounding.MAGNITUDE)
    magnitude -= np.uint32(1)
    if (magnitude < rounding.LEAST).any():
        bits = np.where(magnitude < rounding.LEAST, bits & np.uint32(0x80000000), bits)
    return bits.view(np.float32)


def scale(matrix: Matrix, hint: Conversion, by: Singles, element: Element, out: Bits) -> None:
    """Put every number, divided or multiplied by that of its group, into ``out`` as one of ``element``."""
    for rows, columns in matrix.tiles():
        numbers, some = grouped(
            values(matrix.part(rows, columns), matrix.element), by, hint.group, matrix.shape, (rows, columns)
        )
        with np.errstate(all="ignore"):
            found = numbers * some if hint.multiply else numbers / some
            if not some.all():
                found[np.broadcast_to(some == 0, found.shape)] = 0
            made = _worked_out(found, hint.work, element)
        out[rows, columns] = made.reshape(len(made), -1)


def grouped(
    numbers: Singles, by: Singles, group: tuple[int, int], shape: tuple[int, int], tile: tuple[slice, slice]
) -> tuple[Singles, Singles]:
    """Return the numbers of a tile of a matrix of ``shape``, and what each goes with in ``by``, to be broadcast.

    ``by`` has a number for each group (of as many rows and columns as ``group`` says, 0 all of them).
    """
    (height, width), (rows, columns) = shape, tile
    down, across = group[0] or height, group[1] or width
    some = by[np.arange(rows.start, rows.stop) // down]
    if some.shape[1] > 1 and width % across == 0 and numbers.shape[1] == width:
        return numbers.reshape(len(numbers), -1, across), some[:, :, None]
    if some.shape[1] > 1:
        some = some[:, np.arange(columns.start, columns.stop) // across]
    return numbers, some


def _worked_out(numbers: Singles, work: Element, element: Element) -> Bits:
    if work is Element.BF16 and element in rounding.EIGHTS:
        return rounding.sixteen_to_eights(rounding.rounded(numbers.view(np.uint32), work), element)
    if work is not Element.F32:
        numbers = rounding.singles(rounding.rounded(numbers.view(np.uint32), work), work).view(np.float32)
    if element in rounding.EIGHTS:
        return rounding.eights(numbers.view(np.uint32), element)
    np.fmin(np.fmax(np.rint(numbers, out=numbers), -128, out=numbers), 127, out=numbers)
    return numbers.astype(np.int8).view(np.uint8)


def values(bits: Bits, element: Element) -> Singles:
    """Return numbers as float32, those of 2**-126 and below as zero."""
    if element is Element.BF16:
        magnitude = bits & np.uint16(0x7FFF)
        magnitude -= np.uint16(1)
        if magnitude.min(initial=0x80) < 0x80:
            bits = np.where(magnitude < 0x80, bits & np.uint16(0x8000), bits)
    values = rounding.singles(bits, element).view(np.float32)
    return flushed(values) if element is Element.F32 else values


# -- ggml ----------------------------------------------------------------------------------------------------------


def ggml(matrix: Matrix, hint: Conversion, element: Element, out: Bits) -> None:
    """Put the records of a matrix into ``out``, of shape (rows, records a row, bytes of a record)."""
    for rows, columns in matrix.tiles(RECORD):
        part = np.ascontiguousarray(matrix.part(rows, columns)).reshape(-1, RECORD)
        made = _q8_0(part, matrix.element) if element is Element.Q8_0 else _q4_0(part, matrix.element, hint)
        records = slice(columns.start // RECORD, columns.stop // RECORD)
        out[rows, records] = made.reshape(rows.stop - rows.start, -1, element.size)


def _q8_0(bits: Bits, element: Element) -> Bits:
    magnitude = bits & bits.dtype.type(_MAGNITUDE[bits.itemsize])
    largest = rounding.singles(_folded(magnitude), element).view(np.float32)
    numbers = values(bits, element)
    with np.errstate(all="ignore"):
        delta = flushed(usable(largest) / np.float32(127))
        numbers = numbers * _divided(np.float32(1), delta)[:, None]
        half = numbers.view(np.uint32) & np.uint32(0x80000000)
        half |= np.uint32(_ROUND)
        numbers += half.view(np.float32)
    if not np.isfinite(largest).all():
        numbers[~np.isfinite(largest)] = 0
    return _records(delta, numbers.astype(np.int8).view(np.uint8), Element.Q8_0)


def _q4_0(bits: Bits, element: Element, hint: Conversion) -> Bits:
    extreme = usable(rounding.singles(_extreme(bits), element).view(np.float32))
    numbers = values(bits, element)
    with np.errstate(all="ignore"):
        delta = flushed(extreme / np.float32(-8))
        inverse = _divided(np.float32(1), delta)[:, None]
        if hint.fused:
            wide = numbers.astype(np.float64) * inverse.astype(np.float64)
            numbers = (wide + 8.5).astype(np.float32)
        else:
            numbers = numbers * inverse + np.float32(8.5)
        whole = np.fmax(np.fmin(numbers, 15), 0).astype(np.uint8)
    whole[delta == 0] = 8
    return _records(delta, whole[:, :16] | whole[:, 16:] << np.uint8(4), Element.Q4_0)


def usable(numbers: Singles) -> Singles:
    """Return numbers, 0 instead of what is infinite or NaN."""
    return np.where(np.isfinite(numbers), numbers, np.float32(0))


def _folded(numbers: Bits) -> Bits:
    """Return the largest of each row of 32."""
    half = RECORD // 2
    while half:
        numbers = np.maximum(numbers[:, :half], numbers[:, half : 2 * half])
        half //= 2
    return numbers[:, 0]


def _extreme(bits: Bits) -> Bits:
    """Return of each row of 32 the number of the largest magnitude, the first of several."""
    size = bits.itemsize
    wide: Any = np.uint32 if size == 2 else np.uint64
    keys = (bits & bits.dtype.type(_MAGNITUDE[size])).astype(wide) << wide(6)
    keys |= (RECORD - 1 - np.arange(RECORD, dtype=wide)) << wide(1)
    keys |= bits >> bits.dtype.type(8 * size - 1)
    found = _folded(keys)
    sign = (found & wide(1)) << wide(8 * size - 1)
    extreme: Bits = ((found >> wide(6)) | sign).astype(bits.dtype)
    return extreme


def _records(delta: Singles, numbers: Bits, element: Element) -> Bits:
    made = np.empty((len(numbers), element.size), np.uint8)
    half = rounding.rounded(np.ascontiguousarray(delta).view(np.uint32), Element.F16)
    made[:, :2] = half.view(np.uint8).reshape(-1, 2)
    made[:, 2:] = numbers
    return made
