"""The fields that documents have in common, parsed and checked: digests, names, times, markings, format numbers."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from airlift import strict
from airlift.errors import FormatTooNewError, MalformedError

FORMAT = 1
MAX_TEXT = 4096
NAME_HEX = 64
ENCLAVE_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,23}\Z")
COMPONENT_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}\Z")
VERSION = re.compile(r"[A-Za-z0-9][A-Za-z0-9.+_-]{0,63}\Z")
_TIME = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T(?:[01][0-9]|2[0-3]):[0-9]{2}:[0-9]{2}Z\Z")


def is_hex(text: object, length: int) -> bool:
    """Say whether ``text`` is exactly ``length`` lower-case hex digits."""
    return isinstance(text, str) and len(text) == length and not text.strip("0123456789abcdef")


def digest(document: Any, key: str, what: str, *, bits: int = 512) -> str:
    """Return the hex digest under ``key``.

    Raises:
        MalformedError: it is not ``bits`` bits of lower-case hex.
    """
    value: str = strict.member(document, key, str, what)
    if not is_hex(value, bits // 4):
        raise MalformedError(f"{what}: {key!r} is not a digest of {bits} bits in lower-case hex")
    return value


def name(document: Any, key: str, what: str, pattern: re.Pattern[str]) -> str:
    """Return the name under ``key`` after matching it with ``pattern``."""
    value: str = strict.member(document, key, str, what)
    if not pattern.match(value):
        raise MalformedError(f"{what}: {key!r} is not a valid name", found=ascii(value[:80]))
    return value


def names(document: Any, key: str, what: str, pattern: re.Pattern[str]) -> tuple[str, ...]:
    """Return the list of names under ``key``, sorted and distinct, after matching each with ``pattern``."""
    found = tuple(name({key: item}, key, what, pattern) for item in strict.member(document, key, list, what))
    if list(found) != sorted(set(found)):
        raise MalformedError(f"{what}: {key!r} must be sorted and distinct")
    return found


def text(document: Any, key: str, what: str) -> str:
    """Return the free text under ``key``: at most MAX_TEXT characters, no control characters but newline."""
    value: str = strict.member(document, key, str, what)
    if len(value) > MAX_TEXT or any(c != "\n" and not c.isprintable() for c in value):
        raise MalformedError(f"{what}: {key!r} is too long or has control characters")
    return value


def count(document: Any, key: str, what: str, *, least: int = 0, most: int = 2**53 - 1) -> int:
    """Return the integer under ``key``, within ``[least, most]``."""
    value: int = strict.member(document, key, int, what)
    if not least <= value <= most:
        raise MalformedError(
            f"{what}: {key!r} is out of range", expected=f"{least} to {most}", found=str(value)
        )
    return value


def time(document: Any, key: str, what: str) -> str:
    """Return the RFC 3339 time under ``key``: UTC, whole seconds, ``Z``."""
    value: str = strict.member(document, key, str, what)
    try:
        parse_time(value)
    except ValueError as error:
        raise MalformedError(f"{what}: {key!r} is not a time", expected="YYYY-MM-DDTHH:MM:SSZ") from error
    return value


def parse_time(value: str) -> datetime:
    """Return the aware datetime of ``YYYY-MM-DDTHH:MM:SSZ``; ValueError if it is anything else."""
    if not _TIME.match(value):
        raise ValueError(value)
    return datetime.fromisoformat(value)


def format_time(moment: datetime) -> str:
    """Return ``YYYY-MM-DDTHH:MM:SSZ`` of an aware datetime, whole seconds, rounded down."""
    return moment.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="seconds") + "Z"


def check_header(
    document: Any, kind: str, keys: frozenset[str], what: str, *, newest: int = FORMAT
) -> dict[str, Any]:
    """Check format number and type of a document, and that it has no unknown keys; return it.

    ``newest`` is the highest format that this kind of document has.

    Raises:
        FormatTooNewError: its format number is higher than this airlift's.
        MalformedError: anything else is off.
    """
    number = strict.member(document, "airlift", int, what)
    if number > newest:
        raise FormatTooNewError(f"{what} has a newer format", expected=str(newest), found=str(number))
    if number < FORMAT or strict.member(document, "type", str, what) != kind:
        raise MalformedError(f"{what} is not a {kind} document of format {FORMAT}")
    return strict.only(document, keys | {"airlift", "type"}, what)


@dataclass(frozen=True, slots=True, order=True)
class FileDigest:
    """One content file: its SHA-512 (hex) and size (bytes)."""

    sha512: str
    size: int

    def to_json(self) -> dict[str, Any]:
        """Return the document form."""
        return {"sha512": self.sha512, "size": self.size}

    @classmethod
    def from_json(cls, document: Any, what: str) -> "FileDigest":
        """Parse the document form."""
        strict.only(document, frozenset({"sha512", "size"}), what)
        return cls(digest(document, "sha512", what), count(document, "size", what))


ADMITS = "REL TO "
"""How a caveat begins that admits those whom it names, as ``REL TO USA, GBR`` does."""
NOBODY = "NONE"
"""Whom a caveat names that admits nobody."""

LEVELS = ("UNCLASSIFIED", "CUI", "CONFIDENTIAL", "SECRET", "TOP SECRET")
"""The levels whose order is known to everybody, low to high; others are comparable with themselves alone."""


@dataclass(frozen=True, slots=True)
class Marking:
    """Classification level and caveats of a component, a component set, volume or report (SPEC 5.6).

    A caveat that begins with ``REL TO`` admits: of all who may hold the level, those it names. Every other restricts.
    """

    level: str
    caveats: tuple[str, ...] = ()

    def __str__(self) -> str:
        return "//".join((self.level, *self.caveats))

    @classmethod
    def from_authored(cls, document: Mapping[str, Any]) -> "Marking":
        """Return the marking that a person wrote, valid under a schema: caveats in any order, or none."""
        return cls(document["level"], tuple(sorted(document.get("caveats", ()))))

    @classmethod
    def from_text(cls, text: str) -> "Marking":
        """Return the marking that is written so: ``LEVEL//CAVEAT//CAVEAT``.

        Raises:
            MalformedError: it is none.
        """
        level, *caveats = text.split("//")
        return cls.from_json({"level": level, "caveats": sorted(set(caveats))}, "marking")

    @property
    def restricting(self) -> frozenset[str]:
        """The caveats each of which asks something of whoever holds it."""
        return frozenset(caveat for caveat in self.caveats if not caveat.startswith(ADMITS))

    @property
    def admitted(self) -> frozenset[str] | None:
        """Whom the caveats that admit name, together; None if there is none: nobody is left out."""
        lists = [
            caveat.removeprefix(ADMITS).split(",") for caveat in self.caveats if caveat.startswith(ADMITS)
        ]
        named = frozenset(name.strip() for names in lists for name in names)
        return named - {NOBODY, ""} if lists else None

    def covers(self, other: "Marking") -> bool:
        """Say whether what is marked ``other`` may be part of what is marked so.

        Its level is not below, every caveat that restricts is kept, and nobody is admitted whom the other does not.
        """
        known = self.level in LEVELS and other.level in LEVELS
        above = known and LEVELS.index(self.level) >= LEVELS.index(other.level)
        return (
            (above or self.level == other.level)
            and other.restricting <= self.restricting
            and _admits_no_more(self.admitted, other.admitted)
        )

    def beyond(self, ceiling: "Marking", levels: Sequence[str]) -> str | None:
        """Return why whoever may hold up to ``ceiling`` may not hold this, None if they may; levels low to high."""
        if self.level not in levels:
            return "is of a level that is unknown here"
        if levels.index(self.level) > levels.index(ceiling.level):
            return "is above the ceiling"
        if self.restricting - ceiling.restricting:
            return "has caveats beyond the ceiling's"
        if self.admitted is not None and not self.admitted & (ceiling.admitted or frozenset()):
            return "admits nobody whom the ceiling names"
        return None

    def to_json(self) -> dict[str, Any]:
        """Return the document form."""
        return {"level": self.level, "caveats": list(self.caveats)}

    @classmethod
    def from_json(cls, document: Any, what: str) -> "Marking":
        """Parse the document form: a level and sorted, distinct caveats of printable ASCII."""
        strict.only(document, frozenset({"level", "caveats"}), what)
        caveats = strict.member(document, "caveats", list, what)
        words = [strict.member(document, "level", str, what), *caveats]
        if len(words) > 64 or not all(isinstance(w, str) and re.match(r"[ -.0-~]{1,64}\Z", w) for w in words):
            raise MalformedError(f"{what}: marking words must be short printable ASCII without '/'")
        if caveats != sorted(set(caveats)):
            raise MalformedError(f"{what}: caveats must be sorted and distinct")
        return cls(words[0], tuple(caveats))


def _admits_no_more(one: frozenset[str] | None, other: frozenset[str] | None) -> bool:
    return other is None or (one is not None and one <= other)


def join(markings: Iterable[Marking], levels: Sequence[str] = LEVELS) -> Marking | None:
    """Return the lowest marking that covers all of these, of which there is at least one; None if none can.

    The highest level, every caveat that restricts, and those whom all of them admit: nobody, if there are none. A
    level that is not among ``levels`` has no order: it joins only with itself.
    """
    found = tuple(markings)
    named = {marking.level for marking in found}
    if len(named) > 1 and not named <= set(levels):
        return None
    level = max(named, key=tuple(levels).index) if len(named) > 1 else named.pop()
    return Marking(level, join_caveats(found))


def join_caveats(markings: Iterable[Marking]) -> tuple[str, ...]:
    """Return the caveats of the marking that covers all of these, sorted."""
    found = tuple(markings)
    restricting = {caveat for marking in found for caveat in marking.restricting}
    lists = {names: marking for marking in found if (names := marking.admitted) is not None}
    if not lists:
        return tuple(sorted(restricting))
    common = frozenset.intersection(*lists)
    admitting = (
        {caveat for caveat in lists[common].caveats if caveat.startswith(ADMITS)}
        if common in lists
        else {ADMITS + name for name in common or {NOBODY}}
    )
    return tuple(sorted(restricting | admitting))
