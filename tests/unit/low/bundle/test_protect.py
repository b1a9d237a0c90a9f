"""Bundles with parity as they are written: volumes, labels, answers; and the check of what was written (SPEC 6.7)."""

import hashlib
from pathlib import Path
from typing import Any

import pytest

from airlift import erasure
from airlift.bundle import manifest, volume
from airlift.bundle.media_sizes import Medium
from airlift.bundle.parity import layout
from airlift.bundle.parity.layout import Redundancy
from airlift.errors import DigestError, VolumeTooSmallError
from airlift.high.verification.inspect import inspect_volumes
from airlift.low.bundle import protect as protect_module
from airlift.low.bundle import publish as publish_module
from airlift.low.bundle.check_volumes import check_volumes
from airlift.low.bundle.protect import chunk_limit
from airlift.low.depot.events import read_events
from airlift.media import volume_writer
from airlift.media.volume_reader import read_volumes
from tests.support import parity
from tests.support.depots import Site
from tests.support.enclaves import flip, site, world
from tests.support.rebuild import load_bundle

pytestmark = pytest.mark.usefixtures("quick_disk")

SMALL = Medium(volume_bytes=1_850_000)


def bundled(low: Site, asked: str, **more: Any) -> publish_module.BundleResult:
    more = {"medium": SMALL, "from_": "none", **more}
    return low.bundle("assistant@1", f"out-{asked}", redundancy=layout.parse(asked), **more)


@pytest.mark.parametrize("name", [parity.ACROSS, parity.LANES])
def test_parity_is_the_code_of_what_lies_on_the_volumes(name: str) -> None:
    paths = parity.protected(name)
    bundle = load_bundle(paths[0])
    there = {path.name: path.read_bytes() for path in parity.chunk_files(paths)}
    assert set(there) == {volume.chunk_name(item.sha512) for item in bundle.all_chunks}
    for stripe in bundle.parity:
        data = [there[volume.chunk_name(bundle.chunks[index].sha512)] for index in stripe.data]
        made = erasure.encode(data, len(stripe.parity))
        assert [hashlib.sha512(item).hexdigest() for item in made] == [item.sha512 for item in stripe.parity]
    for item in read_volumes(paths):
        assert item.index.chunks == len(item.chunks) == len(item.sums)
        assert item.index.chunk_bytes == sum(item.chunks.values())
        assert item.size + (1 << 20) < 1_850_000


def test_volumes_of_parity_are_the_last_ones() -> None:
    paths = parity.protected(parity.ACROSS)
    bundle = load_bundle(paths[0])
    data = {volume.chunk_name(item.sha512) for item in bundle.chunks}
    held = [{path.name for path in parity.chunk_files([folder])} for folder in paths]
    assert all(names <= data for names in held[:3])
    assert set.union(*held[:3]) == data
    sizes = [sum(path.stat().st_size for path in parity.chunk_files([folder])) for folder in paths]
    assert max(sizes[:3]) - min(sizes[:3]) <= 2 * (64 << 10)


def test_volumes_are_counted_where_parity_is_a_copy_of_the_data(tmp_path: Path) -> None:
    """Of a single chunk the parity is the chunk itself, so that one cut holds it twice."""
    made = bundled(site(tmp_path), "1", medium=Medium(volume_bytes=8_000_000))
    bundle = load_bundle(made.volumes[0].path)
    assert set(bundle.parity_chunks) & set(bundle.chunks)
    done = check_volumes([item.path for item in made.volumes])
    assert (done.volumes_present, done.volumes_total) == (2, 2)
    seen = inspect_volumes([item.path for item in made.volumes])
    assert (seen.volumes_present, seen.volumes_total) == (2, 2)


def test_the_label_tells_of_parity_and_no_other_label_changes() -> None:
    label = (parity.protected(parity.ACROSS)[0] / volume.LABEL).read_text()
    assert "\n  parity        " in label
    assert "lost or" in label
    assert "parity" not in (world().bundles["full"][0] / volume.LABEL).read_text()


def test_a_bundle_without_parity_is_as_it_was(tmp_path: Path) -> None:
    low = site(tmp_path)
    made = load_bundle(low.bundle("assistant@1", "plain", medium=SMALL, from_="none").volumes[0].path)
    assert b"parity" not in manifest.format(made)
    assert made.parity == ()


def test_what_is_answered(tmp_path: Path) -> None:
    low = site(tmp_path)
    result = bundled(low, "2")
    bundle = load_bundle(result.volumes[0].path)
    assert (result.parity, len(result.volumes)) == ("2", 5)
    assert (result.chunks, result.parity_chunks) == (len(bundle.chunks), len(bundle.parity_chunks))
    assert result.chunk_bytes == sum(item.size for item in bundle.chunks)
    assert result.parity_bytes == sum(item.size for item in bundle.parity_chunks)
    event = list(read_events(low.depot))[-1]
    assert (event.detail["bytes"], event.detail["parity_bytes"]) == (result.chunk_bytes, result.parity_bytes)


