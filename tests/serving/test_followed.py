"""Every layout from the command line to its real reader, across switches; damage is found (SPEC 8.7)."""

import hashlib
import json
import os
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from airlift.layouts.layouts import LAYOUTS
from tests.arch.tree import ROOT
from tests.cli.conftest import World, make_depot, make_enclave
from tests.conftest import find_tool
from tests.serving.conftest import reader
from tests.support import layout_registry
from tests.support.llama_files import NUMBERS, llama
from tests.support.web_servers import serving

READERS = ROOT / "tests" / "support" / "layout_readers.py"
MODEL = "model.gguf"
WEIGHTS = {version: llama(int(version)) for version in ("1", "2")}
CONFIG = {version: b'{"of": "%s"}' % version.encode() for version in WEIGHTS}
HEADER = {"architecture": "llama", "numbers": NUMBERS}

Files = dict[str, bytes]


@pytest.fixture(scope="module")
def carried(tmp_path_factory: pytest.TempPathFactory) -> World:
    """An enclave that runs m@1 and holds m@2: a model in GGUF, and beside it what is none."""
    world = World(tmp_path_factory.mktemp("followed"))
    make_depot(world)
    for version in WEIGHTS:
        _write(world, version)
        keys = ("--key", "keys/release-cy.key", "--key", "keys/release-di.key")
        world.quick("low", "release", f"m-{version}.yaml", *keys).expect(0)
        packed = ("--output", "media", "--bundler-key", "keys/bundler.key")
        world.quick("low", "bundle", f"m@{version}", *packed).expect(0)
    make_enclave(world)
    for number, words in ((1, ("--activate",)), (2, ())):
        volumes = sorted(world.folder.glob(f"media/airlift-*{number}-vol*"))
        world.quick("high", "import", *volumes, *words).expect(0)
    return world


def _write(world: World, version: str) -> None:
    for name, files in (("base", {MODEL: WEIGHTS[version]}), ("more", {"config.json": CONFIG[version]})):
        folder = world.folder / f"{name}-{version}"
        folder.mkdir()
        for path, data in files.items():
            (folder / path).write_bytes(data)
    (world.folder / f"m-{version}.yaml").write_text(
        f"airlift: 1\nrelease: m\nversion: '{version}'\nmarking: {{level: UNCLASSIFIED}}\ncomponents:\n"
        f"  - {{name: base, kind: model, version: '{version}', source: {{path: base-{version}}}}}\n"
        f"  - {{name: more, kind: data, version: '{version}', source: {{path: more-{version}}}}}\n"
    )


@dataclass
class Served:
    """A place that is served, and a folder that readers may write to."""

    place: Path
    room: Path
    turn: int = 0

    def fresh(self) -> Path:
        """Return a folder for a reader that has read nothing yet."""
        self.turn += 1
        found = self.room / f"reader-{self.turn}"
        found.mkdir(parents=True)
        return found


def read_tree(served: Served) -> Files:
    assert _layout_reader("gguf", served.place / "base" / MODEL) == HEADER
    return {MODEL: (served.place / "base" / MODEL).read_bytes()}


def read_hf_cache(served: Served) -> Files:
    offline = reader(served.fresh(), HF_HUB_CACHE=served.place, HF_HUB_OFFLINE=1)
    return _whole(offline.do("whole", repo_id="m/base"))


def read_hf_mirror(served: Served) -> Files:
    home = served.fresh()
    with serving("nginx", find_tool("nginx"), served.place, home / "nginx") as address:
        return _whole(reader(home, HF_ENDPOINT=address).do("whole", repo_id="m/base"))


def read_ollama(served: Served) -> Files:
    (path,) = (served.place / "manifests/registry.ollama.ai/library/base").iterdir()
    manifest = json.loads(path.read_bytes())
    (layer,) = [one for one in manifest["layers"] if one["mediaType"].endswith(".image.model")]
    blob = served.place / "blobs" / layer["digest"].replace(":", "-")
    assert _layout_reader("gguf", blob) == HEADER
    assert _layout_reader("llama", blob)["usage"]["completion_tokens"] == 4
    return {MODEL: blob.read_bytes()}


