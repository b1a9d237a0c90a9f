"""What writers of quantised models do, written apart from the codec: values found by search."""

import math
import struct
from collections.abc import Sequence
from fractions import Fraction
from functools import cache

import numpy as np
from numpy.typing import NDArray

from airlift.tensors.element import Element

Floats = NDArray[np.float32]
LARGEST = {Element.F8_E4M3: 448, Element.F8_E5M2: 57344}


def brains(values: Floats) -> NDArray[np.uint16]:
    """Return numbers rounded to bfloat16, to nearest, ties to even."""
    wide = np.ascontiguousarray(values).view(np.uint32).astype(np.uint64)
    return ((wide + 0x7FFF + (wide >> 16 & 1)) >> 16).astype(np.uint16)


def floats(bits: NDArray[np.uint16]) -> Floats:
    """Return bfloat16 numbers as float32."""
    return (bits.astype(np.uint32) << 16).view(np.float32)


def eight(value: float, element: Element) -> int:
    """Return the eight-bit float nearest to a finite number, the even one of two; beyond the largest that."""
    table = [_value(code, element) for code in range(LAST[element] + 1)]
    exact = abs(Fraction(value))
    best = min(range(len(table)), key=lambda code: (abs(table[code] - exact), code & 1))
    return best | (0x80 if np.signbit(value) else 0)


LAST = {Element.F8_E4M3: 0x7E, Element.F8_E5M2: 0x7B}


@cache
def _value(code: int, element: Element) -> Fraction:
    fraction, bias = (3, 7) if element is Element.F8_E4M3 else (2, 15)
    power, rest = code >> fraction, Fraction(code & ((1 << fraction) - 1), 1 << fraction)
    return (rest + 1) * Fraction(2) ** (power - bias) if power else rest * Fraction(2) ** (1 - bias)


_NEAREST: dict[Element, NDArray[np.float64]] = {}


def eights(values: Floats, element: Element) -> NDArray[np.uint8]:
    """Return finite numbers as eight-bit floats; quicker than one by one."""
    if element not in _NEAREST:
        _NEAREST[element] = np.array([float(_value(code, element)) for code in range(LAST[element] + 1)])
    table, magnitude = _NEAREST[element], np.abs(values).astype(np.float64)
    above = np.clip(np.searchsorted(table, magnitude), 1, len(table) - 1)
    low, high = magnitude - table[above - 1], table[above] - magnitude
    codes = np.where((high < low) | ((high == low) & (above % 2 == 0)), above, above - 1)
    return (codes | np.where(np.signbit(values), 0x80, 0)).astype(np.uint8)


def compressed_tensors(
    weights: NDArray[np.uint16], element: Element = Element.F8_E4M3, *, by_row: bool = True
) -> tuple[bytes, bytes]:
    """Return bfloat16 weights as compressed-tensors quantises them, and the scales (bfloat16): a row each, or one."""
    values = floats(weights)
    largest = np.abs(values).max(axis=1 if by_row else None, keepdims=True)
    limit = 127.5 if element is Element.I8 else LARGEST[element]
    scales = brains(largest / np.float32(limit))
    quotients = floats(brains(values / floats(scales)))
    if element is Element.I8:
        return np.clip(np.rint(quotients), -128, 127).astype(np.int8).tobytes(), scales.tobytes()
    return eights(quotients, element).tobytes(), scales.tobytes()


