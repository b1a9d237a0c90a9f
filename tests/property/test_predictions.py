"""Predictions by any kernel: of any bits, with any factors, the same."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from airlift.codec.predict import exact, kernel
from airlift.codec.predict.exact import Factors
from airlift.tensors.element import Element


@given(
    element=st.sampled_from(exact.FLOATS),
    rows=st.integers(1, 5),
    columns=st.integers(1, 300),
    rank=st.integers(1, 9),
    exponent=st.integers(-200, 120),
    alike=st.booleans(),
    seed=st.integers(0, 1 << 32),
)
def test_every_kernel_gives_the_same_bits(
    *, element: Element, rows: int, columns: int, rank: int, exponent: int, alike: bool, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    bits = rng.integers(0, 1 << 8 * element.size, (rows, columns)).astype(f"<u{element.size}")
    if alike:  # exponents of a model, save where there are zeros
        ordinary = exact.narrow(rng.standard_normal(rows * columns), element).reshape(rows, columns)
        bits = np.where(rng.random(bits.shape) < 0.01, bits & bits.dtype.type(0x8000), ordinary)
    left, right = (
        rng.integers(-(1 << 15), 1 << 15, shape).astype(float) * 2.0 ** rng.integers(0, 5)
        for shape in ((rows, rank), (rank, columns))
    )
    factors = Factors(left, right, exponent)
    data = np.ascontiguousarray(bits).reshape(-1).view(np.uint8).data
    found = {bytes(exact.predict(data, element, factors, using=kernel.get(name))) for name in kernel.names()}
    assert len(found) == 1
