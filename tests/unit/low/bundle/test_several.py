"""One bundle for several enclaves: made, carried, imported, and refused (SPEC 6.2-8 to 6.2-10, L4.23 to L4.25)."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from airlift.bundle import own
from airlift.bundle.fields import Marking
from airlift.bundle.media_sizes import Medium
from airlift.bundle.parity.layout import Redundancy
from airlift.errors import IncompleteError, MarkingError, UsageError, WrongEnclaveError
from airlift.high.importing.import_bundle import ImportResult, import_bundle
from airlift.high.importing.preview import plan_import, prove_bundle
from airlift.high.verification.inspect import inspect_volumes
from airlift.low.bundle.check_volumes import check_volumes
from airlift.low.bundle.job import BundleRequest, Destination, Joined
from airlift.low.bundle.planning import joint_plan
from airlift.low.bundle.planning.coding_plan import CodingPlan
from airlift.low.bundle.recut import RecutRequest, recut
from airlift.low.bundle.sharding.division import Share
from airlift.low.bundle.sharding.make_shard import make_shard
from airlift.low.depot import enclaves
from airlift.low.depot.events import read_events
from airlift.low.listing import listing
from tests.second import beside
from tests.support.depots import NOW
from tests.support.enclaves import attempt, forget, holds_release, operator
from tests.support.several import LAST, Scene, make_scene, paths

BOTH = ("alpha", "bravo")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Scene:
    return make_scene(tmp_path_factory.mktemp("several"))


@pytest.fixture
def scene(made: Scene, tmp_path: Path) -> Scene:
    return made.copy(tmp_path)


def take(scene: Scene, name: str, volumes: Sequence[Path]) -> ImportResult:
    """Import into an enclave, as both importers do it, and find the release there."""
    place, tally = scene.enclave(name), beside.Tally("tests/second")
    with beside.comparing(tally):
        result = import_bundle(place, volumes, operator=operator(), activate=True)
    assert tally.compared
    assert not tally.differing
    assert holds_release(place, LAST)
    return result


# -- what it holds -------------------------------------------------------------------------------------------------


def test_one_that_follows_the_other_adds_nothing(scene: Scene) -> None:
    scene.acknowledge("alpha", "1")
    scene.acknowledge("bravo", "1", "2")
    alone = [scene.bundle(name, output=name) for name in BOTH]
    both = scene.bundle(*BOTH)
    assert (both.enclave, both.baseline, both.baseline_known_by) == (None, None, None)
    assert both.bundle == f"several-{both.sequence}"
    assert both.chunk_bytes == max(item.chunk_bytes for item in alone) > min(i.chunk_bytes for i in alone)
    assert [(one.enclave, one.baseline, one.own_bytes) for one in both.portions] == [
        ("alpha", "assistant@1", 0),
        ("bravo", "assistant@1", 0),
    ]
    for name in BOTH:
        result = take(scene, name, paths(both))
        assert result.baseline == "assistant@1"
        assert result.enclaves == BOTH


def test_where_no_more_is_known_what_neither_has_goes_along_once(scene: Scene) -> None:
    scene.acknowledge("alpha", "1")
    scene.acknowledge("delta", "2")
    alone = [scene.bundle(name, output=name) for name in ("alpha", "delta")]
    both = scene.bundle("alpha", "delta")
    first, second = both.portions
    assert (first.baseline, second.baseline) == ("assistant@1", "assistant@2")
    assert both.chunk_bytes < sum(item.chunk_bytes for item in alone) - 90_000  # words.bin, once
    assert (first.own_bytes or 0) > 0 < (second.own_bytes or 0)
    for name in ("alpha", "delta"):
        take(scene, name, paths(both))


def test_one_that_has_nothing_gets_all_of_it_and_the_others_take_what_they_lack(scene: Scene) -> None:
    scene.acknowledge("alpha", "1")
    complete = scene.bundle("charlie", output="complete")
    three = scene.bundle("charlie", "alpha", "bravo", each_from={"bravo": "assistant@2"})
    assert [one.enclave for one in three.portions] == ["alpha", "bravo", "charlie"]
    assert [one.baseline_known_by for one in three.portions] == ["receipt", "assumption", "none"]
    assert three.chunk_bytes <= 1.05 * complete.chunk_bytes
    alpha, _, charlie = three.portions
    assert alpha.files < charlie.files
    for name in ("alpha", "bravo", "charlie"):
        take(scene, name, paths(three))


def test_a_content_is_coded_once_where_samples_say_that_this_is_smaller(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    scene.acknowledge("alpha", "1")
    scene.acknowledge("delta", "2")
    apart = scene.bundle("alpha", "delta", dry_run=True, explain=True)
    sizes = iter([10**9, 10**9, 1])

    def estimate(_depot: object, plan: CodingPlan) -> dict[str, int]:
        size = next(sizes)
        return {item.entry.sha512: size for item in plan.files}

    monkeypatch.setattr(joint_plan, "estimate", estimate)
    once = scene.bundle("alpha", "delta", dry_run=True, explain=True)
    assert [one.own_bytes for one in once.portions] == [0, 0]
    assert once.target_bytes < apart.target_bytes


def test_shards_of_it_are_joined_to_what_one_process_makes(scene: Scene) -> None:
    scene.acknowledge("alpha", "1")
    scene.acknowledge("delta", "2")
    small, shared = Medium(file_bytes=70_000), scene.site.folder / "shared"
    alone = scene.manifest(scene.bundle("alpha", "delta", output="alone", medium=small))
    asked = BundleRequest("assistant@3", Destination(shared, medium=small, several=("alpha", "delta")))
    for number in (1, 2, 3):
        made = make_shard(scene.site.depot, asked, Share(number, 3), now=NOW)
        assert made.blocks > 0
        assert (made.baseline, made.baseline_known_by) == (None, None)
    both = scene.bundle("alpha", "delta", medium=small, joined=Joined(shared))
    assert scene.manifest(both) == replace(alone, sequence=both.sequence)
    for name in ("alpha", "delta"):
        take(scene, name, paths(both))


def test_a_dry_run_says_what_each_takes_and_writes_nothing(scene: Scene) -> None:
    scene.acknowledge("alpha", "1")
    scene.acknowledge("delta", "2")
    planned = scene.bundle("alpha", "delta", dry_run=True)
    assert [(one.files, one.chunks, one.chunk_bytes, one.own_bytes) for one in planned.portions] == [
        (3, None, None, None),
        (3, None, None, None),
    ]
    coded = scene.bundle("alpha", "delta", dry_run=True, explain=True)
    assert not (scene.site.folder / "both").exists()
    real = scene.bundle("alpha", "delta")
    assert coded.portions == real.portions
    assert coded.explain is not None
    changes = {item.name: item.change for item in real.components}
    assert changes == {"base": "changed", "guard": "changed"}


def test_the_same_bundle_at_any_number_of_workers(scene: Scene) -> None:
    scene.acknowledge("alpha", "1")
    scene.acknowledge("delta", "2")
    one, three = (scene.bundle("alpha", "delta", output=f"w{n}", workers=n) for n in (1, 3))
    assert scene.manifest(one).chunks == scene.manifest(three).chunks
    assert scene.manifest(one).portions == scene.manifest(three).portions


def test_nothing_is_brought_to_one_that_has_it(scene: Scene) -> None:
    scene.acknowledge("alpha", "1")
    alone = scene.bundle("alpha", output="alone")
    both = scene.bundle("alpha", "echo", each_from={"echo": "assistant@3"})
    assert (both.portions[1].files, both.portions[1].chunk_bytes) == (0, 0)
    assert both.chunk_bytes == alone.chunk_bytes


# -- who may not ---------------------------------------------------------------------------------------------------


def test_an_enclave_that_is_not_named_refuses_it(scene: Scene) -> None:
    both = scene.bundle(*BOTH)
    error = attempt(scene.enclave("charlie"), paths(both), WrongEnclaveError, 6)
    assert (error.expected, error.found) == ("charlie", "alpha, bravo")


@pytest.mark.parametrize(
    "names", [("alpha", "alpha"), ("alpha", "any"), ("alpha", "several"), ("alpha", "B")]
)
def test_names_that_are_none_or_stand_twice(scene: Scene, names: tuple[str, ...]) -> None:
    with pytest.raises(UsageError):
        scene.bundle(*names)
    assert not (scene.site.folder / "both").exists()


def test_the_strictest_ceiling_decides(scene: Scene) -> None:
    scene.acknowledge("alpha", "1")
    scene.acknowledge("bravo", "1")
    record = enclaves.load(scene.site.depot, "bravo")
    enclaves.save(scene.site.depot, replace(record, ceiling=Marking("UNKNOWN")))
    with pytest.raises(MarkingError, match="enclave bravo"):
        scene.bundle(*BOTH)
    assert not (scene.site.folder / "both").exists()
    scene.bundle("alpha", "charlie")


# -- on the way ----------------------------------------------------------------------------------------------------


def test_what_is_told_of_it(scene: Scene) -> None:
    scene.acknowledge("alpha", "1")
    scene.acknowledge("delta", "2")
    both = scene.bundle("alpha", "delta")
    names = ("alpha", "delta")
    checked = check_volumes(paths(both), depot=scene.site.depot)
    assert (checked.enclave, checked.enclaves, checked.published) == (None, names, True)
    inspected = inspect_volumes(paths(both))
    assert (inspected.enclave, inspected.enclaves, inspected.missing) == (None, names, ())
    listed = listing(scene.site.depot)
    assert listed.bundles[-1].enclaves == names
    awaited = {item.enclave: item.outstanding for item in listed.enclaves}
    assert both.bundle in awaited["alpha"]
    assert both.bundle in awaited["delta"]
    noted = read_events(scene.site.depot)[-1].detail
    assert [(item["enclave"], item["baseline"]) for item in noted["portions"]] == [
        ("alpha", "assistant@1"),
        ("delta", "assistant@2"),
    ]
    planned = plan_import(scene.enclave("delta"), paths(both), NOW)
    assert (planned.baseline, planned.files_built, planned.objections) == ("assistant@2", 3, ())
    assert prove_bundle(scene.enclave("delta"), paths(both), NOW).missing == ()


def test_chunks_of_others_are_not_missed(scene: Scene) -> None:
    scene.acknowledge("alpha", "1")
    scene.acknowledge("delta", "2")
    both = scene.bundle("alpha", "delta", medium=Medium(file_bytes=70_000))
    bundle = scene.manifest(both)
    mine = own.of(bundle, "delta")
    assert mine is not None
    (volume,) = paths(both)
    others = [item for item in bundle.chunks if item not in mine.chunks]
    assert others
    for item in others:
        forget_chunk(volume, item.sha512)
    assert plan_import(scene.enclave("delta"), [volume], NOW).missing == ()
    assert prove_bundle(scene.enclave("delta"), [volume], NOW).missing == ()
    error = attempt(scene.enclave("alpha"), [volume], IncompleteError, 4)
    assert error.data["missing"] == [item.sha512 for item in others]
    assert error.message == f"{len(others)} of {both.portions[0].chunks} chunks are missing"
    take(scene, "delta", [volume])


def forget_chunk(volume: Path, sha512: str) -> None:
    (volume / "chunks" / sha512[:64]).unlink()


def test_parity_is_over_all_of_it(scene: Scene) -> None:
    scene.acknowledge("alpha", "1")
    scene.acknowledge("delta", "2")
    medium = Medium(volume_bytes=1_700_000, file_bytes=70_000)
    both = scene.bundle("alpha", "delta", medium=medium, redundancy=Redundancy(volumes=1))
    _, *others = paths(both)
    assert others
    for name in ("alpha", "delta"):
        assert prove_bundle(scene.enclave(name), others, NOW).missing == ()
        take(scene, name, others)


@pytest.mark.parametrize("known", [{"alpha": "1", "delta": "2"}, {"alpha": "1", "bravo": "12"}])
def test_it_is_cut_again_from_the_depot_alone(scene: Scene, tmp_path: Path, known: dict[str, str]) -> None:
    for name, versions in known.items():
        scene.acknowledge(name, *versions)
    both = scene.bundle(*known)
    forget(scene.site.folder / "both")
    again = recut(scene.site.depot, RecutRequest(both.bundle, tmp_path / "again"), now=NOW)
    assert again.coded == both.chunks
    assert again.enclaves == tuple(known)
    for name in known:
        take(scene, name, [item.path for item in again.volumes])
