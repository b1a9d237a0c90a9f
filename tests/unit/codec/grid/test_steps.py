"""Steps times a scale, and the steps that numbers are nearest to: held against fractions (SPEC G3, G4)."""

import math
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from airlift.codec.grid import steps
from airlift.codec.grid.steps import Scales
from airlift.codec.predict import rounding
from airlift.codec.predict.quantised import TILE, Matrix
from airlift.tensors.element import Element
from tests.support import quantisers

BF16, F16, F32 = Element.BF16, Element.F16, Element.F32
FLOATS, KINDS = (F32, F16, BF16), (Element.I8, Element.I16, Element.F8_E4M3, Element.F8_E5M2)
GROUPS = [(1, 0), (0, 0), (0, 1), (128, 128), (1, 32), (2, 3), (1, 1), (7, 400)]
SCALES = np.array(
    [1, -1, 0.0123, 2.0**-126, -(2.0**-127), 1e-45, 2.0**-125, 3e38, -3e38, 6e-8, 65504, 511.75, 0, -0.0,
     math.inf, -math.inf, math.nan, 2.0**-140, 0.3, 1.5 * 2.0**-126, 2.0**-118, 3.05e-05, 17],
    np.float32,
)  # fmt: skip
NUMBERS = np.array(
    [0, -0.0, 1, -1, 0.5, -0.5, 1.5, 2.5, -2.5, 0.49999997, -0.3, 126.5, 127.5, -127.5, -128.5, -1000, 255, 447, 464,
     480, 57344, 65000, 1e-45, -1e-45, 2.0**-126, -(2.0**-126), 1.5 * 2.0**-126, 3e38, -3e38, math.inf, -math.inf,
     1e-3, math.nan, 2.0**-9, 2.0**-10, 1.0625, 1.1875, -1.3125, 2.0**-17, 6e-8, 40000, -32768, 32767.5, 3.1],
    np.float32,
)  # fmt: skip


def as_bits(values: NDArray[np.float32], element: Element) -> NDArray[Any]:
    return np.frombuffer(quantisers.as_element(values, element), f"<u{element.size}").reshape(values.shape)


def held(values: NDArray[np.float32], element: Element) -> NDArray[np.float32]:
    """Return what numbers are as those of an element."""
    return rounding.singles(as_bits(values, element), element).view(np.float32)


def one_scale_a_row(scales: NDArray[np.float32], columns: int) -> Scales:
    return Scales(steps.usable(scales.reshape(-1, 1)), (1, 0), (len(scales), columns))


# -- scales --------------------------------------------------------------------------------------------------------


def test_scales_are_zero_where_they_are_not_normal() -> None:
    found = steps.usable(SCALES)
    expected = [quantisers.usable(float(scale)) for scale in SCALES]
    assert [(float(one), math.copysign(1, one)) for one in found] == [
        (one, math.copysign(1, one)) for one in expected
    ]
    assert np.count_nonzero(found) == 14


# -- numbers -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("signed", [False, True])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("element", FLOATS)
def test_every_step_times_every_scale(element: Element, kind: Element, signed: bool) -> None:
    """With -0, -128, overflow to infinity, results that are not normal, and eight-bit floats that are not finite."""
    codes = np.arange(256, dtype="<u1")
    if kind is Element.I16:
        codes = np.array([0, 1, 127, 128, 200, 255, 0x7FFF, 0x8000, 0x8001, 0xFFFF, 0xFF80], "<u2")
    by = one_scale_a_row(SCALES, len(codes))
    made = steps.multiplied(np.tile(codes, (len(SCALES), 1)), kind, by, element, signed=signed)
    values = [quantisers.step_value(int(code), kind, signed=signed) for code in codes]
    for row, scale in zip(made, SCALES, strict=True):
        usable = quantisers.usable(float(scale))
        assert row.tobytes() == b"".join(quantisers.number(value, usable, element) for value in values)


def test_zero_has_the_sign_of_step_and_scale() -> None:
    by = one_scale_a_row(np.array([1, -1], np.float32), 3)
    codes = np.array([[0, 0x80, 0xFF]] * 2, np.uint8)
    assert steps.multiplied(codes, Element.I8, by, BF16, signed=True).tolist() == [
        [0, 0x8000, 0xBF80],
        [0x8000, 0, 0x3F80],
    ]
    assert steps.multiplied(codes, Element.I8, by, BF16, signed=False)[:, 1].tolist() == [0xC300, 0x4300]


# -- steps ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("signed", [False, True])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("element", FLOATS)
def test_the_step_that_every_number_is_nearest_to(element: Element, kind: Element, signed: bool) -> None:
    """With ties, numbers beyond the last step, infinities, NaN, and scales of zero."""
    bits = as_bits(NUMBERS, element)
    by = one_scale_a_row(SCALES, len(NUMBERS))
    made = steps.nearest(Matrix(np.tile(bits, (len(SCALES), 1)), element), kind, by, signed=signed)
    values = [float(value) for value in held(NUMBERS, element)]
    for row, scale in zip(made, SCALES, strict=True):
        usable = quantisers.usable(float(scale))
        assert row.tolist() == [quantisers.step(value, usable, kind, signed=signed) for value in values]


