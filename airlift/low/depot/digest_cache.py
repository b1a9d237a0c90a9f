"""Verified: when content of the depot last had its digest, and what its file looked like then (SPEC L4.12).

That content had its digest not long ago, and that its file was not touched since, is good enough to code it: what
rotted in silence makes an import fail, it cannot make one go wrong. A base, of which parts are read, so that a digest
is a pass of its own, may have had it a month ago; a target, which is digested while it is coded, a day ago. A record
that is lost or damaged only means that content is digested again.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from airlift import files, strict
from airlift.bundle import fields
from airlift.errors import AirliftError, MalformedError
from airlift.low.depot.depot import Depot
from airlift.store.content import stamp

BASE_AGE = timedelta(days=30)
TARGET_AGE = timedelta(days=1)
MAX_BYTES = 256 << 20

_NAME = "verified.json"
_KEYS = frozenset({"file", "time"})

Seen = tuple[str, str]
"""What the file looked like (:func:`airlift.store.content.stamp`), and when (RFC 3339)."""


@dataclass(slots=True)
class Verified:
    """What is known of a depot's content at a time, and what a command finds out; :meth:`save` keeps it."""

    depot: Depot
    now: datetime
    known: Mapping[str, Seen]
    found: dict[str, Seen] = field(default_factory=dict)

    def holds(self, sha512: str, age: timedelta) -> bool:
        """Say whether content is there, untouched since it was digested, and that was at most ``age`` ago."""
        seen = self.found.get(sha512) or self.known.get(sha512)
        if seen is None or not timedelta() <= self.now - fields.parse_time(seen[1]) <= age:
            return False
        path = self.depot.content.path(sha512)
        return path.is_file() and stamp(path.stat()) == seen[0]

    def note(self, sha512: str, looks: str) -> None:
        """Remember that content has its digest now, and what its file looked like all the while."""
        self.found[sha512] = looks, fields.format_time(self.now)

    def take(self, sha512: str) -> None:
        """Remember content that was written and digested just now."""
        path = self.depot.content.path(sha512)
        with files.reading(path):
            self.note(sha512, stamp(path.stat()))

    def save(self) -> None:
        """Write what was found out; the caller holds the depot's lock."""
        if not self.found:
            return
        contents = {**_load(self.depot), **self.found}
        document = {
            "airlift": fields.FORMAT,
            "type": "depot-verified",
            "contents": {
                sha512: dict(zip(sorted(_KEYS), seen, strict=True)) for sha512, seen in contents.items()
            },
        }
        files.write_durable(self.depot.folder / _NAME, strict.format(document), mode=0o644)


def verified(depot: Depot, now: datetime) -> Verified:
    """Return what is known of a depot's content."""
    return Verified(depot, now, _load(depot))


def _load(depot: Depot) -> dict[str, Seen]:
    """Return what was saved; nothing if that is lost or damaged."""
    try:
        data = strict.parse(files.read_bounded(depot.folder / _NAME, MAX_BYTES), limit=MAX_BYTES, what=_NAME)
        document = fields.check_header(data, "depot-verified", frozenset({"contents"}), _NAME)
        contents: dict[str, object] = strict.member(document, "contents", dict, _NAME)
        return {_digest(sha512): _seen(item) for sha512, item in contents.items()}
    except AirliftError:
        return {}


def _digest(text: str) -> str:
    if not fields.is_hex(text, 128):
        raise MalformedError(f"{_NAME}: not a SHA-512", found=ascii(text[:40]))
    return text


def _seen(document: object) -> Seen:
    entry = strict.only(document, _KEYS, _NAME)
    return strict.member(entry, "file", str, _NAME), fields.time(entry, "time", _NAME)
