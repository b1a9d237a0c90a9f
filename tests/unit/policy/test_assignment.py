"""Assignment: small cases by hand; tests/property compares with all ways there are."""

import pytest

from airlift.policy.assignment import can_fill


def bars(*pairs: str) -> frozenset[frozenset[str]]:
    return frozenset(frozenset(pair) for pair in pairs)


@pytest.mark.parametrize(
    ("wanted", "candidates", "barred", "possible"),
    [
        ({"a": 1}, {"a": "x"}, (), True),
        ({"a": 2}, {"a": "x"}, (), False),
        ({"a": 1, "b": 1}, {"a": "x", "b": "x"}, (), True),
        ({"a": 1, "b": 1}, {"a": "x", "b": "x"}, ("ab",), False),
        ({"a": 1, "b": 1}, {"a": "xy", "b": "x"}, ("ab",), True),  # x must be left for b
        ({"a": 2, "b": 1}, {"a": "xyz", "b": "xy"}, ("ab",), True),
        ({"a": 2, "b": 2}, {"a": "xyz", "b": "xyz"}, ("ab",), False),
        ({"a": 1, "b": 1, "c": 1}, {"a": "x", "b": "xy", "c": "x"}, ("ab", "bc"), True),  # x counts in a and c
        ({"a": 1, "b": 1, "c": 1}, {"a": "x", "b": "xy", "c": "x"}, ("ab", "bc", "ac"), False),
        ({"a": 1, "b": 1, "c": 1, "d": 1}, dict.fromkeys("abcd", "xy"), ("ab", "bc", "cd", "da"), True),
        ({"a": 1, "b": 1, "c": 1, "d": 1}, dict.fromkeys("abcd", "xyz"), ("ab", "ac", "ad", "bc", "bd", "cd"), False),
        ({"a": 1, "b": 1, "c": 1, "d": 1}, dict.fromkeys("abcd", "wxyz"), ("ab", "ac", "ad", "bc", "bd", "cd"), True),
        ({"a": 1}, {"a": ""}, (), False),
    ],
)  # fmt: skip
def test_who_can_fill_what(
    wanted: dict[str, int], candidates: dict[str, str], barred: tuple[str, ...], possible: bool
) -> None:
    assert can_fill(wanted, {k: frozenset(v) for k, v in candidates.items()}, bars(*barred)) == possible


def test_the_most_that_a_policy_may_ask_for_takes_no_long_time() -> None:
    people = frozenset(range(64))
    wanted = dict.fromkeys("abc", 20)
    assert can_fill(wanted, dict.fromkeys("abc", people), bars("ab", "ac", "bc"))
    assert not can_fill(dict.fromkeys("ab", 33), dict.fromkeys("ab", people), bars("ab"))
