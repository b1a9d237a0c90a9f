"""Entries: canonical bytes, closed sets of keys and types, bounds."""

import json
from dataclasses import replace
from typing import Any

import pytest

from airlift.errors import FormatTooNewError, MalformedError
from airlift.ledger import entry
from airlift.ledger.entries.kinds import NEW_TYPES, TYPES
from airlift.ledger.entry import Draft, Entry

GOOD = Entry(0, "2026-03-03T12:00:00Z", "enroll", "Ada Łovelace", None, None, {"enclave": "alpha"})


def test_canonical_bytes() -> None:
    expected = (
        '{"actor":"Ada Łovelace","airlift":1,"bundle":null,"detail":{"enclave":"alpha"},"index":0,'
        '"release":null,"time":"2026-03-03T12:00:00Z","type":"enroll"}'
    )
    assert entry.format(GOOD) == expected.encode()
    assert entry.parse(expected.encode()) == GOOD


@pytest.mark.parametrize("kind", TYPES)
def test_every_type_round_trips(kind: str) -> None:
    full = Draft(kind, "a", "2026-12-31T23:59:59Z", "ab" * 64, "alpha-7", {"n": [1, None, True, "x"]}).at(9)
    assert entry.parse(entry.format(full)) == full


@pytest.mark.parametrize(
    "change",
    [
        {"index": -1},
        {"index": 2**53 - 1},
        {"time": "2026-03-03T12:00:00"},
        {"time": "2026-02-30T12:00:00Z"},
        {"time": "2026-03-03T25:00:00Z"},
        {"time": "٢٠٢٦-03-03T12:00:00Z"},
        {"type": "party"},
        {"actor": ""},
        {"actor": "a\nb"},
        {"actor": "a\u202eb"},
        {"actor": "x" * 257},
        {"release": "abc"},
        {"release": "A" * 128},
        {"bundle": ""},
        {"bundle": "a b"},
        {"bundle": "x" * 129},
        {"detail": {"x": 1.5}},
        {"detail": {"x": 2**53}},
        {"detail": {"x": "\ud800"}},
        {"detail": {"x": "y" * entry.MAX_BYTES}},
    ],
)
def test_what_no_entry_may_say(change: dict[str, Any]) -> None:
    with pytest.raises(MalformedError):
        entry.format(replace(GOOD, **change))


def document(**change: Any) -> bytes:
    value = {"airlift": 1, **GOOD.to_json(), **change}
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return text.encode()


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"[]",
        b"{}",
        document(airlift=0),
        document(airlift="1"),
        document(extra=1),
        document(index="0"),
        document(index=True),
        document(release=1),
        document(detail=[]),
        document(time="now"),
        document() + b"\n",
        document().replace(b",", b", "),
        b" " * (entry.MAX_BYTES + 1),
    ],
)
def test_what_parse_refuses(data: bytes) -> None:
    with pytest.raises(MalformedError):
        entry.parse(data)


def test_a_key_may_not_be_missing() -> None:
    for key in ("airlift", *GOOD.to_json()):
        value = {"airlift": 1, **GOOD.to_json()}
        del value[key]
        with pytest.raises(MalformedError):
            entry.parse(json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode())


def test_a_later_format_is_not_called_bad() -> None:
    with pytest.raises(FormatTooNewError):
        entry.parse(document(airlift=3))


@pytest.mark.parametrize("kind", TYPES)
def test_an_entry_states_format_2_exactly_if_its_type_is_new_in_it(kind: str) -> None:
    wrong, right = (1, 2) if kind in NEW_TYPES else (2, 1)
    assert entry.parse(document(airlift=right, type=kind)).type == kind
    with pytest.raises(MalformedError, match="format"):
        entry.parse(document(airlift=wrong, type=kind))
