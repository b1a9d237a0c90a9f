"""Images of a real registry (Debian's docker-registry), pushed there by skopeo and by hand (SPEC L2.19)."""

import base64
import gzip
import io
import json
import subprocess
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from airlift.errors import (
    DigestError,
    ForbiddenFileError,
    MalformedError,
    ManifestError,
    NotHeldError,
    UncheckedError,
)
from airlift.low.sources.fetch import Fetched, fetch
from airlift.low.sources.foresee import foresee
from tests.conftest import find_tool
from tests.support import image_registry as registries
from tests.support.depots import Site
from tests.support.image_registry import FILEPATH, MANIFEST, TITLE, digest, push
from tests.support.running import cutting
from tests.support.web_server import Fault, WebServer, basic

WEIGHTS = bytes(range(256)) * 4096
RAW, DOC = "application/vnd.cncf.model.weight.v1.raw", "application/vnd.cncf.model.doc.v1.raw"
MODEL: list[registries.Layer] = [
    (WEIGHTS, RAW, {FILEPATH: "weights/model.safetensors", TITLE: "another name"}),
    (b"{}", "application/vnd.cncf.model.weight.config.v1.raw", {FILEPATH: "config.json"}),
    (b"# model", DOC, {TITLE: "README.md"}),
]
CONFIG: registries.Layer = (
    b'{"descriptor": {"name": "model"}}',
    "application/vnd.cncf.model.config.v1+json",
    {},
)


@dataclass
class Desk:
    site: Site
    waited: list[float] = field(default_factory=list)

    def get(self, reference: str, **more: Any) -> Fetched:
        return fetch(self.site.depot, {"oci": reference, **more}, Path(), sleep=self.waited.append)

    @property
    def kept(self) -> list[str]:
        return sorted(path.name for path in self.site.depot.fetched.glob("*") if path.name != "lock")


@pytest.fixture
def desk(site: Site) -> Desk:
    return Desk(site)


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with registries.registry(find_tool("docker-registry"), tmp_path_factory.mktemp("registry")) as found:
        yield found


@pytest.fixture(scope="module")
def model(host: str) -> str:
    """A ModelPack."""
    made = push(host, "org/model", MODEL, CONFIG, artifactType="application/vnd.cncf.model.manifest.v1+json")
    return f"{host}/org/model@{made}"


def contents(found: Fetched) -> dict[str, bytes]:
    return {path: file.read_bytes() for path, file in found.paths.items()}


def test_a_model_pack(desk: Desk, model: str) -> None:
    found = desk.get(model)
    assert contents(found) == {
        "README.md": b"# model",
        "config.json": b"{}",
        "weights/model.safetensors": WEIGHTS,
    }
    assert found.stated == {"kind": "oci", "reference": model, "form": "files"}


def test_what_would_come(desk: Desk, model: str) -> None:
    """The image's manifest tells all lengths; blobs are not asked for."""
    found = foresee(desk.site.depot, {"oci": model, "include": ["*.json", "weights/*"]}, Path())
    told = {item.wanted.path: (item.bytes, item.kept, item.wanted.url) for item in found.coming}
    host, _, name = model.partition("@")[0].partition("/")
    below = f"http://{host}/v2/{name}/blobs"
    assert told == {
        "config.json": (2, 0, f"{below}/{digest(b'{}')}"),
        "weights/model.safetensors": (len(WEIGHTS), 0, f"{below}/{digest(WEIGHTS)}"),
    }
    assert found.left_out == ("README.md",)
    assert not desk.site.depot.fetched.exists()


def test_patterns_and_a_tag(desk: Desk, model: str) -> None:
    place, _, pinned = model.partition("@")
    found = desk.get(f"oci://{place}:latest@{pinned}", include=["*.json"])
    assert list(found.paths) == ["config.json"]
    assert found.left_out == ("README.md", "weights/model.safetensors")
    assert found.stated["reference"] == model


