"""Strict and canonical JSON (section 3)."""

import json
import math
from typing import Any, NoReturn

from tests.second.errors import Refused, demand, malformed

LEVELS = 32
"""How deep values may be nested: the document itself is level 1 [3-1]."""

LARGEST = 2**53 - 1


def loads(data: bytes, limit: int, *, floats: bool = False) -> Any:
    """Parse JSON of any spacing under the limits of [3-1].

    Args:
        data: The document.
        limit: How many bytes it may have.
        floats: Whether finite floats may stand in it (predicates, 4.5-1).

    Raises:
        Refused: ``malformed``.
    """
    demand(len(data) <= limit, "longer than its limit")
    try:
        text = data.decode()
    except UnicodeDecodeError:
        raise malformed("not UTF-8") from None
    demand(not text.startswith("\ufeff"), "a byte order mark")
    demand(_depth(text) <= LEVELS, "nested too deeply")
    try:
        value = json.loads(
            text,
            object_pairs_hook=_object,
            parse_int=_integer,
            parse_float=_float if floats else _refuse,
            parse_constant=_refuse,
        )
    except (ValueError, RecursionError):
        raise malformed("not JSON") from None
    _no_surrogates(value)
    return value


def dumps(value: Any) -> bytes:
    """Return the canonical form: sorted keys, no white space, escapes only where JSON demands them."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def document(data: bytes, kind: str, limit: int, newest: int = 1) -> dict[str, Any]:
    """Parse a canonical document of ours [3-2] [3-4].

    Args:
        data: Its bytes.
        kind: The ``type`` that it must have.
        limit: How many bytes it may have.
        newest: The highest format that is known.

    Raises:
        Refused: ``malformed``, or ``format-too-new``.
    """
    value = loads(data, limit)
    demand(isinstance(value, dict), "not an object")
    demand(dumps(value) == data, "not canonical")
    number = value.get("airlift")
    demand(type(number) is int and number >= 1, "no document of ours")
    if number > newest:
        raise Refused("format-too-new", f"format {number}")
    demand(value.get("type") == kind, f"no document of type {kind}")
    fields: dict[str, Any] = value
    return fields


def _depth(text: str) -> int:
    depth = deepest = 0
    inside = escaped = False
    for letter in text:
        if inside:
            inside = escaped or letter != '"'
            escaped = not escaped and letter == "\\"
        elif letter == '"':
            inside = True
        elif letter in "[{":
            depth += 1
            deepest = max(deepest, depth)
        elif letter in "]}":
            depth -= 1
    return deepest


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    demand(len(value) == len(pairs), "a key twice")
    return value


def _integer(text: str) -> int:
    demand(len(text) <= 17 and text != "-0", "an integer out of range")
    demand(abs(int(text)) <= LARGEST, "an integer out of range")
    return int(text)


def _float(text: str) -> float:
    demand(math.isfinite(float(text)), "a float that is not finite")
    return float(text)


def _refuse(text: str) -> NoReturn:
    raise malformed(f"a float: {text}")


def _no_surrogates(value: Any) -> None:
    if isinstance(value, str):
        demand(not any("\ud800" <= letter <= "\udfff" for letter in value), "a lone surrogate")
    elif isinstance(value, list):
        for item in value:
            _no_surrogates(item)
    elif isinstance(value, dict):
        for key, item in value.items():
            _no_surrogates(key)
            _no_surrogates(item)
