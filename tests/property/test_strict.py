"""Strict JSON: every value round trips, and every input parses canonically or is malformed, nothing else."""

import json
from typing import Any

from hypothesis import example, given
from hypothesis import strategies as st

from airlift import strict
from airlift.errors import MalformedError

LIMIT = 1 << 20
text = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
scalars = st.none() | st.booleans() | st.integers(-strict.MAX_INTEGER, strict.MAX_INTEGER) | text
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(text, inner, max_size=4),
    max_leaves=20,
)
fragments = st.sampled_from(
    [
        b"{",
        b"}",
        b"[",
        b"]",
        b'"a"',
        b'"b"',
        b":",
        b",",
        b"1",
        b"-0",
        b"1.5",
        b"1e9",
        b"NaN",
        b"null",
        b" ",
        b"\xef\xbb\xbf",
        b"\xff",
        rb'"\ud800"',
        rb'"\u0061"',
        b"\n",
        b"9" * 20,
    ]
)


def accepted(data: bytes) -> bool:
    """Parse ``data``; what is accepted must be written back identically."""
    try:
        value = strict.parse(data, limit=LIMIT)
    except MalformedError:
        return False
    assert strict.format(value) == data
    return True


@given(values)
def test_every_value_round_trips(value: Any) -> None:
    data = strict.format(value)
    assert strict.parse(data, limit=len(data)) == value
    assert strict.parse_any(json.dumps(value, indent=1).encode(), limit=LIMIT) == value


@given(st.binary(max_size=60) | st.lists(fragments, max_size=12).map(b"".join))
@example(b"\xef\xbb\xbf{}")
@example(b'{"a":1,"a":1}')
@example(b"[" * 2000)
def test_any_bytes_are_canonical_or_malformed(data: bytes) -> None:
    accepted(data)
    try:
        strict.parse_any(data, limit=LIMIT)
    except MalformedError:
        return


@given(values, st.data())
def test_flipped_cut_and_swapped_bytes_parse_to_themselves_or_not_at_all(
    value: Any, data: st.DataObject
) -> None:
    good = strict.format(value)
    at = data.draw(st.integers(0, len(good) - 1))
    flipped = bytearray(good)
    flipped[at] ^= 1 << data.draw(st.integers(0, 7))
    accepted(bytes(flipped))
    accepted(good[:at])
    accepted(good[at:] + good[:at])


@given(st.floats() | st.binary() | st.integers(min_value=2**53) | st.integers(max_value=-(2**53)))
def test_other_values_are_not_written(value: Any) -> None:
    for holder in (value, [value], {"a": value}):
        try:
            strict.format(holder)
        except MalformedError:
            continue
        raise AssertionError(holder)
