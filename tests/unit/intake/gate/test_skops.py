import json

import pytest

from airlift.intake.gate import skops
from airlift.intake.gate.inspection import inspect
from airlift.intake.gate.views import Held
from tests.support.packed import zipped

MODEL = {
    "__class__": "LinearRegression",
    "__module__": "sklearn.linear_model._base",
    "__loader__": "ObjectNode",
}


def schema(**content: object) -> bytes:
    return json.dumps(
        MODEL | {"content": {"__class__": "dict", "__module__": "builtins", "content": content}}
    ).encode()


def named(data: bytes) -> str:
    return inspect(Held(zipped({"schema.json": data})), "model.skops").code


def test_types_of_the_libraries_pass() -> None:
    assert named(schema(x={"__class__": "ndarray", "__module__": "numpy", "file": "1.npy"})) == ""


@pytest.mark.parametrize(
    "content",
    [
        {"__class__": "system", "__module__": "os"},
        {"__class__": "Popen", "__module__": "subprocess"},
        {"module_path": "posix", "function": "system"},
        {"module_path": "builtins", "function": "eval"},
        {"__class__": "X", "__module__": "sklearnevil"},
    ],
)
def test_other_code_is_named(content: dict[str, str]) -> None:
    """Threat, content: a model that makes its loader look up a function."""
    assert "skops schema" in named(schema(x=content))


def test_what_is_no_schema() -> None:
    assert named(b"not json") == ""
    assert named(b"[]") == ""


def test_long_schemas_are_not_looked_into(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(skops, "MAX_SCHEMA", 10)
    assert "too long" in named(schema())
