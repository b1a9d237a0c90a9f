"""What writers of quantised models do, written apart from the codec: values found by search."""

from fractions import Fraction

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
