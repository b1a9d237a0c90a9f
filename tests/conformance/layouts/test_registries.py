"""What ``oci`` and ``oci-image`` lay out, in a real registry and real tools (SPEC 8.7.5, 8.7.6)."""

import hashlib
import json
import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from airlift.bundle.release import Release
from airlift.layouts.build import build
from airlift.layouts.layouts import choose, plan_of
from airlift.store.content import ContentFolder
from tests.support.layout_registry import serving, skopeo
from tests.support.served import component_of, entry_of, keep, release_of

BASE = {
    "README.md": b"read me",
    "config.json": b"{}",
    "empty.txt": b"",
    "model.safetensors": bytes(range(256)) * 20_000,
    "sub/" + "n" * 120 + ".txt": b"v" * 5000,
    "sub/\u00e9t\u00e9.txt": b"summer",
}
GUARD = {"guard.onnx": b"\x08\x07" * 3000, "code/run.py": b"print()"}
RELEASE: Release = release_of(
    component_of("base", "model", "1.0+cu", BASE), component_of("guard", "guard", "2.0", GUARD, license="MIT")
)
COMPONENTS = {"base-1.0_cu": BASE, "guard-2.0": GUARD}
READERS = Path(__file__).parents[2] / "support" / "layout_readers.py"
Tool = Callable[[str], str]


@pytest.fixture(scope="module")
def content(tmp_path_factory: pytest.TempPathFactory) -> ContentFolder:
    return keep(tmp_path_factory.mktemp("content"), BASE, GUARD)


