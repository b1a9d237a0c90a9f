"""Freshness: how old what an enclave knows is, without believing its clock alone (SPEC 8.2-12). Pure."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from airlift.errors import StaleError
from airlift.policy.document import Policy
from airlift.policy.ruling import AGE, Ruling


@dataclass(frozen=True, slots=True)
class Freshness:
    """What an enclave knows of time when a release is to be activated; times are aware, UTC.

    ``issued`` is when the newest bundle (by its sequence) was made, as its bundler signed it; ``moment`` the latest
    time that anything tells; ``behind`` by how many sequence numbers the release's bundle is older than the newest.
    """

    issued: datetime
    moment: datetime
    behind: int

    @property
    def age(self) -> timedelta:
        """How long ago the newest bundle was made; never negative."""
        return max(self.moment - self.issued, timedelta(0))


def stale_rulings(fresh: Freshness, policy: Policy) -> Iterator[Ruling]:
    """Yield what policy says of activating something on knowledge of this age."""
    days, behind = policy.refuse_new_after_days, policy.refuse_behind
    if days is not None:
        yield _judge(
            "the newest bundle that was imported is too old to activate anything by it",
            f"at most {days} days",
            f"{fresh.age.days} days",
            stale=fresh.age > timedelta(days=days),
        )
    if behind is not None:
        yield _judge(
            "the release came with a bundle that is too far behind the newest one",
            f"at most {behind} sequence numbers",
            str(fresh.behind),
            stale=fresh.behind > behind,
        )


def _judge(message: str, expected: str, found: str, *, stale: bool) -> Ruling:
    refusal = StaleError(message, expected=expected, found=found) if stale else None
    return Ruling(AGE, "what is known", expected, found, refusal)
