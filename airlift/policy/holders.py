"""Holders: which keys are in one hand, as far as names tell (SPEC 4.5-12). Pure."""

import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Holder:
    """Whoever has ``keys`` (ids); ``name`` is all names that these have, for people."""

    name: str
    keys: frozenset[str]


def group_keys(names: Iterable[tuple[str, str]]) -> Mapping[str, Holder]:
    """Return the holder of each key of ``names``: pairs of a key's id and a name that it has.

    Keys that have a name in common are one holder's, and so on from key to key. Case, blanks, and how letters are
    composed tell nobody apart.
    """
    pairs = sorted(set(names))
    leader: dict[str, str] = {}

    def first(item: str) -> str:
        while leader.setdefault(item, item) != item:
            item = leader[item]
        return item

    for key, name in pairs:
        leader[first(f"key {key}")] = first(f"name {_spoken(name)}")
    groups: dict[str, list[tuple[str, str]]] = {}
    for key, name in pairs:
        groups.setdefault(first(f"key {key}"), []).append((key, name))
    return {
        key: Holder(
            "/".join(dict.fromkeys(sorted(name for _, name in group))), frozenset(key for key, _ in group)
        )
        for group in groups.values()
        for key, _ in group
    }


def _spoken(name: str) -> str:
    """Return what a name has in common with its other spellings."""
    folded = unicodedata.normalize("NFKC", name).casefold()
    return "".join(unicodedata.normalize("NFKC", folded).split())


def holder_of(key: str, known: Mapping[str, Holder]) -> Holder:
    """Return the holder of a key; one that has no name is its own holder."""
    return known.get(key) or Holder(f"key {key[:16]}", frozenset({key}))
