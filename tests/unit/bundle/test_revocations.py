"""The list of revocations. Its vectors are in tests/vectors/bundle."""

import pytest

from airlift.bundle import revocations
from airlift.bundle.revocations import Revocation
from airlift.errors import MalformedError
from tests.support.bundle_values import REVOCATIONS, sha512


def test_parse_returns_what_was_formatted() -> None:
    for entries in ((), REVOCATIONS, REVOCATIONS[:1]):
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
