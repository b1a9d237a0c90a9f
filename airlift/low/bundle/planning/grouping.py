"""Group content by who takes it: coded once for as many as can take it so (SPEC L4.24). Pure.

A class is a number; a content is its SHA-512.
"""

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass

Takers = frozenset[int]
"""Classes that take one coding of a content."""

Groups = dict[str, tuple[Takers, ...]]
"""The codings of each content: who takes each."""


@dataclass(frozen=True, slots=True)
class Reads:
    """What the coding of a content reads: contents that are held, and contents of the bundle that come before."""

    held: AbstractSet[str]
    built: AbstractSet[str]


def group(reads: Sequence[Mapping[str, Reads]], held: Sequence[AbstractSet[str]]) -> Groups:
    """Return who takes which coding of each content.

    ``reads`` has, for each class, what it lacks as it is planned for it alone, in the order of coding; ``held`` what
    each class holds.
    """
    found: Groups = {}
    for content in dict.fromkeys(name for one in reads for name in one):
        lacking = [number for number, one in enumerate(reads) if content in one]
        found[content] = tuple(_cover(content, lacking, reads, held, found))
    return found


def _cover(
    content: str,
    lacking: Sequence[int],
    reads: Sequence[Mapping[str, Reads]],
    held: Sequence[AbstractSet[str]],
    known: Groups,
) -> list[Takers]:
    left, found = list(lacking), []
    while left:
        choices = [_takers(number, left, reads[number][content], held, known) for number in left]
        best = max(choices, key=len)
        found.append(best)
        left = [number for number in left if number not in best]
    return found


def _takers(
    planned_for: int, left: Sequence[int], reads: Reads, held: Sequence[AbstractSet[str]], known: Groups
) -> Takers:
    """Return the classes that can take a content as it is planned for one of them."""
    beside = [_with(planned_for, known.get(content, ())) for content in reads.built]
    return frozenset(
        number
        for number in left
        if number == planned_for
        or (reads.held <= held[number] and all(number in takers for takers in beside))
    )


def _with(number: int, takers: Sequence[Takers]) -> Takers:
    """Return those who take a content together with a class."""
    return next((one for one in takers if number in one), frozenset())
