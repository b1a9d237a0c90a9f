"""Votes: a key may state several things about a release or bundle; the last one counts (SPEC 4.5-5). Pure."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Vote:
    """A statement: ids of the keys that verifiably signed it, whether it passes, the index of its entry.

    ``time`` is when it was made (``YYYY-MM-DDTHH:MM:SSZ``), None if nothing tells. ``statement`` is the digest of
    what was signed: recorded again it is no new word. Without one (None) every vote is a statement of its own.
    """

    keys: tuple[str, ...]
    passes: bool
    entry: int
    time: str | None = None
    statement: str | None = None


@dataclass(frozen=True, slots=True)
class Word:
    """What a key says in the end: whether it passes, by which entry, and when it was made, if that is known."""

    passes: bool
    entry: int
    time: str | None = None


def last_words(statements: Iterable[Vote]) -> dict[str, Word]:
    """Return for each key, by its id, its last statement about what the statements are about.

    Of several statements by one key the last recorded counts; of those in one entry, one that does not pass. If all
    of them pass, it was made at the newest of their times.
    """
    last: dict[str, Word] = {}
    for said, keys in _first_records(statements):
        for key in keys:
            before = last.get(key)
            if before is None or said.entry > before.entry:
                last[key] = Word(said.passes, said.entry, said.time)
            elif said.entry == before.entry:
                times = [
                    time for time in (before.time, said.time) if time is not None
                ]  # such times sort as text
                last[key] = Word(said.passes and before.passes, said.entry, max(times, default=None))
    return last


def last_votes(statements: Iterable[Vote]) -> dict[str, bool]:
    """Return for each key, by its id, whether its last statement speaks for what the statements are about."""
    return {key: word.passes for key, word in last_words(statements).items()}


def _first_records(statements: Iterable[Vote]) -> list[tuple[Vote, tuple[str, ...]]]:
    """Return each vote with those of its keys for which it is no repetition, oldest first."""
    known: set[tuple[str, str]] = set()
    found = []
    for said in sorted(statements, key=lambda vote: vote.entry):
        new = tuple(key for key in said.keys if (key, said.statement) not in known)
        if said.statement is not None:
            known |= {(key, said.statement) for key in said.keys}
        found.append((said, new))
    return found


def made_at(vote: Vote, issued: Mapping[int, str]) -> str | None:
    """Return when a vote was made: as it says, or when the newest bundle that was there by then was issued.

    ``issued`` are the issue times of bundles of trusted keys, by the index of the entry that committed each
    (SPEC 4.5-11).
    """
    if vote.time is not None:
        return vote.time
    return max((time for entry, time in issued.items() if entry <= vote.entry), default=None)
