"""Scales are found again from the numbers that they made, and none where numbers are no steps."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from airlift.codec.grid import fit, steps
from airlift.codec.grid.fit import Groups
from airlift.codec.predict import rounding
from airlift.tensors.element import Element
from tests.support import quantisers
from tests.support.quantisers import floats, model

BF16, F16, F32 = Element.BF16, Element.F16, Element.F32
FLOATS = (F32, F16, BF16)
RNG = np.random.default_rng(7)


def groups(values: NDArray[np.float32], element: Element, known: Any = None) -> Groups:
    """Return rows of numbers, as those of an element, without their signs."""
    data = quantisers.as_element(np.abs(values.astype(np.float32)), element)
    bits = np.frombuffer(data, f"<u{element.size}").reshape(values.shape)
    return Groups(bits, element, None if known is None else np.abs(known).astype(np.float32))


def quantised(rows: int, columns: int, limit: float, scale: Element = F32) -> Any:
    """Return the steps and the scales of weights, a group each row."""
    values = (RNG.standard_normal((rows, columns)) * RNG.uniform(0.01, 0.1, (rows, 1))).astype(np.float32)
    return quantisers.integers(values, (1, 0), limit, scale)


def check(found: NDArray[np.float32] | None, wanted: Groups) -> NDArray[np.float32]:
    """Check that scales make the numbers, and return them."""
    assert found is not None
    assert fit.made(wanted, found).all()
    return found


@pytest.mark.parametrize("columns", [32, 100, 700])
@pytest.mark.parametrize("limit", [127.0, 127.5, 128.0, 7.0, 7.5, 8.0])
@pytest.mark.parametrize("scale", [F32, F16, BF16])
@pytest.mark.parametrize("element", FLOATS)
def test_what_quantisers_make_has_scales(
    element: Element, scale: Element, limit: float, columns: int
) -> None:
    codes, scales = quantised(20, columns, limit, scale)
    some = groups(codes * scales, element)
    found = check(fit.fit(some), some)
    if (element, columns) == (F32, 700):
        assert np.abs(found / scales[:, 0] - 1).max() < 2.0**-21


@pytest.mark.parametrize(("limit", "columns"), [(255, 32), (255, 128), (15, 32)])
def test_groups_with_a_zero_point_have_a_scale(limit: int, columns: int) -> None:
    """Steps up to 255 lie closer than bfloat16 numbers do."""
    values = np.random.default_rng(13).standard_normal((6000, columns)).astype(np.float32)
    codes, scales = quantisers.shifted(values * np.float32(0.03), (1, 0), limit)
    some = replace(groups(codes * scales, BF16), ranges=np.float32(limit) * scales[:, 0])
    assert some.part(slice(5)).ranges is not None
    check(fit.fit(some), some)


def test_many_small_groups_all_have_a_scale() -> None:
    """Of bfloat16 a number may be nearly half a step off: some of 100,000 groups had none, so no block had any."""
    values = np.random.default_rng(12).standard_normal((100_000, 32)).astype(np.float32)
    codes, scales = quantisers.integers(values * np.float32(0.03), (1, 0))
    some = groups(codes * scales, BF16)
    check(fit.fit(some), some)


@pytest.mark.parametrize("element", FLOATS)
def test_a_zero_point_makes_larger_steps(element: Element) -> None:
    values = RNG.uniform(0, 1, (8, 300))
    codes = np.rint(values * 255).astype(np.float32) - np.float32(3)
    some = groups(codes * np.float32(0.0123), element)
    check(fit.fit(some), some)


def test_groups_of_zeros_have_the_scale_one() -> None:
    """Divided by 0, a zero of less than zero would not be told from the others."""
    codes, scales = quantised(6, 64, 127.0)
    codes[[0, 3]] = 0
    found = fit.fit(groups(codes * scales, BF16))
    assert found is not None
    assert (found == 1).tolist() == [True, False, False, True, False, False]
    assert fit.fit(Groups(np.zeros((2, 5), np.uint16), BF16)) is not None


@pytest.mark.parametrize("element", FLOATS)
def test_ordinary_numbers_have_no_scale(element: Element) -> None:
    some = groups(floats(model(16, 256, seed=3)) * np.float32(1.01), element)
    assert all(fit.fit(some.part(slice(row, row + 1))) is None for row in range(16))


@pytest.mark.parametrize("special", [np.inf, np.nan])
def test_numbers_that_are_not_finite_have_no_scale(special: float) -> None:
    codes, scales = quantised(2, 64, 127.0)
    values = codes * scales
    values[1, 5] = special
    for element in FLOATS:
        assert fit.fit(groups(values, element)) is None


def test_one_number_that_is_no_step_takes_the_scale_away() -> None:
    codes, scales = quantised(3, 2000, 127.0)
    values = codes * scales
    values[1, 1999] = np.float32(0.0123456)
    assert fit.fit(groups(values, F32)) is None
    assert fit.fit(groups(values[[0, 2]], F32)) is not None


def test_numbers_that_only_the_whole_group_tells_apart() -> None:
    """The scale that a sample leads to is not exact enough; that of all numbers is."""
    codes = RNG.integers(-127, 128, (4, 5000)).astype(np.float32)
    scales = RNG.uniform(0.01, 0.02, (4, 1)).astype(np.float32)
    some = groups(codes * scales, F32)
    check(fit.fit(some), some)


# -- scales that are known or likely -------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [Element.F8_E4M3, Element.F8_E5M2])
@pytest.mark.parametrize("element", FLOATS)
def test_known_steps_may_be_large(element: Element, kind: Element) -> None:
    """Of eight-bit floats, which go up to 448 and 57,344, in the narrow types too: nothing has to tell them apart."""
    most = 448 if kind is Element.F8_E4M3 else 57344
    values = RNG.standard_normal((5, 200)).astype(np.float32)
    scales = (np.abs(values).max(axis=1, keepdims=True) / np.float32(most)).astype(np.float32)
    codes = quantisers.eights(values / scales, kind)
    known = steps.values(kind, signed=False)[codes]
    some = groups(known * scales, element, known)
    found = check(fit.fit(some), some)
    assert np.abs(found / scales[:, 0] - 1).max() < 2.0**-8


@pytest.mark.parametrize("element", FLOATS)
def test_where_known_steps_do_not_fit_others_may(element: Element) -> None:
    codes, scales = quantised(4, 200, 127.0)
    other = codes.copy()
    other[2] = np.roll(other[2], 1)
    some = groups(codes * scales, element, other)
    found = fit.fit(some)
    assert found is not None
    assert fit.made(some, found).tolist() == [True, True, False, True]
    assert fit.made(Groups(some.bits, element), found).all()


def test_likely_scales_are_taken_where_they_fit() -> None:
    codes, scales = quantised(5, 100, 127.0, BF16)
    some, likely = groups(codes * scales, BF16), scales[:, 0].copy()
    likely[3] *= np.float32(1.5)
    found = check(fit.fit(some, likely), some)
    assert (found == likely).tolist() == [True, True, True, False, True]


# -- types of scales -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("scale", FLOATS)
def test_scales_have_the_narrowest_type_that_makes_the_numbers(scale: Element) -> None:
    """Of two of as many bytes, float16 where that has them."""
    codes, scales = quantised(64, 600, 127.0, scale)
    some = groups(codes * scales, F32)
    kind, bits = fit.narrowest(check(fit.fit(some), some), some)
    assert (kind is F32) == (scale is F32)
    if scale is not F32:
        assert np.array_equal(rounding.singles(bits, kind).view(np.float32), scales[:, 0])
    tiny = groups(codes * scales * np.float32(2.0**-20), F32)
    kind, _ = fit.narrowest(check(fit.fit(tiny), tiny), tiny)
    assert kind is (BF16 if scale is BF16 else F32)


# -- at a glance ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("limit", [127.0, 128.0, 7.0, 8.0])
@pytest.mark.parametrize("element", FLOATS)
def test_steps_look_plausible(element: Element, limit: float) -> None:
    codes, scales = quantised(300, 256, limit)
    rows = groups(codes * scales, element).bits
    assert np.mean([fit.plausible(row[:32], element) for row in rows]) > 0.99


@pytest.mark.parametrize("element", FLOATS)
def test_ordinary_numbers_do_not(element: Element) -> None:
    rows = groups(floats(model(300, 256, seed=4)) * np.float32(1.01), element).bits
    assert np.mean([fit.plausible(row[:32], element) for row in rows]) < 0.01


def test_zeros_are_plausible_and_infinities_not() -> None:
    assert fit.plausible(np.zeros(32, np.uint16), BF16)
    assert not fit.plausible(np.array([0x3F80, 0x7F80], np.uint16), BF16)


@pytest.mark.parametrize("element", FLOATS)
def test_no_number_makes_a_warning(element: Element) -> None:
    """Threat: a program around that asked NumPy to raise."""
    most = 0x7F800000 if element is F32 else 0x7F80 if element is BF16 else 0x7C00
    kind = np.uint32 if element is F32 else np.uint16
    edges = np.array([0, 1, 2, 3, most - 1, most - 2, most // 2, most // 4, 0x80, 0x400], kind)
    rows = RNG.choice(edges, (60, 8))
    with np.errstate(all="raise"):
        for row in rows:
            fit.plausible(row, element)
            found = fit.fit(Groups(row.reshape(1, -1), element))
            if found is not None:
                fit.narrowest(found, Groups(row.reshape(1, -1), element))
