"""Assignment against brute force: every way to choose people, without any idea of what is largest or left."""

from collections.abc import Mapping
from itertools import combinations, product

from hypothesis import given
from hypothesis import strategies as st

from airlift.policy.assignment import can_fill

KINDS = "abcd"
PAIRS = [frozenset(pair) for pair in combinations(KINDS, 2)]
PEOPLE = "uvwxy"
BARS = st.sets(st.sampled_from(PAIRS)).map(frozenset)
CANDIDATES = st.fixed_dictionaries({kind: st.frozensets(st.sampled_from(PEOPLE)) for kind in KINDS})
WANTED = st.dictionaries(st.sampled_from(KINDS), st.integers(1, 3), min_size=1)


def by_force(
    wanted: Mapping[str, int], candidates: Mapping[str, frozenset[str]], bars: frozenset[frozenset[str]]
) -> bool:
    """Choose exactly so many people for each, in every way, and look whether somebody stands where they may not."""
    ways = [[set(some) for some in combinations(sorted(candidates[kind]), wanted[kind])] for kind in wanted]
    for way in product(*ways):
        chosen = dict(zip(wanted, way, strict=True))
        if not any(chosen[a] & chosen[b] for a, b in map(sorted, bars) if a in chosen and b in chosen):
            return True
    return False


@given(WANTED, CANDIDATES, BARS)
def test_it_finds_a_way_if_and_only_if_there_is_one(
    wanted: dict[str, int], candidates: dict[str, frozenset[str]], bars: frozenset[frozenset[str]]
) -> None:
    assert can_fill(wanted, candidates, bars) == by_force(wanted, candidates, bars)
