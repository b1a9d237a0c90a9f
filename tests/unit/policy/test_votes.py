"""Votes: what each key says in the end, of all that it said about one thing (SPEC 4.5-5)."""

from itertools import permutations

import pytest

from airlift.policy.votes import Said, votes


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ([], {}),
        ([Said(("a", "b"), True, 1)], {"a": True, "b": True}),
        ([Said(("a",), True, 1), Said(("a",), False, 2)], {"a": False}),  # withdrawn
        ([Said(("a",), False, 1), Said(("a",), True, 2)], {"a": True}),  # and given again
        ([Said(("a",), True, 3), Said(("a",), False, 3)], {"a": False}),  # recorded together: all must pass
        ([Said(("a",), True, 1), Said(("b",), False, 2)], {"a": True, "b": False}),
        ([Said((), True, 1)], {}),  # nobody signed
    ],
)
def test_the_last_word_of_each_key(said: list[Said], expected: dict[str, bool]) -> None:
    for order in permutations(said):
        assert votes(order) == expected
