"""Memory that is used again."""

import numpy as np

from airlift.codec.ulp.scratch import KEPT, Scratch
from airlift.codec.ulp.unit import Array


def address(octets: Array) -> int:
    return int(octets.__array_interface__["data"][0])


def test_memory_is_used_again_when_no_view_of_it_is_left() -> None:
    scratch = Scratch()
    first = scratch.take(100)
    place, view = address(first), first.view(np.uint16)[3:5].data
    del first
    other = scratch.take(100)
    assert address(other) != place
    del view
    assert address(scratch.take(50)) == place


def test_what_is_too_small_is_replaced() -> None:
    scratch = Scratch()
    for size in (0, 100, 3 << 20, 5):
        taken = scratch.take(size)
        assert taken.nbytes == size
        taken[:] = 7
        del taken
    assert [piece.nbytes for piece in scratch.spare] == [4 << 20]


def test_not_everything_is_kept() -> None:
    scratch = Scratch()
    held = [scratch.take(10) for _ in range(2 * KEPT)]
    held.clear()
    assert len(scratch.spare) == KEPT
