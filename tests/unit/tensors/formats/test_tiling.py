"""A reader is chosen by content and name; files of a component are read together; spans always tile."""

from pathlib import Path

import numpy as np
import pytest

from airlift.errors import MalformedError
from airlift.tensors.element import Element
from airlift.tensors.formats import tiling
from airlift.tensors.formats.tiling import component_spans, spans
from airlift.tensors.layout import MAX_DIMENSIONS, tensor
from airlift.tensors.span import opaque
from tests.support.container_files import (
    GOLDEN,
    archive,
    coreml_weights,
    ctranslate2_file,
    external,
    fasttext_file,
    golden,
    npy,
    onnx,
    onnx_tensor,
    openvino_text,
    speech,
)
from tests.support.gguf_files import gguf
from tests.support.tensor_files import safetensors

F32 = 1
NUMBERS = {
    "safetensors": safetensors({"w": ("F32", [2], [0, 8])}, bytes(8)),
    "npy": npy(np.ones(4, "f4")),
    "zip": archive({"a.npy": npy(np.ones(4, "f4"))}),
    "tflite": golden("model.tflite"),
    "fasttext": fasttext_file((b"up",), 2, 2),
    "whisper": speech(),
    "coreml": coreml_weights((2, bytes(8))),
    "ctranslate2": ctranslate2_file({"w": (0, (2,), bytes(8))}),
    "onnx": onnx(onnx_tensor("w", F32, (2,), bytes(8))),
}


def write(folder: Path, files: dict[str, bytes]) -> dict[str, Path]:
    paths = {}
    for number, (name, data) in enumerate(files.items()):
        paths[name] = folder / str(number)
        paths[name].write_bytes(data)
    return paths


@pytest.mark.parametrize("kind", NUMBERS)
def test_content_tells_whatever_the_name_is(kind: str, tmp_path: Path) -> None:
    (path,) = write(tmp_path, {"x": NUMBERS[kind]}).values()
    assert any(span.element is Element.F32 for span in spans(path, "weights.bin"))
    assert spans(path) == spans(path, "folder/WEIGHTS")


@pytest.mark.parametrize("kind", NUMBERS)
@pytest.mark.parametrize("cut", [1, 9, 30])
def test_what_its_reader_refuses_is_opaque(kind: str, cut: int, tmp_path: Path) -> None:
    data = NUMBERS[kind][:-cut]
    (path,) = write(tmp_path, {"x": data}).values()
    found = spans(path, "x.bin")
    assert sum(span.length for span in found) == len(data)
    assert all(span.element is Element.BYTES for span in found) or kind in {"npy", "tflite"}


@pytest.mark.parametrize("name", ["x.onnx", "x.xml", "x.gguf", "x.safetensors", "x.zip", "x"])
@pytest.mark.parametrize("data", [b"", b"\x08", b"PK\3\4", b"text" * 200, bytes(3000), b"\xff" * 3000])
def test_any_file_may_have_any_name(name: str, data: bytes, tmp_path: Path) -> None:
    (path,) = write(tmp_path, {name: data}).values()
    assert spans(path, name) == ((opaque(0, len(data)),) if data else ())


def test_only_two_formats_are_refused_when_they_are_damaged() -> None:
    assert tiling.reader("a/MODEL.safetensors") is not None
    assert tiling.reader("m.gguf") is not None
    assert [tiling.reader(f"m.{kind}") for kind in ("onnx", "tflite", "npz", "pt", "xml", "bin")] == [
        None
    ] * 6


def test_a_gguf_file_may_have_another_name(tmp_path: Path) -> None:
    (path,) = write(tmp_path, {"x": gguf()}).values()
    assert spans(path, "model.bin") == spans(path, "model.gguf")


# -- files that tell of others -------------------------------------------------------------------------------------


