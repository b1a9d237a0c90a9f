"""Holders: keys with a name in common are in one hand (SPEC 4.5-12)."""

import pytest

from airlift.policy.holders import Holder, group_keys, holder_of


@pytest.mark.parametrize(
    ("names", "hands"),
    [
        ([], []),
        ([("1", "erin")], ["1"]),
        ([("1", "erin"), ("2", "frank")], ["1", "2"]),
        ([("1", "erin"), ("2", "erin")], ["12"]),  # two keys of one person
        ([("1", "Erin"), ("2", "eRIN")], ["12"]),
        ([("1", "Ren\u00e9"), ("2", "Rene\u0301")], ["12"]),  # letters that are composed otherwise
        ([("1", "erin "), ("2", "erin")], ["12"]),
        ([("1", "erin  bo"), ("2", "erin bo")], ["12"]),
        ([("1", "\uff45rin"), ("2", "erin")], ["12"]),  # of full width
        ([("1", "erin"), ("1", "issm"), ("2", "issm")], ["12"]),  # named by a role elsewhere
        ([("1", "a"), ("2", "b"), ("2", "a"), ("3", "b"), ("4", "c")], ["123", "4"]),
        ([("1", "2"), ("2", "1")], ["1", "2"]),  # a name is no key
    ],
)
def test_who_is_one_holder(names: list[tuple[str, str]], hands: list[str]) -> None:
    for order in (names, names[::-1]):
        found = group_keys(order)
        assert sorted({"".join(sorted(holder.keys)) for holder in found.values()}) == hands
        assert all(key in holder.keys for key, holder in found.items())


def test_all_names_are_told() -> None:
    found = group_keys([("1", "issm"), ("1", "erin"), ("2", "erin")])
    assert found["1"] == found["2"] == Holder("erin/issm", frozenset("12"))


def test_a_key_without_a_name_is_its_own_holder() -> None:
    assert holder_of("ab" * 32, {}) == Holder(f"key {'ab' * 8}", frozenset({"ab" * 32}))
