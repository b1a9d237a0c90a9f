"""A depot of three releases, and enclaves that lag behind each other: for bundles that are for several of them."""

import random
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from airlift.bundle import manifest
from airlift.bundle.manifest import Bundle
from airlift.high.enclave.enclave import Enclave, open_enclave
from airlift.high.importing.import_bundle import import_bundle
from airlift.low.bundle.publish import BundleResult
from airlift.low.depot import enclaves
from airlift.low.depot.enclaves import Acknowledged
from airlift.low.returns.register import register
from tests.support import keys, weights
from tests.support.depots import NOW, Components, Site, make_site
from tests.support.enclaves import copy, fresh, operator
from tests.support.rebuild import load_bundle

ROWS, COLUMNS = 256, 512


def moved(*steps: tuple[int, float]) -> bytes:
    """Return a matrix after steps: in each a share of its numbers, chosen by a seed, changes by one unit."""
    body = bytearray(weights.noise(9, ROWS * COLUMNS * 2))
    for seed, share in steps:
        for number in random.Random(seed).sample(range(ROWS * COLUMNS), int(share * ROWS * COLUMNS)):
            body[2 * number] ^= 1
    return weights.safetensors({"w": ("BF16", (ROWS, COLUMNS), bytes(body))})


GUARD, NEW = weights.weights(3), weights.noise(4, 100_000)
STEPS = ((1, 0.05), (2, 0.05), (3, 0.05))
RELEASES: tuple[Components, ...] = tuple(
    {
        "base": {
            "model.safetensors": moved(*STEPS[:count]),
            "config.json": b'{"step": %d}' % count,
            "copy.json": b'{"step": %d}' % count,
        },
        "guard": {
            "config.json": b'{"step": %d}' % count,
            "guard.safetensors": GUARD,
            **({"words.bin": NEW} if count == 2 else {}),
        },
    }
    for count in range(3)
)
LAST = RELEASES[2]


def acknowledge(site: Site, name: str, *versions: str) -> None:
    """Let a depot know which releases an enclave says that it holds."""
    depot = site.depot
    keys.write(site.keys, "ledger")
    if name not in enclaves.names(depot):
        register(depot, name, ledger_key=site.keys / "ledger.pub", now=NOW)
    digests = {reference.version: reference.digest for reference in depot.releases()}
    said = tuple(Acknowledged(digests[one], 1, "2026-11-21T12:00:00Z", "receipt") for one in versions)
    enclaves.save(depot, replace(enclaves.load(depot, name), acknowledged=said))


@dataclass(frozen=True, slots=True)
class Scene:
    """A low side with releases 1 to 3, and enclaves by name: who has imported what."""

    folder: Path

    @property
    def site(self) -> Site:
        """The low side."""
        return Site(self.folder / "site")

    def enclave(self, name: str) -> Enclave:
        """Return an enclave."""
        return open_enclave(self.folder / name)

    def copy(self, folder: Path) -> "Scene":
        """Return a copy of all of it."""
        return Scene(copy(self.folder, folder / "scene"))

    def acknowledge(self, name: str, *versions: str) -> None:
        """Let the depot know which releases an enclave says that it holds."""
        acknowledge(self.site, name, *versions)

    def bundle(self, *names: str, output: str = "both", **more: Any) -> BundleResult:
        """Bundle release 3 for enclaves, two or more of them in one bundle."""
        whom: dict[str, Any] = {"for_": names[0]} if len(names) == 1 else {"several": names}
        return self.site.bundle("assistant@3", output, **whom, **more)

    def manifest(self, result: BundleResult) -> Bundle:
        """Return the manifest of a bundle that was made here."""
        return manifest.parse(self.site.depot.documents.load(result.digest))

    def manifest_of(self, volume: Path) -> Bundle:
        """Return the manifest of the bundle that a volume is of."""
        return load_bundle(volume)


HELD = {"alpha": ("full",), "bravo": ("full", "step"), "charlie": (), "delta": ("second",)}
"""What each enclave of the scene imported: alpha lags behind bravo, delta has release 2 alone, charlie nothing."""


def make_scene(folder: Path) -> Scene:
    """Make the scene."""
    site = make_site(folder / "site")
    keys.write(site.keys, "ledger")
    for number, components in enumerate(RELEASES, 1):
        site.release(components, str(number), kinds={"guard": "guard"})
    made = {
        "full": site.bundle("assistant@1", "full"),
        "step": site.bundle("assistant@2", "step", from_="assistant@1"),
        "second": site.bundle("assistant@2", "second"),
    }
    for name, steps in HELD.items():
        place = fresh(folder / name, site, name)
        for step in steps:
            import_bundle(place, paths(made[step]), operator=operator(), activate=True)
    return Scene(folder)


def paths(result: BundleResult) -> Sequence[Path]:
    """Return the folders of the volumes of a bundle."""
    return [item.path for item in result.volumes]
