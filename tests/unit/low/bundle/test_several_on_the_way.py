"""A bundle for several enclaves behind hubs, in drop folders, and where chunks of it are lost (SPEC 6.2-10)."""

import shutil
from contextlib import nullcontext, suppress
from pathlib import Path

import pytest

from airlift.bundle import own
from airlift.bundle.media_sizes import Medium
from airlift.errors import IncompleteError, WrongEnclaveError
from airlift.high.importing.import_bundle import import_bundle
from airlift.high.relaying.relay import RelayRequest, relay
from airlift.high.relaying.store import store
from airlift.high.watching.watch import NotAllImportedError
from airlift.low.bundle.publish import BundleResult
from airlift.low.bundle.recut import Asked, RecutRequest, recut
from airlift.low.bundle.recutting import code_again
from airlift.low.returns.import_return import import_return
from airlift.low.returns.read_request import read_request
from tests.support import keys, returns
from tests.support.depots import NOW, forget
from tests.support.enclaves import attempt, fresh, holds_release, operator
from tests.support.several import LAST, Scene, make_scene
from tests.support.watching import Ground

POLICY = (
    "airlift: 2\nenclave: alpha\nrelay: {delta: {ledger_key: delta.pub, ceiling: {level: UNCLASSIFIED}}, "
    "charlie: {ledger_key: charlie.pub, ceiling: {level: UNCLASSIFIED}}}\n"
)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Scene, BundleResult]:
    scene = make_scene(tmp_path_factory.mktemp("several"))
    scene.acknowledge("alpha", "1")
    scene.acknowledge("delta", "2")
    return scene, scene.bundle("alpha", "delta", medium=Medium(file_bytes=70_000))


@pytest.fixture
def scene(made: tuple[Scene, BundleResult], tmp_path: Path) -> Scene:
    return made[0].copy(tmp_path)


@pytest.fixture
def volume(scene: Scene) -> Path:
    (path,) = (scene.site.folder / "both").iterdir()
    return path


def lose(scene: Scene, volume: Path, name: str, count: int = 1) -> list[int]:
    """Take chunks off a volume that an enclave takes, and what it alone takes; return their places."""
    bundle = scene.manifest_of(volume)
    mine = own.of(bundle, name)
    assert mine is not None
    alone = [n for n in mine.chunk_numbers if sum(n in one.chunk_numbers for one in own.every(bundle)) == 1]
    for number in alone[:count]:
        (volume / "chunks" / bundle.chunks[number].sha512[:64]).unlink()
    return alone[:count]


@pytest.mark.parametrize("typed", [False, True])
def test_an_enclave_asks_for_what_it_lacks_and_gets_that(
    scene: Scene, volume: Path, tmp_path: Path, *, typed: bool
) -> None:
    (
        scene.site.depot.enclaves / "alpha.json"
    ).unlink()  # in this scene all have one ledger key, which a code tells by
    (number,) = lose(scene, volume, "delta")
    lose(scene, volume, "alpha")
    place = scene.enclave("delta")
    attempt(place, [volume], IncompleteError, 4)
    asked = (returns.request_code if typed else returns.request_of)(place, volume)
    taken = import_return(scene.site.depot, asked, now=NOW)
    assert (taken.bundle, taken.missing) == (scene.manifest_of(volume).id, (number,))
    request = RecutRequest(
        scene.manifest_of(volume).id,
        tmp_path / "again",
        asked=Asked(*read_request(scene.site.depot, asked)),
    )
    again = recut(scene.site.depot, request, now=NOW)
    assert again.chunks == 1
    import_bundle(place, [item.path for item in again.volumes], operator=operator(), activate=True)
    assert holds_release(place, LAST)


def test_where_it_cannot_be_coded_again_a_new_one_starts_from_the_same_baselines(
    scene: Scene, volume: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As where a library of another version codes otherwise."""
    bundle = scene.manifest_of(volume)
    forget(scene.site.depot, "output")  # the scene is a copy: what it was copied from has the volume still
    shutil.rmtree(volume)
    monkeypatch.setattr(code_again, "_code", lambda *_, **__: ())
    with pytest.raises(IncompleteError, match="coding it again gives others") as caught:
        recut(scene.site.depot, RecutRequest(bundle.id, tmp_path / "again"), now=NOW)
    assert caught.value.hint.endswith(
        "`airlift low bundle assistant@3 --for alpha --for delta --from alpha=assistant@1 --from delta=assistant@2`"
    )


def test_one_that_has_no_portion_cannot_ask(scene: Scene, volume: Path, tmp_path: Path) -> None:
    scene.acknowledge("bravo", "1")
    lose(scene, volume, "delta")
    asked = Asked(
        "bravo", read_request(scene.site.depot, returns.request_of(scene.enclave("delta"), volume))[1]
    )
    with pytest.raises(WrongEnclaveError) as caught:
        recut(
            scene.site.depot,
            RecutRequest(volume.name.rsplit("-vol", 1)[0][8:], tmp_path / "x", asked=asked),
            now=NOW,
        )
    assert caught.value.expected == "a request of alpha or delta"


def test_a_hub_hands_it_on_to_whom_it_is_for(scene: Scene, volume: Path, tmp_path: Path) -> None:
    for name in ("delta", "charlie"):
        keys.write(tmp_path / "authored", name)
    policy = tmp_path / "authored/policy.yaml"
    policy.write_text(POLICY)
    hub = fresh(tmp_path / "hub", scene.site, "alpha", policy=policy)
    relay(hub, RelayRequest("delta", tmp_path / "on", (volume,)), operator=operator())
    import_bundle(
        scene.enclave("delta"), sorted((tmp_path / "on").iterdir()), operator=operator(), activate=True
    )
    assert holds_release(scene.enclave("delta"), LAST)
    with pytest.raises(WrongEnclaveError):
        relay(hub, RelayRequest("charlie", tmp_path / "no", (volume,)), operator=operator())
    assert not (tmp_path / "no").exists()
    store(hub, [volume], operator=operator())
    kept = relay(hub, RelayRequest("delta", tmp_path / "kept"), operator=operator())
    assert [item["bundle"] for item in kept.handed] == [scene.manifest_of(volume).id]


def test_a_watched_folder_takes_it_where_it_is_for_the_enclave(
    scene: Scene, volume: Path, tmp_path: Path
) -> None:
    lose(scene, volume, "alpha", 9)  # another's: nobody waits for it here
    for name, event in (("delta", "imported"), ("charlie", "held")):
        folder = tmp_path / name
        folder.mkdir()
        ground = Ground(scene.enclave(name), folder)
        shutil.copytree(volume, ground.places.drop / volume.name)
        with suppress(NotAllImportedError) if event == "held" else nullcontext():
            ground.run()
        assert event in [item["event"] for item in ground.events], ground.events
    assert holds_release(scene.enclave("delta"), LAST)