def test_what_tools_call_files_whose_type_nobody_gave(desk: Desk, host: str) -> None:
    """A file that `oras push` was given no type for is called a tar archive, and is none."""
    plain = "application/vnd.oci.image.layer.v1.tar"
    made = push(host, "org/plain", [(b"plain", plain, {TITLE: "a.txt"})])
    assert contents(desk.get(f"{host}/org/plain@{made}")) == {"a.txt": b"plain"}


@pytest.mark.parametrize(
    "layer",
    [
        (b"x", RAW, {}),
        (b"x", "application/vnd.cncf.model.weight.v1.tar", {FILEPATH: "weights"}),
        (b"x", "application/vnd.cncf.model.weight.v1.tar+gzip", {FILEPATH: "weights"}),
        (b"x", "application/vnd.cncf.model.weight.v1.tar+zstd", {FILEPATH: "weights"}),
        (b"x", "application/vnd.oci.image.layer.v1.tar+gzip", {TITLE: "weights"}),
        (b"x", "application/vnd.docker.image.rootfs.diff.tar.gzip", {TITLE: "weights"}),
        (b"x", "application/vnd.oci.image.layer.v1.tar", {TITLE: "w", "io.deis.oras.content.unpack": "true"}),
        (b"x", "application/vnd.ollama.image.model", {}),
    ],
)
def test_nothing_is_unpacked(desk: Desk, host: str, layer: registries.Layer) -> None:
    reference = f"{host}/org/packed@{push(host, 'org/packed', [layer])}"
    with pytest.raises(ForbiddenFileError) as caught:
        desk.get(reference)
    assert (caught.value.exit_code, desk.kept) == (2, [])
    assert "form: layout" in caught.value.hint
    assert digest(b"x").replace(":", "/") in " ".join(desk.get(reference, form="layout").paths)


@pytest.mark.parametrize("title", ["../x", "/x", "a/../x", "", "a\\b", "CON"])
def test_titles_that_lead_elsewhere(desk: Desk, host: str, title: str) -> None:
    made = push(host, "org/titled", [(b"x", RAW, {TITLE: title})])
    with pytest.raises(ManifestError, match="path of a file"):
        desk.get(f"{host}/org/titled@{made}")
    assert desk.kept == []


def test_two_layers_under_one_title(desk: Desk, host: str) -> None:
    made = push(host, "org/twice", [(b"x", RAW, {TITLE: "x"}), (b"y", RAW, {TITLE: "x"})])
    with pytest.raises(ForbiddenFileError, match="path of another one"):
        desk.get(f"{host}/org/twice@{made}")


# -- layouts -------------------------------------------------------------------------------------------------------


def tar(name: str, data: bytes) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as file:
        info = tarfile.TarInfo(name)
        info.size = len(data)
        file.addfile(info, io.BytesIO(data))
    return out.getvalue()


def image(host: str, name: str, text: bytes) -> str:
    """Push an image as engines are: a configuration, and a compressed layer."""
    layer = tar("hello", text)
    config = {
        "architecture": "amd64", "os": "linux", "config": {},
        "rootfs": {"type": "layers", "diff_ids": [digest(layer)]}, "history": [],
    }  # fmt: skip
    packed: tuple[bytes, str, dict[str, str]] = (
        gzip.compress(layer, mtime=0),
        "application/vnd.oci.image.layer.v1.tar+gzip",
        {},
    )
    kind = "application/vnd.oci.image.config.v1+json"
    return push(host, name, [packed], (json.dumps(config).encode(), kind, {}))


def lay_out(found: Fetched, folder: Path) -> Path:
    for path, file in found.paths.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(file.read_bytes())
    return folder


def test_an_image_that_skopeo_takes_on(desk: Desk, host: str, tmp_path: Path) -> None:
    """skopeo, the real reader: from the layout back into a registry, under the same digest."""
    program = find_tool("skopeo")
    made = image(host, "org/engine", b"hello")
    found = desk.get(f"{host}/org/engine@{made}", form="layout")
    assert {"index.json", "oci-layout", f"blobs/sha256/{made.partition(':')[2]}"} < set(found.paths)
    folder = lay_out(found, tmp_path / "layout")
    registries.skopeo(
        program,
        "copy",
        "--preserve-digests",
        "--dest-tls-verify=false",
        f"oci:{folder}",
        f"docker://{host}/org/copied:1",
    )
    told = registries.skopeo(
        program, "inspect", "--tls-verify=false", "--format", "{{.Digest}}", f"docker://{host}/org/copied:1"
    )
    assert told.strip() == made


