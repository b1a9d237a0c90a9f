"""GF(2^8) by tables is GF(2^8) by polynomials (SPEC 6.9-2), and the matrix is the one of SPEC 6.9-3."""

import numpy as np
import pytest

from airlift.erasure import field, matrix
from tests.support import slow_parity


def test_every_product() -> None:
    expected = [[slow_parity.times(a, b) for b in range(256)] for a in range(256)]
    assert field.products().tolist() == expected


def test_the_examples_of_the_specification() -> None:
    assert (field.products()[[0x80, 0x8E, 0x53], [2, 2, 0xCA]] == [0x1D, 1, 0x8F]).all()
    assert matrix.coefficients(3, 2).tolist() == [[1, 1, 1], [0xF5, 0x8F, 0xA6]]


def test_every_element_but_zero_has_an_inverse() -> None:
    elements = np.arange(1, 256)
    assert (field.products()[elements, field.inverses()[elements]] == 1).all()
    assert field.inverses()[0] == 0


@pytest.mark.parametrize(("data", "parity"), [(1, 1), (3, 2), (10, 4), (191, 64), (254, 1)])
def test_every_weight(data: int, parity: int) -> None:
    found = matrix.coefficients(data, parity)
    assert found.shape == (parity, data)
    assert (found != 0).all()
    assert (found[0] == 1).all()
    places = {(i, j) for i in {0, 1 % parity, parity - 1} for j in {0, data // 2, data - 1}}
    assert {(i, j): found[i, j] for i, j in places} == {
        (i, j): slow_parity.weight(i, j, parity) for i, j in places
    }


@pytest.mark.parametrize("size", [1, 2, 7, 64])
def test_an_inverse_undoes(size: int) -> None:
    square = matrix.coefficients(191, 64)[:size, 50 : 50 + size]
    assert (field.times(field.inverse(square), square) == np.eye(size)).all()


def test_tables_cannot_be_spoilt() -> None:
    for table in (field.products(), field.inverses()):
        with pytest.raises(ValueError, match="read-only"):
            table[1] = 2
