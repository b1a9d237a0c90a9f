"""Votes: what each key says in the end, of all that it said about one thing (SPEC 4.5-5)."""

from itertools import permutations

import pytest

from airlift.policy.votes import Vote, Word, last_votes, last_words, made_at


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


MONDAY, TUESDAY, FRIDAY = (f"2026-11-{day}T12:00:00Z" for day in (23, 24, 27))


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ([Vote(("a",), True, 1, MONDAY)], Word(True, 1, MONDAY)),
        ([Vote(("a",), True, 1, FRIDAY), Vote(("a",), True, 2, MONDAY)], Word(True, 2, MONDAY)),  # the last recorded
        ([Vote(("a",), True, 1, MONDAY), Vote(("a",), True, 1, FRIDAY)], Word(True, 1, FRIDAY)),  # renewed
        ([Vote(("a",), True, 1, None), Vote(("a",), True, 1, MONDAY)], Word(True, 1, MONDAY)),
        ([Vote(("a",), True, 1, None)], Word(True, 1, None)),
    ],
)  # fmt: skip
def test_when_the_last_word_was_made(said: list[Vote], expected: Word) -> None:
    for order in permutations(said):
        assert last_words(order) == {"a": expected}


def test_a_statement_that_is_recorded_again_is_no_new_word() -> None:
    """Whoever carried an envelope once more brought an approval back that had been withdrawn (SPEC 4.5-5)."""
    given = Vote(("a", "b"), True, 1, statement="s")
    withdrawn = Vote(("a",), False, 2, statement="t")
    again = Vote(("a", "c"), True, 3, statement="s")
    for order in permutations([given, withdrawn, again]):
        assert last_votes(order) == {"a": False, "b": True, "c": True}
    anew = Vote(("a",), True, 3, statement="u")
    assert last_votes([given, withdrawn, anew])["a"]


def test_nor_does_it_grow_younger() -> None:
    issued = {1: MONDAY, 4: FRIDAY}
    said = [Vote(("a",), True, entry, made_at(Vote(("a",), True, entry), issued), "s") for entry in (1, 4)]
    assert last_words(said)["a"].time == MONDAY


@pytest.mark.parametrize(
    ("entry", "expected"), [(0, None), (1, TUESDAY), (3, TUESDAY), (4, FRIDAY), (9, FRIDAY)]
)
def test_what_gives_no_time_is_as_old_as_the_newest_bundle_that_was_there(
    entry: int, expected: str | None
) -> None:
    issued = {1: TUESDAY, 2: MONDAY, 4: FRIDAY}
    assert made_at(Vote(("a",), True, entry), issued) == expected
    assert made_at(Vote(("a",), True, entry, MONDAY), issued) == MONDAY
