import json
import os
from pathlib import Path

import pytest

from airlift.errors import ForbiddenFileError
from airlift.intake.gate.judge import judge
from airlift.intake.gate.verdict import KINDS, Verdict
from tests.support.packed import pickled, zipped
from tests.support.weights import noise

ELF = b"\x7fELF" + bytes(60)


def verdict(folder: Path, name: str, data: bytes, kind: str = "model", *others: str) -> Verdict:
    (folder / "file").write_bytes(data)
    descriptor = os.open(folder / "file", os.O_RDONLY)
    try:
        return judge(kind, name, descriptor, frozenset({name, *others}))
    finally:
        os.close(descriptor)


def whats(found: Verdict) -> list[str]:
    assert {objection.what for objection in found.objections} <= set(KINDS)
    return [objection.what for objection in found.objections]


@pytest.mark.parametrize("kind", ["model", "data", "prompt"])
def test_pickles_in_every_kind(tmp_path: Path, kind: str) -> None:
    found = verdict(tmp_path, "notes.txt", pickled(), kind)
    assert whats(found) == ["pickle"]
    (objection,) = found.objections
    assert objection.path == "notes.txt"
    assert objection.error().exit_code == 2
    assert objection.error().message == "notes.txt is or holds a pickle, judging by its content"


def test_code_where_there_must_be_none(tmp_path: Path) -> None:
    assert whats(verdict(tmp_path, "weights.bin", ELF)) == ["code"]
    assert whats(verdict(tmp_path, "weights.bin", ELF, "data")) == []
    assert whats(verdict(tmp_path, "a.zip", zipped({"x/handler.py": b"import os\n"}), "guard")) == ["code"]


def test_torchscript_is_a_pickle_and_code(tmp_path: Path) -> None:
    data = zipped({"m/data.pkl": pickled(), "m/code/__torch__/m.py": b"class M: ...\n"})
    assert whats(verdict(tmp_path, "m.jit", data)) == ["pickle", "code"]


def test_a_lambda_layer_in_every_kind(tmp_path: Path) -> None:
    layer = {"module": "keras.layers", "class_name": "Lambda", "config": {"function": {}}}
    found = verdict(tmp_path, "m.keras", zipped({"config.json": json.dumps(layer).encode()}), "data")
    assert whats(found) == ["code"]
    assert "Lambda" in found.objections[0].message


def test_remote_code(tmp_path: Path) -> None:
    found = verdict(tmp_path, "config.json", b'{"auto_map": {"AutoModel": "org/repo--modeling.X"}}')
    assert whats(found) == ["remote-code"]
    assert "org/repo--modeling.X" in found.objections[0].found
    assert found.recognised == "text"
    assert whats(verdict(tmp_path, "config.json", b'{"auto_map": 1}', "data")) == []


@pytest.mark.parametrize("name", ["config.json", "._config.json", "sub/my_config.json"])
def test_what_is_named_like_a_configuration_and_is_none(tmp_path: Path, name: str) -> None:
    found = verdict(tmp_path, name, b"\0\5\x16\7\0\2\0\0Mac OS X        ")
    assert whats(found) == ["remote-code"]
    assert "has the name of a configuration and is not JSON" in found.objections[0].message
    assert "leave it out" in found.objections[0].hint


def test_what_lies_beside_its_description(tmp_path: Path) -> None:
    numbers = noise(1, 4000)
    assert verdict(tmp_path, "ir/m.bin", numbers).recognised == ""
    assert verdict(tmp_path, "ir/m.bin", numbers, "model", "ir/m.xml").recognised == "OpenVINO weights"
    name = "variables/variables.data-00000-of-00001"
    found = verdict(tmp_path, name, numbers, "model", "variables/variables.index")
    assert found.recognised == "TensorFlow variables"
    assert whats(verdict(tmp_path, "ir/m.bin", pickled(), "model", "ir/m.xml")) == ["pickle"]


def test_what_no_waiver_meets(tmp_path: Path) -> None:
    with pytest.raises(ForbiddenFileError, match="is empty"):
        verdict(tmp_path, "model.onnx", b"")
    with pytest.raises(ForbiddenFileError, match="1 of 1 files"):
        verdict(tmp_path, "m.bin.index.json", b'{"weight_map": {"a": "m-1.bin"}}')
