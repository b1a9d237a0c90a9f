"""Numbers that are a scale times a step, and the steps that other numbers are nearest to (SPEC G3, G4).

A step is an integer or an eight-bit float. Every operation is one of IEEE 754 on float32, rounded once; what is
2**-126 or below counts as zero, so that processors that flush it change nothing.
"""

from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from airlift.codec.predict import exact, quantised, rounding
from airlift.codec.predict.exact import Bits
from airlift.codec.predict.quantised import Matrix, Singles
from airlift.tensors.element import Element
from airlift.tensors.matching.hint import Grid

INTEGERS = frozenset({Element.I8, Element.I16})
STEPS = INTEGERS | rounding.EIGHTS
RECORDS = frozenset({Element.Q8_0, Element.Q4_0})
PACKED = frozenset({Element.I32})
FEW = 64
"""Of so many numbers at most one may be made by the step beside the nearest one."""
LEAST_SAFE = 2.0**-125
NEGATIVE_ZERO = np.uint32(0x80000000)


@dataclass(frozen=True, slots=True)
class Scales:
    """The scales (groups down, groups across) of a matrix of ``shape``; one is for ``group`` rows and columns."""

    values: Singles
    group: tuple[int, int]
    shape: tuple[int, int]
    least: Singles | None = None
    """The least step of each group, if they have no more than ``most`` above it."""
    most: float = 0.0


def usable(scales: Singles) -> Singles:
    """Return scales, 0 instead of what is infinite, NaN or not normal."""
    return quantised.flushed(quantised.usable(scales))


def ranged(matrix: Matrix, hint: Grid, shape: tuple[int, int]) -> Scales:
    """Return the scales of integers with a zero point, as how far the numbers of a group are apart tells."""
    top, bottom = quantised.extremes(matrix, hint.group)
    narrow = hint.scale if hint.narrow else None
    with np.errstate(all="ignore"):
        apart = quantised.flushed(_as(top + bottom, narrow))
        by = usable(_as(quantised.flushed(apart / np.float32(hint.limit)), hint.scale))
        least = np.divide(bottom, by, out=np.zeros_like(by), where=by != 0)
    return Scales(by, hint.group, shape, -np.rint(_as(least, narrow)), hint.limit)


def _as(numbers: Singles, element: Element | None) -> Singles:
    """Return numbers rounded to a narrower type, if there is one."""
    if element is None or element is Element.F32:
        return numbers
    bits = rounding.rounded(np.ascontiguousarray(numbers).view(np.uint32), element)
    return rounding.singles(bits, element).view(np.float32)


def multiplied(steps: Bits, kind: Element, scales: Scales, element: Element, *, signed: bool) -> Bits:
    """Return the bits of the numbers of ``element`` that steps (of the matrix's shape) stand for."""
    out = np.empty(scales.shape, f"<u{element.size}")
    normal = kind in INTEGERS and _normal(scales.values)
    for tile in Matrix(steps, kind).tiles():
        found = _taken(steps[tile], kind, signed=signed)
        numbers, some = quantised.grouped(found, scales.values, scales.group, scales.shape, tile)
        with np.errstate(all="ignore"):
            made = np.ascontiguousarray(numbers * some)
        made = (made if normal else quantised.flushed(made)).reshape(found.shape)
        wide = made.view(np.uint32)
        out[tile] = exact.brain(wide) if element is Element.BF16 else rounding.rounded(wide, element)
    return out


def _normal(scales: Singles) -> bool:
    """Return whether every integer times a scale (finite, and 0 or normal) is 0 or normal."""
    return bool((np.abs(scales[scales != 0]) >= LEAST_SAFE).all())


def _taken(steps: Bits, kind: Element, *, signed: bool) -> Singles:
    """Return what steps stand for."""
    if kind not in INTEGERS:
        return np.take(values(kind, signed=signed), steps)
    least = 1 << (8 * kind.size - 1)
    found: Singles = steps.view(f"<i{kind.size}").astype(np.float32)
    if signed:
        found[steps == least] = -0.0
    return found


def nearest(
    matrix: Matrix, kind: Element, scales: Scales, *, signed: bool, narrow: Element | None = None
) -> Bits:
    """Return the bits of the steps that the numbers of a matrix of floats are nearest to.

    If ``signed``, what is below zero and rounds to it becomes -0. Quotients are rounded to ``narrow`` first.
    """
    out = np.empty(matrix.shape, f"<u{kind.size}")
    for tile in matrix.tiles():
        found = quantised.values(matrix.part(*tile), matrix.element)
        numbers, some = quantised.grouped(found, scales.values, scales.group, scales.shape, tile)
        with np.errstate(all="ignore"):
            made = numbers / some
            if not some.all():
                made[np.broadcast_to(some == 0, made.shape)] = 0
            made = _as(made, narrow)
            if scales.least is not None:
                least = quantised.grouped(found, scales.least, scales.group, scales.shape, tile)[1]
                made = np.fmin(np.fmax(np.rint(made), least), least + np.float32(scales.most))
            out[tile] = _rounded(made.reshape(found.shape), kind, signed=signed)
    return out


