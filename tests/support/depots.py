"""A depot with its keys, and releases in it."""

import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from airlift import strict
from airlift.bundle.media_sizes import Medium
from airlift.low.authority.init import Authorities, init
from airlift.low.authority.members import NamedRole
from airlift.low.bundle.job import BundleRequest, Coding, Destination
from airlift.low.bundle.make_bundle import make_bundle
from airlift.low.bundle.publish import BundleResult
from airlift.low.depot.depot import Depot, open_depot
from airlift.low.depot.events import read_events
from airlift.low.release.make_release import ReleaseResult, make_release
from airlift.trust.tuf import root as root_metadata
from tests.support import keys, weights

NOW = datetime(2026, 11, 21, 12, 0, 0, tzinfo=UTC)
ROOTS = ("alice", "bob", "carol")
RELEASERS = ("dan", "erin", "frank")
BUNDLER = "machine"

Components = Mapping[str, Mapping[str, bytes]]
"""Files of components by name."""


@dataclass(frozen=True, slots=True)
class Site:
    """A low side in a temporary folder: a depot, the keys of its people, and a workspace for sources."""

    folder: Path

    @property
    def depot(self) -> Depot:
        """The depot."""
        return open_depot(self.folder / "depot")

    @property
    def keys(self) -> Path:
        """The folder of key files."""
        return self.folder / "keys"

    def manifest(
        self,
        components: Components,
        version: str = "1",
        *,
        versions: Mapping[str, str] | None = None,
        **more: Any,
    ) -> Path:
        """Write sources and an authored manifest; a component's version is the release's unless given."""
        folder = self.folder / f"source-{version}"
        items = []
        for name, files in components.items():
            weights.component(folder / name, files)
            items.append(
                {
                    "name": name,
                    "kind": more.get("kinds", {}).get(name, "model"),
                    "version": (versions or {}).get(name, version),
                    "source": {"path": name},
                }
            )
        document = {
            "airlift": 1,
            "release": "assistant",
            "version": version,
            "marking": {"level": "UNCLASSIFIED"},
            "components": items,
        }
        document |= {key: value for key, value in more.items() if key != "kinds"}
        path = folder / "release.yaml"
        path.write_text(yaml.safe_dump(document, sort_keys=False))
        return path

    def release(
        self,
        components: Components,
        version: str = "1",
        *,
        names: tuple[str, ...] = RELEASERS[:2],
        **more: Any,
    ) -> ReleaseResult:
        """Release these components, signed by ``names``."""
        path = self.manifest(components, version, **more)
        return make_release(self.depot, path, signers=[keys.signer(name) for name in names], now=NOW)

    def bundle(self, reference: str = "assistant@1", output: str = "out", **more: Any) -> BundleResult:
        """Bundle a release into the folder ``output``; ``more`` are fields of the request, or arguments."""
        coding = Coding(**{key: more.pop(key) for key in ("workers", "check", "effort") if key in more})
        medium = more.pop("medium", Medium())
        request = BundleRequest(
            reference,
            Destination(
                self.folder / output,
                more.pop("for_", None),
                medium,
                more.pop("redundancy", None),
                more.pop("several", ()),
            ),
            more.pop("from_", None),
            coding,
            more.pop("explain", False),
            more.pop("variants", ()),
            more.pop("each_from", {}),
            joined=more.pop("joined", None),
        )
        return make_bundle(self.depot, request, **{"signer": keys.signer(BUNDLER), "now": NOW, **more})


@cache
def _template() -> tempfile.TemporaryDirectory[str]:
    """Return a folder with a signed, empty depot, made once per session."""
    place = tempfile.TemporaryDirectory(prefix="airlift-tests-")
    make_site(Path(place.name) / "site")
    return place


def signed_site(folder: Path) -> Site:
    """Return a low side whose depot is published and empty: a copy, which is quicker than to make one."""
    return copy_site(Site(Path(_template().name) / "site"), folder)


def copy_site(site: Site, folder: Path) -> Site:
    """Return a copy of a low side that a test may change."""
    shutil.copytree(site.folder, folder / "site")
    return Site(folder / "site")


def make_site(folder: Path, *, signed: bool = True) -> Site:
    """Make a depot with 2 of 3 roots and 2 of 3 release keys; unsigned if only public keys are to be named."""
    site = Site(folder)
    keys.write(site.keys, *ROOTS, *RELEASERS, BUNDLER)
    ending = [".key", ".key", ".pub"] if signed else [".pub"] * 3
    init(
        folder / "depot",
        Authorities(
            NamedRole([site.keys / f"{name}{end}" for name, end in zip(ROOTS, ending, strict=True)], 2),
            NamedRole([site.keys / f"{name}{end}" for name, end in zip(RELEASERS, ending, strict=True)], 2),
            site.keys / f"{BUNDLER}.pub",
        ),
        now=NOW,
    )
    return site


def forget(depot: Depot, *names: str) -> None:
    """Take particulars out of the events of a depot's log, as if an older airlift had written them."""
    lines = []
    for event in read_events(depot):
        detail = {key: value for key, value in event.detail.items() if key not in names}
        lines.append(strict.format({"time": event.time, "event": event.event, "detail": detail}) + b"\n")
    depot.log.write_bytes(b"".join(lines))


def fingerprint(root: Path) -> str:
    """Return what people compare out of band."""
    return root_metadata.fingerprint(root.read_bytes())
