"""Keras models whose configuration holds or names code: Lambda layers, functions of other modules (SPEC L2.5).

A Lambda layer is Python bytecode, which Keras unmarshals and runs. HDF5 files keep the configuration as text in one
piece, so that it is found by looking for it.
"""

import builtins
import re
from collections.abc import Iterator
from typing import Any

from airlift.intake.gate.views import View, first_in_json

HDF5 = b"\x89HDF\r\n\x1a\n"
MAX_CONFIGURATION = 16 << 20
_LAMBDA = re.compile(rb'"(?:Lambda|__lambda__)"')
_ESCAPED = re.compile(rb"\\u00[4-7][0-9a-fA-F]")
_STEP, _OVERLAP = 1 << 20, 128
_OWN = ("keras", "tensorflow", "tf_keras")
_HARMLESS_BUILTINS = frozenset({"bool", "dict", "float", "int", "list", "slice", "str", "tuple"})


def code_in_hdf5(view: View) -> str:
    """Say what code an HDF5 file carries in a Keras configuration, "" if none; reads all of it.

    How much white space stands around the name of a class is up to who wrote it, so that the name alone counts.
    """
    offset, before, is_keras, named = 0, b"", False, False
    while data := view.read(offset, _STEP):
        offset += len(data)
        text = before + data
        is_keras = is_keras or b'"class_name"' in text or b"model_config" in text
        named = named or bool(_LAMBDA.search(text) or _ESCAPED.search(text))
        if is_keras and named:
            return "a Keras Lambda layer (code)"
        before = text[-_OVERLAP:]
    return ""


def code_in_configuration(view: View) -> str:
    """Say what code the ``config.json`` of a ``.keras`` archive holds or names, "" if none."""
    return first_in_json(view, MAX_CONFIGURATION, _objections, what="a Keras configuration")


def _objections(pairs: list[tuple[str, Any]]) -> Iterator[str]:
    names = [value for key, value in pairs if key == "class_name"]
    if any(name in {"Lambda", "__lambda__"} for name in names):
        yield "a Keras Lambda layer (code)"
    for key, value in pairs:
        if key == "module" and names and isinstance(value, str) and not _is_own(value, pairs):
            yield f"a Keras configuration that names code of module {value[:60]!a}"


def _is_own(module: str, pairs: list[tuple[str, Any]]) -> bool:
    if module == "builtins":
        named = [value for key, value in pairs if key == "config" and isinstance(value, str)]
        return not any(hasattr(builtins, name) and name not in _HARMLESS_BUILTINS for name in named)
    return any(module == own or module.startswith((f"{own}.", f"{own}_")) for own in _OWN)
