"""A cache of digests: when content of the depot was last digested, and what its file looked like (SPEC L4.12).

Content whose digest was right not long ago, and whose file was not touched since, is coded without being digested
again: bytes that rot unnoticed make an import fail, they cannot make one go wrong. A base is only read in parts, so
that its digest is a pass of its own: it may be a month old. A target is digested while it is coded: a day. A cache
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

Digested = tuple[str, str]
"""What the file looked like (:func:`airlift.store.content.stamp`), and when it was digested (RFC 3339)."""


@dataclass(slots=True)
class DigestCache:
    """When contents (SHA-512) were digested: ``saved`` before, ``new`` by this command; :meth:`save` keeps both."""

    depot: Depot
    now: datetime
    saved: Mapping[str, Digested]
    new: dict[str, Digested] = field(default_factory=dict)
    _time: str = field(init=False)

    def __post_init__(self) -> None:
        self._time = fields.format_time(self.now)

    def is_fresh(self, sha512: str, age: timedelta) -> bool:
        """Say whether content is there, untouched since it was digested, and that was at most ``age`` ago."""
        digested = self.new.get(sha512) or self.saved.get(sha512)
        if digested is None or not timedelta() <= self.now - fields.parse_time(digested[1]) <= age:
            return False
        path = self.depot.content.path(sha512)
        return path.is_file() and stamp(path.stat()) == digested[0]

    def note(self, sha512: str, looks: str) -> None:
        """Note that content was digested now, and what its file looked like all the while."""
        self.new[sha512] = looks, self._time

    def note_written(self, sha512: str) -> None:
        """Note content that was written and digested just now."""
        path = self.depot.content.path(sha512)
        with files.reading(path):
            self.note(sha512, stamp(path.stat()))

    def save(self) -> None:
        """Add what was noted to the file of the depot; the caller holds the depot's lock."""
        if not self.new:
            return
        contents = {**_load(self.depot), **self.new}
        document = {
            "airlift": fields.FORMAT,
            "type": "depot-verified",
            "contents": {
                sha512: dict(zip(sorted(_KEYS), digested, strict=True))
                for sha512, digested in contents.items()
            },
        }
        files.write_durable(self.depot.folder / _NAME, strict.format(document), mode=0o644)


def open_digest_cache(depot: Depot, now: datetime) -> DigestCache:
    """Return the cache of a depot as it was last saved."""
    return DigestCache(depot, now, _load(depot))


def _load(depot: Depot) -> dict[str, Digested]:
    """Return what was saved; nothing if that is lost or damaged."""
    try:
        data = strict.parse(files.read_bounded(depot.folder / _NAME, MAX_BYTES), limit=MAX_BYTES, what=_NAME)
        document = fields.check_header(data, "depot-verified", frozenset({"contents"}), _NAME)
        contents: dict[str, object] = strict.member(document, "contents", dict, _NAME)
        return {_sha512(text): _digested(item) for text, item in contents.items()}
    except AirliftError:
        return {}


def _sha512(text: str) -> str:
    if not fields.is_hex(text, 128):
        raise MalformedError(f"{_NAME}: not a SHA-512", found=ascii(text[:40]))
    return text


def _digested(document: object) -> Digested:
    entry = strict.only(document, _KEYS, _NAME)
    return strict.member(entry, "file", str, _NAME), fields.time(entry, "time", _NAME)
