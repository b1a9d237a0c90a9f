"""A quick check that a document is valid under a JSON Schema: :func:`fits` says yes, or does not know. Pure.

The jsonschema library takes longer to load than most commands run, so :mod:`airlift.authored` loads it only for a
document that this check does not accept, to find and name the fault. Understood are the keywords of JSON Schema
(2020-12) that the schemas of an enclave and its policy use; with any other keyword the answer is no. (``oneOf`` is
not understood: it needs to know what is *not* valid.)
"""

import re
from collections.abc import Callable
from typing import Any

_TYPES: dict[str, tuple[type, ...]] = {
    "object": (dict,),
    "array": (list,),
    "string": (str,),
    "integer": (int,),
    "boolean": (bool,),
    "null": (type(None),),
}
_ANNOTATIONS = {"$schema", "$id", "$defs", "title", "description"}
_Rule = Callable[[Any, Any, dict[str, Any], dict[str, Any]], bool]


def fits(document: Any, schema: dict[str, Any], root: dict[str, Any] | None = None) -> bool:
    """Say whether a document of JSON values is surely valid under ``schema``; its references point into ``root``.

    A pattern matches the whole text.
    """
    whole = schema if root is None else root
    return all(
        keyword in _ANNOTATIONS or (keyword in _RULES and _RULES[keyword](document, given, schema, whole))
        for keyword, given in schema.items()
    )


def _type(value: Any, given: Any, _schema: Any, _root: Any) -> bool:
    names = [given] if isinstance(given, str) else given
    return any(type(value) in _TYPES.get(name, ()) for name in names)


def _properties(value: Any, given: Any, _schema: Any, root: Any) -> bool:
    if not isinstance(value, dict):
        return True
    return all(fits(value[key], below, root) for key, below in given.items() if key in value)


def _additional(value: Any, given: Any, schema: Any, root: Any) -> bool:
    if not isinstance(value, dict):
        return True
    rest = [value[key] for key in value if key not in schema.get("properties", {})]
    return not rest if given is False else isinstance(given, dict) and all(fits(v, given, root) for v in rest)


def _reference(value: Any, given: Any, _schema: Any, root: Any) -> bool:
    found = root.get("$defs", {}).get(given.removeprefix("#/$defs/"))
    return found is not None and fits(value, found, root)


def _same(value: Any, other: Any) -> bool:
    return type(value) is type(other) and not isinstance(value, dict | list) and bool(value == other)


def _unique(value: Any, given: Any, _schema: Any, _root: Any) -> bool:
    if not isinstance(value, list) or given is False:
        return True
    return all(isinstance(item, str) for item in value) and len(set(value)) == len(value)


def _measured(kinds: type | tuple[type, ...], measure: Callable[[Any], int], *, least: bool) -> _Rule:
    def rule(value: Any, given: Any, _schema: Any, _root: Any) -> bool:
        if not isinstance(value, kinds) or isinstance(value, bool):
            return True
        return bool(measure(value) >= given if least else measure(value) <= given)

    return rule


_RULES: dict[str, _Rule] = {
    "type": _type,
    "properties": _properties,
    "additionalProperties": _additional,
    "$ref": _reference,
    "uniqueItems": _unique,
    "const": lambda value, given, _schema, _root: _same(value, given),
    "enum": lambda value, given, _schema, _root: any(_same(value, item) for item in given),
    "required": lambda value, given, _s, _r: (
        not isinstance(value, dict) or all(key in value for key in given)
    ),
    "items": lambda value, given, _s, root: (
        not isinstance(value, list) or all(fits(v, given, root) for v in value)
    ),
    "propertyNames": lambda v, given, _s, root: (
        not isinstance(v, dict) or all(fits(k, given, root) for k in v)
    ),
    "pattern": lambda v, given, _s, _r: not isinstance(v, str) or re.fullmatch(given, v) is not None,
    "minLength": _measured(str, len, least=True),
    "maxLength": _measured(str, len, least=False),
    "minItems": _measured(list, len, least=True),
    "maxItems": _measured(list, len, least=False),
    "maxProperties": _measured(dict, len, least=False),
    "minimum": _measured(int, int, least=True),
    "maximum": _measured(int, int, least=False),
}
