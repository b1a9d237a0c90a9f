"""Strict JSON: what parse accepts, format writes back; what it must refuse (THREATS: against the parser)."""

from typing import Any

import pytest

from airlift import strict
from airlift.errors import MalformedError

LIMIT = 1 << 20


def nested(levels: int) -> bytes:
    return b"[" * levels + b"]" * levels


@pytest.mark.parametrize(
    "data",
    [
        b"{}",
        b"[]",
        b"null",
        b"true",
        b'""',
        b"0",
        b"-1",
        b"9007199254740991",
        b"-9007199254740991",
        b'{"a":1,"b":[false,null,"x"]}',
        '{"\u00e4":"\u65e5\U0001f512"}'.encode(),
        rb'"\u0000\u001f\"\\\n"',
        nested(32),
    ],
)
def test_canonical_json_round_trips(data: bytes) -> None:
    assert strict.format(strict.parse(data, limit=LIMIT)) == data


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b" ",
        b"{",
        b'{"a":1,"a":1}',
        b'{"a":{"b":1,"b":2}}',
        rb'{"a":1,"\u0061":2}',
        b"1.0",
        b"1e3",
        b"1E400",
        b"-0",
        b"-0.0",
        b"NaN",
        b"Infinity",
        b"-Infinity",
        b"01",
        b"+1",
        b"0x1",
        b"9007199254740992",
        b"-9007199254740992",
        b"1" * 5000,
        b"\xef\xbb\xbf{}",
        "{}".encode("utf-16"),
        b'"\xff"',
        b'"\xed\xa0\x80"',
        b'"\xc0\xaf"',
        rb'"\ud800"',
        rb'{"\udfff":1}',
        rb'["\ud83d","\ude00"]',
        b'"a\nb"',
        b"[1,]",
        b"[1] []",
        b"/* */ 1",
        b"{'a':1}",
        b"\x00",
        nested(33),
        nested(100_000),
        b'{"a":' * 100_000 + b"1" + b"}" * 100_000,
    ],
)
def test_threats_to_the_parser_are_malformed(data: bytes) -> None:
    """Duplicate keys, floats, NaN, BOM, deep nesting, lone surrogates, huge integers."""
    for parse in (strict.parse, strict.parse_any):
        with pytest.raises(MalformedError, match=r"^thing "):
            parse(data, limit=LIMIT, what="thing")


@pytest.mark.parametrize(
    "data", [b" 1", b"{}\n", b'{"b":1,"a":2}', b"[1, 2]", rb'"\u00e4"', rb'"\/"', b'"\\t"'[:1] + b'\\u0009"']
)
def test_other_spellings_are_for_foreign_documents_only(data: bytes) -> None:
    strict.parse_any(data, limit=LIMIT)
    with pytest.raises(MalformedError, match="not in canonical form"):
        strict.parse(data, limit=LIMIT)


def test_the_limit_is_checked_before_anything_is_parsed() -> None:
    assert strict.parse(b'"abc"', limit=5) == "abc"
    with pytest.raises(MalformedError, match="too long") as caught:
        strict.parse(b"\xff" * 6, limit=5)
    assert (caught.value.expected, caught.value.found) == ("at most 5 bytes", "6 bytes")


@pytest.mark.parametrize(
    "value",
    [1.0, float("nan"), b"x", {1: 2}, {"a": {3}}, 2**53, [-(2**53)], "\ud800", {"\udfff": 1}, object()],
)
def test_format_refuses_what_it_could_not_read_back(value: Any) -> None:
    with pytest.raises(MalformedError):
        strict.format(value)


def test_format_refuses_endless_values() -> None:
    endless: list[Any] = []
    endless.append(endless)
    with pytest.raises(MalformedError, match="nested deeper than 32 levels"):
        strict.format(endless)


def test_tuples_are_lists() -> None:
    assert strict.format({"b": (1, ()), "a": True}) == b'{"a":true,"b":[1,[]]}'


def test_member_wants_exactly_the_type() -> None:
    document = {"n": 1, "t": True, "s": "x"}
    assert strict.member(document, "n", int) == 1
    for holder, key, kind in (
        (document, "t", int),
        (document, "n", bool),
        (document, "x", int),
        ([], "n", int),
    ):
        with pytest.raises(MalformedError, match=r"^thing"):
            strict.member(holder, key, kind, "thing")


def test_only_refuses_unknown_keys_and_shows_them_escaped() -> None:
    assert strict.only({"a": 1}, frozenset("ab")) == {"a": 1}
    with pytest.raises(MalformedError) as caught:
        strict.only({"a": 1, "\x1b[2J": 1}, frozenset("ab"))
    assert caught.value.found == r"'\x1b[2J'"
    with pytest.raises(MalformedError, match="must be an object"):
        strict.only([], frozenset())
