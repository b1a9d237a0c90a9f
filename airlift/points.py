"""How somebody stands, point by point: what is so, how good that is, and the next command (SPEC 14-13)."""

from dataclasses import dataclass

OK, WARN, BAD = "ok", "warn", "bad"

SOON_DAYS = 30
"""So long before metadata expires people are told."""


@dataclass(frozen=True, slots=True)
class Point:
    """One point: ``state`` is ok, warn or bad; ``next`` is the command to give, None if there is nothing to do."""

    state: str
    what: str
    next: str | None = None


def expiring(role: str, days: int, then: str) -> Point | None:
    """Return the point that metadata of a role expires in ``days`` whole days, if that is soon; below 0 it has."""
    if days >= SOON_DAYS:
        return None
    if days < 0:
        return Point(BAD, f"{role} metadata has expired", then)
    return Point(WARN, f"{role} metadata expires in {days} days", then)
