"""Hostile bundles, each with one thing wrong and signed by everybody: both importers end alike.

Which exit code is right is not said here (the tests of the real one say so); that two programs agree on it is.
``AIRLIFT_SECOND=all`` tries 1,500 of each kind.
"""

import os
import random
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import pytest

from airlift.bundle.parity import layout
from airlift.errors import AirliftError
from airlift.high.enclave.enclave import Enclave, open_enclave
from airlift.high.importing.import_bundle import import_bundle
from tests.second import beside
from tests.second.forger import Forger
from tests.support import keys, weights
from tests.support.depots import Components, Site, signed_site
from tests.support.enclaves import copy, forget, fresh, operator

COUNT = 1500 if os.environ.get("AIRLIFT_SECOND") == "all" else 30

V1: Components = {
    "base": {"config.json": b'{"layers": 2}', "empty.txt": b"", "model.safetensors": weights.weights(1)},
    "guard": {"rules.txt": b"no\n" * 40},
}
V2: Components = {**V1, "base": {**V1["base"], "model.safetensors": weights.weights(1, changed=300)}}


V3: Components = {"guard": {"noise": random.Random(1).randbytes(200_000)}}
"""Of several chunks, so that what is rebuilt is another than what is there."""


@dataclass(frozen=True, slots=True)
class Place:
    """A depot, enclaves, and for each bundle an enclave that takes it."""

    site: Site
    enclaves: tuple[Enclave, ...]
    paths: tuple[Path, ...]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Place:
    """A depot, an enclave with nothing and one with a release, and bundles: complete, delta, with parity, for two."""
    site = signed_site(tmp_path_factory.mktemp("second"))
    keys.write(site.keys, "ledger")
    for version, components in (("1", V1), ("2", V2), ("3", V3)):
        site.release(components, version)
    made = [
        site.bundle("assistant@1", "full"),
        site.bundle("assistant@2", "delta", from_="assistant@1"),
        site.bundle("assistant@3", "parity", redundancy=layout.parse("50%"), from_="none"),
        site.bundle("assistant@2", "two", several=("alpha", "bravo"), each_from={"alpha": "assistant@1"}),
    ]
    paths = [result.volumes[0].path for result in made]
    empty = fresh(site.folder / "empty", site)
    one = open_enclave(copy(empty.folder, site.folder / "one"))
    import_bundle(one, [paths[0]], operator=operator())
    return Place(site, (empty, one, empty, one), tuple(paths))


@pytest.mark.timeout(6000)
@pytest.mark.parametrize("number", [0, 1, 2, 3], ids=["complete", "delta", "parity", "two"])
def test_both_importers_end_alike(
    place: Place,
    number: int,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(os, "fsync", lambda _descriptor: None)
    forger, base = Forger(place.site.keys, place.paths[number]), place.enclaves[number]
    seen, differing = Counter[str](), list[str]()
    for seed in range(number * COUNT, (number + 1) * COUNT):
        folder = tmp_path / str(seed)
        path, what = forger.forge(seed, folder)
        target = open_enclave(copy(base.folder, folder / "enclave"))
        tally = beside.Tally("tests/second")
        with beside.comparing(tally):
            try:
                import_bundle(target, [path], operator=operator())
            except AirliftError as error:
                seen[error.code] += 1
            else:
                seen["ok"] += 1
        differing += [f"seed {seed}, {what}: {text}" for text in tally.differing]
        forget(folder)
    assert not differing, "\n".join(differing)
    assert min(seen["ok"], seen["malformed"]) > COUNT // 20, seen
