"""Debian's docker-registry on this machine, and what pushes images to it as others do."""

import hashlib
import json
import subprocess
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.support.running import free_port, listens, running
from tests.support.web_server import basic

MANIFEST = "application/vnd.oci.image.manifest.v1+json"
INDEX = "application/vnd.oci.image.index.v1+json"
TITLE, FILEPATH = "org.opencontainers.image.title", "org.cncf.model.filepath"
USER, PASSWORD = "anna", "s3kr1t"

Layer = tuple[bytes, str, Mapping[str, str]]
"""Bytes, media type, annotations."""


@contextmanager
def registry(program: str, folder: Path, *, password_file: Path | None = None) -> Iterator[str]:
    """Give host and port of a registry; with a ``password_file`` it asks for USER and PASSWORD."""
    port = free_port()
    config: dict[str, Any] = {
        "version": 0.1,
        "log": {"level": "warn"},
        "storage": {"filesystem": {"rootdirectory": str(folder / "registry")}},
        "http": {"addr": f"127.0.0.1:{port}"},
    }
    if password_file is not None:
        config["auth"] = {"htpasswd": {"realm": "tests", "path": str(password_file)}}
    (folder / "registry.json").write_text(json.dumps(config))  # JSON is YAML
    with running(
        [program, "serve", folder / "registry.json"], folder / "registry.log", lambda: listens(port)
    ):
        yield f"127.0.0.1:{port}"


def digest(data: bytes) -> str:
    """Return the digest of bytes as registries write it."""
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def push(host: str, name: str, layers: Sequence[Layer], config: Layer | None = None, **more: Any) -> str:
    """Push an image of these layers, as the distribution specification says; return its digest."""
    data, kind, _ = config or (b"{}", "application/vnd.oci.empty.v1+json", {})
    described = [
        {
            "mediaType": kind,
            "digest": digest(data),
            "size": len(data),
            **({"annotations": dict(notes)} if notes else {}),
        }
        for data, kind, notes in layers
    ]
    manifest = {
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "config": {"mediaType": kind, "digest": digest(data), "size": len(data)},
        "layers": described,
        **more,
    }
    for blob in {data, *(layer[0] for layer in layers)}:
        push_blob(host, name, blob)
    return push_manifest(host, name, json.dumps(manifest).encode(), MANIFEST)


def push_index(host: str, name: str, digests: Mapping[str, int]) -> str:
    """Push an index of images that are there: size of each by digest; return its digest."""
    listed = [{"mediaType": MANIFEST, "digest": one, "size": size} for one, size in digests.items()]
    index = {"schemaVersion": 2, "mediaType": INDEX, "manifests": listed}
    return push_manifest(host, name, json.dumps(index).encode(), INDEX)


def push_blob(host: str, name: str, data: bytes) -> None:
    """Push a blob in one piece."""
    begun = _ask(f"http://{host}/v2/{name}/blobs/uploads/", b"", "POST", {})
    place = begun["Location"]
    url = place + ("&" if "?" in place else "?") + f"digest={digest(data)}"
    _ask(url, data, "PUT", {"Content-Type": "application/octet-stream"})


def push_manifest(host: str, name: str, data: bytes, kind: str) -> str:
    """Push a manifest under its digest, and return that."""
    _ask(f"http://{host}/v2/{name}/manifests/{digest(data)}", data, "PUT", {"Content-Type": kind})
    return digest(data)


def manifest_size(host: str, name: str, reference: str) -> int:
    """Return how long a manifest is."""
    accept = {"Accept": f"{MANIFEST}, {INDEX}"}
    return int(_ask(f"http://{host}/v2/{name}/manifests/{reference}", None, "HEAD", accept)["Content-Length"])


def _ask(url: str, data: bytes | None, method: str, headers: dict[str, str]) -> Any:
    sent = {**headers, "Authorization": basic(USER, PASSWORD)}
    request = urllib.request.Request(url, data, sent, method=method)  # noqa: S310 - this machine
    with urllib.request.urlopen(request, timeout=20) as answer:  # noqa: S310 - as above
        answer.read()
        return answer.headers


def skopeo(program: str, *words: str | Path) -> str:
    """Run skopeo on servers without TLS; return what it prints."""
    command = [program, "--insecure-policy", *map(str, words)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout
