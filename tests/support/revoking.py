"""Revocations signed by a site's release authority, without the command that makes them."""

from collections.abc import Iterable
from datetime import datetime
from pathlib import Path

from airlift.bundle import revocations
from airlift.bundle.release import Release
from airlift.bundle.revocations import Revocation
from airlift.low.authority.sign import sign_roles
from airlift.low.bundle.job import Destination
from airlift.low.bundle.renew import renew
from airlift.trust.tuf import proposal, targets
from airlift.trust.tuf.metadata import TARGETS
from tests.support import keys
from tests.support.depots import BUNDLER, NOW, RELEASERS, Site


def publish(site: Site, entries: Iterable[Revocation], now: datetime = NOW) -> None:
    """Publish this list, whatever stood in the one before."""
    depot, data = site.depot, revocations.format(tuple(sorted(entries)))
    with depot.lock():
        depot.documents.keep(data)
        proposal.propose_target(depot.store, targets.describe(revocations.TARGET, TARGETS, data, {}), now)
        sign_roles(depot, (TARGETS,), [keys.signer(name) for name in RELEASERS[:2]], now)


def renewal(site: Site, output: str, now: datetime = NOW) -> list[Path]:
    """Return the volumes of a bundle that carries nothing but fresh metadata and the list."""
    made = renew(site.depot, Destination(site.folder / output), signer=keys.signer(BUNDLER), now=now)
    return [item.path for item in made.volumes]


def of_component(release: Release, name: str, serial: int = 1, reason: str = "a jailbreak") -> Revocation:
    """Return the revocation of a component of a release."""
    digest = next(item.digest for item in release.components if item.name == name)
    return Revocation("component", digest, reason, serial, "vulnerability")
