"""Assignment: do people suffice for several quorums, if nobody may count in two that bar each other (SPEC 4.5-13)?

Everybody chooses some of the quorums that they could count in, no two of them barred. All ways to choose are looked
at, person by person, and of each only what is still wanted afterwards is kept: ways that leave the same wants are
one. Nothing is lost by that, because what is possible from there on depends on the wants alone; nor by letting
everybody take a largest choice (one to which nothing can be added), because to count in more makes no want greater.
There are at most as many wants as the product of threshold + 1, which the policy bounds.

It is no matching of people to quorums: of three quorums of which one bars both others, a person counts either in that
one or in two at once.
"""

from collections.abc import Hashable, Mapping
from itertools import combinations
from typing import TypeVar

Person = TypeVar("Person", bound=Hashable)


def can_fill(
    wanted: Mapping[str, int], candidates: Mapping[str, frozenset[Person]], bars: frozenset[frozenset[str]]
) -> bool:
    """Say whether ``wanted`` people can be found for each quorum among its ``candidates``.

    ``bars`` are pairs of quorums in which nobody may count at once.
    """
    kinds = tuple(sorted(wanted))
    people = frozenset[Person]().union(*(candidates[kind] for kind in kinds))
    choices = [_choices(tuple(kind for kind in kinds if one in candidates[kind]), bars) for one in people]
    wants = {tuple(wanted[kind] for kind in kinds)}
    for options in sorted(choices, key=len):  # those who have no choice first: that leaves less to look at
        wants = {
            tuple(max(0, want - (kind in option)) for kind, want in zip(kinds, left, strict=True))
            for left in wants
            for option in options
        }
        if any(not any(left) for left in wants):
            return True
    return any(not any(left) for left in wants)


def _choices(kinds: tuple[str, ...], bars: frozenset[frozenset[str]]) -> tuple[frozenset[str], ...]:
    """Return the largest sets of these quorums without a pair that is barred."""
    found: list[frozenset[str]] = []
    for size in range(len(kinds), 0, -1):
        for some in map(frozenset, combinations(kinds, size)):
            barred = any(bar <= some for bar in bars)
            if not barred and not any(some < larger for larger in found):
                found.append(some)
    return tuple(found)