def outside(name: str, start: int, length: int = 8, location: str = "w.bin") -> bytes:
    return external(name, F32, (length // 4,), location=location, offset=str(start), length=str(length))


def test_a_model_tells_what_is_in_files_beside_it(tmp_path: Path) -> None:
    files = {
        "sub/m.onnx": onnx(outside("a", 0), outside("b", 12)),
        "sub/w.bin": bytes(30),
        "w.bin": bytes(30),
        "ov/m.xml": openvino_text('element_type="f16" shape="3" offset="4" size="6"'),
        "ov/m.bin": bytes(10),
    }
    found = component_spans(write(tmp_path, files))
    assert [(s.name, s.start, s.end) for s in found["sub/w.bin"]] == [
        ("a", 0, 8), ("", 8, 12), ("b", 12, 20), ("", 20, 30),
    ]  # fmt: skip
    assert found["w.bin"] == (opaque(0, 30),)
    assert [(s.name, s.element) for s in found["ov/m.bin"]] == [("", Element.BYTES), ("w0", Element.F16)]


@pytest.mark.parametrize("location", ["../w.bin", "/w.bin", "..", ".", "", "x\0", "missing", "../sub/w.bin"])
def test_only_files_of_the_component_are_told_of(location: str, tmp_path: Path) -> None:
    files = {
        "sub/m.onnx": onnx(outside("a", 0, location=location)),
        "sub/w.bin": bytes(30),
        "other": bytes(3),
    }
    found = component_spans(write(tmp_path, files))
    assert {name: len(found[name]) for name in ("sub/w.bin", "other")} == {"sub/w.bin": 1, "other": 1}


@pytest.mark.parametrize("told", [(outside("a", 24),), (outside("a", 0), outside("b", 4))])
def test_what_does_not_fit_the_other_file_leaves_it_opaque(told: tuple[bytes, ...], tmp_path: Path) -> None:
    assert component_spans(write(tmp_path, {"m.onnx": onnx(*told), "w.bin": bytes(30)}))["w.bin"] == (
        opaque(0, 30),
    )


def test_two_models_may_tell_of_one_file(tmp_path: Path) -> None:
    files = {
        "decoder.onnx": onnx(outside("shared", 0), outside("second", 8)),
        "encoder.onnx": onnx(outside("tied", 0), outside("first", 16)),
        "w.bin": bytes(24),
    }
    found = component_spans(write(tmp_path, files))["w.bin"]
    assert [span.name for span in found] == ["shared", "second", "first"]


def test_a_container_tells_of_itself(tmp_path: Path) -> None:
    held = npy(np.ones(40, "f4"))
    found = component_spans(write(tmp_path, {"m.onnx": onnx(outside("a", 0)), "w.bin": held}))["w.bin"]
    assert [span.name for span in found] == ["", "array"]


def test_names_that_come_again_are_numbered(tmp_path: Path) -> None:
    data = onnx(*[onnx_tensor("w", F32, (2,), bytes(8))] * 3)
    (path,) = write(tmp_path, {"x": data}).values()
    assert [span.name for span in spans(path) if span.name] == ["w", "w#2", "w#3"]


def test_golden_files_by_themselves_tile() -> None:
    for path in GOLDEN.rglob("*.*"):
        found = spans(path)
        assert (found[0].start, found[-1].end) == (0, path.stat().st_size)


# -- tensors -------------------------------------------------------------------------------------------------------


def test_a_tensor_has_its_shape_or_one_row_or_is_bytes() -> None:
    assert tensor("t", Element.F32, (2, 3), 8, 24).shape == (2, 3)
    assert tensor("t", Element.F32, (2, 3), 8, 20).shape == (5,)
    assert tensor("t", Element.F32, (2, 3), 8, 21) == tensor("t", Element.BYTES, (), 8, 21)
    assert tensor("", Element.F32, (), 8, 4).name == "@8"


@pytest.mark.parametrize("shape", [(-1,), (2, -3), (1,) * (MAX_DIMENSIONS + 1)])
def test_impossible_shapes_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(MalformedError, match="impossible shape"):
        tensor("t", Element.F32, shape, 0, 4)
