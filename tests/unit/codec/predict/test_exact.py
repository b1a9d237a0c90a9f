"""The exact predictor: every bit as in rational arithmetic, in any mode of the processor, on any number of cores."""

import ctypes
import math
import os
import platform
import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from airlift.codec.predict import exact
from airlift.codec.predict.exact import Factors
from airlift.errors import MalformedError
from airlift.tensors.element import Element

FORMATS = {Element.BF16: (8, 7), Element.F16: (5, 10), Element.F32: (8, 23)}  # bits of exponent and fraction


def value(bits: int, element: Element) -> Fraction | None:
    """Return the value of an element; None for NaN and infinities."""
    exponent_bits, fraction_bits = FORMATS[element]
    exponent, fraction = bits >> fraction_bits & (1 << exponent_bits) - 1, bits & (1 << fraction_bits) - 1
    if exponent == (1 << exponent_bits) - 1:
        return None
    bias = (1 << exponent_bits - 1) - 1 + fraction_bits
    whole = fraction if not exponent else fraction | 1 << fraction_bits
    magnitude = whole * Fraction(2) ** (max(exponent, 1) - bias)
    return -magnitude if bits >> exponent_bits + fraction_bits else magnitude


def rounded(number: Fraction, negative: bool, exponent_bits: int, fraction_bits: int) -> int:
    """Return the bits of the nearest number of an IEEE format, ties to even; ``negative`` is the sign of zero."""
    sign = int(number < 0 or (number == 0 and negative)) << exponent_bits + fraction_bits
    magnitude, least = abs(number), 2 - (1 << exponent_bits - 1)
    power = least
    if magnitude:
        power = max(math.frexp(magnitude)[1] - 1 if magnitude < 2**900 else 900, least)
    steps = round(magnitude / Fraction(2) ** (power - fraction_bits))  # Fraction rounds half to even
    bits = steps + ((power - least) << fraction_bits)
    infinity = ((1 << exponent_bits) - 1) << fraction_bits
    return sign | min(bits, infinity)


def convert(number: Fraction, negative: bool, element: Element) -> int:
    """Return the bits of a number rounded to float64, float32 and the element."""
    single = rounded(number, negative, 8, 23)
    if single & 0x7FFFFFFF >= 0x7F800000:
        return (single >> 31) << element.size * 8 - 1 | rounded(Fraction(2) ** 200, False, *FORMATS[element])
    through = value(single, Element.F32)
    assert through is not None
    return rounded(through, bool(single >> 31), *FORMATS[element])


def double(number: Fraction) -> Fraction:
    """Return the nearest float64 (Python divides integers with one correct rounding)."""
    return Fraction(number.numerator / number.denominator)


def reference(base: int, element: Element, delta: Fraction, per_product: bool) -> int:
    before = value(base, element)
    if per_product and delta:
        narrow = value(convert(delta, False, element), element)
        delta = narrow if narrow is not None else Fraction(2) ** 1000 * (1 if delta > 0 else -1)
    if before is None or not delta:
        return base
    return convert(double(before + delta), False, element)


def check(base: NDArray[np.uint16] | NDArray[np.uint32], element: Element, factors: Factors) -> None:
    rows, columns = base.shape
    found = np.frombuffer(exact.predict(base.data.cast("B"), element, factors), base.dtype).reshape(
        rows, columns
    )
    unit = Fraction(2) ** factors.exponent
    for i in range(rows):
        for k in range(columns):
            product = sum(int(a) * int(b) for a, b in zip(factors.left[i], factors.right[:, k], strict=True))
            expected = reference(int(base[i, k]), element, product * unit, factors.per_product)
            assert found[i, k] == expected, (hex(base[i, k]), product, hex(found[i, k]), hex(expected))


def array(values: list[list[int]] | NDArray[np.int64]) -> exact.Array:
    return np.array(values, np.float64)


def random_bits(rng: np.random.Generator, element: Element, shape: tuple[int, int]) -> NDArray[np.uint32]:
    return rng.integers(0, 1 << element.size * 8, shape).astype(f"<u{element.size}")


