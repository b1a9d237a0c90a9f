"""Advise what to do next with a depot: what waits for whose signature, who lags, what expires (SPEC 14-13)."""

import shlex
from collections.abc import Iterator
from datetime import datetime

from airlift.bundle.fields import parse_time
from airlift.low.authority.pending import Change, pending_releases
from airlift.low.depot.depot import Depot
from airlift.low.listing import PUBLISHED, ListedEnclave, ListedRelease, Listing, listing
from airlift.low.status import Role, status
from airlift.points import OK, WARN, Point, expiring
from airlift.trust.tuf import change
from airlift.trust.tuf.metadata import TARGETS
from airlift.trust.tuf.roles import BUNDLER

RELEASE = change.LABELS[TARGETS]


def advise(depot: Depot, now: datetime, at: str = "") -> tuple[Point, ...]:
    """Return how a depot stands at ``now``, most urgent first; ``at`` is how commands name it, if they must.

    Raises:
        AirliftError: the depot is damaged.
    """
    stands, held = status(depot, now), listing(depot)
    releases = ", ".join(release.label for release in pending_releases(depot))
    points = [
        *(_pending(item, releases, at) for item in stands.pending),
        *(point for role in stands.roles for point in _expiry(role, now, at)),
        *_served(held, at),
    ]
    if all(point.state == OK for point in points):
        count = f"{stands.releases} releases, {stands.outstanding} bundles outstanding"
        points.append(Point(OK, f"nothing waits: {count}, {len(stands.enclaves)} enclaves"))
    return tuple(points)


def _pending(item: Change, releases: str, at: str) -> Point:
    what = (
        f"release {releases}" if item.role == RELEASE and releases else f"the change of {item.role} metadata"
    )
    if not item.missing and item.waits_for:
        return Point(WARN, f"{what} waits for the change of {item.waits_for} metadata", _sign(item, at))
    people = " or ".join(item.may_sign) or "nobody"
    return Point(
        WARN, f"{what} lacks {item.missing} of {item.threshold} signatures, of {people}", _sign(item, at)
    )


def _sign(item: Change, at: str) -> str:
    signer = item.may_sign[0] if item.may_sign else "NAME"
    return f"airlift low sign {item.waits_for or item.role}{at} --key {shlex.quote(f'{signer}.key')}"


def _expiry(role: Role, now: datetime, at: str) -> Iterator[Point]:
    if role.expires is None:
        return
    then = {
        BUNDLER: f"airlift low renew{at} --output DIR --bundler-key KEY",
        RELEASE: f"airlift low release MANIFEST.yaml{at} --key KEY",
    }.get(role.role, f"airlift low rotate {role.role}{at} --threshold {role.threshold} --key KEY")
    point = expiring(role.role, (parse_time(role.expires) - now).days, then)
    if point is not None:
        yield point


def _served(held: Listing, at: str) -> Iterator[Point]:
    """Yield what there is to be sent, and to whom."""
    revoked = {item.digest for item in held.revocations}
    published = [item for item in held.releases if item.state == PUBLISHED and item.digest not in revoked]
    if not held.releases:
        yield Point(WARN, "no release was made yet", "airlift low draft FOLDER... --output release.yaml")
    if not published:
        return
    newest = published[-1]
    if not held.enclaves:
        then = f"airlift low enrol NAME{at} --ledger-key NAME.pub"
        yield Point(WARN, f"{newest.release} is published, and no enclave is enrolled", then)
    for enclave in held.enclaves:
        yield _lag(enclave, newest, held, at)


def _lag(enclave: ListedEnclave, newest: ListedRelease, held: Listing, at: str) -> Point:
    if newest.release in enclave.holds:
        return Point(OK, f"{enclave.enclave} holds {newest.release}, the newest release")
    holds = enclave.acknowledged or "no release that is known"
    for item in held.bundles:
        if item.bundle in enclave.outstanding and item.target == newest.release:
            what = f"{enclave.enclave} holds {holds}; {item.bundle} with {newest.release} is on its way"
            return Point(WARN, what, f"airlift low returns import receipt.json{at}")
    then = f"airlift low bundle {newest.release} --for {enclave.enclave}{at} --output DIR --bundler-key KEY"
    return Point(WARN, f"{enclave.enclave} lags: it holds {holds}, the newest is {newest.release}", then)
