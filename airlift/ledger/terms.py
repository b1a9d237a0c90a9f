"""What an entry can be found by: the strings in it, and how a question is matched with them (SPEC 9.4-7). Pure.

The index of a ledger keeps the first :data:`CUT` characters of each term; what it finds is compared in full with the
entry itself, so a row too many or too short can only cost time. That no row is missing is part of full verification.
"""

from collections.abc import Iterator
from typing import Any

from airlift.ledger.entry import Entry

CUT = 32
PREFIX_HEX = 8
MAX_TERM = 256
_HEX = frozenset("0123456789abcdef")


def mentions(entry: Entry) -> Iterator[str]:
    """Yield what an entry mentions: every string of 1 to MAX_TERM characters, and ``name@version`` labels.

    Of keys only digests count (key ids, for instance); times do not.
    """
    yield from (
        text for text in _texts({**entry.to_json(), "index": None, "time": None}) if 0 < len(text) <= MAX_TERM
    )


def terms(entry: Entry) -> frozenset[str]:
    """Return the terms of an entry as the index keeps them."""
    return frozenset(text[:CUT] for text in mentions(entry))


def normalise(text: str) -> str:
    """Return a question as it is compared: digests in lower case."""
    return text.lower() if is_prefix(text.lower()) else text


def matches(entry: Entry, text: str) -> bool:
    """Say whether an entry mentions ``text``: a whole string, or 8 or more first hex digits of a digest."""
    sought = normalise(text)
    if not is_prefix(sought):
        return sought in mentions(entry)
    return any(
        value.startswith(sought) and (value == sought or is_prefix(value)) for value in mentions(entry)
    )


def is_prefix(text: str) -> bool:
    """Say whether ``text`` is 8 or more lower-case hex digits: a digest, or the beginning of one."""
    return len(text) >= PREFIX_HEX and not set(text) - _HEX


def bounds(text: str) -> tuple[str, str]:
    """Return the half-open range of index terms in which everything lies that ``text`` may match."""
    sought = normalise(text)[:CUT]
    return (sought, sought + "g") if is_prefix(sought) else (sought, sought + "\0")


def label(document: dict[str, Any]) -> str | None:
    """Return ``name@version`` of an object that has both."""
    name, version = document.get("name"), document.get("version")
    return f"{name}@{version}" if isinstance(name, str) and isinstance(version, str) else None


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        yield from (key for key in value if is_prefix(key))
        if (named := label(value)) is not None:
            yield named
        for item in value.values():
            yield from _texts(item)
    elif isinstance(value, list):
        for item in value:
            yield from _texts(item)
