"""Votes: what each key says in the end, of all that it said about one thing (SPEC 4.5-5)."""

from itertools import permutations

import pytest

from airlift.policy.votes import Vote, last_votes


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ([], {}),
        ([Vote(("a", "b"), True, 1)], {"a": True, "b": True}),
        ([Vote(("a",), True, 1), Vote(("a",), False, 2)], {"a": False}),  # withdrawn
        ([Vote(("a",), False, 1), Vote(("a",), True, 2)], {"a": True}),  # and given again
        ([Vote(("a",), True, 3), Vote(("a",), False, 3)], {"a": False}),  # recorded together: all must pass
        ([Vote(("a",), True, 1), Vote(("b",), False, 2)], {"a": True, "b": False}),
        ([Vote((), True, 1)], {}),  # nobody signed
    ],
)
def test_the_last_word_of_each_key(said: list[Vote], expected: dict[str, bool]) -> None:
    for order in permutations(said):
        assert last_votes(order) == expected
