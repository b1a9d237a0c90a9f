"""A finished bundle is cut again: to another medium, in part, from volumes or from the depot (SPEC 6.8)."""

import json
import shutil
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from airlift import files
from airlift.bundle import volume
from airlift.bundle.fields import FileDigest
from airlift.bundle.manifest import Bundle
from airlift.bundle.media_sizes import Medium
from airlift.bundle.parity import layout
from airlift.bundle.returns.code import RequestCode
from airlift.bundle.revocations import Revocation
from airlift.codec import Effort
from airlift.errors import (
    AirliftError,
    DigestError,
    ExistsError,
    ExpiredError,
    IncompleteError,
    InventoryError,
    NoSpaceError,
    NotHeldError,
    RefusedError,
    UncheckedError,
    VolumeTooSmallError,
    WrongEnclaveError,
)
from airlift.high.importing.import_bundle import import_bundle
from airlift.low.bundle import recut as recut_module
from airlift.low.bundle.check_volumes import check_volumes
from airlift.low.bundle.job import Destination
from airlift.low.bundle.publish import BundleResult
from airlift.low.bundle.recut import Asked, RecutRequest, RecutResult, recut
from airlift.low.bundle.recutting.code_again import code_again
from airlift.low.bundle.recutting.first_cut import recall
from airlift.low.bundle.renew import renew
from airlift.low.bundle.withdraw import withdraw
from airlift.low.depot import outstanding
from airlift.low.depot.events import read_events
from airlift.media.claims import count_volumes, missing_chunks
from airlift.media.volume_reader import read_volumes
from tests.support import enclaves, forge, keys
from tests.support.depots import BUNDLER, NOW, Site, copy_site, forget, signed_site
from tests.support.rebuild import load_bundle
from tests.support.weights import noise, weights

SMALL = Medium(volume_bytes=1_700_000, file_bytes=100_000)
LARGE = Medium(volume_bytes=1_950_000)


pytestmark = pytest.mark.usefixtures("quick_disk")


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Site:
    """Two releases; any-1 is the first, complete, on several volumes; any-2 the second as a delta."""
    site = signed_site(tmp_path_factory.mktemp("template"))
    base = {"model.safetensors": weights(1), "words.txt": noise(2, 900_000)}
    site.release({"base": base})
    site.release({"base": {**base, "model.safetensors": weights(1, changed=40)}}, "2")
    return site


@pytest.fixture
def site(template: Site, tmp_path: Path) -> Site:
    """The bundles are made where the test runs: the depot's log names the folder."""
    site = copy_site(template, tmp_path)
    site.bundle(medium=SMALL)
    site.bundle("assistant@2", "delta", from_="assistant@1")
    return site


def cut(site: Site, bundle: str | Path = "any-1", output: str = "again", **more: Any) -> RecutResult:
    """Cut a bundle again; ``more`` are fields of the request, or arguments."""
    names: dict[str, Any] = {
        name: more.pop(name) for name in ("medium", "volumes", "workers") if name in more
    }
    if "asked" in more:
        names["asked"] = asking(made(site, str(bundle)), more.pop("asked"))
    request = RecutRequest(str(bundle), site.folder / output, **{"medium": LARGE, **names})
    return recut(site.depot, request, **{"now": NOW, **more})


def asking(bundle: Bundle, chunks: Sequence[FileDigest], enclave: str = "alpha", **other: Any) -> Asked:
    """Return the word of an enclave that it lacks some chunks of a bundle."""
    missing = tuple(bundle.chunks.index(item) for item in chunks)
    said = {"sequence": bundle.sequence, "manifest": bundle.digest[:10], "missing": missing}
    return Asked(enclave, RequestCode(key="", **{**said, **other}))


def made(site: Site, bundle: str = "any-1") -> Bundle:
    return outstanding.find(site.depot, bundle).bundle


def paths(result: RecutResult | BundleResult) -> list[Path]:
    return [item.path for item in result.volumes]


