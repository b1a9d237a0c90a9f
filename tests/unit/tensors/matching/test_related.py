"""Tensors that were renamed, fused, split or reordered and trained on are found by the signs of their rows."""

from collections.abc import Mapping, Sequence

import numpy as np
import pytest
from numpy.typing import NDArray

from airlift.tensors.element import Element
from airlift.tensors.matching import related
from airlift.tensors.matching.match import FileSpans, match
from airlift.tensors.matching.related import relate
from airlift.tensors.matching.segment import Segment
from airlift.tensors.span import TensorSpan, tile

RANDOM = np.random.default_rng(7)
Weights = NDArray[np.float32]
Tensors = Mapping[str, Weights]


def weights(rows: int, columns: int = 384) -> Weights:
    return RANDOM.normal(0, 0.02, (rows, columns)).astype("<f4")


def trained(values: Weights) -> Weights:
    return (values + RANDOM.normal(0, 0.0005, values.shape)).astype("<f4")


Q, K, V = weights(300), weights(300), weights(200)


def file(tensors: Tensors, path: str) -> tuple[FileSpans, bytes]:
    spans, data = [], b"head"
    for name, values in tensors.items():
        body = values.tobytes()
        spans.append(TensorSpan(name, Element.F32, values.shape, len(data), len(data) + len(body)))
        data += body
    return FileSpans(path, "c", len(data), tile(spans, len(data))), data


def found(base: Tensors, target: Tensors, others: Sequence[Tensors] = ()) -> list[Segment]:
    """Return the segments of the last target."""
    files = [file(item, f"{number}") for number, item in enumerate([base, *others, target])]
    spans, data = [item[0] for item in files], [item[1] for item in files]

    def read(number: int, start: int, end: int) -> bytes:
        return data[number][start:end]

    parts = relate(spans, 1, match(spans, 1, read), read)[-1]
    assert [part.start for part in parts] == [0, *(part.end for part in parts[:-1])]
    assert parts[-1].end == len(data[-1])
    for part in parts:
        if part.source is not None and part.element is Element.F32:
            mine = np.frombuffer(data[-1][part.start : part.end], "<f4")
            theirs = np.frombuffer(data[part.source.file][part.source.start : part.source.end], "<f4")
            assert np.mean(np.signbit(mine) == np.signbit(theirs)) > 0.9
    return [part for part in parts if part.element is Element.F32]


def lengths(parts: Sequence[Segment], columns: int = 384) -> list[tuple[int, bool]]:
    """Return the rows of each part, and whether it has a source."""
    return [(part.length // 4 // columns, part.source is not None) for part in parts]


def test_a_renamed_tensor_is_found() -> None:
    assert lengths(found({"a": Q, "b": K}, {"model.b": trained(K)})) == [(300, True)]


def test_fused_tensors_are_found_in_any_order() -> None:
    fused = trained(np.concatenate([K, V, Q]))
    assert lengths(found({"v": V, "k": K, "q": Q}, {"qkv": fused})) == [(300, True), (200, True), (300, True)]


def test_a_split_tensor_is_found_part_by_part() -> None:
    parts = found({"qkv": np.concatenate([Q, K, V])}, {"v": trained(V), "q": trained(Q)})
    assert lengths(parts) == [(200, True), (300, True)]


def test_stacked_experts_in_another_order_are_found() -> None:
    experts = [weights(100) for _ in range(6)]
    stacked = np.stack([trained(experts[number]) for number in (3, 1, 5, 0, 2, 4)])
    assert (
        lengths(found({f"e{n}": one for n, one in enumerate(experts)}, {"experts": stacked}))
        == [(100, True)] * 6
    )


def test_what_is_new_in_between_stays_alone() -> None:
    grown = np.concatenate([trained(Q), weights(150), trained(K)])
    assert lengths(found({"q": Q, "k": K}, {"new": grown})) == [(300, True), (150, False), (300, True)]


def test_an_earlier_file_of_the_bundle_counts_too() -> None:
    parts = found({"x": V}, {"again": trained(Q)}, [{"new": Q}])
    assert lengths(parts) == [(300, True)]
    assert parts[0].source is not None
    assert parts[0].source.file == 1


@pytest.mark.parametrize(
    "target",
    [
        weights(300),
        np.abs(weights(300)),
        np.zeros_like(Q),
        weights(300, 383),
        weights(30),
        Q.reshape(-1, 32),
        Q.reshape(-1),
    ],
)
def test_unrelated_numbers_have_no_source(target: Weights) -> None:
    parts = found({"q": np.abs(Q), "k": K, "z": np.zeros((500, 384), "<f4")}, {"n": target})
    assert [part.source for part in parts] == [None]


def test_of_very_many_rows_some_are_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(related, "MAX_ROWS", 200)
    parts = found({"q": Q, "k": K}, {"model.k": trained(K)})
    assert sum(rows for rows, source in lengths(parts) if source) == 300


def test_long_rows_are_not_read_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(related, "SHORT_ROW_BYTES", 512)
    assert lengths(found({"q": Q}, {"model.q": trained(Q)})) == [(300, True)]


def test_a_run_ends_with_the_file_that_it_is_of(monkeypatch: pytest.MonkeyPatch) -> None:
    """More rows follow in the target, all of them zero as if the file went on."""
    monkeypatch.setattr(related, "LOOKED_AT", 64)
    grown = np.concatenate([trained(Q), np.zeros((100, 384), "<f4")])
    assert lengths(found({"q": Q}, {"x": grown}))[0] == (300, True)
    led = np.concatenate([np.zeros((100, 384), "<f4"), trained(Q)])
    assert lengths(found({"q": Q}, {"x": led})) == [(100, False), (300, True)]


def test_the_rows_of_all_files_together_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Memory does not grow with the number of files, each of which looks at those before it."""
    monkeypatch.setattr(related, "MAX_ROWS", 200)
    monkeypatch.setattr(related, "SHORT_ROW_BYTES", 0)
    written = [file({f"n{number}": weights(400)}, f"f{number}") for number in range(9)]
    files, asked = [spans for spans, _ in written], 0

    def read(number: int, start: int, end: int) -> bytes:
        nonlocal asked
        asked += end - start == 4 * related.COLUMNS
        return written[number][1][start:end]

    relate(files, 0, [[Segment(4, 4 + 400 * 384 * 4, Element.F32, 384, None)] for _ in files], read)
    assert asked <= 200 + len(files) * (1 + related.QUERIES)