def special_bits(element: Element) -> NDArray[np.uint32]:
    """Return zeros, subnormal numbers, powers of two, odd and even fractions, infinities, NaN; of both signs."""
    exponent_bits, fraction_bits = FORMATS[element]
    one, infinity = 1 << fraction_bits, ((1 << exponent_bits) - 1) << fraction_bits
    found = [
        0,
        1,
        2,
        one - 1,
        one,
        one + 1,
        2 * one,
        8 * one + 1,
        infinity // 2,
        infinity - 1,
        infinity,
        infinity + 1,
    ]
    found += [infinity + one // 2, infinity + one - 1]
    sign = 1 << exponent_bits + fraction_bits
    return np.array(found + [sign | bits for bits in found], f"<u{element.size}")


@pytest.mark.parametrize("element", exact.FLOATS)
@pytest.mark.parametrize("per_product", [False, True])
def test_any_bits_and_factors_give_what_rational_arithmetic_gives(
    element: Element, per_product: bool
) -> None:
    rng = np.random.default_rng(7)
    for exponent in (-170, -150, -145, -60, -40, -36, -30, -24, 60, 100):
        left, right = array(rng.integers(-4000, 4000, (12, 5))), array(rng.integers(-4000, 4000, (5, 12)))
        check(random_bits(rng, element, (12, 12)), element, Factors(left, right, exponent, per_product))


@pytest.mark.parametrize("element", exact.FLOATS)
def test_special_bases_and_ties_give_what_rational_arithmetic_gives(element: Element) -> None:
    bases = special_bits(element)
    fraction_bits = FORMATS[element][1]
    least = -149 if element is Element.F32 else -133 if element is Element.BF16 else -24
    products = array([[0, 1, -1, 2, -2, 3, -3, 4, -4, 5, 6, -6, 7, 8, 1 << 24, -(1 << 24), (1 << 40) + 1]])
    base = np.repeat(bases[:, None], products.shape[1], axis=1)
    for exponent in {
        least - 1,
        least - 2,
        least,
        least + 2,
        -fraction_bits - 2,
        -fraction_bits - 1,
        0,
        40,
        80,
        87,
    }:
        check(base, element, Factors(np.ones((len(bases), 1)), products, exponent))


def test_products_at_the_bound_are_exact() -> None:
    """Sums below 2**53 do not depend on their order; the largest that are allowed come out to the last bit."""
    rank = 256
    left = array([[2**22 * (-1) ** j for j in range(rank)], [2**22] * rank])
    right = array([[2**22 - (j & 1), 2**22] for j in range(rank)])
    factors = Factors(left, right, -60)
    assert exact.bound(left, right) == exact.MAX_BOUND
    check(np.zeros((2, 2), "<u4"), Element.F32, factors)


def test_larger_products_are_refused() -> None:
    base = bytes(4)
    with pytest.raises(MalformedError, match="too large"):
        exact.predict(memoryview(base), Element.F32, Factors(array([[2**26 + 1]]), array([[2**26]]), 0))
    for exponent in (-513, 513):
        with pytest.raises(MalformedError, match="too large"):
            exact.predict(memoryview(base), Element.F32, Factors(array([[1]]), array([[1]]), exponent))


def test_factors_of_another_shape_are_refused() -> None:
    with pytest.raises(MalformedError, match="shape"):
        exact.predict(memoryview(bytes(6)), Element.BF16, Factors(array([[1], [2]]), array([[1, 2]]), 0))


def test_nothing_is_predicted_from_nothing() -> None:
    factors = Factors(np.zeros((0, 1)), np.zeros((1, 4)), 0)
    assert bytes(exact.predict(memoryview(b""), Element.BF16, factors)) == b""


def test_stripes_do_not_show(monkeypatch: pytest.MonkeyPatch) -> None:
    base, factors = sample(Element.BF16)
    whole = bytes(exact.predict(memoryview(base), Element.BF16, factors))
    monkeypatch.setattr(exact, "STRIPE", 100)
    assert bytes(exact.predict(memoryview(base), Element.BF16, factors)) == whole


def sample(element: Element) -> tuple[bytes, Factors]:
    rng = np.random.default_rng(3)
    base = random_bits(rng, element, (70, 90))
    left, right = (
        array(rng.integers(-(2**15), 2**15, (70, 24))),
        array(rng.integers(-(2**15), 2**15, (24, 90))),
    )
    return base.tobytes(), Factors(left, right, -166 if element is not Element.F16 else -52)


DIGEST = """
import hashlib, sys
import numpy as np
from airlift.codec.predict import exact
from airlift.tensors.element import Element
rng = np.random.default_rng(5)
base = rng.integers(0, 1 << 16, (700, 900)).astype("<u2")
left, right = (np.rint(rng.standard_normal(shape) * 3000) for shape in ((700, 48), (48, 900)))
found = exact.predict(memoryview(base.tobytes()), Element.BF16, exact.Factors(left, right, -40))
print(hashlib.sha256(found).hexdigest())
"""


def test_the_threads_of_the_matrix_library_do_not_show() -> None:
    outputs = {
        subprocess.run(
            [sys.executable, "-c", DIGEST],
            env={
                **os.environ,
                "OPENBLAS_NUM_THREADS": threads,
                "OPENBLAS_CORETYPE": core,
                "PYTHONPATH": str(Path.cwd()),
            },
            capture_output=True,
            check=True,
        ).stdout
        for threads, core in (("1", ""), ("2", ""), ("2", "Prescott"))
    }
    assert len(outputs) == 1


@pytest.mark.skipif(
    platform.machine() != "x86_64" or sys.platform != "linux", reason="sets MXCSR through glibc"
)
@pytest.mark.parametrize("element", exact.FLOATS)
def test_flushing_subnormal_numbers_to_zero_does_not_show(element: Element) -> None:
    base, factors = sample(element)
    expected = bytes(exact.predict(memoryview(base), element, factors))
    libm = ctypes.CDLL("libm.so.6")
    before, flushing = (ctypes.c_uint8 * 32)(), (ctypes.c_uint8 * 32)()
    libm.fegetenv(before)
    libm.fegetenv(flushing)
    flushing[28] |= 0x40  # DAZ, bit 6 of MXCSR at offset 28 of fenv_t
    flushing[29] |= 0x80  # FTZ, bit 15
    libm.fesetenv(flushing)
    try:
        tiny = float(np.array([2.0**-1060]) @ np.array([1.0]))
        found = bytes(exact.predict(memoryview(base), element, factors))
    finally:
        libm.fesetenv(before)
    assert tiny == 0
    assert found == expected
