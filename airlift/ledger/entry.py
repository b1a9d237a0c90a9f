"""Entries: what the ledger remembers; the canonical bytes of one are a leaf of the tree (SPEC 9.2).

    {"actor":...,"airlift":1,"bundle":...,"detail":{...},"index":0,"release":...,"time":"2026-03-03T12:00:00Z","type":...}

Text in an entry is shown to people and assessors later: whoever writes an entry puts only bounded, checked values
into it, never raw text from a medium. What the detail of each type says is in :mod:`airlift.ledger.entries`.
"""

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from airlift import strict
from airlift.errors import FormatTooNewError, MalformedError
from airlift.ledger.entries.kinds import NEW_TYPES, TYPES
from airlift.ledger.tree import MAX_SIZE

MAX_BYTES = 1 << 20
MAX_ACTOR = 256
FORMAT = 1
NEWEST_FORMAT = 2
"""The format of an entry whose type format 1 has not."""

_KEYS = frozenset({"airlift", "index", "time", "type", "actor", "release", "bundle", "detail"})
_TIME = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z")
_DIGEST = re.compile(r"(?:[0-9a-f]{64}|[0-9a-f]{96}|[0-9a-f]{128})")
_BUNDLE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")


@dataclass(frozen=True, slots=True)
class Draft:
    """An entry before it has a place in the ledger; fields as in :class:`Entry`.

    ``contents`` are digests (hex) of files that it brings in: not part of the entry, only what it is found by.
    """

    type: str
    actor: str
    time: str
    release: str | None = None
    bundle: str | None = None
    detail: Mapping[str, Any] = field(default_factory=dict)
    contents: Collection[str] = ()

    def at(self, index: int) -> "Entry":
        """Return the entry that this becomes at ``index``."""
        return Entry(index, self.time, self.type, self.actor, self.release, self.bundle, dict(self.detail))


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry: its zero-based index, RFC 3339 time (UTC, whole seconds), type, and what it is about.

    ``release`` is a release's digest in hex, ``bundle`` a bundle's id, ``actor`` who acted, for people.
    """

    index: int
    time: str
    type: str
    actor: str
    release: str | None
    bundle: str | None
    detail: dict[str, Any]

    def to_json(self) -> dict[str, Any]:
        """Return the fields as plain values, as the command line shows them."""
        return {
            "index": self.index,
            "time": self.time,
            "type": self.type,
            "actor": self.actor,
            "release": self.release,
            "bundle": self.bundle,
            "detail": self.detail,
        }


def format(entry: Entry) -> bytes:  # noqa: A001 - parse and format are the pair of words used for every format here
    """Return the canonical bytes of an entry: its leaf.

    Raises:
        MalformedError: a field is out of range, or the entry is longer than :data:`MAX_BYTES`.
    """
    _check(entry)
    data = strict.format({"airlift": _number(entry), **entry.to_json()})
    if len(data) > MAX_BYTES:
        raise MalformedError(
            "an entry is too long", expected=f"at most {MAX_BYTES} bytes", found=f"{len(data)} bytes"
        )
    return data


def parse(data: bytes, what: str = "entry") -> Entry:
    """Parse the canonical bytes of an entry.

    Raises:
        MalformedError: they are none.
        FormatTooNewError: the entry says a later format than 2.
    """
    document = strict.only(strict.parse(data, limit=MAX_BYTES, what=what), _KEYS, what)
    version = strict.member(document, "airlift", int, what)
    if version > NEWEST_FORMAT:
        raise FormatTooNewError(f"{what} has format {version}", expected=f"at most {NEWEST_FORMAT}")
    entry = Entry(
        index=strict.member(document, "index", int, what),
        time=strict.member(document, "time", str, what),
        type=strict.member(document, "type", str, what),
        actor=strict.member(document, "actor", str, what),
        release=_optional(document, "release", what),
        bundle=_optional(document, "bundle", what),
        detail=strict.member(document, "detail", dict, what),
    )
    _check(entry)
    if version != _number(entry):
        raise MalformedError(f"{what} has format {version}", expected=str(_number(entry)))
    return entry


def _number(entry: Entry) -> int:
    return NEWEST_FORMAT if entry.type in NEW_TYPES else FORMAT


def check_time(text: str) -> str:
    """Return ``text`` if it is an RFC 3339 time in UTC with whole seconds, such as ``2026-03-03T12:00:00Z``.

    Raises:
        MalformedError: it is not.
    """
    if not _is_time(text):
        raise MalformedError("not a time", expected="YYYY-MM-DDTHH:MM:SSZ", found=ascii(text[:40]))
    return text


def _is_time(text: str) -> bool:
    try:
        return _TIME.fullmatch(text) is not None and datetime.fromisoformat(text) is not None
    except ValueError:
        return False


def _optional(document: dict[str, Any], key: str, what: str) -> str | None:
    if key in document and document[key] is None:
        return None
    value: str = strict.member(document, key, str, what)
    return value


def _check(entry: Entry) -> None:
    if not 0 <= entry.index < MAX_SIZE:
        raise MalformedError("an entry's index is out of range")
    check_time(entry.time)
    if entry.type not in TYPES:
        raise MalformedError("unknown entry type", found=ascii(entry.type[:40]))
    if not 1 <= len(entry.actor) <= MAX_ACTOR or not entry.actor.isprintable():
        raise MalformedError("an entry's actor must be short printable text", found=ascii(entry.actor[:80]))
    if entry.release is not None and not _DIGEST.fullmatch(entry.release):
        raise MalformedError("an entry's release must be a digest in hex", found=ascii(entry.release[:40]))
    if entry.bundle is not None and not _BUNDLE.fullmatch(entry.bundle):
        raise MalformedError("an entry's bundle must be a bundle id", found=ascii(entry.bundle[:40]))
