"""The difference of two rounded matrices, what its elements weigh, and the factors that fit it best."""

import numpy as np
import pytest

from airlift.codec import Effort
from airlift.codec.predict import exact, least_squares, lowrank_search
from airlift.codec.predict.exact import Bits
from airlift.tensors.element import Element
from tests.support.merges import merge

NAN = {Element.BF16: 0x7FC1, Element.F16: 0xFC01, Element.F32: 0x7F800001}


def matrices(element: Element, seed: int = 7) -> tuple[Bits, Bits]:
    """Return matrices of numbers of any size."""
    rng = np.random.default_rng(seed)
    top = 1 << 8 * element.size
    new, old = (rng.integers(0, top, (33, 40)).astype(f"<u{element.size}") for _ in range(2))
    return new, old


def units(bits: Bits, element: Element) -> "np.ndarray[tuple[int, ...], np.dtype[np.float64]]":
    """Return the units in the last place as IEEE 754 has them, between 2**-60 and 2**60; of no number infinity."""
    fraction = least_squares.FRACTION_BITS[element]
    mask = (1 << 8 * element.size - 1 - fraction) - 1
    stored = (bits >> fraction).astype(np.int64) & mask
    found: np.ndarray[tuple[int, ...], np.dtype[np.float64]]
    found = np.ldexp(1.0, np.clip(np.maximum(stored, 1) - mask // 2 - fraction, -60, 60))
    found[stored == mask] = np.inf
    return found


@pytest.mark.parametrize("element", exact.FLOATS)
def test_units_are_those_of_the_last_place(element: Element) -> None:
    new, old = matrices(element)
    old[:] = new & new.dtype.type((1 << 8 * element.size - 2) - 1)
    new[3, 3], old[5, 6] = NAN[element], NAN[element]
    found = least_squares.difference(new, old, element)
    expected = units(new, element)
    expected[5, 6] = np.inf
    assert found.lost is not None
    assert np.array_equal(found.units(), np.where(found.lost, np.inf, expected))
    assert np.isinf(found.units()[[3, 5], [3, 6]]).all()
    assert np.array_equal(found.units(slice(4, 9)), found.units()[4:9])


@pytest.mark.parametrize("element", exact.FLOATS)
def test_a_weight_is_the_inverse_square_of_a_unit(element: Element) -> None:
    made = merge(64, 80, 2, element=element)
    new, old = (
        exact.from_bytes(memoryview(data), element).reshape(64, 80) for data in (made.target, made.base)
    )
    found = least_squares.difference(new, old, element)
    assert found.lost is None
    expected = np.minimum((found.typical_unit() / units(new, element)) ** 2, least_squares.MOST_WEIGHT)
    assert np.array_equal(found.weights(), expected)
    assert np.array_equal(found.weights(slice(8, 16), found.typical_exponent()), expected[8:16])
    assert set(np.unique(expected)) >= {1.0, 4.0, 16.0, 64.0}


@pytest.mark.parametrize("element", exact.FLOATS)
def test_a_difference_is_that_of_the_values(element: Element) -> None:
    new, old = matrices(element)
    found = least_squares.difference(new, old, element)
    with np.errstate(all="ignore"):
        after, before = (exact.widen(bits.reshape(-1), element).reshape(bits.shape) for bits in (new, old))
        expected = (after - before).astype(np.float32)
    lost = np.isinf(units(new, element)) | np.isinf(units(old, element)) | ~np.isfinite(expected)
    assert found.lost is not None
    assert np.array_equal(found.lost, lost)
    assert np.array_equal(found.delta, np.where(lost, np.float32(0), expected))


def test_the_weighted_fit_is_that_of_one_system_a_row(monkeypatch: pytest.MonkeyPatch) -> None:
    """Threat to the size only: a stripe that is left out, or weighed by another one's units."""
    made = merge(300, 96, 3)
    new, old = (
        exact.from_bytes(memoryview(data), Element.BF16).reshape(300, 96) for data in (made.target, made.base)
    )
    found = least_squares.difference(new, old, Element.BF16)
    values, basis = least_squares.spectrum(found.delta, 3)
    right = np.asarray(np.sqrt(values[:3, None]) * basis[:, :3].T, np.float32)
    monkeypatch.setattr(least_squares, "STRIPE", 1)
    left, other = least_squares.fit_weighted(found, found.delta, right)
    weights = found.weights().astype(np.float64)
    for rows, sides, weighed, delta in (
        (right / np.linalg.norm(right, axis=1)[:, None], left, weights, found.delta),
        (left.T, other.T, weights.T, found.delta.T),
    ):
        for number in (0, 1, len(sides) // 2, len(sides) - 1):
            some = np.sqrt(weighed[number])
            expected = np.linalg.lstsq((rows * some).T.astype(np.float64), delta[number] * some)[0]
            assert np.allclose(sides[number], expected, rtol=1e-3, atol=1e-5)


def test_singular_values_are_those_of_all_rows() -> None:
    made = merge(700, 400, 5)
    new, old = (
        exact.from_bytes(memoryview(data), Element.BF16).reshape(700, 400)
        for data in (made.target, made.base)
    )
    found = least_squares.difference(new, old, Element.BF16)
    values, basis = least_squares.spectrum(found.delta, 8)
    exactly = np.linalg.svd(found.delta.astype(np.float64), compute_uv=False)
    assert np.allclose(values[:5], exactly[:5], rtol=1e-4)
    assert np.allclose(basis[:, :5].T @ basis[:, :5], np.eye(5), atol=1e-4)
    assert lowrank_search.significant(found, values) == 5


def test_sums_in_single_precision_make_no_rank() -> None:
    made = merge(256, 320, 4, element=Element.F32)
    new, old = (
        exact.from_bytes(memoryview(data), Element.F32).reshape(256, 320) for data in (made.target, made.base)
    )
    found = least_squares.difference(new, old, Element.F32)
    values, _ = least_squares.spectrum(found.delta, 12)
    assert np.count_nonzero(values > lowrank_search.GAP * found.edge()) > 4
    assert lowrank_search.significant(found, values) == 4


def test_of_a_large_matrix_the_factors_are_rounded_finer() -> None:
    exponents = {}
    for side in (128, 1024):
        made = merge(side, side, 2)
        coded = lowrank_search.find_factors(
            memoryview(made.target), memoryview(made.base), Element.BF16, side, Effort.NORMAL
        )
        assert coded is not None
        exponents[side] = coded.exponent
    assert exponents[1024] < exponents[128] - 1


def test_a_finer_step_is_not_taken_for_nothing() -> None:
    """The steps that are tried go both ways from the first, until they cost more."""
    made = merge(256, 320, 4)
    new, old = (
        exact.from_bytes(memoryview(data), Element.BF16).reshape(256, 320)
        for data in (made.target, made.base)
    )
    found = least_squares.difference(new, old, Element.BF16)
    values, basis = least_squares.spectrum(found.delta, 4)
    right = np.asarray(np.sqrt(values[:4, None]) * basis[:, :4].T, np.float32)
    left, right = lowrank_search.refine(found, right, Effort.NORMAL)
    case = lowrank_search.Case(new, old, Element.BF16, found)
    best = lowrank_search.cheapest(case, left, right)
    for first in (lowrank_search.STEPS[0], lowrank_search.STEPS[-1]):
        with pytest.MonkeyPatch.context() as patched:
            patched.setattr(lowrank_search, "_likely_step", lambda *_, first=first: first)
            again = lowrank_search.cheapest(case, left, right)
        assert best is not None
        assert again is not None
        assert abs(again.exponent - best.exponent) <= 2
