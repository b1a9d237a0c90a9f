"""Signs tell related numbers from others."""

from random import Random

import numpy as np
import pytest

from airlift.tensors.element import Element
from airlift.tensors.matching.likeness import SIGNED, alike, signs
from airlift.tensors.matching.segment import Source

RANDOM = np.random.default_rng(1)
OLD = RANDOM.normal(0, 1, 40_000).astype("<f4")
NEW = OLD + RANDOM.normal(0, 0.1, OLD.size).astype("<f4")
OTHER = RANDOM.normal(0, 1, OLD.size).astype("<f4")
LENGTH = 4 * OLD.size


def like(one: bytes, other: bytes, element: Element = Element.F32, *, everywhere: bool = False) -> bool:
    def read(file: int, start: int, end: int) -> bytes:
        return (one, other)[file][start:end]

    whole = Source(0, 0, len(one)), Source(1, 0, len(other))
    return alike(read, element, *whole, everywhere=everywhere)


def test_trained_numbers_are_like_what_they_were() -> None:
    assert like(OLD.tobytes(), NEW.tobytes())
    assert like(OLD.tobytes(), NEW.tobytes(), everywhere=True)


def test_other_numbers_are_not() -> None:
    assert not like(OLD.tobytes(), OTHER.tobytes())
    assert not like(OLD.tobytes(), OTHER.tobytes(), everywhere=True)


def test_an_exchanged_part_shows_only_where_it_lies() -> None:
    mixed = np.concatenate([NEW[:30_000], OTHER[30_000:]]).tobytes()
    assert like(OLD.tobytes(), mixed)
    assert not like(OLD.tobytes(), mixed, everywhere=True)


@pytest.mark.parametrize("element", sorted(set(Element) - SIGNED))
def test_what_has_no_sign_may_be_like_anything(element: Element) -> None:
    data = Random(1).randbytes(64 * element.size)
    assert like(data, bytes(len(data)), element)


def test_a_few_numbers_say_nothing() -> None:
    assert like(OLD[:63].tobytes(), (-OLD[:63]).tobytes())
    assert not like(OLD[:64].tobytes(), (-OLD[:64]).tobytes())


@pytest.mark.parametrize("count", [1, 255, 256, 2047, 2048, 2049, 2304, 40_000])
def test_at_most_so_many_numbers_are_read_and_none_beyond_the_end(count: int) -> None:
    data = OLD[:count].tobytes()

    def read(_: int, start: int, end: int) -> bytes:
        assert 0 <= start < end <= len(data)
        return data[start:end]

    found = signs(read, Element.F32, Source(0, 0, len(data)))
    assert found.size == min(count, 2048)
    if count <= 2048:
        assert np.array_equal(found, OLD[:count] < 0)
