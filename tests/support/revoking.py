"""Revocations signed by a site's release authority, without the command that makes them."""

from collections.abc import Iterable
from datetime import datetime
from pathlib import Path

from airlift.bundle.release import Release
from airlift.bundle.revocations import Revocation
from airlift.low.bundle.job import Destination
from airlift.low.bundle.renew import renew
from tests.support import forge, keys
from tests.support.depots import BUNDLER, NOW, Site


def publish(site: Site, entries: Iterable[Revocation], now: datetime = NOW) -> None:
    """Publish this list, whatever stood in the one before."""
    with site.depot.lock():
        forge.revoke(site, *entries, now=now)


def renewal(site: Site, output: str, now: datetime = NOW) -> list[Path]:
    """Return the volumes of a bundle that carries nothing but fresh metadata and the list."""
    made = renew(site.depot, Destination(site.folder / output), signer=keys.signer(BUNDLER), now=now)
    return [item.path for item in made.volumes]


def of_component(release: Release, name: str, serial: int = 1, reason: str = "a jailbreak") -> Revocation:
    """Return the revocation of a component of a release."""
    digest = next(item.digest for item in release.components if item.name == name)
    return Revocation("component", digest, reason, serial, "vulnerability")