def test_ties_are_even_and_the_last_steps_are_clipped() -> None:
    bits = as_bits(np.array([[0.5, 1.5, -0.5, 127.5, -128.5, 300, -300]], np.float32), F32)
    by = one_scale_a_row(np.ones(1, np.float32), 7)
    found = steps.nearest(Matrix(bits, F32), Element.I8, by, signed=False)
    assert found.view(np.int8).tolist() == [[0, 2, 0, 127, -128, 127, -128]]
    found = steps.nearest(Matrix(bits, F32), Element.I8, by, signed=True)
    assert found.view(np.int8).tolist() == [[0, 2, -128, 127, -127, 127, -127]]


@pytest.mark.parametrize("kind", KINDS)
def test_steps_come_back_from_their_numbers(kind: Element) -> None:
    """Of numbers that are as near to another step too, that one may; the numbers are the same."""
    codes = np.arange(256, dtype="<u1")
    if kind is Element.I16:
        codes = np.arange(-255, 256, dtype="<i2").view("<u2")
    values = steps.values(kind, signed=False)[codes]
    codes = codes[(values != 0) | (codes == 0)].reshape(1, -1)
    by = one_scale_a_row(np.array([0.0371], np.float32), codes.shape[1])
    for element in FLOATS:
        numbers = steps.multiplied(codes, kind, by, element, signed=False)
        found = steps.nearest(Matrix(numbers, element), kind, by, signed=False)
        assert np.array_equal(found, codes) or (kind, element) == (Element.I16, BF16)
        assert np.array_equal(steps.multiplied(found, kind, by, element, signed=False), numbers)


# -- groups --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("group", GROUPS)
def test_groups_whose_edges_are_cut(group: tuple[int, int]) -> None:
    shape = (150, 200)
    down, across = (-(-length // (size or length)) for length, size in zip(shape, group, strict=True))
    scales = (np.arange(down * across, dtype=np.float32).reshape(down, across) + 1) / np.float32(64)
    codes = np.random.default_rng(2).integers(-128, 128, shape).astype(np.int8)
    by = Scales(scales, group, shape)
    made = steps.multiplied(codes.view(np.uint8), Element.I8, by, F32, signed=False)
    wanted = codes.astype(np.float32) * quantisers.spread(scales, group, shape)
    assert made.tobytes() == wanted.tobytes()
    found = steps.nearest(Matrix(made, F32), Element.I8, by, signed=False)
    assert np.array_equal(found.view(np.int8), codes)


@pytest.mark.parametrize("shape", [(3, TILE + 7), (TILE + 5, 2), (300, 1024)])
def test_matrices_of_several_tiles(shape: tuple[int, int]) -> None:
    codes = np.random.default_rng(3).integers(0, 256, shape).astype(np.uint8)
    for group in ((1, 0), (0, 100), (2, TILE // 2)):
        down, across = (-(-length // (size or length)) for length, size in zip(shape, group, strict=True))
        scales = np.random.default_rng(4).uniform(0.5, 2, (down, across)).astype(np.float32)
        by = Scales(scales, group, shape)
        made = steps.multiplied(codes, Element.I8, by, F32, signed=False)
        wanted = codes.view(np.int8) * quantisers.spread(scales, group, shape)
        assert np.array_equal(made.view(np.float32), wanted)
        assert np.array_equal(steps.nearest(Matrix(made, F32), Element.I8, by, signed=False), codes)


@pytest.mark.parametrize("group", GROUPS)
def test_the_numbers_of_a_group_are_gathered(group: tuple[int, int]) -> None:
    matrix = np.arange(1, 150 * 200 + 1).reshape(150, 200)
    found = steps.gathered(matrix, group)
    down, across = group[0] or 150, group[1] or 200
    lines = iter(found)
    for top in range(0, 150, down):
        for left in range(0, 200, across):
            part = matrix[top : top + down, left : left + across]
            line = next(lines)
            assert sorted(line[line > 0].tolist()) == sorted(part.reshape(-1).tolist())
            assert line.size == down * across
    assert next(lines, None) is None


# -- records -------------------------------------------------------------------------------------------------------


def test_records_are_taken_apart() -> None:
    values = np.random.default_rng(5).normal(0, 1, (6, 32)).astype(np.float32)
    for element, data in ((Element.Q8_0, quantisers.q8_0(values)), (Element.Q4_0, quantisers.q4_0(values))):
        codes, scales = steps.unpacked(np.frombuffer(data, np.uint8).reshape(6, -1), element)
        assert (codes.shape, scales.shape) == ((6, 32), (6, 1))
        assert scales.tobytes() == b"".join(data[n : n + 2] for n in range(0, len(data), element.size))
        numbers = codes.view(np.int8) * scales.view(np.float16).astype(np.float32)
        step = np.abs(scales.view(np.float16).astype(np.float32))
        assert (np.abs(numbers - values) <= step * (0.501 if element is Element.Q8_0 else 1.001)).all()
        assert codes.view(np.int8).min() >= (-127 if element is Element.Q8_0 else -8)


@pytest.mark.parametrize("kind", KINDS)
def test_the_flags_of_the_processor_say_nothing(kind: Element) -> None:
    """A program around may have asked NumPy to raise on every overflow, underflow and NaN."""
    by = one_scale_a_row(SCALES, len(NUMBERS))
    for element in FLOATS:
        bits = np.tile(as_bits(NUMBERS, element), (len(SCALES), 1))
        with np.errstate(all="raise"):
            found = steps.nearest(Matrix(bits, element), kind, by, signed=True)
            steps.multiplied(found, kind, by, element, signed=True)
