"""The known answer: what every compiled path must make of a small input that is always the same.

Its rows have a few hundred numbers and no multiple of any vector; some hold what is not ordinary, which is left out.
"""

import hashlib
from dataclasses import dataclass

import numpy as np

from airlift.codec.predict.kernel.operations import Bits, Doubles, Kernel
from airlift.kernels import noise
from airlift.tensors.element import Element

DIGEST = "257800d4d6f92470541784c498442d065482b04cc34c9c1788b0d4d3505fd5b8"
"""SHA-256 over which rows are left out, and over the others, as NumPy has them; a test holds them equal."""

ROWS, COLUMNS, RANK = 24, 301, 7
_KINDS = {Element.BF16: (7, 127), Element.F16: (10, 15), Element.F32: (23, 127)}
_WRONG = (ArithmeticError, AttributeError, LookupError, TypeError, ValueError)
"""What an implementation may raise that is wrong, or of another version."""


@dataclass(frozen=True, slots=True)
class Case:
    """A base, and factors whose product is about as large as it."""

    element: Element
    base: Bits
    left: Doubles
    right: Doubles


def passes(using: Kernel) -> bool:
    """Say whether an implementation gives the known answer."""
    try:
        return digest(using) == DIGEST
    except _WRONG:
        return False


def digest(using: Kernel) -> str:
    """Return the digest of what an implementation makes of all cases, in hexadecimal."""
    found = hashlib.sha256()
    for element in _KINDS:
        case = make(element)
        out = np.zeros_like(case.base)
        left_out = using.add(case.base, element, case.left, case.right, out)
        found.update(left_out.astype(np.uint8).tobytes())
        found.update(out[~left_out].astype(f"<u{element.size}").tobytes())
    return found.hexdigest()


def make(element: Element) -> Case:
    """Return the case of an element; its last rows have zeros, and one number each that is not ordinary."""
    fraction, bias = _KINDS[element]
    top = 8 * element.size - 1
    mixed = noise(ROWS * COLUMNS).reshape(ROWS, COLUMNS)
    powers = np.uint64(bias - 9) + (mixed >> np.uint64(40) & np.uint64(7))
    base = mixed & np.uint64(1 << top | (1 << fraction) - 1) | powers << np.uint64(fraction)
    base[ROWS - 6 :, ::3] &= np.uint64(1 << top)
    infinite = np.uint64(((1 << top - fraction) - 1) << fraction)
    base[ROWS - 3 :, 5] = [infinite, infinite | np.uint64(1), 1]
    left = (noise(ROWS * RANK, 1 << 20) >> np.uint64(51)).astype(np.float64).reshape(ROWS, RANK) - 4096
    right = (noise(RANK * COLUMNS, 1 << 21) >> np.uint64(51)).astype(np.float64).reshape(RANK, COLUMNS) - 4096
    left[ROWS - 5] = 0
    return Case(element, base.astype(f"<u{element.size}"), left, right * 2.0**-33)
