"""Strict JSON: what :func:`parse` accepts, :func:`format` writes back byte for byte (SPEC 3).

Signed and carried documents use one canonical form: UTF-8 without BOM, keys sorted by code point, no insignificant
space, no floats, integers within +-(2**53 - 1), no duplicate keys, no lone surrogates. :func:`parse_any` is for
foreign documents (TUF metadata) whose spacing is not ours: the same limits, but not the canonical form. ``floats``
lets finite ones pass: in what other parties state (SPEC 4.5), never in what airlift decides by.
"""

import json
import math
from collections.abc import Iterable
from itertools import chain
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
    _check(value, floats=floats)
    return _write(value)


def parse(data: bytes, *, limit: int, what: str = "document") -> Any:
    """Parse canonical JSON of at most ``limit`` bytes.

    Raises:
        MalformedError: longer than ``limit``, not JSON, not canonical, or outside the limits of SPEC 3.
    """
    value = parse_any(data, limit=limit, what=what)
    if _write(value) != data:
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
        _check(value, floats=floats)
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
    if not document.keys() <= allowed:
        raise MalformedError(f"{what} has unknown keys", found=ascii(min(document.keys() - allowed)))
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


def _write(value: Any) -> bytes:
    """Return the canonical bytes of a value that was checked."""
    return json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode()


def _check(value: Any, *, floats: bool) -> None:
    """Check a value with all that is in it: level by level, and of each level all items of one type at once."""
    level = [value]
    for depth in range(MAX_DEPTH + 1):
        kinds = set(map(type, level))
        inner: list[Any] = []
        for kind in kinds:
            items = level if len(kinds) == 1 else [item for item in level if type(item) is kind]
            if issubclass(kind, dict | list | tuple):
                if depth == MAX_DEPTH:
                    raise MalformedError(f"nested deeper than {MAX_DEPTH} levels")
                inner += _inside(kind, items)
            else:
                _check_plain(kind, items, floats=floats)
        if not inner:
            return
        level = inner


def _inside(kind: type, items: list[Any]) -> list[Any]:
    """Return what is in objects, whose keys are checked, or in lists."""
    if not issubclass(kind, dict):
        return list(chain.from_iterable(items))
    keys = set(chain.from_iterable(items))
    if not all(isinstance(key, str) for key in keys):
        raise MalformedError("an object key must be a string")
    _check_text(keys)
    return list(chain.from_iterable(map(kind.values, items)))


def _check_plain(kind: type, items: list[Any], *, floats: bool) -> None:
    """Check what nothing is in: strings, integers, booleans, null, and floats where they are allowed."""
    if issubclass(kind, str):
        _check_text(items)
    elif issubclass(kind, bool | None):
        return
    elif issubclass(kind, int):
        if max(items) > MAX_INTEGER or min(items) < -MAX_INTEGER:
            raise MalformedError("an integer is out of range")
    elif not floats or not issubclass(kind, float) or not all(map(math.isfinite, items)):
        raise MalformedError("not expressible as strict JSON", found=kind.__name__)


def _check_text(texts: Iterable[str]) -> None:
    try:
        for text in texts:
            if not text.isascii():
                text.encode()
    except UnicodeEncodeError as error:
        raise MalformedError("a string has a lone surrogate") from error