def test_an_image_that_skopeo_pushed(desk: Desk, host: str, tmp_path: Path) -> None:
    """Through skopeo in the other direction: a layout of ours, changed in nothing, comes back the same."""
    program = find_tool("skopeo")
    first = desk.get(f"{host}/org/engine@{image(host, 'org/engine', b'hello')}", form="layout")
    folder = lay_out(first, tmp_path / "layout")
    registries.skopeo(
        program, "copy", "--dest-tls-verify=false", f"oci:{folder}", f"docker://{host}/org/pushed:1"
    )
    pinned = registries.skopeo(
        program, "inspect", "--tls-verify=false", "--format", "{{.Digest}}", f"docker://{host}/org/pushed:1"
    ).strip()
    assert contents(desk.get(f"{host}/org/pushed@{pinned}", form="layout")) == contents(first)


def test_an_image_of_docker(desk: Desk, host: str, tmp_path: Path) -> None:
    program = find_tool("skopeo")
    folder = lay_out(
        desk.get(f"{host}/org/engine@{image(host, 'org/engine', b'hello')}", form="layout"),
        tmp_path / "layout",
    )
    registries.skopeo(
        program,
        "copy",
        "--format",
        "v2s2",
        "--dest-tls-verify=false",
        f"oci:{folder}",
        f"docker://{host}/org/old:1",
    )
    pinned = registries.skopeo(
        program, "inspect", "--tls-verify=false", "--format", "{{.Digest}}", f"docker://{host}/org/old:1"
    ).strip()
    found = lay_out(desk.get(f"{host}/org/old@{pinned}", form="layout"), tmp_path / "old")
    registries.skopeo(
        program,
        "copy",
        "--preserve-digests",
        "--dest-tls-verify=false",
        f"oci:{found}",
        f"docker://{host}/org/old:2",
    )


def test_an_index_of_images(desk: Desk, host: str, tmp_path: Path) -> None:
    parts = [image(host, "org/many", text) for text in (b"one", b"two")]
    sizes = {part: registries.manifest_size(host, "org/many", part) for part in parts}
    made = registries.push_index(host, "org/many", sizes)
    reference = f"{host}/org/many@{made}"
    with pytest.raises(ForbiddenFileError, match="index of several images"):
        desk.get(reference)
    found = desk.get(reference, form="layout")
    assert {f"blobs/sha256/{one.partition(':')[2]}" for one in (made, *parts)} < set(found.paths)
    program = find_tool("skopeo")
    folder = lay_out(found, tmp_path / "layout")
    registries.skopeo(
        program, "copy", "--all", "--preserve-digests", "--dest-tls-verify=false", f"oci:{folder}",
        f"docker://{host}/org/many-copied:1",
    )  # fmt: skip


def test_patterns_choose_from_no_layout(desk: Desk, model: str) -> None:
    with pytest.raises(ManifestError, match="OCI layout"):
        desk.get(model, form="layout", include=["*"])


# -- what goes wrong -----------------------------------------------------------------------------------------------


def test_what_breaks_off_goes_on(desk: Desk, host: str, model: str) -> None:
    with cutting(int(host.rpartition(":")[2]), [0, 5_000, 5_000, 5_000, 300_000, 400_000]) as port:
        found = desk.get(model.replace(host, f"127.0.0.1:{port}"))
    assert contents(found)["weights/model.safetensors"] == WEIGHTS
    assert desk.waited


