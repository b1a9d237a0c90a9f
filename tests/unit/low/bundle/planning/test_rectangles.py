"""Rectangles are whole groups, or parts of long ones, spread over a tensor."""

import numpy as np
import pytest

from airlift.low.bundle.planning.rectangles import BLOCKS, MOST, ROWS, Rectangle, Tensor, rectangles
from airlift.tensors.element import Element
from airlift.tensors.matching.conversions import Place
from airlift.tensors.span import TensorSpan


def tensor(rows: int, columns: int, data: bytes = b"", element: Element = Element.BF16) -> Tensor:
    """Return a tensor that begins at byte 10 of file 3."""
    unit = 32 if element.record else 1
    length = rows * columns // unit * element.size
    span = TensorSpan("t", element, (rows, columns // unit), 10, 10 + length)

    def read(file: int, start: int, end: int) -> bytes:
        assert (file, 10 <= start <= end <= 10 + length) == (3, True)
        return data[start - 10 : end - 10]

    return Tensor(Place(3, span), columns, read)


@pytest.mark.parametrize("group", [(1, 0), (0, 0), (0, 1), (128, 128), (1, 32), (1, 256), (3, 5)])
@pytest.mark.parametrize("shape", [(300, 400), (129, 257), (128, 256), (300, 301)])
def test_rectangles_are_groups(group: tuple[int, int], shape: tuple[int, int]) -> None:
    found = rectangles(tensor(*shape), group)
    down, across = group[0] or shape[0], group[1] or shape[1]
    assert len(found) == min(BLOCKS if down > 1 else ROWS, -(-shape[0] // down) * -(-shape[1] // across))
    for area in found:
        assert area.rows.start % down == area.left % across == 0
        assert len(area.rows) == min(down, shape[0] - area.rows.start, MOST // across)
        assert area.width == min(across, shape[1] - area.left)
        assert area.whole == (down * across <= MOST)


@pytest.mark.parametrize("rows", [1, 2, 3, 4, 5, 50])
def test_they_are_spread_from_the_first_group_to_the_last(rows: int) -> None:
    found = [area.rows.start for area in rectangles(tensor(rows, 64), (1, 0))]
    assert (found[0], found[-1]) == (0, rows - 1)
    assert len(set(found)) == min(rows, ROWS)


def test_groups_larger_than_the_tensor_are_none() -> None:
    assert rectangles(tensor(100, 400), (128, 128)) == []
    assert rectangles(tensor(400, 100), (1, 128)) == []


def test_parts_of_long_groups_say_so() -> None:
    (area, *_) = rectangles(tensor(4, MOST + 1), (1, 0))
    assert (area.width, area.whole) == (MOST, False)
    (area, *_) = rectangles(tensor(MOST + 1, 3), (0, 1))
    assert (len(area.rows), area.whole) == (MOST, False)
    (area, *_) = rectangles(tensor(4, MOST), (1, 0))
    assert area.whole


def test_the_first_numbers_of_a_rectangle() -> None:
    assert Rectangle(range(5, 133), 128, 128).first(32) == Rectangle(range(5, 6), 128, 32)
    assert Rectangle(range(500), 7, 1).first(32) == Rectangle(range(32), 7, 1)
    assert Rectangle(range(500), 0, 3).first(32) == Rectangle(range(11), 0, 3)
    assert Rectangle(range(1), 0, 20).first(32) == Rectangle(range(1), 0, 20)
    assert Rectangle(range(5, 133), 128, 128).count == 128 * 128


def test_numbers_of_a_rectangle() -> None:
    matrix = np.arange(60, dtype="<u2").reshape(6, 10) | np.uint16(0x8000)
    some = tensor(6, 10, matrix.tobytes())
    area = Rectangle(range(2, 4), 3, 4)
    assert (some.rows, some.element) == (6, Element.BF16)
    assert some.part(area) == matrix[2:4, 3:7].tobytes()
    assert some.magnitudes(area).tolist() == [23, 24, 25, 26, 33, 34, 35, 36]
    wide = tensor(6, 5, matrix.tobytes(), Element.F32)
    assert wide.magnitudes(Rectangle(range(1), 0, 1)).tolist() == [0x00018000]


@pytest.mark.parametrize(("element", "size"), [(Element.Q8_0, 34), (Element.Q4_0, 18)])
def test_records_are_taken_whole(element: Element, size: int) -> None:
    data = bytes(n % 251 for n in range(4 * 3 * size))
    some = tensor(4, 96, data, element)
    assert some.rows == 4
    assert some.part(Rectangle(range(1, 3), 32, 64)) == data[4 * size : 6 * size] + data[7 * size : 9 * size]


def test_bytes_that_a_depot_lost_are_zeros() -> None:
    """Digests tell, when the tensor is coded; here only nothing may break."""
    some = tensor(4, 10, b"\1" * 25)
    assert some.part(Rectangle(range(2), 0, 10)) == b"\1" * 25 + bytes(15)
    assert some.magnitudes(Rectangle(range(4), 0, 10)).size == 40
