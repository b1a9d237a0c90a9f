"""The codec inside a codec: the shorter of planes and ulp, without coding a long block by both."""

from typing import Any

import numpy as np
import pytest

from airlift.codec.block import Context, Effort
from airlift.codec.plain.planes import PLANES
from airlift.codec.plain.raw_equal import EQUAL
from airlift.codec.predict import inner
from airlift.codec.sampling import LONG
from airlift.codec.ulp.ulp import ULP
from airlift.tensors.element import Element

COUNT = 1 << 19
BOTH = {codec.id: codec for codec in (PLANES, ULP)}


def block(element: Element, share: float, reach: int, count: int = COUNT) -> tuple[memoryview, memoryview]:
    """Return numbers and a prediction that misses a share of them, by less than ``reach`` units."""
    rng = np.random.default_rng(11)
    kind = f"<u{element.size}"
    base = (rng.standard_normal(count).astype("<f4").view("<u4") >> (32 - 8 * element.size)).astype(kind)
    wrong = rng.random(count) < share
    return tuple(
        memoryview(bits.tobytes())
        for bits in (base + (wrong * rng.integers(1, reach, count)).astype(kind), base)
    )  # type: ignore[return-value]


@pytest.mark.parametrize("element", [Element.BF16, Element.F32])
@pytest.mark.parametrize("share", [1e-5, 3e-4, 0.002, 0.02, 0.4, 1.0])
def test_what_comes_out_is_no_longer_than_the_shorter_of_both(element: Element, share: float) -> None:
    target, prediction = block(element, share, 4)
    inside = Context([prediction], element)
    made = {number: codec.encode(target, inside, Effort.NORMAL) for number, codec in BOTH.items()}
    codec, data = inner.encode(target, prediction, Context([], element), Effort.NORMAL)
    assert data == made[codec]
    assert len(data) <= 1.02 * min(len(item) for item in made.values() if item is not None) + 64


def test_planes_of_wide_numbers_are_taken_where_they_are_shorter() -> None:
    target, prediction = block(Element.F32, 1.0, 1 << 31)
    high = memoryview((np.frombuffer(target, "<u4") & np.uint32(0xFFFF0000)).tobytes())
    codec, data = inner.encode(high, prediction, Context([], Element.F32), Effort.NORMAL)
    assert codec == PLANES.id
    assert len(data) < len(ULP.encode(high, Context([prediction], Element.F32), Effort.NORMAL) or b"")


def test_planes_are_left_out_where_they_would_lose(monkeypatch: pytest.MonkeyPatch) -> None:
    target, prediction = block(Element.BF16, 0.05, 4)
    assert len(target) > LONG
    tried: list[float] = []

    def never(*given: Any) -> bool:
        tried.append(given[-1])
        return False

    monkeypatch.setattr(inner, "_tries_planes", never)
    codec, _ = inner.encode(target, prediction, Context([], Element.BF16), Effort.NORMAL)
    monkeypatch.undo()
    assert len(tried) == 1
    assert codec == ULP.id
    assert not inner._tries_planes(
        target, Context([prediction], Element.BF16), Effort.NORMAL, 0.05 * len(target)
    )
    assert inner._tries_planes(target, Context([prediction], Element.BF16), Effort.NORMAL, 100)


def test_a_prediction_that_is_right_costs_nothing() -> None:
    target, _ = block(Element.BF16, 0.0, 2)
    assert inner.encode(target, memoryview(bytes(target)), Context([], Element.BF16), Effort.NORMAL) == (
        EQUAL.id,
        b"",
    )
