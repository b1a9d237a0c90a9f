"""Advise what to do next with an enclave: what is active, which volumes are missing, what expires (SPEC 14-13)."""

from collections.abc import Iterator
from datetime import datetime

from airlift.bundle.fields import parse_time
from airlift.high.enclave.enclave import Enclave
from airlift.high.enclave.status import UNIMPORTED, Status, enclave_status
from airlift.points import BAD, OK, WARN, Point, expiring

_RENEW = "import what the low side makes with `airlift low renew`: `airlift high import VOLUME{at}`"
_AFTER = {
    "interrupted work": "any command that changes the enclave finishes or undoes it: `airlift high gc{at}`",
    "policy": "airlift high policy show{at}",
    "revoked, and active": "airlift high rollback{at}",
    "the clock": "airlift doctor",
    "imports": "airlift high policy show{at}",
}
"""What to do about a warning, by how it begins; fresh metadata helps against all others."""


def advise(enclave: Enclave, now: datetime, at: str = "") -> tuple[Point, ...]:
    """Return how an enclave stands at ``now``, most urgent first; ``at`` is how commands name it, if they must.

    Raises:
        AirliftError: the enclave is damaged.
    """
    stands = enclave_status(enclave, now)
    return (*_staged(stands), *_warnings(stands, at), *_expiry(stands, now, at), *_active(stands, at))


def _staged(stands: Status) -> Iterator[Point]:
    for item in stands.staged:
        name = item["bundle"] or f"{item['manifest'][:32]}..."
        wanted = [known.name for known in item["wanted"]]
        lack = (
            f"{', '.join(wanted)} {'is' if len(wanted) == 1 else 'are'} missing" if wanted else item["reason"]
        )
        count = f"{item['chunks_present']} of {item['chunks_total'] or '?'} chunks are here"
        yield Point(
            WARN if item["completable"] else BAD, f"{name} is not complete: {lack}; {count}", item["next"]
        )


def _warnings(stands: Status, at: str) -> Iterator[Point]:
    for text in stands.warnings:
        if text == UNIMPORTED:
            continue
        then = next((what for start, what in _AFTER.items() if text.startswith(start)), _RENEW)
        yield Point(BAD if text.startswith(("revoked", "expired")) else WARN, text, then.format(at=at))


def _expiry(stands: Status, now: datetime, at: str) -> Iterator[Point]:
    """Yield what expires first, and soon; what has expired is a warning already."""
    if not stands.installed:
        return
    left = {role: (parse_time(facts["expires"]) - now).days for role, facts in stands.trust.items()}
    role = min(left, key=left.__getitem__)
    point = expiring(role, left[role], _RENEW.format(at=at)) if left[role] >= 0 else None
    if point is not None:
        yield point


def _active(stands: Status, at: str) -> Iterator[Point]:
    if not stands.installed:
        if not stands.staged:
            yield Point(WARN, "nothing was imported yet", f"airlift high import VOLUME...{at} --activate")
        return
    newest = stands.installed[-1]
    if stands.active is None:
        yield Point(WARN, "nothing is active", f"airlift high activate {newest}{at}")
        return
    yield Point(OK, f"{stands.active} is active")
    if newest != stands.active:
        yield Point(WARN, f"{newest} is installed, and not active", f"airlift high activate {newest}{at}")
