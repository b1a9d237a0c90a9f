"""Strict JSON: what :func:`parse` accepts, :func:`format` writes back byte for byte (SPEC 3).

Signed and carried documents use one canonical form: UTF-8 without BOM, keys sorted by code point, no insignificant
space, no floats, integers within +-(2**53 - 1), no duplicate keys, no lone surrogates. :func:`parse_any` is for
foreign documents (TUF metadata) whose spacing is not ours: the same limits, but not the canonical form. ``floats``
lets finite ones pass: in what other parties state (SPEC 4.5), never in what airlift decides by.
"""

import json
import math
from typing import Any, NoReturn

from airlift.errors import MalformedError

MAX_DEPTH = 32
MAX_INTEGER = 2**53 - 1

_TYPE_NAMES = {dict: "an object", list: "a list", str: "a string", int: "an integer", bool: "a boolean"}


def format(value: Any, *, floats: bool = False) -> bytes:  # noqa: A001 - parse and format are the pair of words
    """Return the canonical bytes of a value of objects, lists, strings, integers, booleans and null.

    Raises:
        MalformedError: the value has a float, a huge integer, a lone surrogate, or is nested too deeply.
    """
    _check(value, 0, floats=floats)
    return json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode()


def parse(data: bytes, *, limit: int, what: str = "document") -> Any:
    """Parse canonical JSON of at most ``limit`` bytes.

    Raises:
        MalformedError: longer than ``limit``, not JSON, not canonical, or outside the limits of SPEC 3.
    """
    value = parse_any(data, limit=limit, what=what)
    if format(value) != data:
        raise MalformedError(f"{what} is not in canonical form", expected="canonical JSON (SPEC 3)")
    return value


def parse_any(data: bytes, *, limit: int, what: str = "document", floats: bool = False) -> Any:
    """Parse JSON of at most ``limit`` bytes strictly, with any spacing and key order.

    Raises:
        MalformedError: as :func:`parse`, save for the canonical form.
    """
    if len(data) > limit:
        raise MalformedError(
            f"{what} is too long", expected=f"at most {limit} bytes", found=f"{len(data)} bytes"
        )
    try:
        value = json.loads(
            data.decode("utf-8"),
            object_pairs_hook=_pairs,
            parse_float=_finite if floats else _no_float,
            parse_constant=_no_float,
            parse_int=_integer,
        )
        _check(value, 0, floats=floats)
    except MalformedError as error:
        raise MalformedError(f"{what} is not strict JSON: {error.message}") from error
    except (ValueError, RecursionError) as error:
        raise MalformedError(f"{what} is not JSON", found=type(error).__name__) from error
    return value


def member(document: Any, key: str, kind: type, what: str = "document") -> Any:
    """Return ``document[key]`` after checking that it is there and exactly of ``kind``.

    Raises:
        MalformedError: ``document`` is no object, lacks the key, or the value has another type.
    """
    if type(document) is not dict or key not in document:
        raise MalformedError(f"{what} lacks {key!r}")
    value = document[key]
    if type(value) is not kind:
        raise MalformedError(f"{what}: {key!r} must be {_TYPE_NAMES[kind]}")
    return value


def only(document: Any, allowed: frozenset[str], what: str = "document") -> dict[str, Any]:
    """Return ``document`` after checking that it is an object with no key beyond ``allowed``."""
    if type(document) is not dict:
        raise MalformedError(f"{what} must be an object")
    unknown = sorted(set(document) - allowed)
    if unknown:
        raise MalformedError(f"{what} has unknown keys", found=ascii(unknown[0]))
    return document


def _pairs(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) != len(pairs):
        raise MalformedError("an object has the same key twice")
    return result


def _no_float(_text: str) -> NoReturn:
    raise MalformedError("floats are not allowed")


def _finite(text: str) -> float:
    if not math.isfinite(value := float(text)):
        raise MalformedError("a number is out of range")
    return value


def _integer(text: str) -> int:
    if len(text) > 17 or text == "-0" or abs(int(text)) > MAX_INTEGER:
        raise MalformedError("an integer is out of range")
    return int(text)


def _check(value: Any, depth: int, *, floats: bool) -> None:
    if isinstance(value, dict | list | tuple) and depth == MAX_DEPTH:
        raise MalformedError(f"nested deeper than {MAX_DEPTH} levels")
    if isinstance(value, str):
        _check_text(value)
    elif isinstance(value, bool) or value is None:
        return
    elif isinstance(value, int):
        if abs(value) > MAX_INTEGER:
            raise MalformedError("an integer is out of range")
    elif isinstance(value, dict):
        for key, item in value.items():
            if not isinstance(key, str):
                raise MalformedError("an object key must be a string")
            _check_text(key)
            _check(item, depth + 1, floats=floats)
    elif isinstance(value, list | tuple):
        for item in value:
            _check(item, depth + 1, floats=floats)
    elif not floats or not isinstance(value, float) or not math.isfinite(value):
        raise MalformedError("not expressible as strict JSON", found=type(value).__name__)


def _check_text(text: str) -> None:
    if text.isascii():
        return
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise MalformedError("a string has a lone surrogate") from error