def _rounded(numbers: Singles, kind: Element, *, signed: bool) -> Bits:
    if kind in rounding.EIGHTS:
        return rounding.eights(numbers.view(np.uint32), kind)
    most = (1 << (8 * kind.size - 1)) - 1
    least = -most if signed else -most - 1
    np.clip(np.rint(numbers, out=numbers), least, most, out=numbers)
    if np.isnan(numbers.min(initial=0)):
        numbers[np.isnan(numbers)] = least
    found: Bits = numbers.astype(f"<i{kind.size}").view(f"<u{kind.size}")
    if signed:
        found[numbers.view(np.uint32) == NEGATIVE_ZERO] = most + 1
    return found


def corrected(
    steps: Bits, kind: Element, scales: Scales, *, found: Bits, wanted: Bits, element: Element
) -> Bits | None:
    """Return integers of which some are one more or less, so that they make the numbers (bits of ``element``) wanted.

    ``found`` is what they make as they are; None if more than a few are wrong. For the encoder only.
    """
    rows, columns = np.nonzero(found != wanted)
    if kind not in INTEGERS or len(rows) > steps.size // FEW:
        return None
    better, most = steps.view(f"<i{kind.size}").copy(), (1 << (8 * kind.size - 1)) - 1
    down, across = scales.group[0] or scales.shape[0], scales.group[1] or scales.shape[1]
    by, codes = scales.values[rows // down, columns // across], better[rows, columns].astype(np.int64)
    for way in (1, -1):
        tried = np.clip(codes + way, -most, most)
        with np.errstate(all="ignore"):
            made = quantised.flushed(tried.astype(np.float32) * by).view(np.uint32)
        right = rounding.rounded(made, element) == wanted[rows, columns]
        better[rows[right], columns[right]] = tried[right]
    return better.view(f"<u{kind.size}")


def unpacked(records: NDArray[np.uint8], element: Element) -> tuple[Bits, Bits]:
    """Return the bits of the steps (integers of eight bits) of records, and of their scales (float16).

    ``records`` has the shape (records, bytes of one); what is returned (records, 32) and (records, 1).
    """
    scales, packed = np.ascontiguousarray(records[:, :2]).view("<u2"), records[:, 2:]
    if element is Element.Q8_0:
        return packed, scales
    return np.concatenate([packed & 15, packed >> 4], axis=1) - np.uint8(8), scales


def unpacked_words(data: memoryview) -> Bits:
    """Return the bits of the steps (integers of eight bits) that words of eight numbers hold, the lowest first."""
    packed = np.frombuffer(data, np.uint8)
    out = np.empty((len(packed), 2), np.uint8)
    np.bitwise_and(packed, 15, out=out[:, 0])
    np.right_shift(packed, 4, out=out[:, 1])
    out -= np.uint8(8)
    return out.reshape(-1)


def gathered(matrix: NDArray[Any], group: tuple[int, int]) -> NDArray[Any]:
    """Return the numbers of each group of a matrix as a row, filled up with zeros; groups row by row."""
    height, width = matrix.shape
    down, across = group[0] or height, group[1] or width
    rows, columns = -(-height // down), -(-width // across)
    if (rows * down, columns * across) != matrix.shape:
        matrix = np.pad(matrix, ((0, rows * down - height), (0, columns * across - width)))
    return matrix.reshape(rows, down, columns, across).swapaxes(1, 2).reshape(rows * columns, down * across)


@cache
def values(kind: Element, *, signed: bool) -> Singles:
    """Return the value of every step, as float32: 0 of what is not finite; if ``signed``, -0 of the least integer."""
    if kind in INTEGERS:
        every = np.arange(1 << (8 * kind.size), dtype=f"<u{kind.size}").view(f"<i{kind.size}")
        found = every.astype(np.float32)
        if signed:
            found[len(found) // 2] = -0.0
    else:
        found = _eights(kind)
    found.flags.writeable = False
    return found


def _eights(kind: Element) -> Singles:
    fraction, bias, largest = (3, 7, 0x7E) if kind is Element.F8_E4M3 else (2, 15, 0x7B)
    every = np.arange(1 << 7)
    power, rest = every >> fraction, every & ((1 << fraction) - 1)
    whole = np.where(power > 0, (1 << fraction) + rest, rest).astype(np.float64)
    found = np.ldexp(whole, np.maximum(power, 1) - bias - fraction).astype(np.float32)
    return np.where(np.concatenate([every, every]) > largest, np.float32(0), np.concatenate([found, -found]))
