"""Numbers as those of another type: held against fractions, Python's own conversions, and known answers."""

import struct

import numpy as np
import pytest

from airlift.codec.predict.rounding import eights, rounded, singles
from airlift.tensors.element import Element
from tests.support.quantisers import brains, eight

RNG = np.random.default_rng(1)
EDGES = np.array(
    [0, 1, 0x7FFFFF, 0x800000, 0x800001, 0x7F7FFFFF, 0x7F800000, 0x7F800001, 0x7FC00000, 0x7FFFFFFF,
     0x33000000, 0x33000001, 0x33800000, 0x387FC000, 0x387FE000, 0x38800000, 0x477FE000, 0x477FEFFF, 0x477FF000,
     0x3F808000, 0x3F818000, 0x43E00000, 0x43E80000, 0x43E80001, 0x3B000000, 0x3A800000, 0x3A800001, 0x3F880000,
     0x3F980000, 0x47600000, 0x47700000, 0x37800000, 0x37000000, 0x37000001], np.uint32,
)  # fmt: skip
WIDE = np.concatenate([EDGES, EDGES | 0x80000000, RNG.integers(0, 1 << 32, 20_000, np.uint32)])
NAN = (WIDE & 0x7FFFFFFF) > 0x7F800000
ALL16 = np.arange(1 << 16, dtype=np.uint16)


def test_to_bfloat16_and_float16() -> None:
    numbers = WIDE[~NAN]
    assert np.array_equal(rounded(numbers, Element.BF16), brains(numbers.view(np.float32)))
    with np.errstate(over="ignore"):
        halves = numbers.view(np.float32).astype(np.float16).view(np.uint16)
    assert np.array_equal(rounded(numbers, Element.F16), halves)


def test_to_float64_and_back() -> None:
    numbers = WIDE[~NAN]
    doubles = rounded(numbers, Element.F64)
    assert doubles.tobytes() == numbers.view(np.float32).astype(np.float64).tobytes()
    assert np.array_equal(singles(doubles, Element.F64), numbers)


@pytest.mark.parametrize(
    ("value", "expected"),
    [(0.1, 0x3DCCCCCD), (1 + 2**-24, 0x3F800000), (1 + 3 * 2**-24, 0x3F800002), (2.0**-150, 0), (2.0**-149, 1),
     (-3 * 2.0**-150, 0x80000002), (1e300, 0x7F800000), (float("-inf"), 0xFF800000), (5e-324, 0)],
)  # fmt: skip
def test_float64_is_rounded_once(value: float, expected: int) -> None:
    assert singles(np.frombuffer(struct.pack("<d", value), "<u8"), Element.F64).tolist() == [expected]


def test_sixteen_bits_are_widened_exactly() -> None:
    finite = ALL16[(ALL16 & 0x7C00) != 0x7C00]
    assert np.array_equal(singles(finite, Element.F16).view(np.float32), finite.view(np.float16))
    assert np.array_equal(singles(ALL16, Element.BF16) >> np.uint32(16), ALL16)


@pytest.mark.parametrize(
    ("element", "quiet"),
    [(Element.F64, 0x7FF8 << 48), (Element.F32, 0x7FC00000), (Element.F16, 0x7E00), (Element.BF16, 0x7FC0)],
)
def test_a_nan_is_quiet_and_keeps_its_sign(element: Element, quiet: int) -> None:
    """Threat: a NaN whose bits depend on the machine."""
    found = rounded(np.array([0x7F800001, 0xFFFFFFFF], np.uint32), element)
    assert found.tolist() == [quiet, quiet | 1 << (8 * element.size - 1)]
    bits = np.array([0x7FF0_0000_0000_0001, 0xFFF8_0000_0000_0000], np.uint64)
    assert singles(bits, Element.F64).tolist() == [0x7FC00000, 0xFFC00000]


@pytest.mark.parametrize("element", [Element.F8_E4M3, Element.F8_E5M2])
def test_to_eight_bits(element: Element) -> None:
    numbers = WIDE[(WIDE & 0x7F800000) != 0x7F800000][:600]
    expected = [eight(float(value), element) for value in numbers.view(np.float32)]
    assert eights(numbers, element).tolist() == expected
    edges = np.array([0x7F800000, 0xFF800000, 0x7F800001, 0xFFC00000], np.uint32)
    largest = 0x7E if element is Element.F8_E4M3 else 0x7B
    assert eights(edges, element).tolist() == [largest, largest | 0x80, 0x7F, 0x7F]
    assert np.array_equal(eights(numbers, element), rounded(numbers, element))


def test_shapes_are_kept() -> None:
    numbers = WIDE[:6].reshape(2, 3)
    for element in (Element.F64, Element.F32, Element.F16, Element.BF16, Element.F8_E4M3):
        assert rounded(numbers, element).shape == (2, 3)
    assert singles(numbers.astype(np.uint64), Element.F64).shape == (2, 3)