@pytest.fixture(scope="module")
def registry(require_tool: Tool, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with serving(require_tool("docker-registry"), tmp_path_factory.mktemp("registry")) as address:
        yield address


@pytest.fixture(scope="module")
def laid_out(content: ContentFolder, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("out")
    for layout in ("oci", "oci-image"):
        build(plan_of(choose(layout), RELEASE, content), content, folder / layout)
    return {layout: folder / layout for layout in ("oci", "oci-image")}


@pytest.fixture
def pushed(require_tool: Tool, registry: str, laid_out: dict[str, Path], name: str) -> str:
    """Return where a component of ``oci`` is, by digest."""
    push(require_tool("skopeo"), laid_out["oci"], name, f"docker://{registry}/pulled:{name}")
    return f"{registry}/pulled@{named(laid_out['oci'])[name]}"


@pytest.fixture(scope="module")
def read(require_tool: Tool) -> Callable[..., Any]:
    python = require_tool(os.environ.get("AIRLIFT_LAYOUT_READERS", "airlift-layout-readers-python"))

    def run(*arguments: str | Path) -> Any:
        done = subprocess.run([python, READERS, *arguments], capture_output=True, check=False)
        assert done.returncode == 0, done.stderr.decode()
        return json.loads(done.stdout.splitlines()[-1])

    return run


def held(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def named(place: Path) -> dict[str, str]:
    """Return the digests in an index, by name."""
    index = json.loads((place / "index.json").read_bytes())
    name = "org.opencontainers.image.ref.name"
    return {found["annotations"][name]: found["digest"] for found in index["manifests"]}


def push(tool: str, place: Path, name: str, target: str) -> None:
    skopeo(
        tool, "copy", "--all", "--preserve-digests", "--dest-tls-verify=false", f"oci:{place}:{name}", target
    )


def test_a_release_goes_to_a_registry_and_comes_back_by_digest(
    require_tool: Tool, registry: str, laid_out: dict[str, Path], tmp_path: Path
) -> None:
    tool, place = require_tool("skopeo"), laid_out["oci"]
    digest = named(place)["1"]
    push(tool, place, "1", f"docker://{registry}/assistant:1")
    source = f"docker://{registry}/assistant@{digest}"
    raw = skopeo(tool, "inspect", "--raw", "--tls-verify=false", source)
    assert f"sha256:{hashlib.sha256(raw).hexdigest()}" == digest
    assert json.loads(raw)["annotations"]["vnd.airlift.release"] == f"sha512:{RELEASE.digest}"
    skopeo(
        tool,
        "copy",
        "--all",
        "--preserve-digests",
        "--src-tls-verify=false",
        source,
        f"oci:{tmp_path / 'back'}:1",
    )
    assert held(tmp_path / "back" / "blobs") == held(place / "blobs")


@pytest.mark.parametrize("reader", ["modelpack", "oras"])
@pytest.mark.parametrize("name", COMPONENTS)
def test_clients_pull_the_files_of_a_component(
    pushed: str, read: Callable[..., Any], tmp_path: Path, reader: str, name: str
) -> None:
    assert read(reader, pushed, tmp_path / "pulled") == sorted(COMPONENTS[name])
    assert held(tmp_path / "pulled") == COMPONENTS[name]


@pytest.mark.parametrize("name", COMPONENTS)
def test_a_configuration_is_valid_under_the_schema_of_modelpack(
    laid_out: dict[str, Path], read: Callable[..., Any], name: str
) -> None:
    blobs = laid_out["oci"] / "blobs" / "sha256"
    manifest = json.loads((blobs / named(laid_out["oci"])[name][7:]).read_bytes())
    assert read("schema", blobs / manifest["config"]["digest"][7:]) == "valid"


def test_an_image_goes_to_a_registry_and_is_unpacked(
    require_tool: Tool, registry: str, laid_out: dict[str, Path], tmp_path: Path
) -> None:
    tool, place = require_tool("skopeo"), laid_out["oci-image"]
    push(tool, place, "base-1.0_cu", f"docker://{registry}/images:base")
    digest = named(place)["base-1.0_cu"]
    source = f"docker://{registry}/images@{digest}"
    seen = json.loads(skopeo(tool, "inspect", "--tls-verify=false", f"docker://{registry}/images:base"))
    assert seen["Digest"] == digest
    assert seen["Labels"]["vnd.airlift.component"] == f"sha512:{RELEASE.components[0].digest}"
    for platform in ("amd64", "arm64"):
        back = tmp_path / platform
        chosen = ("--override-os", "linux", "--override-arch", platform)
        skopeo(
            tool, *chosen, "copy", "--preserve-digests", "--src-tls-verify=false", source, f"oci:{back}:base"
        )
        assert named(back)["base"] == named(place)[f"base-1.0_cu-{platform}"]
        unpack(require_tool("umoci"), f"{back}:base", tmp_path / f"{platform}-files")
        assert held(tmp_path / f"{platform}-files" / "rootfs" / "models") == BASE


def unpack(tool: str, image: str, place: Path) -> None:
    command: list[str | Path] = [tool, "unpack", "--rootless", "--image", image, place]
    done = subprocess.run(command, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()


def test_every_image_is_unpacked_from_the_layout(
    require_tool: Tool, laid_out: dict[str, Path], tmp_path: Path
) -> None:
    tool, place = require_tool("umoci"), laid_out["oci-image"]
    for name, files in COMPONENTS.items():
        unpack(tool, f"{place}:{name}-amd64", tmp_path / name)
        assert held(tmp_path / name / "rootfs" / "models") == files


def test_an_unchanged_file_is_not_pushed_again(
    require_tool: Tool, registry: str, laid_out: dict[str, Path], content: ContentFolder, tmp_path: Path
) -> None:
    tool = require_tool("skopeo")
    changed = {**BASE, "config.json": b'{"a":1}'}
    release = release_of(component_of("base", "model", "2.0", changed))
    again = keep(tmp_path / "content", changed)
    build(plan_of(choose("oci-image"), release, again), again, tmp_path / "next")
    push(tool, laid_out["oci-image"], "base-1.0_cu", f"docker://{registry}/twice:1")
    push(tool, tmp_path / "next", "base-2.0", f"docker://{registry}/twice:2")
    layers = [
        json.loads(skopeo(tool, "inspect", "--tls-verify=false", f"docker://{registry}/twice:{tag}"))[
            "Layers"
        ]
        for tag in ("1", "2")
    ]
    assert layers[0][0] != layers[1][0]
    assert layers[0][1] == layers[1][1]
    assert entry_of("", BASE["config.json"]).sha256 not in str(layers)
