"""Numbers in opaque bytes: found by what their bytes tell, wherever they begin."""

from random import Random

import numpy as np
import pytest

from airlift.tensors.element import Element
from airlift.tensors.matching import evidence
from airlift.tensors.matching.evidence import LEAST_BYTES, typed
from airlift.tensors.matching.segment import Segment, Source

NOISE = Random(1).randbytes(256 << 10)
WEIGHTS = np.random.default_rng(1).normal(0, 0.02, 200_000)
TEXT = (b"the quick brown fox %d jumps over the lazy dog\n" * 4000)[: 128 << 10]


def brain(values: "np.ndarray[tuple[int, ...], np.dtype[np.float64]]") -> bytes:
    return (values.astype("<f4").view("<u4") >> 16).astype("<u2").tobytes()


NUMBERS = {
    Element.F32: WEIGHTS.astype("<f4").tobytes(),
    Element.F64: WEIGHTS.astype("<f8").tobytes(),
    Element.F16: WEIGHTS.astype("<f2").tobytes(),
    Element.BF16: brain(WEIGHTS),
}


def found(data: bytes, source: Source | None = None) -> list[Segment]:
    part = Segment(0, len(data), Element.BYTES, 0, source)
    return typed([[part]], 1, lambda _, start, end: data[start:end])[0]


@pytest.mark.parametrize("element", NUMBERS)
@pytest.mark.parametrize("lead", [0, 1, 3, 6, 7])
def test_numbers_are_found_wherever_they_begin(element: Element, lead: int) -> None:
    parts = found(NOISE[:lead] + NUMBERS[element])
    (numbers,) = (part for part in parts if part.element is not Element.BYTES)
    assert (numbers.element, numbers.start % element.size) == (element, lead % element.size)
    assert numbers.length > len(NUMBERS[element]) - 3 * evidence.WINDOW_BYTES


@pytest.mark.parametrize(
    "data", [NOISE, TEXT, bytes(256 << 10), bytes(range(256)) * 1024, NUMBERS[Element.F32][:30_000]]
)
def test_what_is_no_numbers_stays_opaque(data: bytes) -> None:
    assert found(data) == [Segment(0, len(data), Element.BYTES, 0, None)]


def test_numbers_between_other_things_are_cut_out() -> None:
    data = TEXT + b"x" + NUMBERS[Element.F16] + NOISE + NUMBERS[Element.F32]
    parts = found(data)
    assert [part.element for part in parts if part.element is not Element.BYTES] == [Element.F16, Element.F32]
    assert [part.start for part in parts] == [0, *(part.end for part in parts[:-1])]
    assert parts[-1].end == len(data)
    assert all(part.length % part.element.size == 0 for part in parts)


def test_the_counterpart_goes_along() -> None:
    data = b"abc" + NUMBERS[Element.F32]
    parts = found(data, Source(0, 1000, 1000 + len(data)))
    assert all(part.source == Source(0, part.start + 1000, part.end + 1000) for part in parts)
    assert parts[1].element is Element.F32


def test_what_is_only_similar_is_left_alone() -> None:
    data = NUMBERS[Element.F32]
    (part,) = found(data, Source(0, 0, len(data) + 1))
    assert part.element is Element.BYTES


def test_of_a_long_segment_some_windows_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(evidence, "MAX_WINDOWS", 8)
    data = NUMBERS[Element.F32]
    read: list[int] = []

    def reading(_: int, start: int, end: int) -> bytes:
        read.append(end - start)
        return data[start:end]

    (part,) = typed([[Segment(0, len(data), Element.BYTES, 0, None)]], 1, reading)[0]
    assert part.element is Element.F32
    assert len(read) <= 9
    assert max(read) <= evidence.WINDOW_BYTES


def test_tensors_are_left_alone() -> None:
    part = Segment(0, 4 * LEAST_BYTES, Element.U8, 0, None)
    assert typed([[part]], 1, lambda *_: pytest.fail("nothing is read"))[0] == [part]
