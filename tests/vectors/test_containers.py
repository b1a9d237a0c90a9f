"""What the libraries of other containers write is read here with the same names, elements, shapes and bytes."""

import hashlib
import json
from pathlib import Path

import pytest

from airlift.tensors.formats.tiling import component_spans, spans
from airlift.tensors.span import TensorSpan

FOLDER = Path(__file__).parent / "containers"
EXPECTED = json.loads((FOLDER / "expected.json").read_text())
PATHS = {path.relative_to(FOLDER).as_posix(): path for path in FOLDER.rglob("*") if path.is_file()}
COVERED = {
    "checkpoint.pt": 6840,
    "ctranslate2/model.bin": 5496,
    "fasttext.bin": 9280,
    "fasttext.ftz": 10747,
    "model.onnx": 13752,
    "model.tflite": 5496,
    "openvino.bin": 5496,
    "outside.onnx_data": 5440,
    "script.jit": 4672,
    "weight.bin": 2336,
}
"""Bytes that are numbers of a known element."""


def told(data: bytes, span: TensorSpan) -> list[object]:
    digest = hashlib.sha256(data[span.start : span.end]).hexdigest()
    return [span.element.name, list(span.shape), digest]


@pytest.mark.parametrize("name", EXPECTED)
def test_every_array_is_found_where_the_library_put_it(name: str) -> None:
    data = PATHS[name].read_bytes()
    found = {span.name: told(data, span) for span in component_spans(PATHS)[name] if not span.opaque}
    assert {key: found.get(key) for key in EXPECTED[name]} == EXPECTED[name]


@pytest.mark.parametrize("name", PATHS)
def test_as_much_is_covered_as_there_is(name: str) -> None:
    found = component_spans(PATHS)[name]
    assert sum(span.length for span in found if span.element.name != "BYTES") == COVERED.get(name, 0)
    assert sum(span.length for span in found) == PATHS[name].stat().st_size


@pytest.mark.parametrize("name", ["openvino.bin", "outside.onnx_data"])
def test_numbers_in_another_file_are_bytes_without_the_file_that_tells_of_them(name: str) -> None:
    assert [span.opaque for span in spans(PATHS[name])] == [True]


def test_parts_of_one_storage_and_another_type_are_told_too() -> None:
    found = {span.name: span for span in spans(PATHS["checkpoint.pt"]) if not span.opaque}
    assert found["state_dict.brain"].element.name == "BF16"
    shared = found["checkpoint/data/5"]
    assert (shared.element.name, shared.shape) == ("I64", (64,))
