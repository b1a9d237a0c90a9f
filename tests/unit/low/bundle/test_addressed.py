"""What was taken over from an enclave goes to an enclave whose ceiling is known and admits it (SPEC L4.18)."""

from pathlib import Path

import pytest
import yaml

from airlift.bundle.fields import Marking
from airlift.errors import MarkingError
from airlift.low.bundle.job import Destination
from airlift.low.bundle.recut import RecutRequest, recut
from airlift.low.emergency.respond import Emergency, respond
from airlift.low.release.make_release import make_release
from airlift.low.returns.register import register
from tests.support import keys
from tests.support.depots import BUNDLER, NOW, RELEASERS, Site, copy_site, signed_site
from tests.support.enclaves import enclave
from tests.support.rebuild import load_bundle

pytestmark = pytest.mark.usefixtures("quick_disk")

NAMES = ("bravo", "charlie")
CUI = Marking("CUI")


def taken(site: Site, place: Path, version: str) -> Path:
    """Write a manifest of a release, marked CUI, with what an enclave holds."""
    path = site.folder / f"taken-{version}.yaml"
    item = {"source": {"enclave": str(place), "component": "guard", "release": f"assistant@{version}"}}
    marking = {"level": "CUI"}
    document = {
        "airlift": 1,
        "release": "taken",
        "version": version,
        "marking": marking,
        "components": [item],
    }
    path.write_text(yaml.safe_dump(document))
    return path


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Site:
    """A depot with taken@1, the manifest of taken@2, and two enclaves whose ceilings nobody said."""
    folder = tmp_path_factory.mktemp("template")
    site, place = signed_site(folder), enclave("two", folder)
    for name in NAMES:
        keys.write(site.keys, f"ledger-{name}")
        register(site.depot, name, ledger_key=site.keys / f"ledger-{name}.pub", now=NOW)
    signers = [keys.signer(name) for name in RELEASERS[:2]]
    make_release(site.depot, taken(site, place.folder, "1"), signers=signers, now=NOW)
    taken(site, place.folder, "2")
    return site


@pytest.fixture
def site(template: Site, tmp_path: Path) -> Site:
    return copy_site(template, tmp_path)


def say_ceiling(site: Site, name: str, ceiling: Marking) -> None:
    register(site.depot, name, ledger_key=site.keys / f"ledger-{name}.pub", now=NOW, ceiling=ceiling)


def state(site: Site) -> dict[str, bytes]:
    return {
        str(path.relative_to(site.folder)): path.read_bytes()
        for folder in (site.folder / "depot", site.folder / "out")
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name != "lock"
    }


@pytest.mark.parametrize("name", [None, "delta", "bravo"])
def test_a_bundle_for_nobody_whose_ceiling_is_known(site: Site, name: str | None) -> None:
    before = state(site)
    with pytest.raises(MarkingError) as caught:
        site.bundle("taken@1", for_=name)
    assert (caught.value.exit_code, caught.value.code) == (6, "marking-refused")
    assert caught.value.message == "release taken@1 has what was taken over from an enclave: component guard"
    assert f"airlift low enrol {name or 'ENCLAVE'} --ledger-key PUB --ceiling 'CUI'" in caught.value.hint
    assert state(site) == before


def test_a_ceiling_that_does_not_admit_it(site: Site) -> None:
    say_ceiling(site, "bravo", Marking("UNCLASSIFIED"))
    before = state(site)
    with pytest.raises(MarkingError, match="above the ceiling of enclave bravo"):
        site.bundle("taken@1", for_="bravo")
    assert state(site) == before


def test_a_ceiling_that_admits_it(site: Site) -> None:
    say_ceiling(site, "bravo", CUI)
    made = site.bundle("taken@1", for_="bravo")
    (item,) = made.volumes
    bundle = load_bundle(item.path)
    assert (bundle.enclave, bundle.marking) == ("bravo", CUI)
    with pytest.raises(MarkingError):
        site.bundle("taken@1", for_="charlie")
    with pytest.raises(MarkingError):
        site.bundle("taken@1")


def test_a_re_cut_goes_by_what_is_known_now(site: Site) -> None:
    say_ceiling(site, "bravo", CUI)
    made = site.bundle("taken@1", for_="bravo")
    request = RecutRequest(made.bundle, site.folder / "again")
    assert recut(site.depot, request, now=NOW, dry_run=True).bundle == made.bundle
    say_ceiling(site, "bravo", Marking("UNCLASSIFIED"))
    with pytest.raises(MarkingError):
        recut(site.depot, request, now=NOW)
    assert not request.output.exists()


def test_in_an_emergency_each_enclave_is_addressed(site: Site) -> None:
    emergency = Emergency(
        site.folder / "taken-2.yaml", ("release:taken@1",), NAMES, "a hole", Destination(site.folder / "out")
    )
    signers = [keys.signer(name) for name in RELEASERS[:2]]
    say_ceiling(site, "bravo", CUI)
    before = state(site)
    with pytest.raises(MarkingError, match="taken over from an enclave"):
        respond(site.depot, emergency, bundler=keys.signer(BUNDLER), now=NOW, signers=signers)
    assert state(site) == before
    say_ceiling(site, "charlie", CUI)
    done = respond(site.depot, emergency, bundler=keys.signer(BUNDLER), now=NOW, signers=signers)
    assert done.published
    assert [item.enclave for item in done.bundles] == list(NAMES)
    assert sorted(done.serves) == list(NAMES)
    assert len(set(done.serves.values())) == 2
