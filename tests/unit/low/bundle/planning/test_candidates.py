"""Where numbers may have come from: by name, then by pattern, and only from files before."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from airlift.low.bundle.planning.candidates import MOST_TRIED, Candidates, candidates, is_open, same_sample
from airlift.tensors.element import Element
from airlift.tensors.matching.conversions import Place
from airlift.tensors.matching.hint import Grid
from airlift.tensors.matching.match import FileSpans
from airlift.tensors.matching.segment import Segment, Source
from airlift.tensors.span import TensorSpan
from tests.support import quantisers

BF16, F32, I8 = Element.BF16, Element.F32, Element.I8
SHAPE = (32, 64)
MODEL = quantisers.model(*SHAPE)
DATA = {
    BF16: MODEL.tobytes(),
    F32: quantisers.floats(MODEL).tobytes(),
    I8: quantisers.integers(quantisers.floats(MODEL), (1, 0))[0].tobytes(),
}
OTHER = quantisers.model(*SHAPE, seed=9).tobytes()


def setting(
    *files: tuple[str, Element, bytes], bases: int = 1, wanted: Callable[[TensorSpan], bool] = lambda _: True
) -> tuple[Candidates, list[Place]]:
    """Return the candidates of files of one tensor each (name, element, bytes), and the tensors."""
    spans = [TensorSpan(name, element, SHAPE, 0, len(data)) for name, element, data in files]
    known = [FileSpans(f"{n}", "model", span.length, (span,)) for n, span in enumerate(spans)]
    places = [Place(number, span) for number, span in enumerate(spans)]

    def read(number: int, start: int, end: int) -> bytes:
        return files[number][2][start:end]

    return candidates(known, bases, read, wanted), places


def test_a_name_leads_to_other_elements_of_files_before() -> None:
    index, places = setting(
        ("h.w.weight", BF16, DATA[BF16]), ("model.h.w.weight", F32, DATA[F32]), ("h.w.weight", I8, DATA[I8]),
        ("h.w.weight", F32, DATA[F32]),
    )  # fmt: skip
    assert [place.file for place in index.likely(places[2], named=True)] == [1, 0]
    assert list(index.likely(places[0], named=True)) == []


def test_a_pattern_leads_to_what_no_name_does() -> None:
    index, places = setting(
        ("a", BF16, OTHER), ("b", BF16, DATA[BF16]), ("c", F32, DATA[F32]), ("d", BF16, DATA[BF16])
    )
    assert list(index.likely(places[2], named=True)) == []
    assert [place.file for place in index.likely(places[2], named=False)] == [1]


def test_of_many_alike_a_few_are_tried() -> None:
    many = [(f"t{n}", BF16, DATA[BF16]) for n in range(3 * MOST_TRIED)]
    index, places = setting(*many, ("x", I8, DATA[I8]))
    assert len(list(index.likely(places[-1], named=False))) == MOST_TRIED


def test_what_is_not_wanted_is_never_yielded() -> None:
    index, places = setting(
        ("a", BF16, DATA[BF16]), ("a", I8, DATA[I8]), wanted=lambda span: span.element is not BF16
    )
    assert list(index.likely(places[1], named=False)) == []


def test_copies_are_of_the_release() -> None:
    files = [("w.weight", BF16, DATA[BF16])] * 3
    index, places = setting(*files)
    assert [place.file for place in index.copies(places[2])] == [1]


def test_scales_are_found_by_name_in_the_release() -> None:
    index, places = setting(
        ("w.weight_scale", F32, DATA[F32]), ("w.weight", I8, DATA[I8]), ("w.weight_scale", F32, DATA[F32])
    )
    assert index.scales_of("model", "w.weight") == places[2]
    assert index.scales_of("other", "w.weight") is None


# -- tensors that need a source ------------------------------------------------------------------------------------


def opened(*, source: Source | None, end: int = 4096, more: bytes = DATA[BF16]) -> bool:
    """Return whether the tensor of 4,096 bytes is open in a segment."""
    index, places = setting(("w", BF16, more), ("w", BF16, DATA[BF16]))
    return is_open(places[1], Segment(0, end, BF16, 64, source), index.read)


def test_a_tensor_is_open_without_a_counterpart_or_with_one_that_changed() -> None:
    assert opened(source=None)
    assert not opened(source=Source(0, 0, 4096))
    assert opened(source=Source(0, 0, 4096), more=OTHER)


def test_a_tensor_that_is_cut_or_explained_is_not() -> None:
    assert not opened(source=None, end=4000)
    assert not opened(source=Source(0, 0, 4095), more=OTHER)
    index, places = setting(("w", BF16, DATA[BF16]))
    hinted = Segment(0, 4096, BF16, 64, None, hint=Grid(columns=64, group=(1, 0)))
    assert not is_open(places[0], hinted, index.read)


@pytest.mark.parametrize("place", [0, 3000, 9000])
def test_samples_tell_most_changes(place: int) -> None:
    long = np.arange(5000, dtype="<u2").tobytes()
    other = bytearray(long)
    other[place] ^= 1
    index, places = setting(("a", BF16, long), ("b", BF16, bytes(other)), ("c", BF16, long))
    assert same_sample(places[2], places[0], index.read)
    assert not same_sample(places[2], places[1], index.read)
    moved = replace(places[2], span=replace(places[2].span, start=2))
    assert not same_sample(moved, places[0], index.read)