@pytest.mark.parametrize(
    "reference",
    ["model@sha256:" + "0" * 64, "org/model@sha256:" + "0" * 64, "h.example/m", "h.example/m:1",
     "h.example/m@sha256:0",
     "h.example/M@sha256:" + "0" * 64, "anna:x@h.example/m@sha256:" + "0" * 64, "h.example/m?x@sha256:" + "0" * 64],
)  # fmt: skip
def test_references_that_are_not_whole(desk: Desk, reference: str) -> None:
    with pytest.raises(ManifestError, match="not a reference"):
        desk.get(reference)


def test_what_is_not_there(desk: Desk, host: str) -> None:
    for name in ("org/model", "org/nothing"):
        with pytest.raises(NotHeldError):
            desk.get(f"{host}/{name}@sha256:{'0' * 64}")


@pytest.fixture
def local(server: WebServer) -> str:
    return f"127.0.0.1:{server.server_port}"


def manifest(**changes: Any) -> bytes:
    layer = {"mediaType": RAW, "digest": digest(b"x"), "size": 1, "annotations": {TITLE: "x"}}
    empty = {"mediaType": "application/vnd.oci.empty.v1+json", "digest": digest(b"{}"), "size": 2}
    whole = {"schemaVersion": 2, "mediaType": MANIFEST, "config": empty, "layers": [layer]}
    return json.dumps(whole | changes).encode()


def put(server: WebServer, data: bytes, pinned: str = "") -> str:
    """Let a registry have a manifest; return the reference."""
    pinned = pinned or digest(data)
    server.files[f"/v2/m/manifests/{pinned}"] = data
    server.files[f"/v2/m/blobs/{digest(b'x')}"] = b"x"
    return f"127.0.0.1:{server.server_port}/m@{pinned}"


def test_a_registry_that_lies(desk: Desk, server: WebServer) -> None:
    assert contents(desk.get(put(server, manifest()))) == {"x": b"x"}
    with pytest.raises(DigestError, match="the manifest of"):
        desk.get(put(server, manifest(), digest(b"another")))
    other = manifest(
        layers=[{"mediaType": RAW, "digest": digest(b"y"), "size": 1, "annotations": {TITLE: "y"}}]
    )
    reference = put(server, other)
    server.files[f"/v2/m/blobs/{digest(b'y')}"] = b"z"
    with pytest.raises(DigestError):
        desk.get(reference)
    server.files[f"/v2/m/blobs/{digest(b'y')}"] = b"yy"
    with pytest.raises(DigestError, match="length"):
        desk.get(reference)


@pytest.mark.parametrize(
    "data",
    [b"", b"[]", b"{}", b'{"schemaVersion": 1}', manifest(layers={}), manifest(mediaType="text/html"),
     manifest(layers=[{}]), manifest(layers=[{"mediaType": RAW, "digest": "sha256:0", "size": 1}]),
     manifest(layers=[{"mediaType": RAW, "digest": digest(b"x"), "size": -1}]),
     manifest(layers=[{"mediaType": RAW, "digest": digest(b"x"), "size": 1, "annotations": {TITLE: 7}}]),
     b"[" * 100_000],
)  # fmt: skip
def test_manifests_that_are_none(desk: Desk, server: WebServer, data: bytes) -> None:
    with pytest.raises(MalformedError) as caught:
        desk.get(put(server, data))
    assert "medium" not in caught.value.hint
    assert "ask its maker" in caught.value.hint


@pytest.mark.parametrize(
    "more",
    [
        {"mediaType": RAW, "urls": ["https://elsewhere.invalid/x"]},
        {"mediaType": "application/vnd.oci.image.layer.nondistributable.v1.tar"},
        {"mediaType": "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip"},
    ],
)
def test_layers_that_lie_elsewhere(desk: Desk, server: WebServer, more: dict[str, Any]) -> None:
    layer = {"digest": digest(b"x"), "size": 1, "annotations": {TITLE: "x"}, **more}
    for form in ("files", "layout"):
        with pytest.raises(ForbiddenFileError, match="outside of the registry"):
            desk.get(put(server, manifest(layers=[layer])), form=form)


