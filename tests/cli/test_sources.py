"""From a web server, a bucket and a registry to the evidence of an enclave, by the command line (SPEC L2.19)."""

import hashlib
import json
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import cast

import pytest

from tests.cli.conftest import World, make_depot, make_enclave
from tests.cli.transcript import Transcript, airlift
from tests.conftest import find_file, find_tool
from tests.second.documents import release as second
from tests.support import image_registry, object_stores
from tests.support.web_server import WebServer, certificates, serving
from tests.support.weights import weights

WEIGHTS = weights(1)
SECRETS = (object_stores.SECRET, object_stores.AZURE_KEY)
RAW = "application/vnd.cncf.model.weight.v1.raw"


Bucket = Callable[["Low", Path], AbstractContextManager[dict[str, str]]]
"""Starts a server of a bucket with the weights in it, and gives their source."""


def pin(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


@dataclass(frozen=True)
class Low:
    """A low side, a web server with TLS, and the environment that knows its authority."""

    world: World
    server: WebServer
    authority: Path
    more: dict[str, str] = field(default_factory=dict)
    """Variables that a command gets beside the usual ones."""

    @property
    def url(self) -> str:
        return f"{self.server.url}/base/model.safetensors"

    def run(self, *words: str | Path, code: int = 0) -> Transcript:
        environment = {
            "SSL_CERT_FILE": str(self.authority),
            "HOME": str(self.world.folder),
            "AWS_ACCESS_KEY_ID": object_stores.KEY,
            "AWS_SECRET_ACCESS_KEY": object_stores.SECRET,
            **self.more,
        }
        said = airlift(*words, cwd=self.world.folder, environment=environment).expect(code)
        assert not [text for text in SECRETS if text in said.out + said.err]
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


@contextmanager
def seaweed(low: Low, folder: Path) -> Iterator[dict[str, str]]:
    """Give the source of an object in a bucket of S3, pinned by its version and digest."""
    weed = find_file("AIRLIFT_SEAWEEDFS", "weed, of SeaweedFS,")
    with object_stores.seaweed(weed, folder) as endpoint:
        store = object_stores.s3_store(endpoint, "models")
        version = str(obstore().put(store, "base/model.safetensors", WEIGHTS)["version"])
        url = "s3://models/base/model.safetensors"
        yield {"s3": url, "version": version, "digest": pin(WEIGHTS), "endpoint": endpoint}


@contextmanager
def google(low: Low, folder: Path) -> Iterator[dict[str, str]]:
    """Give the source of an object in a bucket of Google's interface."""
    low.more["GOOGLE_SKIP_SIGNATURE"] = "true"
    program = find_file("AIRLIFT_FAKE_GCS", "fake-gcs-server")
    with object_stores.google(program, folder, {"base/model.safetensors": WEIGHTS}) as endpoint:
        url = "gs://models/base/model.safetensors"
        yield {"gs": url, "digest": pin(WEIGHTS), "endpoint": endpoint}


@contextmanager
def azurite(low: Low, folder: Path) -> Iterator[dict[str, str]]:
    """Give the source of an object in a container of Azure's interface."""
    low.more["AZURE_STORAGE_ACCOUNT_NAME"] = object_stores.AZURE_ACCOUNT
    low.more["AZURE_STORAGE_ACCOUNT_KEY"] = object_stores.AZURE_KEY
    program = find_file("AIRLIFT_AZURITE", "azurite-blob")
    with object_stores.azurite(program, folder) as endpoint:
        obstore().put(object_stores.azure_store(endpoint), "base/model.safetensors", WEIGHTS)
        url = "az://models/base/model.safetensors"
        yield {"az": url, "digest": pin(WEIGHTS), "endpoint": endpoint}


def obstore() -> ModuleType:
    return cast("ModuleType", pytest.importorskip("obstore"))


@pytest.mark.parametrize("bucket", [seaweed, google, azurite], ids=["s3", "gs", "az"])
def test_a_bucket_as_far_as_the_bills_of_an_enclave(low: Low, tmp_path: Path, bucket: Bucket) -> None:
    """Foretold, fetched by hand, taken from there by a release; and by a manifest with a list of digests alone."""
    (tmp_path / "server").mkdir()
    with bucket(low, tmp_path / "server") as source:
        (kind,) = source.keys() & {"s3", "gs", "az"}
        options = [word for key in source.keys() - {kind} for word in (f"--{key}", source[key])]
        words = ("low", "fetch", source[kind], *options, "--format", "json")
        (file,) = low.run(*words, "--dry-run").data["files"]
        assert (file["bytes"], file["digest"], file["version"]) == (
            len(WEIGHTS),
            pin(WEIGHTS),
            source.get("version"),
        )
        assert low.kept() == []
        wrong = {kind: source[kind], "digest": pin(b"something else"), "endpoint": source["endpoint"]}
        assert low.release(wrong, code=3).error["found"] == pin(WEIGHTS)
        low.release({**wrong, kind: f"{source[kind]}.none"}, code=5)
        assert low.kept() == []
        below = source[kind].rpartition("/")[0] + "/"
        (low.world.folder / "SUMS").write_text(f"{pin(WEIGHTS).partition(':')[2]}  model.safetensors\n")
        listed = ("--digests", "SUMS", "--endpoint", source["endpoint"])
        (file,) = low.run("low", "fetch", below, *listed, "--format", "json").data["files"]
        assert (file["path"], file["digest"]) == ("model.safetensors", pin(WEIGHTS))
        low.run(*words)
        low.release(source)
    cross(low, source[kind])


def test_what_would_be_fetched(low: Low) -> None:
    """Told before anything is asked for: address, pin, length and place; nothing is written, not even a folder."""
    words = ("low", "fetch", low.url, "--digest", pin(WEIGHTS), "--dry-run")
    before = set(low.world.folder.rglob("*"))
    said = low.run(*words, "--format", "json")
    (file,) = said.data["files"]
    place = Path(file.pop("file"))
    assert file == {
        "path": "model.safetensors",
        "address": low.url,
        "digest": pin(WEIGHTS),
        "version": None,
        "bytes": len(WEIGHTS),
        "kept": 0,
    }
    assert said.data["source"] == {"kind": "https", "url": low.url}
    assert (said.data["bytes"], said.data["to_come"]) == (len(WEIGHTS), len(WEIGHTS))
    assert place.parent.name == "fetched"
    assert pin(WEIGHTS)[:20] in low.run(*words).out
    assert set(low.world.folder.rglob("*")) == before
    low.run(*words[:-1])
    assert low.run(*words, "--format", "json").data["to_come"] == 0


@pytest.mark.parametrize("option", ["--revision", "--cache"])
def test_options_of_a_hub_beside_an_address(low: Low, option: str) -> None:
    said = low.run("low", "fetch", low.url, option, "x", "--dry-run", "--format", "json", code=2)
    assert f"airlift low fetch {low.url}" in said.error["hint"]


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
    assert low.kept() == []
