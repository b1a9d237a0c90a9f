"""Windows of both sides show the same numbers, with the one scale that they share."""

from dataclasses import replace

import numpy as np
import pytest

from airlift.tensors.element import Element
from airlift.tensors.matching.conversions import Place
from airlift.tensors.matching.hint import Conversion, Rule, ScalesFrom
from airlift.tensors.matching.segment import Source
from airlift.tensors.matching.windows import MAX_NUMBERS, Pair
from airlift.tensors.span import TensorSpan
from tests.support import quantisers
from tests.support.quantisers import model

MODEL = model(256, 384)
FP8 = bytes(range(256)) * 384  # 256 rows, told apart by their bytes
SCALES = np.arange(6, dtype="<f4").tobytes()
FILES = [MODEL.tobytes(), b"head" + FP8, SCALES]
ROWS = Conversion(
    rule=Rule.SCALE, source=Element.BF16, columns=384, scales_from=ScalesFrom.LARGEST, group=(1, 0)
)


def place(file: int, element: Element, *shape: int, start: int = 0) -> Place:
    return Place(file, TensorSpan("w", element, shape, start, len(FILES[file])))


def pair(scales: Place | None = None, files: list[bytes] = FILES) -> Pair:
    return Pair(
        place(1, Element.F8_E4M3, 256, 384, start=4), place(0, Element.BF16, 256, 384), scales,
        lambda number, start, end: files[number][start:end],
    )  # fmt: skip


def test_whole_rows_where_scales_are_computed() -> None:
    windows = pair().windows(ROWS)
    rows = [FP8[start : start + 384] for start in range(0, len(FP8), 384)]
    numbers = [rows.index(window.target) for window in windows]
    assert len(windows) == 6
    assert {number % 2 for number in numbers} == {0, 1}
    for window in windows:
        found = [n for n, row in enumerate(rows) if row == window.target]
        assert any(window.source == MODEL[n].tobytes() for n in found)


def test_blocks_have_their_own_scale() -> None:
    hint = replace(ROWS, group=(128, 128))
    windows = pair(place(2, Element.F32, 2, 3)).windows(hint)
    assert [(len(window.target), window.columns) for window in windows] == [(128 * 128, 128)] * 2
    assert [np.frombuffer(window.scale, "<f4").tolist() for window in windows] == [[0], [4]]
    (first, _) = windows
    assert first.source == MODEL[:128, :128].tobytes()


def test_parts_of_rows_elsewhere() -> None:
    hint = Conversion(rule=Rule.CAST, source=Element.BF16, columns=1)
    assert {len(window.target) for window in pair().windows(hint)} == {384}
    assert pair().windows(replace(hint, group=(1, 0))) != []


def test_turned_rows_come_from_both_halves() -> None:
    turned = quantisers.turned(MODEL, 64)
    files = [MODEL.tobytes(), turned.tobytes()]
    both = Pair(
        Place(1, TensorSpan("w", Element.BF16, (256, 384), 0, len(files[1]))), place(0, Element.BF16, 256, 384), None,
        lambda number, start, end: files[number][start:end],
    )  # fmt: skip
    windows = both.windows(Conversion(rule=Rule.CAST, source=Element.BF16, columns=384, head=64))
    assert all(window.target == window.source for window in windows)


def test_scales_are_windows_of_one_number() -> None:
    windows = pair(place(2, Element.F32, 2, 3)).scale_windows(replace(ROWS, group=(128, 128)))
    assert [np.frombuffer(window.target, "<f4").tolist() for window in windows] == [[0], [3]]
    assert windows[0].source == MODEL[:128, :128].tobytes()
    large = replace(ROWS, group=(1, 0))
    assert len(pair(place(2, Element.F32, 6)).scale_windows(large)) == 16
    assert pair(place(2, Element.F32, 1)).scale_windows(replace(ROWS, group=(0, 0))) != []


def test_what_is_too_large_has_no_window() -> None:
    wide = Pair(
        Place(0, TensorSpan("w", Element.F8_E4M3, (2, MAX_NUMBERS + 1), 0, 9)),
        Place(0, TensorSpan("w", Element.BF16, (2, MAX_NUMBERS + 1), 0, 9)), None, lambda *_: b"",
    )  # fmt: skip
    assert wide.windows(ROWS) == []
    assert wide.scale_windows(ROWS) == []


@pytest.mark.parametrize("origin", [ScalesFrom.PAYLOAD, ScalesFrom.LARGEST])
def test_the_whole_tensor_gets_the_hint(origin: ScalesFrom) -> None:
    scales = place(2, Element.F32, 2, 3)
    hint = replace(ROWS, scales_from=origin)
    hinted = pair(scales).hinted(hint)
    assert (hinted.start, hinted.end, hinted.columns) == (4, len(FILES[1]), 384)
    assert hinted.source == Source(0, 0, len(FILES[0]))
    assert hinted.aside == (Source(2, 0, 24) if origin is ScalesFrom.PAYLOAD else None)
    found = pair(scales).hinted_scales(hint, scales)
    assert (found.start, found.end, found.source) == (0, 24, Source(0, 0, len(FILES[0])))


def test_rules_of_single_numbers_are_cut_between_rows() -> None:
    cast = Conversion(rule=Rule.CAST, source=Element.BF16, columns=1)
    assert pair().fitted(cast).columns == 384
    assert pair().fitted(ROWS) == ROWS