def test_a_dry_run_writes_nothing_and_knows_sizes_if_it_codes(tmp_path: Path) -> None:
    low = site(tmp_path)
    plain = bundled(low, "2", dry_run=True)
    coded = bundled(low, "2", dry_run=True, explain=True)
    made = bundled(low, "2")
    assert (plain.parity, plain.parity_chunks, plain.volumes) == ("2", 0, ())
    assert (coded.parity_chunks, coded.parity_bytes) == (made.parity_chunks, made.parity_bytes)
    assert coded.volumes == ()


def test_without_a_size_there_is_one_volume_of_data(tmp_path: Path) -> None:
    """A stripe of one chunk: its first parity chunk is the chunk itself, and stands on two volumes."""
    result = bundled(site(tmp_path), "2", medium=Medium())
    paths = [item.path for item in result.volumes]
    bundle = load_bundle(paths[0])
    assert len(paths) == 3
    assert all(stripe.parity[0] == bundle.chunks[stripe.data[0]] for stripe in bundle.parity)
    held = [{path.name for path in parity.chunk_files([folder])} for folder in paths]
    assert held[0] == held[1] != held[2]
    assert check_volumes(paths).missing_parity == ()


def test_the_same_inputs_give_the_same_stripes(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
    low = site(tmp_path / "a"), site(tmp_path / "b")
    made = [load_bundle(bundled(side, "2", workers=n).volumes[0].path) for n, side in enumerate(low, 1)]
    assert made[0].parity == made[1].parity


def test_a_bundle_that_brings_nothing_has_no_parity(tmp_path: Path) -> None:
    low = site(tmp_path)
    result = low.bundle("assistant@1", "same", from_="assistant@1", redundancy=Redundancy(volumes=2))
    assert (result.parity, result.parity_chunks, len(result.volumes)) == ("2", 0, 1)


def test_volumes_that_are_too_small(tmp_path: Path) -> None:
    low = site(tmp_path)
    with pytest.raises(VolumeTooSmallError, match="chunks and their parity do not fit"):
        bundled(low, "64", medium=Medium(volume_bytes=1_300_000))
    assert not (low.folder / "out-64").exists()


def test_a_depot_that_changed_meanwhile(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was laid out no longer fits: the sequence number is not used."""
    low = site(tmp_path)
    before = publish_module.next_sequence(low.depot)
    with monkeypatch.context() as patch:
        patch.setattr(volume_writer, "fit", lambda *_: False)
        patch.setattr("airlift.low.bundle.protect._fits", lambda *_: True)
        with pytest.raises(VolumeTooSmallError, match="no longer fit") as caught:
            bundled(low, "2")
    assert "sequence_used" not in caught.value.data
    assert publish_module.next_sequence(low.depot) == before


def test_a_chunk_that_changes_in_staging(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Parity is never computed from what is not the chunk any more."""
    from airlift.low.bundle import make_bundle as module

    real, low = protect_module.protect, site(tmp_path)

    def protect(*args: Any) -> Any:
        folder = args[3]
        flip(min(folder.iterdir()), 7)
        return real(*args)

    monkeypatch.setattr(module, "protect", protect)
    with pytest.raises(DigestError, match="is damaged"):
        bundled(low, "2")
    assert not (low.folder / "out-2").exists()


# -- the check -----------------------------------------------------------------------------------------------------


def test_a_check_of_all_volumes_and_of_some(tmp_path: Path) -> None:
    paths = parity.protected(parity.ACROSS)
    everything = check_volumes(paths)
    assert (everything.missing, everything.missing_parity) == ((), ())
    some = check_volumes(paths[1:4])
    bundle = load_bundle(paths[0])
    there = {path.name for path in parity.chunk_files(paths[1:4])}
    for found, chunks in ((some.missing, bundle.chunks), (some.missing_parity, bundle.parity_chunks)):
        absent = [item.sha512 for item in chunks if volume.chunk_name(item.sha512) not in there]
        assert list(found) == list(dict.fromkeys(absent))


@pytest.mark.parametrize("number", range(5))
def test_a_check_refuses_what_an_import_would_make_up_for(tmp_path: Path, number: int) -> None:
    paths = parity.copies(parity.ACROSS, tmp_path)
    flip(parity.chunk_files([paths[number]])[0], 3)
    with pytest.raises(DigestError, match="is damaged"):
        check_volumes(paths)


def test_the_limit_of_chunks_is_the_mediums_without_parity(tmp_path: Path) -> None:
    from airlift.low.bundle.job import Destination

    plain = Destination(tmp_path, medium=Medium(volume_bytes=20_000_000))
    assert chunk_limit(plain, 10**9) == plain.medium.chunk_bytes == 5_000_000
    assert chunk_limit(Destination(tmp_path, None, plain.medium, Redundancy(2)), 10**9) == 156_250
