"""The list of revocations. Its vectors are in tests/vectors/bundle."""

import pytest

from airlift.bundle import revocations
from airlift.bundle.revocations import Revocation, Subject
from airlift.errors import FormatTooNewError, MalformedError
from tests.support.bundle_values import REVOCATIONS, sha512

NEW = (
    Revocation("component", sha512("c"), "a hole", 4, "vulnerability"),
    Revocation("file", sha512("f")[:64], "by SHA-256", 2),
    Revocation("file", sha512("f"), "by SHA-512", 3),
    Revocation("key", sha512("k")[:64], "lost", 1, "compromise"),
)
"""What format 1 cannot say."""


def test_parse_returns_what_was_formatted() -> None:
    for entries in ((), REVOCATIONS, REVOCATIONS[:1], _sorted(NEW), NEW[:1]):
        assert revocations.parse(revocations.format(entries)) == entries


@pytest.mark.parametrize(
    "entries",
    [
        REVOCATIONS[::-1],
        (REVOCATIONS[0], REVOCATIONS[0]),
        (REVOCATIONS[0], Revocation("component", REVOCATIONS[0].digest, "the zeroth reason")),
        (Revocation("component", sha512("x"), ""), Revocation("release", sha512("x"), "")),
    ],
)
def test_entries_are_sorted_and_each_digest_stands_once(entries: tuple[Revocation, ...]) -> None:
    with pytest.raises(MalformedError, match="sorted and distinct"):
        revocations.parse(revocations.format(entries))


def test_the_list_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(revocations, "MAX_BYTES", 10)
    with pytest.raises(MalformedError, match="too long"):
        revocations.parse(revocations.format(REVOCATIONS))


def test_a_list_states_format_2_exactly_if_format_1_cannot_say_it() -> None:
    assert revocations.format(REVOCATIONS).startswith(b'{"airlift":1,')
    for item in NEW:
        assert revocations.format((item,)).startswith(b'{"airlift":2,')
    for data in (
        revocations.format(NEW[:1]).replace(b'"airlift":2', b'"airlift":1'),
        revocations.format(()).replace(b'"airlift":1', b'"airlift":2'),
    ):
        with pytest.raises(MalformedError):
            revocations.parse(data)
    with pytest.raises(FormatTooNewError):
        revocations.parse(revocations.format(()).replace(b'"airlift":1', b'"airlift":3'))


@pytest.mark.parametrize(
    "item",
    [
        Revocation("key", sha512("k"), "", 1),
        Revocation("release", sha512("r")[:64], "", 1),
        Revocation("file", sha512("f")[:96], "", 1),
        Revocation("person", sha512("p"), "", 1),
        Revocation("component", sha512("c"), "", 1, "whim"),
        Revocation("component", sha512("c"), "", revocations.MAX_SERIAL + 1),
        Revocation("component", sha512("c"), "", -1, "legal"),
    ],
)
def test_what_is_no_revocation_is_refused(item: Revocation) -> None:
    with pytest.raises(MalformedError):
        revocations.parse(revocations.format((item,)))


def test_a_serial_numbers_one_revocation() -> None:
    twice = (Revocation("component", sha512("a"), "", 5), Revocation("component", sha512("b"), "", 5))
    with pytest.raises(MalformedError, match="serial"):
        revocations.parse(revocations.format(_sorted(twice)))


def test_a_subject_is_parsed_as_it_was_written() -> None:
    for item in NEW:
        assert Subject.from_json(item.subject.to_json(), "lifted") == item.subject
    with pytest.raises(MalformedError):
        Subject.from_json(NEW[0].subject.to_json() | {"serial": 0}, "lifted")


def _sorted(entries: tuple[Revocation, ...]) -> tuple[Revocation, ...]:
    return tuple(sorted(entries))
