"""From a web server, a bucket and a registry to the evidence of an enclave, by the command line (SPEC L2.19)."""

import hashlib
import json
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.cli.conftest import World, make_depot, make_enclave
from tests.cli.transcript import Transcript, airlift
from tests.conftest import find_file, find_tool
from tests.second.documents import release as second
from tests.support import image_registry, object_stores
from tests.support.web_server import WebServer, certificates, serving
from tests.support.weights import weights

WEIGHTS = weights(1)
RAW = "application/vnd.cncf.model.weight.v1.raw"


def pin(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


@dataclass(frozen=True)
class Low:
    """A low side, a web server with TLS, and the environment that knows its authority."""

    world: World
    server: WebServer
    authority: Path

    @property
    def url(self) -> str:
        return f"{self.server.url}/base/model.safetensors"

    def run(self, *words: str | Path, code: int = 0) -> Transcript:
        environment = {
            "SSL_CERT_FILE": str(self.authority),
            "HOME": str(self.world.folder),
            "AWS_ACCESS_KEY_ID": object_stores.KEY,
            "AWS_SECRET_ACCESS_KEY": object_stores.SECRET,
        }
        said = airlift(*words, cwd=self.world.folder, environment=environment).expect(code)
        assert object_stores.SECRET not in said.out + said.err
        return said

    def release(self, source: Mapping[str, object], code: int = 0) -> Transcript:
        component = {
            "name": "base",
            "kind": "model",
            "version": "1",
            "license": "MIT",
            "source": dict(source),
        }
        (self.world.folder / "r.yaml").write_text(
            "airlift: 1\nrelease: r\nversion: '1'\nmarking: {level: UNCLASSIFIED}\n"
            f"components: [{json.dumps(component)}]\n"
        )
        keys = ("--key", "keys/release-cy.key", "--key", "keys/release-di.key")
        return self.run("low", "release", "r.yaml", *keys, "--format", "json", code=code)

    def kept(self) -> list[Path]:
        """Return what the depot holds of any file: content, and what was fetched."""
        folders = [self.world.folder / "depot" / name for name in ("content", "fetched")]
        return [path for top in folders for path in top.rglob("*") if path.is_file() and path.name != "lock"]


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> World:
    """Keys and an empty depot, which nobody changes."""
    world = World(tmp_path_factory.mktemp("low"))
    make_depot(world)
    return world


@pytest.fixture
def low(tmp_path: Path, empty: World) -> Iterator[Low]:
    import shutil

    world = World(Path(shutil.copytree(empty.folder, tmp_path / "low")))
    made = certificates(tmp_path)
    with serving(made.context()) as server:
        server.files["/base/model.safetensors"] = WEIGHTS
        yield Low(world, server, made.authority)


def cross(low: Low, address: str) -> None:
    """Carry the release inside; everybody who is asked there names the address."""
    low.run(
        *("low", "bundle", "r@1", "--output", "media", "--bundler-key", "keys/bundler.key"),
    )
    make_enclave(low.world)
    (volume,) = low.world.folder.glob("media/airlift-*")
    documents = [path.read_bytes() for path in volume.rglob("*") if path.suffix == ".json"]
    (manifest,) = [data for data in documents if json.loads(data).get("type") == "release"]
    assert address.encode() in manifest.replace(b"oci://", b"oci:")
    assert second.parse(manifest)["components"][0]["name"] == "base"
    low.run("high", "import", volume, "--activate")
    assert (low.world.folder / "enclave/active/base/model.safetensors").read_bytes() == WEIGHTS
    told = low.run("provenance", "trace", "base", "--prove", "--format", "json")
    assert address in told.out
    (low.world.folder / "answer.json").write_text(told.out)
    verifier = [sys.executable, "-m", "airlift.verify", "answer.json", "--public-key", "keys/ledger.pub"]
    said = subprocess.run(verifier, cwd=low.world.folder, capture_output=True, text=True, check=False)
    assert said.returncode == 0, said.stderr
    for kind in ("cyclonedx", "spdx"):
        low.run("provenance", "export", "--as", kind, "--output", f"{kind}.json")
        bill = (low.world.folder / f"{kind}.json").read_text()
        _, _, digits = address.partition("@sha256:")
        if digits and kind == "spdx":  # a package URL
            assert "pkg:oci/base@sha256" in bill
            assert digits in bill
        else:
            assert address in bill, kind


def test_a_web_server_as_far_as_the_bills_of_an_enclave(low: Low) -> None:
    said = low.run("low", "fetch", low.url, "--digest", pin(WEIGHTS), "--format", "json")
    (file,) = said.data["files"]
    assert (file["path"], file["digest"], file["bytes"]) == ("model.safetensors", pin(WEIGHTS), len(WEIGHTS))
    assert said.data["source"] == {"kind": "https", "url": low.url}
    asked = len(low.server.asked)
    low.release({"https": low.url, "digest": pin(WEIGHTS)})
    assert len(low.server.asked) == asked  # what was fetched is not asked for again
    cross(low, low.url)


def test_a_registry_as_far_as_the_bills_of_an_enclave(low: Low, tmp_path: Path) -> None:
    (tmp_path / "registry").mkdir()
    with image_registry.registry(find_tool("docker-registry"), tmp_path / "registry") as host:
        layer = (WEIGHTS, RAW, {image_registry.TITLE: "model.safetensors"})
        reference = f"{host}/org/base@{image_registry.push(host, 'org/base', [layer])}"
        low.run("low", "fetch", f"oci://{reference}")
        low.release({"oci": reference})
    cross(low, reference)


def test_a_bucket_as_far_as_the_bills_of_an_enclave(low: Low, tmp_path: Path) -> None:
    obstore = pytest.importorskip("obstore")
    weed = find_file("AIRLIFT_SEAWEEDFS", "weed, of SeaweedFS,")
    (tmp_path / "weed").mkdir()
    url = "s3://models/base/model.safetensors"
    with ExitStack() as stack:
        endpoint = stack.enter_context(object_stores.seaweed(weed, tmp_path / "weed"))
        store = object_stores.s3_store(endpoint, "models")
        version = str(obstore.put(store, "base/model.safetensors", WEIGHTS)["version"])
        source = {"s3": url, "version": version, "digest": pin(WEIGHTS), "endpoint": endpoint}
        low.run("low", "fetch", url, "--version", version, "--digest", pin(WEIGHTS), "--endpoint", endpoint)
        low.release(source)
    cross(low, url)


@pytest.mark.parametrize("way", ["fetch", "release"])
def test_what_does_not_have_its_digest_is_not_kept(low: Low, way: str) -> None:
    wrong = pin(b"something else")
    if way == "fetch":
        said = low.run("low", "fetch", low.url, "--digest", wrong, "--format", "json", code=3)
    else:
        said = low.release({"https": low.url, "digest": wrong}, code=3)
    assert (said.error["expected"], said.error["found"]) == (wrong, pin(WEIGHTS))
    assert low.kept() == []


def test_an_authority_that_nobody_named(low: Low) -> None:
    said = airlift(
        *("low", "fetch", low.url, "--digest", pin(WEIGHTS), "--format", "json"), cwd=low.world.folder
    ).expect(7)
    assert "SSL_CERT_FILE" in said.error["hint"]
    assert sum(path.stat().st_size for path in low.kept()) == 0
