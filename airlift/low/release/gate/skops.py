"""skops models: the types and functions that their ``schema.json`` makes the loader look up (SPEC L2.4)."""

import builtins
import json
from collections.abc import Iterator
from typing import Any

from airlift.low.release.gate.views import View, read_whole

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
    data = read_whole(view, MAX_SCHEMA)
    if data is None:
        return "a skops schema too long to look into"
    found: list[str] = []

    def look(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found.extend(_objections(pairs))
        return dict(pairs)

    try:
        json.loads(data, object_pairs_hook=look)
    except (json.JSONDecodeError, UnicodeDecodeError):
        return ""  # skops cannot load it either
    except (ValueError, RecursionError):  # other versions of Python have other limits
        return "a skops schema that cannot be looked into"
    return found[0] if found else ""


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
