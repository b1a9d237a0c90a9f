"""A release as a tree for scanners: links where nobody can write through them, copies otherwise."""

from pathlib import Path

import pytest

from airlift import files
from airlift.bundle.release import Release
from airlift.errors import StorageError, UncheckedError
from airlift.low.release.lay_out import laid_out
from tests.support.depots import Site, signed_site
from tests.support.weights import noise, weights

pytestmark = pytest.mark.usefixtures("quick_disk")

FILES = {"model.safetensors": weights(1), "deep/down/a.dat": noise(1, (1 << 20) + 7), "empty": b""}
LICENSE = {"LICENSE": b"the same", "again/LICENSE": b"the same"}


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return signed_site(tmp_path)


def released(site: Site) -> Release:
    result = site.release({"base": FILES, "words": LICENSE}, kinds={"words": "data"})
    return site.depot.load_release(result.digest)


def seen(tree: Path) -> dict[str, bytes]:
    return {str(path.relative_to(tree)): path.read_bytes() for path in tree.rglob("*") if path.is_file()}


@pytest.mark.parametrize("shared", [True, False])
def test_every_file_stands_in_its_place(site: Site, shared: bool) -> None:
    release, depot = released(site), site.depot
    with laid_out(depot, release, shared=shared) as tree:
        assert tree.is_absolute()
        expected = {f"base/{path}": data for path, data in FILES.items()}
        assert seen(tree) == expected | {f"words/{path}": data for path, data in LICENSE.items()}
        for component, entry in release.files():
            stands, content = tree / component.name / entry.path, depot.content.path(entry.sha512)
            assert stands.samefile(content) is shared
    assert list(depot.scans.iterdir()) == []


def test_where_there_are_no_links_there_are_copies(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    release = released(site)
    monkeypatch.setattr(files, "link_if_possible", lambda _source, _target: False)
    with laid_out(site.depot, release, shared=True) as tree:
        assert seen(tree)["base/model.safetensors"] == FILES["model.safetensors"]


def test_whatever_fails_nothing_is_left(site: Site) -> None:
    release, depot = released(site), site.depot
    with pytest.raises(ZeroDivisionError), laid_out(depot, release, shared=True):
        raise ZeroDivisionError
    assert list(depot.scans.iterdir()) == []
    depot.content.remove([next(iter(release.contents()))])
    with pytest.raises((StorageError, UncheckedError)), laid_out(depot, release, shared=False):
        pass
    assert list(depot.scans.iterdir()) == []


def test_what_another_command_uses_is_left(site: Site) -> None:
    release, depot = released(site), site.depot
    with laid_out(depot, release, shared=True) as first:
        with laid_out(depot, release, shared=True) as second:
            assert seen(first) == seen(second)
        assert first.is_dir()
    assert list(depot.scans.iterdir()) == []
