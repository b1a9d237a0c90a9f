"""Very many small files: what each costs does not depend on how many there are (tests/bench/many_files.py)."""

import random
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path

import pytest

from airlift import files
from airlift.bundle import release as releases
from airlift.bundle.fields import Marking
from airlift.high.activation.activate import activate, roll_back
from airlift.high.enclave.check_content import check_content
from airlift.high.enclave.gc import collect_garbage
from airlift.high.importing.import_bundle import import_bundle
from airlift.high.serving.export import Job, export
from airlift.intake import collect as collecting
from airlift.intake.collect import Survey, collect, survey
from airlift.layouts.layouts import Choice
from airlift.low.release.make_release import make_release
from tests.support import enclaves, keys
from tests.support.calls import counting
from tests.support.depots import NOW, RELEASERS, signed_site
from tests.support.enclaves import operator
from tests.support.taking import ONLY_DIGESTED

FEW, MANY = 100, 300
LIMITS = {
    "low release 1": 1000,
    "low bundle 1": 1100,
    "high import 1": 450,
    "high check": 560,
    "low release 2": 1000,
    "low bundle 2": 500,
    "high import 2": 440,
    "high rollback": 340,
    "high activate": 330,
    "high export": 390,
    "high gc": 250,
}
"""How many functions a command may call for each file more; some more than it does."""


def contents(count: int, version: str) -> dict[str, bytes]:
    """Return files of which every twentieth is another one in each version."""
    made = {}
    for number in range(count):
        noise = random.Random(f"{number} {version if number % 20 == 0 else ''}")
        made[f"{number % 7}/{number:04d}.txt"] = noise.randbytes(noise.randrange(300, 2000)).hex().encode()
    return made


def costs(folder: Path, count: int) -> Iterator[tuple[str, int]]:
    """Yield how many functions each command calls for a release of so many files."""
    site = signed_site(folder)
    keys.write(site.keys, "ledger")
    place = enclaves.fresh(folder / "enclave", site)
    kinds, signers = {"files": "data"}, [keys.signer(name) for name in RELEASERS[:2]]

    def counted(name: str, work: Callable[[], object]) -> tuple[str, int]:
        with counting() as calls:
            work()
        return name, calls.count

    for version in ("1", "2"):
        manifest = site.manifest({"files": contents(count, version)}, version, kinds=kinds)
        make = partial(make_release, site.depot, manifest, signers=signers, now=NOW)
        yield counted(f"low release {version}", make)
        baseline = "none" if version == "1" else "assistant@1"
        pack = partial(site.bundle, f"assistant@{version}", f"out{version}", from_=baseline, workers=1)
        yield counted(f"low bundle {version}", pack)
        volumes = sorted((site.folder / f"out{version}").iterdir())
        bring = partial(import_bundle, place, volumes, operator=operator(), activate=True, workers=1)
        yield counted(f"high import {version}", bring)
    yield counted("high check", lambda: check_content(place))
    yield counted("high rollback", lambda: roll_back(place, operator=operator()))
    yield counted("high activate", lambda: activate(place, "assistant@2", operator=operator()))
    job = Job("active", Choice("tree"), folder / "tree")
    yield counted("high export", lambda: export(place, job, operator=operator()))
    yield counted("high gc", lambda: collect_garbage(place, 1, operator=operator()))


def test_no_command_costs_more_for_each_of_many_files(tmp_path: Path) -> None:
    few, many = (dict(costs(tmp_path / str(count), count)) for count in (FEW, MANY))
    each = {name: (many[name] - few[name]) / (MANY - FEW) for name in few}
    assert set(each) == set(LIMITS)
    assert {name: round(cost) for name, cost in each.items() if cost > LIMITS[name]} == {}


class Counted(Mapping[str, Path]):
    """Paths that know how often they were gone through."""

    def __init__(self, paths: Mapping[str, Path]) -> None:
        self.paths, self.times = paths, 0

    def __getitem__(self, key: str) -> Path:
        return self.paths[key]

    def __len__(self) -> int:
        return len(self.paths)

    def __iter__(self) -> Iterator[str]:
        self.times += 1
        return iter(self.paths)


@pytest.mark.parametrize("count", [10, 300])
def test_the_gate_goes_through_all_paths_only_so_often(tmp_path: Path, count: int) -> None:
    """What broke: of each file all paths were made a set anew."""
    for number in range(count):
        (tmp_path / f"{number}.txt").write_text(f"text {number}")
    found = survey("files", tmp_path)
    paths = Counted(found.paths)
    collect("files", "data", Survey(paths, found.sizes, ()), ONLY_DIGESTED, lambda _count: None)
    assert paths.times <= 8


def test_a_manifest_is_digested_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """What broke: it was formatted anew whenever somebody asked for its digest."""
    release = releases.Release("files", "1", Marking("UNCLASSIFIED"), "", (), ())
    digest = release.digest
    monkeypatch.delattr(releases, "format")
    assert release.digest == release.only(()).digest == digest


def test_parts_of_a_survey_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    sizes = [10, 20, 70_000, 5, 65_536, 65_537] + [30_000] * 300
    names = [f"{number:03d}" for number in range(len(sizes))]
    found = Survey(dict.fromkeys(names, Path()), dict(zip(names, sizes, strict=True)), ())
    monkeypatch.setattr(files, "TOGETHER_BYTES", 1 << 20)
    parts = list(collecting._parts(found))
    assert [name for part in parts for name in part] == names
    assert parts[:4] == [["000", "001"], ["002"], ["003", "004"], ["005"]]
    for part in parts[4:]:
        assert len(part) <= files.TOGETHER_FILES
        assert sum(found.sizes[name] for name in part) <= 1 << 20