def blocks(weights: NDArray[np.uint16], side: int = 128) -> tuple[bytes, bytes]:
    """Return bfloat16 weights as F8_E4M3 in blocks of 128 x 128 as transformers makes them, and float32 scales."""
    values, (height, width) = floats(weights), weights.shape
    tiles = np.abs(values).reshape(height // side, side, width // side, side)
    factors = np.float32(448) / tiles.max(axis=(1, 3))
    scaled = values * factors.repeat(side, 0).repeat(side, 1)
    return eights(scaled, Element.F8_E4M3).tobytes(), (np.float32(1) / factors).tobytes()


def q8_0(values: Floats) -> bytes:
    """Return ggml's Q8_0 records of finite numbers, as its C reference makes them."""
    rows = values.reshape(-1, 32)
    delta = np.abs(rows).max(axis=1, keepdims=True) / np.float32(127)
    wide = (rows * _inverse(delta)).astype(np.float64)  # in which a half can be added exactly
    numbers = (np.sign(wide) * np.floor(np.abs(wide) + 0.5)).astype(np.int8)
    return _records(delta, numbers.view(np.uint8))


def q4_0(values: Floats) -> bytes:
    """Return ggml's Q4_0 records of finite numbers, as its C reference makes them without fused operations."""
    rows = values.reshape(-1, 32)
    delta = np.take_along_axis(rows, np.abs(rows).argmax(axis=1)[:, None], axis=1) / np.float32(-8)
    numbers = np.minimum(rows * _inverse(delta) + np.float32(8.5), 15).astype(np.uint8)
    return _records(delta, numbers[:, :16] | numbers[:, 16:] << 4)


def _inverse(delta: Floats) -> Floats:
    found: Floats = np.divide(np.float32(1), delta, out=np.zeros_like(delta), where=delta != 0)
    return found


def _records(delta: Floats, numbers: NDArray[np.uint8]) -> bytes:
    return np.concatenate([delta.astype("<f2").view(np.uint8), numbers], axis=1).tobytes()


def model(rows: int = 256, columns: int = 384, seed: int = 1) -> NDArray[np.uint16]:
    """Return bfloat16 weights like those of a layer."""
    rng = np.random.default_rng(seed)
    scale = np.exp2(rng.uniform(-7, -4, (rows, 1)))
    return brains((rng.standard_normal((rows, columns)) * scale).astype(np.float32))


def turned(weights: NDArray[np.uint16], head: int) -> NDArray[np.uint16]:
    """Return rows in the order in which llama.cpp's converter stores query and key weights of Llama."""
    rows, columns = weights.shape
    return weights.reshape(rows // head, 2, head // 2, columns).swapaxes(1, 2).reshape(rows, columns)


# -- numbers that are a scale times a step, in bulk ----------------------------------------------------------------

Group = tuple[int, int]


def as_element(values: Floats, element: Element) -> bytes:
    """Return numbers as F32, F16 or BF16."""
    if element is Element.BF16:
        return brains(values).tobytes()
    with np.errstate(over="ignore"):
        return values.astype(f"<f{element.size}").tobytes()


def spread(scales: Floats, group: Group, shape: tuple[int, int]) -> Floats:
    """Return the scale of each number of a matrix, from those of its groups (0 rows or columns: all of them)."""
    (height, width), (down, across) = shape, group
    tall: Floats = scales.repeat(min(down or height, height), 0)[:height]
    return tall.repeat(min(across or width, width), 1)[:, :width]


def largest(values: Floats, group: Group) -> Floats:
    """Return the largest magnitude of each group of a matrix, (groups down, groups across)."""
    (height, width), (down, across) = values.shape, group
    rows, columns = range(0, height, down or height), range(0, width, across or width)
    return np.array(
        [
            [np.abs(values[top : top + rows.step, left : left + columns.step]).max() for left in columns]
            for top in rows
        ],
        np.float32,
    )


def integers(
    values: Floats, group: Group, limit: float = 127.0, scale: Element = Element.F32
) -> tuple[NDArray[np.int8], Floats]:
    """Return numbers as integers of eight bits or fewer, and the scales (of an element) of their groups."""
    found = largest(values, group) / np.float32(limit)
    if scale is not Element.F32:
        narrow = np.frombuffer(as_element(found, scale), "<u2" if scale is Element.BF16 else "<f2")
        found = (floats(narrow) if scale is Element.BF16 else narrow.astype(np.float32)).reshape(found.shape)
    least, most = -math.floor(limit + 0.5), math.floor(limit)
    steps = np.clip(np.rint(values / spread(found, group, values.shape)), least, most)
    return steps.astype(np.int8), found


def packed(steps: NDArray[np.int8]) -> bytes:
    """Return integers of four bits as compressed-tensors packs them: eight in a word, the first lowest, 8 added."""
    numbers = (steps.astype(np.int64) + 8).reshape(steps.shape[0], -1, 8) << (4 * np.arange(8))
    words: bytes = numbers.sum(axis=2).astype("<u4").tobytes()
    return words


def kept(values: Floats, element: Element) -> Floats:
    """Return numbers as they are after they were stored as F32, F16 or BF16."""
    if element is Element.BF16:
        return floats(brains(values))
    return values.astype(f"<f{element.size}").astype(np.float32)


def shifted(
    values: Floats, group: Group, limit: int, work: Element = Element.F32
) -> tuple[NDArray[np.float32], Floats]:
    """Return numbers as integers from 0 to ``limit``, less the zero points of their groups, and the scales.

    Every operation is rounded to ``work``, as frameworks do that compute in the type of a model.
    """
    top, bottom = (largest(np.maximum(way * values, 0), group) for way in (1, -1))
    scales = kept(kept(top + bottom, work) / np.float32(limit), work)
    by = spread(scales, group, (values.shape[0], values.shape[1]))
    zeros = np.rint(kept(spread(bottom, group, (values.shape[0], values.shape[1])) / by, work))
    return np.clip(np.rint(kept(values / by, work)) + zeros, 0, limit) - zeros, scales


def narrowed(values: Floats, group: Group, limit: int, work: Element) -> tuple[NDArray[np.float32], Floats]:
    """Return numbers as integers of so many steps up and down, and the scales; with -0. Rounded as above."""
    scales = kept(largest(values, group) / np.float32(limit), work)
    quotients = kept(values / spread(scales, group, (values.shape[0], values.shape[1])), work)
    return np.clip(np.rint(quotients), -limit, limit), scales


def dequantised(steps: NDArray[np.int8] | Floats, scales: Floats, group: Group, element: Element) -> bytes:
    """Return integers times the scales of their groups, as numbers of an element."""
    wide = steps.astype(np.float32)
    return as_element(wide * spread(scales, group, (steps.shape[0], steps.shape[1])), element)


# -- the same by fractions, one number after the other -------------------------------------------------------------

FORMATS = {Element.F32: (23, -126, 127), Element.F16: (10, -14, 15), Element.BF16: (7, -126, 127)}
"""Fraction bits, and the least and the greatest exponent."""
BITS = {Element.I8: 8, Element.I16: 16}


def rounded(exact: Fraction, element: Element) -> float:
    """Return the number of a float type that is nearest to one of no sign, the even one of two, or infinity."""
    fraction, least, most = FORMATS[element]
    power = exact.numerator.bit_length() - exact.denominator.bit_length()
    power = max(power - (exact < Fraction(2) ** power), least)
    unit = Fraction(2) ** (power - fraction)
    found = round(exact / unit) * unit
    return float(found) if found < Fraction(2) ** (most + 1) else math.inf


def normalised(value: float) -> float:
    """Return a number, zero of its sign if that is 2**-126 or below."""
    return math.copysign(0.0, value) if abs(value) <= 2.0**-126 else value


def usable(scale: float) -> float:
    """Return a scale that was given as SPEC G3 takes it."""
    return normalised(scale) if math.isfinite(scale) else 0.0


def computed(numbers: Sequence[float], limit: float, element: Element) -> float:
    """Return the scale of numbers that were quantised (SPEC G3)."""
    if any(map(math.isnan, numbers)):
        return 0.0
    most = normalised(max(map(abs, numbers)))
    if math.isinf(most):
        return 0.0
    wide = normalised(rounded(Fraction(most) / Fraction(limit), Element.F32))
    return usable(wide if math.isinf(wide) else rounded(Fraction(wide), element))


def step_value(code: int, kind: Element, *, signed: bool) -> float:
    """Return what a stored step stands for (SPEC G4)."""
    if kind in BITS:
        value = code - (code >> (BITS[kind] - 1) << BITS[kind])
        return -0.0 if signed and value == -(1 << (BITS[kind] - 1)) else float(value)
    magnitude = code & 0x7F
    return float(_value(magnitude, kind)) * (-1 if code & 0x80 else 1) if magnitude <= LAST[kind] else 0.0


def number(step: float, scale: float, element: Element) -> bytes:
    """Return a step times a scale (SPEC G4)."""
    sign = math.copysign(1, step) * math.copysign(1, scale)
    made = normalised(rounded(abs(Fraction(step) * Fraction(scale)), Element.F32))
    made = math.copysign(made if math.isinf(made) else rounded(Fraction(made), element), sign)
    if element is Element.BF16:
        return struct.pack("<f", made)[2:]
    return struct.pack("<f" if element is Element.F32 else "<e", made)


def step(value: float, scale: float, kind: Element, *, signed: bool) -> int:
    """Return the stored step that a number is nearest to (SPEC G3)."""
    found = _quotient(normalised(value), scale)
    if kind not in BITS:
        if math.isnan(found):
            return 0x7F
        return eight(math.copysign(min(abs(found), 1e9), found), kind)
    most = (1 << (BITS[kind] - 1)) - 1
    least = -most if signed else -most - 1
    whole = least if math.isnan(found) else round(Fraction(max(min(found, 1e9), -1e9)))
    if signed and whole == 0 and math.copysign(1, found) < 0:
        return most + 1
    return max(min(whole, most), least) & (1 << BITS[kind]) - 1


def _quotient(value: float, scale: float) -> float:
    if not scale:
        return 0.0
    if math.isnan(value) or math.isinf(value):
        return value * math.copysign(1, scale)
    sign = math.copysign(1, value) * math.copysign(1, scale)
    return math.copysign(rounded(abs(Fraction(value) / Fraction(scale)), Element.F32), sign)
