"""Portions that somebody with the bundler's key made: each enclave judges its own as a bundle (SPEC 6.2-9)."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from airlift import codec
from airlift.bundle.chunk import BUILT, Block, Source
from airlift.bundle.manifest import Portion, ReleaseRef
from airlift.errors import AirliftError, BaselineError, InventoryError, MalformedError
from airlift.high.importing.import_bundle import import_bundle
from airlift.low.bundle.check_volumes import check_volumes
from tests.second import beside
from tests.support import forge
from tests.support.enclaves import holds_release, operator, refused, reseal
from tests.support.several import LAST, RELEASES, Scene, make_scene

MODEL, CONFIG, WORDS = (
    LAST["base"]["model.safetensors"],
    LAST["base"]["config.json"],
    LAST["guard"]["words.bin"],
)
OLD, MIDDLE = (release["base"]["model.safetensors"] for release in RELEASES[:2])
GUARD = LAST["guard"]["guard.safetensors"]
EQUAL = {name: number for number, name in codec.names().items()}["equal"]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Scene:
    return make_scene(tmp_path_factory.mktemp("several"))


@pytest.fixture
def scene(made: Scene, tmp_path: Path) -> Scene:
    return made.copy(tmp_path)


@dataclass(frozen=True)
class Said:
    """What a manifest says: alpha starts from release 1, delta from release 2, and both get three files of three.

    File 2 is the model for alpha, file 3 the same model for delta.
    """

    files: Sequence[bytes] = (CONFIG, WORDS, MODEL, MODEL)
    bases: Sequence[bytes] = (OLD, MIDDLE)
    alpha: dict[str, Any] = field(default_factory=dict)
    delta: dict[str, Any] = field(default_factory=dict)
    chunks: Sequence[Sequence[Block]] = (
        (forge.raw(0, 0, CONFIG), forge.raw(1, 0, WORDS)),
        (forge.raw(2, 0, MODEL),),
        (forge.raw(3, 0, MODEL),),
    )

    def publish(self, scene: Scene, folder: Path) -> list[Path]:
        """Sign it, and write its volume."""
        depot = scene.site.depot
        ones = {item.version: ReleaseRef(item.digest, item.name, item.version) for item in depot.releases()}
        first = Portion("alpha", ones["1"], ((0, 1),), ((0, 3),), ((0, 2),))
        second = Portion("delta", ones["2"], ((1, 2),), ((0, 2), (3, 4)), ((0, 1), (2, 3)))
        packed = [forge.packed(*blocks)[0] for blocks in self.chunks]
        bundle = forge.describe(
            scene.site,
            "assistant@3",
            self.files,
            self.bases,
            baseline=None,
            packed=True,
            portions=(replace(first, **self.alpha), replace(second, **self.delta)),
        )
        return forge.publish(scene.site, bundle, packed, folder)


def copied(file: int, base: int, data: bytes) -> Block:
    return Block(file, 0, len(data), EQUAL, 0, (Source(base, 0, len(data)),), b"")


def test_as_it_should_be(scene: Scene, tmp_path: Path) -> None:
    volumes = Said().publish(scene, tmp_path / "forged")
    for name in ("alpha", "delta"):
        import_bundle(scene.enclave(name), volumes, operator=operator(), activate=True)
        assert holds_release(scene.enclave(name), LAST)


FIRST, SECOND, THIRD = Said().chunks
BAD: dict[str, tuple[Said, str]] = {
    "a block that reads another's base": (Said(chunks=(FIRST, SECOND, [copied(3, 0, OLD)])), "delta"),
    "a block that reads another's file": (
        Said(chunks=(FIRST, SECOND, [copied(3, BUILT + 2, MODEL)])),
        "delta",
    ),
    "a file that no chunk fills": (Said(delta={"chunks": ((0, 1),)}, alpha={"chunks": ((0, 3),)}), "delta"),
    "a chunk of another's file": (Said(alpha={"chunks": ((0, 3),)}), "alpha"),
    "a base that is not the baseline's": (Said(delta={"bases": ((0, 2),)}), "delta"),
    "a file that the baseline holds": (
        Said(
            files=(CONFIG, WORDS, MODEL, MODEL, GUARD),
            delta={"files": ((0, 2), (3, 5))},
            chunks=(FIRST, SECOND, [*THIRD, forge.raw(4, 0, GUARD)]),
        ),
        "delta",
    ),
}


@pytest.mark.parametrize("what", BAD)
def test_what_an_enclave_refuses_of_its_portion(scene: Scene, tmp_path: Path, what: str) -> None:
    said, name = BAD[what]
    volumes = said.publish(scene, tmp_path / "forged")
    refuse(scene, name, volumes, MalformedError, 3)


def refuse(scene: Scene, name: str, volumes: list[Path], error: type[AirliftError], code: int) -> None:
    """Check that both importers refuse it alike, and that nothing is installed."""
    place, tally = scene.enclave(name), beside.Tally("tests/second")
    with beside.comparing(tally), refused(place, error, code):
        import_bundle(place, volumes, operator=operator())
    assert tally.compared
    assert not tally.differing


def test_a_portion_that_is_bad_hurts_nobody_else(scene: Scene, tmp_path: Path) -> None:
    said, _ = BAD["a block that reads another's base"]
    volumes = said.publish(scene, tmp_path / "forged")
    import_bundle(scene.enclave("alpha"), volumes, operator=operator(), activate=True)
    assert holds_release(scene.enclave("alpha"), LAST)


def test_a_baseline_that_was_never_imported(scene: Scene, tmp_path: Path) -> None:
    other = ReleaseRef("0" * 128, "assistant", "2")
    volumes = Said(delta={"baseline": other}).publish(scene, tmp_path / "forged")
    refuse(scene, "delta", volumes, BaselineError, 5)


@pytest.mark.parametrize(
    "said",
    [
        Said(files=(CONFIG, WORDS, MODEL, OLD), chunks=(FIRST, SECOND, [forge.raw(3, 0, OLD)])),
        Said(delta={"variants": ("guard",)}),
    ],
    ids=["a file that is not of the release", "variants that are none"],
)
def test_what_is_against_the_release_is_refused_by_all(scene: Scene, tmp_path: Path, said: Said) -> None:
    volumes = said.publish(scene, tmp_path / "forged")
    with pytest.raises(MalformedError):
        check_volumes(volumes)
    for name in ("alpha", "delta", "bravo"):
        place = scene.enclave(name)
        expected = MalformedError if name != "bravo" else AirliftError
        with pytest.raises(expected):
            import_bundle(place, volumes, operator=operator())


def test_a_label_that_leaves_one_out(scene: Scene, tmp_path: Path) -> None:
    (volume,) = Said().publish(scene, tmp_path / "forged")
    label = volume / "LABEL.txt"
    text = label.read_bytes().replace(b"  for enclave   delta, from assistant@2\n", b"")
    label.unlink()
    label.write_bytes(text)
    reseal(volume)
    refuse(scene, "alpha", [volume], InventoryError, 3)
