"""Votes: a key may state several things about a release or bundle; the last one counts (SPEC 4.5-5). Pure."""

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Vote:
    """A statement: ids of the keys that verifiably signed it, whether it passes, the index of its entry."""

    keys: tuple[str, ...]
    passes: bool
    entry: int


def last_votes(statements: Iterable[Vote]) -> dict[str, bool]:
    """Return for each key, by its id, whether its last statement speaks for what the statements are about.

    Of several statements by one key the last recorded counts; of those in one entry, one that does not pass.
    """
    last: dict[str, tuple[int, bool]] = {}
    for said in statements:
        for key in said.keys:
            entry, passes = last.get(key, (said.entry, True))
            if said.entry >= entry:
                last[key] = (said.entry, said.passes and (passes or said.entry > entry))
    return {key: passes for key, (_, passes) in last.items()}
