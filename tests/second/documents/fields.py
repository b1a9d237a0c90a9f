"""Fields that several documents have: words, texts, digests, times, markings (5.1-5, section 1)."""

import re
import unicodedata
from collections.abc import Iterable
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any

from tests.second.errors import demand, malformed

NAME = r"[a-z0-9][a-z0-9._-]{0,63}"
VERSION = r"[A-Za-z0-9][A-Za-z0-9.+_-]{0,63}"
ENCLAVE = r"[a-z0-9][a-z0-9-]{0,23}"
KINDS = {"model", "adapter", "guard", "policy", "blocklist", "prompt", "tokenizer", "data"}
LATER = {"image", "wheels", "chart", "file"}
ORDERED = ("UNCLASSIFIED", "CUI", "CONFIDENTIAL", "SECRET", "TOP SECRET")
SEQUENCE_LIMIT = 2**31 - 1


def members(value: Any, needed: str, optional: str = "") -> dict[str, Any]:
    """Return an object that has exactly the members that are named, by spaces.

    Raises:
        Refused: ``malformed``.
    """
    demand(isinstance(value, dict), "not an object")
    wanted = set(needed.split())
    demand(wanted <= set(value) <= wanted | set(optional.split()), f"members {sorted(value)}")
    fields: dict[str, Any] = value
    return fields


def items(value: Any, most: int, least: int = 0) -> list[Any]:
    """Return a list of a bounded length."""
    demand(isinstance(value, list), "not a list")
    demand(least <= len(value) <= most, f"a list of {len(value)}")
    entries: list[Any] = value
    return entries


def integer(value: Any, least: int, most: int = 2**53 - 1) -> int:
    """Return an integer of a range; a boolean is none."""
    demand(type(value) is int, "not an integer")
    demand(least <= value <= most, f"out of range: {value}")
    number: int = value
    return number


def matching(value: Any, pattern: str) -> str:
    """Return a text that fits a pattern as a whole."""
    demand(
        isinstance(value, str) and re.fullmatch(pattern, value, re.ASCII), f"not of its form: {value!r:.80}"
    )
    return str(value)


def digest(value: Any, digits: int = 128) -> str:
    """Return a digest in lower-case hex."""
    return matching(value, f"[0-9a-f]{{{digits}}}")


def text(value: Any, most: int = 4096, least: int = 0) -> str:
    """Return free text: nothing that does not print, but newlines."""
    demand(isinstance(value, str) and least <= len(value) <= most, "not a text of its length")
    demand(all(printable(letter) for letter in value if letter != "\n"), "a character that does not print")
    return str(value)


def printable(letter: str) -> bool:
    """Tell what prints from control and format characters, and from every separator but the space (5.1-5)."""
    return letter == " " or unicodedata.category(letter)[0] not in "CZ"


def line(value: Any, most: int = 4096, least: int = 1) -> str:
    """Return free text without a newline."""
    demand("\n" not in text(value, most, least), "more than one line")
    return str(value)


def ascending(values: list[Any]) -> None:
    """Hold that values are sorted and distinct."""
    demand(all(a < b for a, b in pairwise(values)), "not sorted, or not distinct")


def time(value: Any) -> datetime:
    """Return a time: UTC, RFC 3339, whole seconds."""
    matching(value, r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")
    try:
        return datetime.strptime(value, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
    except ValueError:
        raise malformed(f"no such time: {value}") from None


def marking(value: Any) -> dict[str, Any]:
    """Return a marking: a level and sorted, distinct caveats, words of printable ASCII without a slash."""
    fields = members(value, "level caveats")
    words = [fields["level"], *items(fields["caveats"], 32)]
    for word in words:
        matching(word, r"[ -.0-~]{1,64}")
    ascending(fields["caveats"])
    return fields


def covers(above: dict[str, Any], below: dict[str, Any]) -> bool:
    """Tell whether a marking covers another [5.6-1]."""
    restricted = all(_releasable(word) or word in above["caveats"] for word in below["caveats"])
    wanted, given = _admitted(below["caveats"]), _admitted(above["caveats"])
    admitted = wanted is None or (given is not None and given <= wanted)
    return restricted and admitted and _rank(below["level"], above["level"])


def within(caveats: Iterable[str], ceiling: Iterable[str]) -> bool:
    """Tell whether a ceiling with some caveats lets others in [5.6-3]."""
    restricting = {word for word in caveats if not _releasable(word)}
    wanted, named = _admitted(caveats), _admitted(ceiling)
    return restricting <= set(ceiling) and (wanted is None or bool(wanted & (named or set())))


def _releasable(word: str) -> bool:
    return word[:7] == "REL TO "


def _admitted(caveats: Iterable[str]) -> set[str] | None:
    words = [word[7:] for word in caveats if _releasable(word)]
    return {name.strip() for word in words for name in word.split(",")} - {"NONE", ""} if words else None


def _rank(low: str, high: str) -> bool:
    if low in ORDERED and high in ORDERED:
        return ORDERED.index(low) <= ORDERED.index(high)
    return low == high


def shown(value: dict[str, Any]) -> str:
    """Return a marking as a label writes it."""
    return "//".join([value["level"], *value["caveats"]])


def named(value: Any) -> dict[str, Any]:
    """Return a name of a release: digest, name, version."""
    fields = members(value, "digest name version")
    digest(fields["digest"])
    matching(fields["name"], NAME)
    matching(fields["version"], VERSION)
    return fields
