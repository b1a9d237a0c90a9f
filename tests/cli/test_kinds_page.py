"""The commands of docs/kinds.md, run as they stand there, with the real skopeo, docker-registry, pip and helm."""

import json
import os
import random
import re
import shlex
import shutil
import subprocess
import venv
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.arch.tree import ROOT
from tests.cli.conftest import World
from tests.conftest import find_tool
from tests.support import made_wheels, oci_layouts
from tests.support.registries import registry

PAGE = (ROOT / "docs/kinds.md").read_text()
UPSTREAM, INSIDE = "upstream.example", "registry.example"
KEYS = {"cy.key": "keys/release-cy.key", "di.key": "keys/release-di.key", "build.key": "keys/bundler.key"}
PLAIN = {"copy": ("--src-tls-verify=false", "--dest-tls-verify=false"), "inspect": ("--tls-verify=false",)}


def section(title: str) -> str:
    """Return what stands under a heading of the page."""
    return re.split(r"^## ", PAGE.split(f"## {title}\n", 1)[1], maxsplit=1, flags=re.MULTILINE)[0]


def blocks(title: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", section(title), re.MULTILINE | re.DOTALL)


def commands(title: str) -> Iterator[list[str]]:
    for block in blocks(title, "sh"):
        for line in block.splitlines():
            yield shlex.split(line.partition(" #")[0])


@dataclass(frozen=True)
class Page:
    """The world in which the page's commands run; hosts and programs of the page by what they are here."""

    world: World
    hosts: dict[str, str]
    programs: dict[str, tuple[str, ...]]

    def run(self, words: list[str]) -> str:
        """Run a command of the page, and return what it said."""
        words = [KEYS.get(word, word) for word in words]
        for host, here in self.hosts.items():
            words = [word.replace(host, here) for word in words]
        words = [found for word in words for found in self._found(word)]
        if words[0] == "airlift":
            return json.dumps(self.world.quick(*words[1:], "--format", "json").expect(0).data)
        more = PLAIN[words[1]] if words[0] == "skopeo" and any("docker://" in w for w in words) else ()
        done = subprocess.run(
            [*self.programs[words[0]], words[1], *more, *words[2:]],
            cwd=self.world.folder,
            env={**os.environ, "PIP_DISABLE_PIP_VERSION_CHECK": "1", "HOME": str(self.world.folder)},
            capture_output=True,
            text=True,
            timeout=240,
            check=False,
        )
        assert done.returncode == 0, f"{words}: {done.stderr}"
        return done.stdout

    def _found(self, word: str) -> list[str]:
        return sorted(map(str, self.world.folder.glob(word))) if "*" in word else [word]


@pytest.fixture
def ready(world: World) -> World:
    """A world in which nothing waits for a signature."""
    world.quick("low", "sign", "--key", KEYS["di.key"]).expect(0)
    return world


@pytest.fixture
def fresh_pip(tmp_path: Path) -> tuple[str, ...]:
    """The pip of an environment that has nothing else."""
    venv.create(tmp_path / "fresh", with_pip=True)
    return (str(tmp_path / "fresh/bin/python"), "-m", "pip")


@pytest.fixture
def tools(ready: World, tmp_path: Path, require_tool: Callable[[str], str]) -> Iterator[Page]:
    """The registries, and the programs that the page names."""
    (tmp_path / "upstream").mkdir()
    (tmp_path / "inside").mkdir()
    program, skopeo = require_tool("docker-registry"), require_tool("skopeo")
    with (
        registry(program, tmp_path / "upstream") as upstream,
        registry(program, tmp_path / "inside") as inside,
    ):
        yield Page(ready, {UPSTREAM: upstream, INSIDE: inside}, {"skopeo": (skopeo,)})


def engine(version: str) -> dict[str, bytes]:
    """Return the layout of an engine of 3 MB of which little changes, its layers compressed."""
    noise = random.Random(7).randbytes(3_000_000)
    app = oci_layouts.layer({"app/version": version.encode() * 9, "app/engine.bin": noise})
    return oci_layouts.image([oci_layouts.layer({"etc/os-release": b"ID=demo\n"}), app], packed=True)


def publish(page: Page, version: str) -> None:
    """Put an engine into the registry outside, and write the manifest of its release as the page has it."""
    folder = oci_layouts.write(page.world.folder / f"made-{version}", engine(version))
    target = f"docker://{UPSTREAM}/engine:{version}"
    page.run(["skopeo", "copy", f"oci:{folder}:1", target])
    (text,) = blocks("Images", "yaml")
    (page.world.folder / f"engines-{version}.yaml").write_text(text.replace("1.0", version))


def test_an_engine_goes_from_registry_to_registry(tools: Page) -> None:
    publish(tools, "1.0")
    publish(tools, "1.1")
    said = {" ".join(words[:3]): tools.run(words) for words in commands("Images")}
    folder = tools.world.folder
    whole, delta = (
        sum(p.stat().st_size for p in (folder / out).rglob("chunks/*")) for out in ("out", "out2")
    )
    assert whole > 2_900_000
    assert delta < 20_000, "the layer was coded anew"
    inside = json.loads(said["skopeo inspect oci:enclave/active/engine:1.1"])
    there = json.loads(tools.run(["skopeo", "inspect", f"docker://{INSIDE}/engine:1.1"]))
    assert there["Digest"] == inside["Digest"]
    kept = oci_layouts.layer({"etc/os-release": b"ID=demo\n"})
    assert there["Layers"][0] == oci_layouts.descriptor("", kept)["digest"]
    tools.run(["skopeo", "copy", f"docker://{INSIDE}/engine@{there['Digest']}", "dir:pulled"])
    layer = there["Layers"][1].removeprefix("sha256:")
    assert (folder / "pulled" / layer).read_bytes() == oci_layouts.layer(
        {"app/version": b"1.1" * 9, "app/engine.bin": random.Random(7).randbytes(3_000_000)}
    )


def test_compressed_layers_cross_too_and_keep_the_digest(tools: Page) -> None:
    """The page tells of the other way; its manifest keeps the digest that it has in the registry outside."""
    publish(tools, "1.0")
    (other,) = re.findall(r"`(skopeo copy docker://[^`]*)`", PAGE)
    tools.run(shlex.split(other))
    outside = json.loads(tools.run(["skopeo", "inspect", f"docker://{UPSTREAM}/engine:1.0"]))
    for words in list(commands("Images"))[2:5]:
        tools.run(words)
    inside = json.loads(tools.run(["skopeo", "inspect", "oci:enclave/active/engine:1.0"]))
    assert inside["Digest"] == outside["Digest"]


def write_tools(folder: Path) -> None:
    """Write the wheels of the page with their lock, and its chart as a folder."""
    (folder / "tools").mkdir()
    lock = []
    for name, version in (("demo", "1.0"), ("other", "2.0")):
        data = made_wheels.wheel(name, version)
        (folder / f"tools/{name}-{version}-py3-none-any.whl").write_bytes(data)
        digest = oci_layouts.descriptor("", data)["digest"]
        lock.append(f"{name}=={version} --hash={digest}\n")
    (folder / "tools/requirements.lock").write_text("".join(lock))
    for name, data in made_wheels.chart_files().items():
        place = folder / "engine-chart" / name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(data)
    (text,) = blocks("Wheels", "yaml")
    (folder / "tools-1.0.yaml").write_text(text)


def test_wheels_and_charts_are_installed_by_pip_and_helm(ready: World, fresh_pip: tuple[str, ...]) -> None:
    helm = find_tool(os.environ.get("AIRLIFT_HELM", "helm"))
    write_tools(ready.folder)
    page = Page(ready, {}, {"helm": (helm,), "pip": fresh_pip})
    *_, manifests = [page.run(words) for words in commands("Charts")]
    assert "replicas: '2'" in manifests
    assert "name: engine" in manifests
    assert page.run(["helm", "lint", "enclave/active/deploy/engine-0.1.0.tgz"])
    fetch, *installs = commands("Wheels")
    assert fetch[:2] == ["pip", "download"]
    for words in installs:
        page.run(words)
    script = "import demo, other; print(demo.ANSWER + other.ANSWER)"
    said = subprocess.run([fresh_pip[0], "-c", script], capture_output=True, text=True, check=True)
    assert said.stdout == "84\n"


def test_a_chart_that_helm_signed_passes_and_a_changed_one_does_not(ready: World) -> None:
    helm, gpg = find_tool(os.environ.get("AIRLIFT_HELM", "helm")), find_tool("gpg")
    write_tools(ready.folder)
    home = ready.folder / "gnupg"
    home.mkdir(mode=0o700)
    base = [gpg, "--homedir", str(home), "--batch", "--passphrase", "", "--pinentry-mode", "loopback"]
    subprocess.run(
        [*base, "--quick-gen-key", "Cy <cy@example.com>", "rsa3072"], check=True, capture_output=True
    )
    ring = ready.folder / "ring"
    with ring.open("wb") as file:
        subprocess.run([*base, "--export-secret-keys"], stdout=file, check=True)
    words = ["package", "engine-chart", "-d", "charts", "--sign", "--key", "Cy", "--keyring", str(ring)]
    subprocess.run([helm, *words], cwd=ready.folder, check=True, capture_output=True)
    assert sorted(p.name for p in (ready.folder / "charts").iterdir()) == [
        "engine-0.1.0.tgz", "engine-0.1.0.tgz.prov",
    ]  # fmt: skip
    release = ("low", "release", "tools-1.0.yaml", "--key", KEYS["cy.key"], "--dry-run")
    ready.quick(*release).expect(0)
    (ready.folder / "charts/engine-0.1.0.tgz").write_bytes(made_wheels.chart())
    said = ready.quick(*release).expect(2)
    assert "is not of the .tgz beside it" in said.err


def test_the_wheels_of_airlift_itself_pass(ready: World) -> None:
    """What ``make wheels`` collects: real wheels, of compiled code among them."""
    if not (ROOT / "wheels").is_dir():
        pytest.skip("make wheels was not run")
    shutil.copytree(ROOT / "wheels", ready.folder / "tools")
    (ready.folder / "w.yaml").write_text(
        "airlift: 1\nrelease: own\nversion: '1'\nmarking: {level: UNCLASSIFIED}\ncomponents:\n"
        "  - {name: own, kind: wheels, version: '1', source: {path: tools}}\n"
    )
    words = ("low", "release", "w.yaml", "--key", KEYS["cy.key"], "--dry-run", "--format", "json")
    assert ready.quick(*words).expect(0).data["unrecognised"] == []
