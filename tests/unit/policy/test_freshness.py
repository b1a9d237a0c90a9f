"""Age: of the newest bundle by signed times and the ledger's; and how far a release is behind it."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from airlift.policy.document import Policy
from airlift.policy.freshness import Freshness, stale_rulings
from airlift.policy.ruling import refusals

ISSUED = datetime(2026, 11, 1, tzinfo=UTC)
FRESH = Freshness(ISSUED, ISSUED + timedelta(days=30), behind=3)
POLICY = Policy("alpha", refuse_new_after_days=30, refuse_behind=3)


def test_age_is_never_negative() -> None:
    assert FRESH.age == timedelta(days=30)
    assert replace(FRESH, moment=ISSUED - timedelta(days=9)).age == timedelta(0)


@pytest.mark.parametrize(
    ("fresh", "policy", "found"),
    [
        (FRESH, POLICY, []),
        (replace(FRESH, moment=FRESH.moment + timedelta(seconds=1)), POLICY, ["30 days"]),
        (replace(FRESH, behind=4), POLICY, ["4"]),
        (replace(FRESH, behind=4, moment=FRESH.moment + timedelta(days=2)), POLICY, ["32 days", "4"]),
        (replace(FRESH, behind=4, moment=FRESH.moment + timedelta(days=2)), Policy("alpha"), []),
    ],
)
def test_the_limits_are_policys(fresh: Freshness, policy: Policy, found: list[str]) -> None:
    errors = refusals(stale_rulings(fresh, policy))
    assert [error.found for error in errors] == found
    assert all((error.exit_code, error.code) == (6, "stale") for error in errors)
