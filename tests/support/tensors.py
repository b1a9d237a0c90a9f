"""Numbers like those of models: rows of different scales, and what training makes of them. Reproducible."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from airlift.tensors.element import Element

ROWS, COLUMNS = 64, 96


def weights(element: Element, seed: int = 1, *, step: float = 0.0, rows: int = ROWS) -> bytes:
    """Return ``rows`` rows of 96 numbers of an element type; with ``step`` after a nudge of that relative size."""
    generator = np.random.default_rng(seed)
    scale = np.exp2(generator.uniform(-6, 2, (rows, 1)))
    base = generator.standard_normal((rows, COLUMNS)) * scale
    moved = base + step * scale * np.random.default_rng(seed + 1).standard_normal((rows, COLUMNS))
    return _as_element(moved if step else base, element)


def _as_element(values: NDArray[Any], element: Element) -> bytes:
    if element is Element.BF16:
        return _rounded(values, 16, 16)
    if element in {Element.F8_E5M2, Element.F8_E5M2FNUZ}:
        return (values.astype("<f2").view("<u2") >> 8).astype(np.uint8).tobytes()
    if element in {Element.F8_E4M3, Element.F8_E4M3FNUZ, Element.F8_E8M0}:
        return (_wide(values) >> 20).astype(np.uint8).tobytes()
    kinds = {Element.F16: "<f2", Element.F32: "<f4", Element.C64: "<f4", Element.F64: "<f8"}
    if element in kinds:
        return values.astype(kinds[element]).tobytes()
    if element.record:
        octets = (values * 16).astype(np.int8).tobytes()
        return octets[: len(octets) - len(octets) % element.size]
    return (values * 16).astype(f"<i{element.size}").tobytes()


def _wide(values: NDArray[Any]) -> NDArray[Any]:
    return values.astype("<f4").view("<u4")


def _rounded(values: NDArray[Any], cut: int, bits: int) -> bytes:
    return ((_wide(values) + (1 << (cut - 1))) >> cut).astype(f"<u{bits // 8}").tobytes()
