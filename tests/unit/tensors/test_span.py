"""Spans tile every file, whatever it is."""

from pathlib import Path

import pytest

from airlift.errors import InventoryError, MalformedError
from airlift.tensors.element import Element
from airlift.tensors.formats.tiling import spans
from airlift.tensors.span import SMALL_BYTES, TensorSpan, coarse, opaque, tile
from tests.support.tensor_files import safetensors, with_header

MODEL = safetensors(
    {"a": ("U8", [3], [0, 3]), "z": ("U8", [0], [3, 3]), "b": ("U16", [2], [3, 7])}, b"aaabbbb"
)


def tensor(start: int, end: int) -> TensorSpan:
    return TensorSpan("t", Element.U8, (end - start,), start, end)


def write(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path


def test_a_span_knows_its_length() -> None:
    assert opaque(3, 10).length == 7
    assert opaque(3, 10).opaque
    assert not tensor(3, 10).opaque


def test_what_lies_between_tensors_is_opaque() -> None:
    assert tile([tensor(6, 8), tensor(2, 5), tensor(5, 5)], 9) == (
        opaque(0, 2),
        tensor(2, 5),
        opaque(5, 6),
        tensor(6, 8),
        opaque(8, 9),
    )


def test_tensors_may_fill_everything() -> None:
    assert tile([tensor(0, 4), tensor(4, 9)], 9) == (tensor(0, 4), tensor(4, 9))


@pytest.mark.parametrize("tensors", [[tensor(0, 4), tensor(3, 5)], [tensor(5, 10)], [tensor(5, 4)]])
def test_tensors_that_overlap_or_leave_the_file_are_refused(tensors: list[TensorSpan]) -> None:
    with pytest.raises(MalformedError):
        tile(tensors, 9)


@pytest.mark.parametrize("name", ["model.safetensors", "MODEL.SafeTensors"])
def test_a_safetensors_file_is_its_header_and_its_tensors(name: str, tmp_path: Path) -> None:
    start = len(MODEL) - 7
    assert spans(write(tmp_path / name, MODEL)) == (
        opaque(0, start),
        TensorSpan("a", Element.U8, (3,), start, start + 3),
        TensorSpan("b", Element.U16, (2,), start + 3, start + 7),
    )


def test_a_file_named_by_its_digest_is_known_by_how_it_starts(tmp_path: Path) -> None:
    path = write(tmp_path / "0f3a", MODEL)
    assert len(spans(path)) == 3
    assert spans(path) == spans(path, "model.safetensors") == spans(path, "model.bin")


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("model.bin", b"not a model at all"),
        ("model.safetensors", b"not safetensors at all"),
        ("model.safetensors", with_header(b'{"a":1}')),
        ("model.safetensors", MODEL[:-1]),
        ("model.safetensors", MODEL + b"!"),
        ("model.safetensors", b"!"),
    ],
)
def test_any_other_file_is_one_opaque_span(name: str, data: bytes, tmp_path: Path) -> None:
    assert spans(write(tmp_path / name, data)) == (opaque(0, len(data)),)


@pytest.mark.parametrize("name", ["empty.txt", "empty.safetensors"])
def test_an_empty_file_has_no_spans(name: str, tmp_path: Path) -> None:
    assert spans(write(tmp_path / name, b"")) == ()


def test_a_link_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(write(tmp_path / "file", b"x"))
    with pytest.raises(InventoryError):
        spans(tmp_path / "link")


@pytest.mark.parametrize(
    ("element", "shape", "row"),
    [
        (Element.F32, (), 0),
        (Element.F32, (5,), 5),
        (Element.F32, (7, 5), 5),
        (Element.F32, (64, 3, 3, 3), 27),
        (Element.F32, (64, 32, 3, 3), 288),
        (Element.F32, (64, 3, 3, 128), 128),
        (Element.F32, (8, 16, 64), 64),
        (Element.Q8_0, (8, 16, 2), 2),
        (Element.BYTES, (8, 16), 0),
    ],
)
def test_a_row_is_what_makes_one_channel(element: Element, shape: tuple[int, ...], row: int) -> None:
    assert TensorSpan("t", element, shape, 0, 0).row == row


def test_small_tensors_between_opaque_bytes_join_these() -> None:
    small, large, end = SMALL_BYTES - 1, 100 + SMALL_BYTES, 200 + SMALL_BYTES
    apart = (opaque(0, 10), tensor(10, 20), opaque(20, 90), tensor(90, 90 + small), opaque(90 + small, end))
    assert coarse(apart) == (opaque(0, end),)
    kept = (opaque(0, 100), tensor(100, large), opaque(large, end))
    assert coarse(kept) == kept
    neighbours = (opaque(0, 5), tensor(5, 9), tensor(9, 12), opaque(12, 20))
    assert coarse(neighbours) == neighbours
    assert coarse(()) == ()
    ends = (tensor(0, 4), opaque(4, 8), tensor(8, 9))
    assert coarse(ends) == ends
