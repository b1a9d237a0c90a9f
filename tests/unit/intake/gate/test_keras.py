import json

import pytest

from airlift.intake.gate import keras
from airlift.intake.gate.keras import code_in_configuration, code_in_hdf5
from airlift.intake.gate.views import Held
from tests.support.weights import noise

DENSE = {"module": "keras.layers", "class_name": "Dense", "config": {"units": 3}, "registered_name": None}
LAMBDA = {
    "module": "keras.layers",
    "class_name": "Lambda",
    "config": {"function": {"class_name": "__lambda__"}},
}


def model(*layers: object) -> bytes:
    return json.dumps({"class_name": "Sequential", "module": "keras", "config": {"layers": layers}}).encode()


def hdf5(configuration: bytes, before: int = 5000) -> bytes:
    return keras.HDF5 + noise(1, before) + b"model_config" + configuration + noise(2, 5000)


def test_layers_of_keras_pass() -> None:
    assert code_in_configuration(Held(model(DENSE, DENSE | {"class_name": "LambdaCallback"}))) == ""
    assert code_in_hdf5(Held(hdf5(model(DENSE)))) == ""


@pytest.mark.parametrize("before", [0, 5000, (1 << 20) - 180, (1 << 20) - 100, 3 << 20])
def test_a_lambda_layer(before: int) -> None:
    """Threat, content: a layer that is Python bytecode."""
    assert "Lambda" in code_in_configuration(Held(model(DENSE, LAMBDA)))
    assert "Lambda" in code_in_hdf5(Held(hdf5(model(DENSE, LAMBDA), before)))


@pytest.mark.parametrize("escaped", [b"L\\u0061mbda", b"\\u004Cambda"])
def test_a_lambda_layer_that_is_spelled_otherwise(escaped: bytes) -> None:
    data = model(DENSE, LAMBDA).replace(b'"Lambda"', b'"' + escaped + b'"').replace(b"__lambda__", b"x")
    assert code_in_configuration(Held(data))
    assert code_in_hdf5(Held(hdf5(data)))


def test_a_key_that_stands_twice_hides_nothing() -> None:
    data = b'{"class_name": "Lambda", "class_name": "Dense", "module": "keras.layers"}'
    assert code_in_configuration(Held(data))


@pytest.mark.parametrize("module", ["os", "subprocess", "kerasevil", "my.layers"])
def test_functions_of_other_modules(module: str) -> None:
    """Threat, content: a configuration that makes Keras import a module and call it (CVE-2025-1550)."""
    named = {"module": module, "class_name": "function", "config": "system", "registered_name": "function"}
    assert repr(module) in code_in_configuration(Held(model(named)))


@pytest.mark.parametrize(
    ("config", "refused"), [("eval", True), ("exec", True), ("tuple", False), ("my_loss", False)]
)
def test_functions_of_builtins(config: str, refused: bool) -> None:
    named = {"module": "builtins", "class_name": "function", "config": config, "registered_name": "function"}
    assert bool(code_in_configuration(Held(model(named)))) is refused


@pytest.mark.parametrize("data", [b"not json", b'{"class_name": "Lambda"', b"\xff\xfe\xff"])
def test_what_is_not_json_is_nothing_to_keras(data: bytes) -> None:
    assert code_in_configuration(Held(data)) == ""


@pytest.mark.parametrize("before", [b"[" * 100_000 + b"]" * 100_000, b"9" * 5000])
def test_what_only_other_versions_of_python_read(before: bytes) -> None:
    """Threat, content: a configuration that is too much for the gate, and not for the loader."""
    assert code_in_configuration(Held(b'{"a": ' + before + b', "class_name": "Lambda"}'))


@pytest.mark.parametrize("blank", [b" " * 40, b"\n\n\t", b" " * 3_000_000])
def test_white_space_hides_no_layer(blank: bytes) -> None:
    data = model(DENSE, LAMBDA).replace(b'"class_name": ', b'"class_name"' + blank + b":" + blank)
    assert code_in_hdf5(Held(hdf5(data)))


def test_long_configurations_are_not_looked_into(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keras, "MAX_CONFIGURATION", 10)
    assert "too long" in code_in_configuration(Held(model(DENSE)))