def test_a_manifest_that_is_too_long(desk: Desk, server: WebServer) -> None:
    with pytest.raises(UncheckedError, match="too long"):
        desk.get(put(server, manifest(annotations={"x": "x" * (4 << 20)})))


def test_a_token(desk: Desk, server: WebServer, local: str) -> None:
    """As most public registries have it: a challenge, a token from another address, and then the blob."""
    reference = put(server, manifest())
    server.files["/token"] = json.dumps({"token": "t0ken"}).encode()
    challenge = {"WWW-Authenticate": f'Bearer realm="http://{local}/token",service="s",scope="x"'}
    server.faults[f"/v2/m/manifests/{reference.partition('@')[2]}"] = [Fault(status=401, headers=challenge)]
    server.faults[f"/v2/m/blobs/{digest(b'x')}"] = [Fault(status=401, headers=challenge)]
    folder = Path.home() / ".docker"
    folder.mkdir()
    kept = base64.b64encode(b"anna:s3kr1t").decode()
    (folder / "config.json").write_text(json.dumps({"auths": {local: {"auth": kept}}}))
    assert contents(desk.get(reference)) == {"x": b"x"}
    asked = [(path, headers.get("Authorization")) for path, headers in server.asked]
    tokens = [login for path, login in asked if path.startswith("/token")]
    assert tokens == [basic("anna", "s3kr1t")] * 2
    assert "scope=repository%3Am%3Apull" in next(path for path, _ in asked if path.startswith("/token"))
    assert [login for path, login in asked if "/blobs/" in path] == ["Bearer t0ken", "Bearer t0ken"]


def test_a_token_for_nobody(desk: Desk, server: WebServer, local: str) -> None:
    reference = put(server, manifest())
    challenge = {"WWW-Authenticate": f'Bearer realm="http://{local}/token"'}
    server.faults[f"/v2/m/manifests/{reference.partition('@')[2]}"] = [
        Fault(status=401, headers=challenge)
    ] * 9
    for answer in (b"{}", b"x", b'{"token": "a\\nb"}', b"[]"):
        server.files["/token"] = answer
        with pytest.raises(UncheckedError):
            desk.get(reference)
    server.files["/token"] = b'{"token": "t"}'
    with pytest.raises(UncheckedError):
        desk.get(reference)


def test_a_program_that_keeps_credentials_is_not_run(desk: Desk, server: WebServer, local: str) -> None:
    reference = put(server, manifest())
    refused = Fault(status=401, headers={"WWW-Authenticate": 'Basic realm="x"'})
    server.faults[f"/v2/m/manifests/{reference.partition('@')[2]}"] = [refused]
    (Path.home() / ".docker").mkdir()
    (Path.home() / ".docker/config.json").write_text('{"credsStore": "desktop"}')
    with pytest.raises(UncheckedError, match="does not let") as caught:
        desk.get(reference)
    assert "REGISTRY_AUTH_FILE" in caught.value.hint
    assert "desktop" in caught.value.hint


def test_a_login(desk: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A registry that asks for a password, and what `skopeo login` keeps."""
    program, htpasswd = find_tool("skopeo"), find_tool("htpasswd")
    users = tmp_path / "users"
    made = subprocess.run(
        [htpasswd, "-Bbn", registries.USER, registries.PASSWORD],
        capture_output=True,
        text=True,
        timeout=20,
        check=True,
    )
    users.write_text(made.stdout)
    with registries.registry(find_tool("docker-registry"), tmp_path, password_file=users) as host:
        reference = f"{host}/org/model@{push(host, 'org/model', MODEL, CONFIG)}"
        with pytest.raises(UncheckedError, match="does not let") as caught:
            desk.get(reference)
        assert f"skopeo login {host}" in caught.value.hint
        monkeypatch.setenv("REGISTRY_AUTH_FILE", str(tmp_path / "auth.json"))
        registries.skopeo(
            program, "login", "--tls-verify=false", "-u", registries.USER, "-p", registries.PASSWORD, host
        )
        assert len(desk.get(reference).paths) == 3
