"""The signed list of revocations: a target of the release authority, in every bundle (SPEC 5.4)."""

from dataclasses import dataclass
from typing import Any

from airlift import strict
from airlift.bundle import fields
from airlift.errors import MalformedError

TARGET = "revocations"
MAX_BYTES = 8 << 20
MAX_SERIAL = 2**31 - 1
NEWEST_FORMAT = 2
"""The format of a list that has serials and types: every one that was made by ``low revoke``."""

RELEASE, COMPONENT, FILE, KEY = KINDS = ("release", "component", "file", "key")
OTHER = "other"
TYPES = ("compromise", "legal", "malfunction", OTHER, "superseded", "vulnerability")
"""Why in a word, for whoever sorts and counts; the reason says it in full."""

_DIGEST_BITS = {RELEASE: (512,), COMPONENT: (512,), FILE: (512, 256), KEY: (256,)}
_OLD_KINDS = frozenset({RELEASE, COMPONENT})
_ENTRY_KEYS = frozenset({"kind", "digest", "reason"})
_NEW_ENTRY_KEYS = frozenset({"serial", "type"})


@dataclass(frozen=True, slots=True, order=True)
class Subject:
    """One revocation of one thing: what the members of root name when they lift it (SPEC 5.4-4).

    ``digest`` (hex) is the SHA-512 of a release or component, SHA-512 or SHA-256 of a file's content, or the id of a
    key; ``serial`` counts the revocations of an authority from 1, so that one that was lifted can be made again.
    """

    kind: str
    digest: str
    serial: int = 0

    def to_json(self) -> dict[str, Any]:
        """Return the document form."""
        return {"kind": self.kind, "digest": self.digest, "serial": self.serial}

    @classmethod
    def from_json(cls, document: Any, what: str) -> "Subject":
        """Parse the document form."""
        strict.only(document, frozenset({"kind", "digest", "serial"}), what)
        kind = _kind(document, KINDS, what)
        return cls(
            kind,
            _digest(document, kind, what),
            fields.count(document, "serial", what, least=1, most=MAX_SERIAL),
        )


@dataclass(frozen=True, slots=True, order=True)
class Revocation:
    """What must not be activated, or believed, any more: by digest (hex), see :class:`Subject`, and why."""

    kind: str
    digest: str
    reason: str
    serial: int = 0
    type: str = OTHER

    @property
    def subject(self) -> Subject:
        """What is revoked, without the reason."""
        return Subject(self.kind, self.digest, self.serial)

    @property
    def is_new(self) -> bool:
        """Whether format 1 cannot say it."""
        return self.serial > 0 or self.type != OTHER or self.kind not in _OLD_KINDS


def format(revocations: tuple[Revocation, ...]) -> bytes:  # noqa: A001 - the pair of parse, as everywhere
    """Return the canonical bytes of the list."""
    newest = any(item.is_new for item in revocations)
    entries = [_to_json(item, newest=newest) for item in revocations]
    number = NEWEST_FORMAT if newest else fields.FORMAT
    return strict.format({"airlift": number, "type": "revocations", "entries": entries})


def parse(data: bytes) -> tuple[Revocation, ...]:
    """Parse and check the list: sorted, each digest once.

    Raises:
        FormatTooNewError: made by a newer airlift.
        MalformedError: anything in it breaks SPEC 5.4.
    """
    what = "revocations"
    parsed = strict.parse(data, limit=MAX_BYTES, what=what)
    document = fields.check_header(parsed, "revocations", frozenset({"entries"}), what, newest=NEWEST_FORMAT)
    newest = document["airlift"] == NEWEST_FORMAT
    entries = tuple(
        _entry(item, what, newest=newest) for item in strict.member(document, "entries", list, what)
    )
    places = [(entry.kind, entry.digest) for entry in entries]
    if places != sorted(places) or len({entry.digest for entry in entries}) != len(entries):
        raise MalformedError(f"{what}: entries must be sorted and distinct")
    if newest and not any(entry.is_new for entry in entries):
        raise MalformedError(f"{what}: format {NEWEST_FORMAT} without anything new")
    serials = [entry.serial for entry in entries if entry.serial]
    if len(set(serials)) != len(serials):
        raise MalformedError(f"{what}: a serial stands twice")
    return entries


def _to_json(item: Revocation, *, newest: bool) -> dict[str, Any]:
    more = {"serial": item.serial, "type": item.type} if newest else {}
    return {"kind": item.kind, "digest": item.digest, "reason": item.reason, **more}


def _entry(document: Any, what: str, *, newest: bool) -> Revocation:
    strict.only(document, _ENTRY_KEYS | (_NEW_ENTRY_KEYS if newest else frozenset()), what)
    kind = _kind(document, KINDS if newest else tuple(sorted(_OLD_KINDS)), what)
    found = Revocation(kind, _digest(document, kind, what), fields.text(document, "reason", what))
    if not newest:
        return found
    word = strict.member(document, "type", str, what)
    if word not in TYPES:
        raise MalformedError(f"{what}: unknown type", expected=" or ".join(TYPES), found=ascii(word[:40]))
    serial = fields.count(document, "serial", what, most=MAX_SERIAL)
    return Revocation(kind, found.digest, found.reason, serial, word)


def _kind(document: Any, kinds: tuple[str, ...], what: str) -> str:
    kind: str = strict.member(document, "kind", str, what)
    if kind not in kinds:
        raise MalformedError(f"{what}: unknown kind", expected=" or ".join(kinds), found=ascii(kind[:40]))
    return kind


def _digest(document: Any, kind: str, what: str) -> str:
    value: str = strict.member(document, "digest", str, what)
    if not any(fields.is_hex(value, bits // 4) for bits in _DIGEST_BITS[kind]):
        raise MalformedError(f"{what}: 'digest' is no digest of a {kind} in lower-case hex")
    return value