def first(site: Site) -> list[Path]:
    return sorted((site.folder / "out").iterdir())


def on(folders: Sequence[Path]) -> list[str]:
    return sorted(path.name for folder in folders for path in (folder / "chunks").iterdir())


def picture(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def damage(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    enclaves.overwrite(path, bytes(data))


# -- what comes out --------------------------------------------------------------------------------------------------


def test_to_another_medium(site: Site) -> None:
    before = outstanding.load(site.depot)
    result = cut(site)
    bundle = made(site)
    assert 1 < len(result.volumes) < len(first(site))
    assert (result.bundle, result.digest, result.target) == ("any-1", bundle.digest, "assistant@1")
    assert (result.taken, result.coded, result.chunks_total) == (len(bundle.chunks), 0, len(bundle.chunks))
    assert result.of_first_cut
    assert result.unusable == ()
    assert on(paths(result)) == on(first(site)) == sorted(volume.chunk_name(c.sha512) for c in bundle.chunks)
    for folder in paths(result):
        for part in (volume.METADATA, volume.MANIFESTS):
            assert picture(folder / part) == picture(first(site)[0] / part)
    checked = check_volumes(paths(result), depot=site.depot)
    assert (checked.published, checked.missing, checked.volumes_present) == (True, (), len(result.volumes))
    assert outstanding.load(site.depot) == before
    event = read_events(site.depot)[-1]
    assert (event.event, event.detail["cut"], event.detail["output"]) == (
        "recut", result.cut, str(site.folder / "again")
    )  # fmt: skip


def test_every_volume_fits_its_medium(site: Site) -> None:
    result = cut(site, medium=SMALL)
    for folder in paths(result):
        assert sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) < 1_700_000
    assert [path.name.partition("-c")[0] for path in paths(result)] == [path.name for path in first(site)]


def test_only_what_is_asked_for(site: Site) -> None:
    asked = made(site).chunks[3:5] + made(site).chunks[-1:]
    result = cut(site, asked=asked)
    assert on(paths(result)) == sorted(volume.chunk_name(item.sha512) for item in asked)
    assert (len(result.volumes), result.chunks, result.chunk_bytes) == (1, 3, sum(c.size for c in asked))
    (item,) = read_volumes(paths(result))
    assert len(missing_chunks([item], made(site).chunks)) == len(made(site).chunks) - 3


def test_a_renewal(site: Site) -> None:
    renewed = renew(site.depot, Destination(site.folder / "fresh"), signer=keys.signer(BUNDLER), now=NOW)
    result = cut(site, renewed.bundle)
    assert (result.chunks, len(result.volumes)) == (0, 1)
    assert check_volumes(paths(result)).bundle == renewed.bundle


def test_a_bundle_named_by_a_volume(site: Site) -> None:
    for place in (first(site)[0], site.folder / "out"):
        assert cut(site, place, dry_run=True).bundle == "any-1"


# -- the same again --------------------------------------------------------------------------------------------------


def test_the_same_cut_is_the_same_to_the_byte(site: Site) -> None:
    """Whether chunks were on volumes, or were coded again on any number of threads (SPEC 6.5-2)."""
    one = cut(site, output="one")
    shutil.rmtree(site.folder / "one")
    pictures = [picture(path) for path in paths(cut(site, output="two"))]
    for gone in ("out", "two"):
        shutil.rmtree(site.folder / gone)
    other = cut(site, output="three", workers=3)
    assert (other.taken, other.coded) == (0, one.taken)
    assert [picture(path) for path in paths(other)] == pictures
    assert one.cut == other.cut


@pytest.mark.parametrize("bundle", ["any-1", "any-2"])
def test_coded_again_it_is_what_was_signed(site: Site, bundle: str) -> None:
    """A complete bundle of small chunks, and a delta: what a re-cut needs to know stands in the log."""
    for gone in ("out", "delta"):
        shutil.rmtree(site.folder / gone)
    result = cut(site, bundle)
    assert (result.taken, result.coded, result.of_first_cut) == (0, len(made(site, bundle).chunks), True)
    assert check_volumes(paths(result), depot=site.depot).missing == ()


def test_coded_again_with_the_effort_of_then(template: Site, tmp_path: Path) -> None:
    site = copy_site(template, tmp_path)
    site.bundle("assistant@2", from_="assistant@1", effort=Effort.HIGH)
    assert recall(site.depot, made(site)).effort is Effort.HIGH
    shutil.rmtree(site.folder / "out")
    assert cut(site).coded == len(made(site).chunks)


def test_coding_ends_with_the_last_chunk_that_is_lacking(site: Site) -> None:
    shutil.rmtree(site.folder / "out")
    done: list[int] = []
    result = cut(
        site,
        asked=made(site).chunks[:1],
        progress=lambda stage, count, _total: done.append(count) if stage == "encoding" else None,
    )
    assert result.coded == 1
    assert max(done) < sum(item.size for item in made(site).files) / 2


# -- where chunks come from ------------------------------------------------------------------------------------------


def test_only_what_no_volume_has_is_coded(site: Site) -> None:
    gone = first(site)[1]
    lost = len(on([gone]))
    shutil.rmtree(gone)
    result = cut(site)
    assert (result.coded, result.taken) == (lost, len(made(site).chunks) - lost)
    assert check_volumes(paths(result)).missing == ()


def test_a_damaged_copy_is_passed_over(site: Site) -> None:
    """For a good copy on another volume, or coded again; either way it is told."""
    kept = shutil.copytree(site.folder / "out", site.folder / "kept")
    damage(min((first(site)[0] / "chunks").iterdir()))
    result = cut(site)
    assert (result.coded, len(result.unusable)) == (1, 1)
    assert "is damaged" in result.unusable[0]
    shutil.rmtree(site.folder / "again")
    assert (cut(site, volumes=(kept,)).coded, check_volumes(first(site)[1:]).bundle) == (0, "any-1")


def test_a_volume_that_was_changed_where_it_was_written_is_passed_over(site: Site) -> None:
    damage(first(site)[0] / volume.LABEL)
    result = cut(site)
    assert result.coded == len(on(first(site)[:1]))
    assert "LABEL.txt" in result.unusable[0]


def test_a_volume_that_was_changed_and_is_named_is_refused(site: Site) -> None:
    damage(first(site)[0] / volume.LABEL)
    with pytest.raises(DigestError):
        cut(site, volumes=(site.folder / "out",))
    assert not (site.folder / "again").exists()


def test_volumes_of_other_bundles_beside_them_are_left_alone(site: Site) -> None:
    forget(site.depot, "output")
    both = site.folder / "both"
    shutil.copytree(site.folder / "delta", both)
    for path in first(site):
        shutil.move(path, both / path.name)
    damage(min(both.glob("*any-2*/LABEL.txt")))
    result = cut(site, volumes=(both,))
    assert result.coded == 0
    with pytest.raises(UncheckedError, match="no volume of this bundle"):
        cut(site, output="more", volumes=(site.folder / "delta",))
    with pytest.raises(UncheckedError, match="there is no volume in"):
        cut(site, output="more", volumes=(site.keys,))


def test_a_cut_is_a_source_of_the_next(site: Site) -> None:
    cut(site)
    shutil.rmtree(site.folder / "out")
    assert cut(site, output="more", medium=Medium()).coded == 0


def test_other_chunks_than_those_that_were_signed_are_refused(site: Site) -> None:
    """As of an older airlift, whose log does not tell how large chunks were, or with another library."""
    forget(site.depot, "chunk_limit", "effort")
    shutil.rmtree(first(site)[0])
    before = site.depot.log.read_bytes()
    with pytest.raises(IncompleteError, match="coding it again gives others") as caught:
        cut(site)
    assert caught.value.exit_code == 4
    assert "airlift low bundle assistant@1 --from none" in caught.value.hint
    assert set(caught.value.data["missing"]) <= {item.sha512 for item in made(site).chunks}
    assert not (site.folder / "again").exists()
    assert site.depot.log.read_bytes() == before


def test_another_plan_is_refused_before_anything_is_coded(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.rmtree(site.folder / "delta")
    monkeypatch.setattr(
        recut_module,
        "code_again",
        lambda bundle, *more, **named: code_again(replace(bundle, files=bundle.files[::-1]), *more, **named),
    )
    shutil.rmtree(site.folder / "out")
    with pytest.raises(IncompleteError):
        cut(site)


def test_content_that_has_rotted_does_not_go_out(site: Site) -> None:
    shutil.rmtree(site.folder / "out")
    _, entry = next(site.depot.load_release("assistant@1").files())
    damage(site.depot.content.path(entry.sha512))
    with pytest.raises(DigestError, match="missing from the depot or has changed"):
        cut(site)
    assert not (site.folder / "again").exists()


@pytest.mark.parametrize(
    "detail",
    [
        {"output": 7, "effort": "utmost", "chunk_limit": "1", "timestamp": "x"},
        {"output": "/nowhere", "volumes": 100, "chunk_limit": 1 << 40, "timestamp": "0" * 128},
        {"output": None, "volumes": True, "effort": None, "chunk_limit": True, "timestamp": None},
    ],
)
def test_a_log_that_says_something_else_is_a_hint_only(site: Site, detail: dict[str, Any]) -> None:
    changed = []
    for line in site.depot.log.read_bytes().splitlines():
        event = json.loads(line)
        event["detail"] |= detail if event["event"] == "bundle" else {}
        changed.append(json.dumps(event, sort_keys=True, separators=(",", ":")).encode() + b"\n")
    site.depot.log.write_bytes(b"".join(changed))
    result = cut(site, volumes=(site.folder / "out",))
    assert (result.coded, result.of_first_cut) == (0, True)


def test_a_damaged_log(site: Site) -> None:
    """Broke: `log.jsonl is not in canonical form`, and a disc that was lost could not be replaced."""
    site.depot.log.write_bytes(b"{}\n" + site.depot.log.read_bytes())
    assert cut(site, volumes=(site.folder / "out",)).coded == 0
    with pytest.raises(NotHeldError):
        cut(site, "any-9", output="more")


# -- both cuts -------------------------------------------------------------------------------------------------------


def test_both_cuts_in_one_folder(site: Site) -> None:
    """Equal numbers do not make equal names; what lies together is read together, a copy of it as well."""
    half = len(first(site))
    result = cut(site, output="out", medium=SMALL, asked=made(site).chunks[1:])
    folders = first(site)
    assert len({path.name for path in folders}) == len(folders) == 2 * len(result.volumes)
    assert all(len(path.name) <= 64 for path in folders)
    volumes = read_volumes([site.folder / "out"])
    different = len({(path / volume.SUMS).read_bytes() for path in folders})
    assert half < different
    assert count_volumes(volumes) == (different, 2 * half)
    shutil.copytree(folders[0], site.folder / "copy")
    again = check_volumes([site.folder / "out", site.folder / "copy"], depot=site.depot)
    assert (again.volumes_present, again.volumes_total) == (different, 2 * half)
    assert len(again.volumes) == 2 * half + 1


def test_the_first_cut_over_again_is_a_copy_of_it(site: Site) -> None:
    """It has another name, and is the same to the byte: its volumes count once."""
    total, folders = len(first(site)), first(site)
    result = cut(site, output="out", medium=SMALL)
    assert [picture(path) for path in paths(result)] == [picture(path) for path in folders]
    assert count_volumes(read_volumes([site.folder / "out"])) == (total, total)


def test_parts_of_both_cuts_make_a_whole(site: Site) -> None:
    one, *others = first(site)
    asked = [item for item in made(site).chunks if volume.chunk_name(item.sha512) in on([one])]
    answer = cut(site, asked=asked)
    volumes = read_volumes([*others, *paths(answer)])
    assert missing_chunks(volumes, made(site).chunks) == ()
    assert count_volumes(volumes) == (len(others) + 1, len(others) + 2)


# -- metadata --------------------------------------------------------------------------------------------------------


def test_metadata_is_that_of_the_first_cut(site: Site) -> None:
    """Broke otherwise: any-2 was published since, and volumes of two cuts of any-1 would not belong together."""
    shutil.copytree(first(site)[0], site.folder / "kept")
    shutil.rmtree(site.folder / "out")
    result = cut(site)
    assert result.of_first_cut
    assert len(read_volumes([site.folder / "kept", *paths(result)])) == 1 + len(result.volumes)


def test_of_an_older_bundle_it_is_that_of_volumes_at_hand(site: Site) -> None:
    forget(site.depot, "timestamp")
    assert cut(site).of_first_cut


def test_else_it_is_the_newest(site: Site) -> None:
    forget(site.depot, "timestamp", "output")
    result = cut(site)
    assert not result.of_first_cut
    assert check_volumes(paths(result), depot=site.depot).published
    with pytest.raises(InventoryError, match="differ in metadata/"):
        read_volumes([*first(site), *paths(result)])


def test_expired_metadata_is_not_written_again(site: Site) -> None:
    later = NOW + timedelta(days=179)
    renew(site.depot, Destination(site.folder / "fresh"), signer=keys.signer(BUNDLER), now=later)
    assert cut(site, now=later).of_first_cut
    with pytest.raises(ExpiredError):  # that of the release authority: `low sign` gives it fresh ones
        cut(site, output="more", now=NOW + timedelta(days=181))


def test_metadata_of_a_depot_that_was_never_renewed(site: Site) -> None:
    with pytest.raises(ExpiredError):
        cut(site, now=NOW + timedelta(days=400))


def test_revocations_that_came_since(site: Site) -> None:
    """The first cut's metadata fits the bundle still; the newest does not, and an importer would refuse it."""
    forge.revoke(site, Revocation("release", "0" * 128, "found out"))
    renew(site.depot, Destination(site.folder / "fresh"), signer=keys.signer(BUNDLER), now=NOW)
    assert cut(site).of_first_cut
    forget(site.depot, "timestamp", "output")
    with pytest.raises(RefusedError, match="no metadata fits") as caught:
        cut(site, output="more")
    assert caught.value.exit_code == 6
    assert not (site.folder / "more").exists()


# -- refusals --------------------------------------------------------------------------------------------------------


def test_a_bundle_that_was_withdrawn(site: Site) -> None:
    withdraw(site.depot, "any-1", signer=keys.signer(BUNDLER), now=NOW)
    for name in ("any-1", site.folder / "out"):
        with pytest.raises(NotHeldError, match="was withdrawn") as caught:
            cut(site, name)
        assert caught.value.exit_code == 5
    assert not (site.folder / "again").exists()


def test_a_bundle_that_is_withdrawn_meanwhile(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    def withdrawn(*_arguments: object, **_named: object) -> tuple[()]:
        withdraw(site.depot, "any-1", signer=keys.signer(BUNDLER), now=NOW)
        return ()

    monkeypatch.setattr(recut_module, "code_again", withdrawn)
    with pytest.raises(NotHeldError):
        cut(site)
    assert not (site.folder / "again").exists()


@pytest.mark.parametrize("name", ["any-9", "alpha-1"])
def test_an_unknown_bundle(site: Site, name: str) -> None:
    with pytest.raises(NotHeldError, match="not one that this depot has published"):
        cut(site, name)


def test_a_bundle_of_another_depot(site: Site) -> None:
    with pytest.raises(NotHeldError):
        cut(site, enclaves.world().bundles["full"][0])


def test_no_bundle_at_all(site: Site) -> None:
    with pytest.raises(UncheckedError):
        cut(site, site.folder / "nowhere")


@pytest.mark.parametrize(
    ("other", "code"),
    [
        ({"sequence": 2}, "usage"),
        ({"manifest": "0123456789"}, "sequence-reused"),
        ({"missing": (0, 1 << 16)}, "malformed"),
    ],
)
def test_a_request_for_something_else(site: Site, other: dict[str, Any], code: str) -> None:
    """For another bundle, for another one of this number, for a chunk that is not in it."""
    asked = asking(made(site), made(site).chunks[:1], **other)
    with pytest.raises(AirliftError) as caught:
        recut(site.depot, RecutRequest("any-1", site.folder / "again", asked=asked), now=NOW)
    assert caught.value.code == code
    assert not (site.folder / "again").exists()


def test_a_request_of_another_enclave(site: Site) -> None:
    site.bundle("assistant@1", "mine", for_="alpha")
    bundle = made(site, "alpha-3")
    mine, other = (
        RecutRequest("alpha-3", site.folder / "again", asked=asking(bundle, bundle.chunks[:1], enclave))
        for enclave in ("alpha", "bravo")
    )
    with pytest.raises(WrongEnclaveError) as caught:
        recut(site.depot, other, now=NOW)
    assert caught.value.exit_code == 6
    assert recut(site.depot, mine, now=NOW).chunks == 1


@pytest.mark.parametrize(
    ("medium", "message"),
    [
        (Medium(file_bytes=1 << 16), "no chunk is ever split"),
        (Medium(volume_bytes=1 << 20), "too small for the metadata and one chunk"),
    ],
)
def test_chunks_that_the_medium_does_not_take(site: Site, medium: Medium, message: str) -> None:
    with pytest.raises(VolumeTooSmallError, match=message) as caught:
        cut(site, medium=medium)
    assert caught.value.exit_code == 8
    assert not (site.folder / "again").exists()


def test_dry_run_writes_nothing(site: Site) -> None:
    shutil.rmtree(first(site)[1])
    before = sorted(site.folder.rglob("*")), site.depot.log.read_bytes()
    result = cut(site, dry_run=True)
    assert (result.volumes, result.volumes_total) == ((), 2)
    assert result.coded > 0
    assert (sorted(site.folder.rglob("*")), site.depot.log.read_bytes()) == before


# -- failures --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("step", ["writer", "rename_durable"])
def test_a_full_disk_leaves_no_output(site: Site, step: str) -> None:
    """THREATS, file system: a full disk at every write; the next run is as if there had been none."""
    asked, result, failed = made(site).chunks[:2], None, 0
    for limit in range(1, 60):
        result = fail_at(site, step, limit, asked)
        if result is not None:
            break
        failed += 1
        assert not (site.folder / "again").exists()
    assert failed > 2
    assert result is not None
    assert check_volumes(paths(result)).bundle == "any-1"


def fail_at(site: Site, step: str, limit: int, asked: Sequence[FileDigest]) -> RecutResult | None:
    """Cut again while the call number ``limit`` of ``files.<step>`` in the output folder finds the disk full."""
    real: Callable[..., Any] = getattr(files, step)
    count = 0

    def full(*arguments: object, **more: object) -> object:
        nonlocal count
        count += str(arguments[0]).startswith(str(site.folder / "again"))
        if count == limit:
            raise NoSpaceError("no space left")
        return real(*arguments, **more)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(files, step, full)
        try:
            return cut(site, asked=asked)
        except NoSpaceError:
            return None


def test_what_a_killed_command_left_is_swept(site: Site) -> None:
    left = site.folder / "again" / f".tmp-{'0' * 16}" / volume.CHUNKS
    left.mkdir(parents=True)
    (left / "part").write_bytes(b"x")
    result = cut(site)
    assert sorted((site.folder / "again").iterdir()) == paths(result)


def test_a_run_that_was_killed_between_two_volumes_is_gone_on_with(site: Site) -> None:
    """What stands already stays as it is, and is at hand: nothing of it is coded again."""
    result = cut(site)
    pictures = [picture(path) for path in paths(result)]
    events = len(read_events(site.depot))
    assert replace(cut(site), unusable=()) == result
    assert len(read_events(site.depot)) == events, "nothing was done"
    for gone in (site.folder / "out", paths(result)[0]):
        shutil.rmtree(gone)
    forget(site.depot, "cut")
    inode = paths(result)[1].stat().st_ino
    again = cut(site)
    assert [picture(path) for path in paths(again)] == pictures
    assert (again.coded, again.volumes) == (len(on(paths(result)[:1])), result.volumes)
    assert paths(result)[1].stat().st_ino == inode
    assert not list((site.folder / "again").glob(".tmp-*"))


@pytest.mark.parametrize("spoil", ["chunk", "label", "extra", "gone", "link", "other metadata"])
def test_what_has_the_name_and_is_something_else_is_an_error(site: Site, spoil: str) -> None:
    one, _ = paths(cut(site))
    chunk = min((one / "chunks").iterdir())
    if spoil == "chunk":
        damage(chunk)
    elif spoil == "label":
        damage(one / volume.LABEL)
    elif spoil == "extra":
        (one / ".DS_Store").write_bytes(b"x")
    elif spoil == "gone":
        chunk.unlink()
    elif spoil == "link":
        one.rename(site.folder / "elsewhere")
        one.symlink_to(site.folder / "nowhere")
    else:
        forget(site.depot, "timestamp", "output")
    before = [picture(path) for path in (site.folder / "again").iterdir()]
    with pytest.raises(ExistsError, match="is not what would be written there"):
        cut(site)
    assert [picture(path) for path in (site.folder / "again").iterdir()] == before


def test_a_place_whose_name_is_no_text_is_not_noted(site: Site) -> None:
    """Broke nothing: the log is text, and what is at hand there must be named."""
    result = cut(site, output="odd\udcff")
    assert read_events(site.depot)[-1].detail["output"] is None
    assert check_volumes(paths(result)).bundle == "any-1"


def test_errors_are_ours(site: Site) -> None:
    shutil.rmtree(site.folder / "out")
    (site.folder / "out").write_bytes(b"no folder")
    with pytest.raises(AirliftError):
        cut(site, volumes=(site.folder / "out",))
    assert load_bundle(paths(cut(site))[0]).id == "any-1"


# -- parity --------------------------------------------------------------------------------------------------------


def test_a_bundle_with_parity_is_cut_again_with_it(site: Site, tmp_path: Path) -> None:
    """From its volumes; and where volumes are lost, coded and computed again: to the same bytes."""
    made = site.bundle("assistant@1", "par", medium=SMALL, redundancy=layout.parse("1"), from_="none")
    bundle = load_bundle(made.volumes[0].path)
    first = cut(site, made.bundle, "first", medium=LARGE)
    assert (first.taken, first.coded) == (len(bundle.all_chunks), 0)
    whole = read_volumes([item.path for item in first.volumes])
    assert missing_chunks(whole, bundle.all_chunks) == ()
    for item in (made.volumes[0], made.volumes[-1]):
        shutil.rmtree(item.path)
    forget_cuts = [item.path for item in first.volumes]
    kept = {path.name: path.read_bytes() for folder in forget_cuts for path in (folder / "chunks").iterdir()}
    for folder in forget_cuts:
        shutil.rmtree(folder)
    again = cut(site, made.bundle, "again", medium=LARGE)
    assert again.coded > 0
    assert {p.name: p.read_bytes() for v in again.volumes for p in (v.path / "chunks").iterdir()} == kept
    check_volumes([item.path for item in again.volumes], depot=site.depot)
    enclave = enclaves.fresh(tmp_path / "enclave", site)
    given = [made.volumes[1].path, *(item.path for item in again.volumes)]
    assert import_bundle(enclave, given, operator=enclaves.operator()).repaired == ()
