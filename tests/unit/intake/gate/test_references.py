import json

import pytest

from airlift.errors import ForbiddenFileError
from airlift.intake.gate.references import check_external, check_index
from airlift.intake.gate.views import Held
from tests.unit.intake.gate.test_containers import field, onnx


def check(name: str, document: object, *others: str) -> None:
    data = document if isinstance(document, bytes) else json.dumps(document).encode()
    check_index(name, Held(data), frozenset({name, *others}))


@pytest.mark.parametrize("suffix", ["safetensors", "bin", "h5", "msgpack"])
def test_an_index_needs_all_its_files(suffix: str) -> None:
    """THREATS, content: an index whose files are not all there."""
    name = f"sub/model.{suffix}.index.json"
    names = {f"layer.{n}": f"model-{n}.{suffix}" for n in (1, 2, 3)}
    there = [f"sub/{file}" for file in names.values()]
    check(name, {"weight_map": names}, *there)
    with pytest.raises(ForbiddenFileError, match="names 1 of 3 files") as caught:
        check(name, {"weight_map": names}, *there[:2])
    assert caught.value.found == f"'model-3.{suffix}'"
    assert "git lfs pull" in caught.value.hint
    with pytest.raises(ForbiddenFileError, match="no index"):
        check(name, {})


def test_other_indices_are_none_of_weights() -> None:
    check("search.index.json", {"a": 1})
    check("search.index.json", b"\xff")
    with pytest.raises(ForbiddenFileError):
        check("other.index.json", {"weight_map": {"a": "missing"}})


@pytest.mark.parametrize("location", ["../weights.bin", "/etc/passwd", "a\\b", "missing.bin", "a/../../b"])
def test_onnx_data_elsewhere(location: str) -> None:
    """THREATS, content: a model whose numbers are outside of its folder, or missing."""
    with pytest.raises(ForbiddenFileError, match="names 1 of 1 files"):
        check_external("m/model.onnx", Held(onnx(location)), frozenset({"m/model.onnx", "weights.bin"}))


def test_onnx_data_beside_it() -> None:
    paths = frozenset({"m/model.onnx", "m/model.onnx_data", "m/sub/data"})
    check_external("m/model.onnx", Held(onnx("model.onnx_data")), paths)
    check_external("m/model.onnx", Held(onnx("sub/data")), paths)
    check_external("m/model.onnx", Held(onnx(None)), paths)
    check_external("m/model.onnx", Held(field(7, b"\xff")), paths)
