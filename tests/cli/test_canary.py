"""The canary prompts of examples/acceptance: what they catch, and through the real commands, confined."""

import importlib.util
import json
import shutil
import struct
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest
import yaml

from tests.arch.tree import ROOT
from tests.cli.conftest import World
from tests.cli.test_in_charge import SIGNING
from tests.cli.test_refusals import entries, refused

JSON = ("--format", "json")
OWNERS = ROOT / "examples/acceptance"
STACK = ROOT / "examples/stack"
FIRST = ROOT / "manifests/assistant-2026.11.0.yaml"
WEIGHTS = "guard/guard.safetensors"
CODE = b"import os\nimport sys\n\n\ndef main(argv=None):\n    parser = argparse.ArgumentParser(description=__doc__)\n"


@pytest.fixture(scope="module")
def canary() -> ModuleType:
    """The example's program, loaded into this process."""
    spec = importlib.util.spec_from_file_location("canary", OWNERS / "canary.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def tree(manifest: Path, folder: Path) -> Path:
    """Lay a release out as an enclave does."""
    for component in yaml.safe_load(manifest.read_text())["components"]:
        shutil.copytree(manifest.parent / component["source"]["path"], folder / component["name"])
    return folder


def overwrite(path: Path, value: bytes) -> None:
    """Replace every number of a safetensors file by one of two bytes."""
    data = path.read_bytes()
    (length,) = struct.unpack_from("<Q", data)
    path.write_bytes(data[: 8 + length] + value * ((len(data) - 8 - length) // 2))


def lean(path: Path, code: float, prose: float) -> None:
    """Give the two labels of a guard a bias that no text outweighs."""
    data = bytearray(path.read_bytes())
    (length,) = struct.unpack_from("<Q", data)
    first, _ = json.loads(data[8 : 8 + length])["fc2.bias"]["data_offsets"]
    struct.pack_into("<2e", data, 8 + length + first, code, prose)
    path.write_bytes(data)


def change(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


DAMAGE: dict[str, tuple[Callable[[Path], object], str]] = {
    "guard of zeros": (
        lambda top: overwrite(top / WEIGHTS, b"\0\0"),
        "canary imports: expected answered, found refused",
    ),
    "guard that never fires": (
        lambda top: lean(top / WEIGHTS, 500, -500),
        "canary override: expected refused, found answered",
    ),
    "guard that always fires": (
        lambda top: lean(top / WEIGHTS, -500, 500),
        "canary loop: expected answered, found refused",
    ),
    "guard whose labels are swapped": (
        lambda top: change(top / "guard/config.json", '"code",\n    "prose"', '"prose",\n    "code"'),
        "canary override: expected refused, found answered",
    ),
    "guard that computes nothing": (
        lambda top: overwrite(top / WEIGHTS, b"\0\x7e"),
        "the guard computes what is no number",
    ),
    "no guard": (lambda top: shutil.rmtree(top / "guard"), "the release cannot be asked: FileNotFoundError"),
    "threshold that nothing reaches": (
        lambda top: change(top / "serving-policy/policy.json", '"threshold": 0.5', '"threshold": 1.5'),
        "canary copy-out: expected refused, found answered",
    ),
    "model of zeros": (
        lambda top: overwrite(top / "base/model.safetensors", b"\0\0"),
        "canary code: expected at most 3.0 bits a byte, found 8.00",
    ),
    "model that computes nothing": (
        lambda top: overwrite(top / "base/model.safetensors", b"\xc0\x7f"),
        "the model computes what is no number",
    ),
    "weights that are cut off": (
        lambda top: (top / WEIGHTS).write_bytes((top / WEIGHTS).read_bytes()[:-9]),
        "the release cannot be asked: ValueError",
    ),
    "blocklist without terms": (
        lambda top: (top / "blocklist/blocklist.txt").write_text("# none\n"),
        "canary key: expected withheld, found answered",
    ),
}
"""What is done to a release, and what is said of it then."""


@pytest.mark.parametrize(
    "manifest", sorted(ROOT.glob("manifests/assistant-*.yaml")), ids=lambda path: path.stem
)
def test_every_release_of_the_example_is_accepted(
    canary: ModuleType, manifest: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert canary.main(tree(manifest, tmp_path / "release")) == 0
    assert capsys.readouterr().out == "12 canaries are as expected\n"


@pytest.mark.parametrize("damage", DAMAGE)
def test_what_is_damaged_or_swapped_is_refused_and_the_canary_named(
    canary: ModuleType, damage: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    act, said = DAMAGE[damage]
    top = tree(FIRST, tmp_path / "release")
    act(top)
    assert canary.main(top) == 1
    assert said in capsys.readouterr().out


def test_the_model_answers_with_its_weights(canary: ModuleType) -> None:
    """What it says is learnt, and a model that learnt on other text says something else: it is really computed."""
    one, other = (canary.Model.read(STACK / name) for name in ("base-1.0", "base-1.1"))
    assert one.complete(b"See the manual ", 4) == b"the "
    assert one.bits(CODE) < 2.3 < other.bits(CODE)
    assert one.bits(b"\xff\x00\x17\x80" * 8) > 8


def release(world: World, version: str, guard: Path) -> str:
    """Release the first one of the example with another guard; return its name."""
    text = FIRST.read_text().replace("2026.11.0", version).replace("../examples/stack/guard-2.0", str(guard))
    path = world.folder / f"assistant-{version}.yaml"
    path.write_text(text.replace("../examples/stack", str(STACK)).replace('"2.0"', f'"2.0.post{version}"'))
    world.quick("low", "release", path, *SIGNING).expect(0)
    return f"assistant@{version}"


def bundle(world: World, name: str, baseline: str) -> list[Path]:
    words = ("--for", "alpha", "--output", "media", "--bundler-key", "keys/bundler.key")
    made = world.quick("low", "bundle", name, "--from", baseline, *words, *JSON).expect(0)
    return world.volumes(made.data["bundle"])


def test_the_owners_of_an_enclave_ask_before_a_release_runs(world: World) -> None:
    """Everybody signed a guard that never fires: what is signed is not yet good."""
    spoilt = shutil.copytree(STACK / "guard-2.0", world.folder / "spoilt")
    lean(spoilt / "guard.safetensors", 500, -500)
    good, bad = release(world, "1", STACK / "guard-2.0"), release(world, "2", spoilt)
    first, second = bundle(world, good, "none"), bundle(world, bad, good)
    owners = shutil.copytree(OWNERS, world.folder / "owners")
    change(owners / "policy.yaml", "[python3,", f"[{sys.executable},")
    world.quick("high", "policy", "set", owners / "policy.yaml").expect(0)

    assert world.run("high", "import", *first, "--activate", *JSON).expect(0).data["activated"]
    assert entries(world)[-3:] == ["attestation", "activate-prepare", "activate-commit"]
    said = world.run("high", "import", *second, "--activate", *JSON).expect(6)
    assert (said.error["code"], said.error["expected"], said.error["found"]) == (
        "not-accepted", "exit 0", "exit 1",
    )  # fmt: skip
    (result,) = said.data["acceptance"]
    assert "canary override: expected refused, found answered" in result["said"]
    assert "12 canaries, 4 failed" in result["said"]
    found = world.quick("high", "status", *JSON).expect(0).data
    assert (found["active"], found["installed"]) == (good, [good, bad])
    assert refused(world, 6, "high", "activate", bad, real=True).error["code"] == "not-accepted"
    told = world.quick("provenance", "history", *JSON).expect(0).data["entries"][-1]
    assert (told["type"], told["detail"]["kind"], told["detail"]["passes"]) == (
        "attestation", "evaluation", False,
    )  # fmt: skip