def read_oci(served: Served) -> Files:
    """Into a registry by skopeo, and out of it by ModelPack's client."""
    home = served.fresh()
    with layout_registry.serving(find_tool("docker-registry"), home) as address:
        (name,) = [name for name in _names(served.place) if name.startswith("base-")]
        copied = ("copy", "--all", "--preserve-digests", "--dest-tls-verify=false")
        source, target = f"oci:{served.place}:{name}", f"{address}/m:{name}"
        layout_registry.skopeo(find_tool("skopeo"), *copied, source, f"docker://{target}")
        pulled = f"{address}/m@{_names(served.place)[name]}"
        assert _layout_reader("modelpack", pulled, home / "pulled") == [MODEL]
    return {MODEL: (home / "pulled" / MODEL).read_bytes()}


def read_oci_image(served: Served) -> Files:
    (name,) = [name for name in _names(served.place) if name.startswith("base-") and name.endswith("-amd64")]
    target = served.fresh() / "unpacked"
    command = [find_tool("umoci"), "unpack", "--rootless", "--image", f"{served.place}:{name}", str(target)]
    done = subprocess.run(command, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()
    return {MODEL: (target / "rootfs/models" / MODEL).read_bytes()}


READ: dict[str, Callable[[Served], Files]] = {
    "tree": read_tree,
    "hf-cache": read_hf_cache,
    "hf-mirror": read_hf_mirror,
    "ollama": read_ollama,
    "oci": read_oci,
    "oci-image": read_oci_image,
}


def _whole(told: Any) -> Files:
    """Return the files that the library found; it says what it read of each."""
    folder = Path(told["path"])
    files = {path: (folder / path).read_bytes() for path in told["files"]}
    assert {path: hashlib.sha256(data).hexdigest() for path, data in files.items()} == told["files"]
    return files


def _names(place: Path) -> dict[str, str]:
    index = json.loads((place / "index.json").read_bytes())
    name = "org.opencontainers.image.ref.name"
    return {one["annotations"][name]: one["digest"] for one in index["manifests"]}


def _layout_reader(*arguments: str | Path) -> Any:
    python = find_tool(os.environ.get("AIRLIFT_LAYOUT_READERS", "airlift-layout-readers-python"))
    done = subprocess.run([python, READERS, *arguments], capture_output=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr.decode()
    return json.loads(done.stdout.splitlines()[-1])


@pytest.fixture(params=LAYOUTS)
def layout(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def test_every_layout_is_read_for_real_across_switches(layout: str, carried: World, tmp_path: Path) -> None:
    world = carried.copy(tmp_path / "world")
    served = Served(world.folder / "served", tmp_path / "room")
    words = ("--layout", layout, "--output", "served", "--component", "base", "--follow")
    world.quick("high", "export", "active", *words).expect(0)
    read = READ[layout]
    assert read(served) == {MODEL: WEIGHTS["1"]}
    world.quick("high", "activate", "m@2").expect(0)
    assert read(served) == {MODEL: WEIGHTS["2"]}
    world.quick("high", "rollback", "--yes").expect(0)
    assert read(served) == {MODEL: WEIGHTS["1"]}
    world.quick("high", "check").expect(0)
    _damage(served.place)
    said = world.quick("high", "check", "--format", "json").expect(3)
    told = json.dumps(said.document)
    assert str(world.folder / "served") in told
    assert said.error["hint"]


def _damage(place: Path) -> None:
    """Change a byte of the largest file that is served, under this name alone: content stays as it is."""
    tree = place.resolve()
    path = max((path for path in tree.rglob("*") if path.is_file() and not path.is_symlink()), key=_size)
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.unlink()
    path.write_bytes(data)


def _size(path: Path) -> int:
    return path.stat().st_size
