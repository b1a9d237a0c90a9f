"""skops models: the types and functions that their ``schema.json`` makes the loader look up (SPEC L2.4)."""

import builtins
from collections.abc import Iterator
from typing import Any

from airlift.intake.gate.views import View, first_in_json

MAX_SCHEMA = 16 << 20
_LIBRARIES = frozenset(
    {
        "builtins", "catboost", "collections", "datetime", "functools", "lightgbm", "numpy", "pandas",
        "quantile_forest", "scipy", "sklearn", "xgboost",
    }
)  # fmt: skip
_MODULES = frozenset({"__module__", "module_path"})
_NAMES = frozenset({"__class__", "function", "name"})


def code_in_schema(view: View) -> str:
    """Say what code the schema of a skops archive names outside of the libraries that it is for, "" if none."""
    return first_in_json(view, MAX_SCHEMA, _objections, what="a skops schema")


def _objections(pairs: list[tuple[str, Any]]) -> Iterator[str]:
    modules = [value for key, value in pairs if key in _MODULES and isinstance(value, str)]
    names = [value for key, value in pairs if key in _NAMES and isinstance(value, str)]
    for module in modules:
        if module.partition(".")[0] not in _LIBRARIES:
            yield f"a skops schema that names code of module {module[:60]!a}"
    if "builtins" in modules:
        yield from (f"a skops schema that names {name} of Python" for name in names if _is_function(name))


def _is_function(name: str) -> bool:
    return hasattr(builtins, name) and not isinstance(getattr(builtins, name), type)
