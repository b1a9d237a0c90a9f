"""Real servers of object stores on this machine: SeaweedFS for S3, fake-gcs-server, Azurite; with what fills them."""

import base64
import hashlib
import hmac
import json
import subprocess
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from email.utils import formatdate
from pathlib import Path
from typing import Any

from tests.support.running import free_port, listens, running

KEY, SECRET = "AKIATEST", "s3kr1t"
AZURE_ACCOUNT = "devstoreaccount1"
AZURE_KEY = base64.b64encode(b"a key for tests, and for nothing else").decode()


@contextmanager
def seaweed(weed: Path, folder: Path) -> Iterator[str]:
    """Give the endpoint of an S3 server with the buckets ``models``, which keeps versions, and ``plain``."""
    identity = {
        "name": "anna",
        "credentials": [{"accessKey": KEY, "secretKey": SECRET}],
        "actions": ["Admin", "Read", "Write", "List"],
    }
    (folder / "s3.json").write_text(json.dumps({"identities": [identity]}))
    (folder / "data").mkdir()
    ports = {name: free_port() for name in ("master", "volume", "filer", "s3")}
    command: list[str | Path] = [
        weed, "server", "-dir=data", "-ip=127.0.0.1", "-ip.bind=127.0.0.1", "-filer", "-s3", "-s3.config=s3.json",
        "-master.volumeSizeLimitMB=64", "-volume.max=20", "-volume.minFreeSpace=1MiB", "-s3.port.iceberg=0",
        "-s3.port.lance=0",
    ]  # fmt: skip
    for name, port in ports.items():
        command += [f"-{name}.port={port}", f"-{name}.port.grpc={free_port()}"]
    grpc = {word.partition(".")[0]: word.partition("=")[2] for word in map(str, command) if ".grpc=" in word}
    made = "s3.bucket.create -name models\ns3.bucket.versioning -name models -enable\ns3.bucket.create -name plain\n"
    shell: list[str | Path] = [
        weed, "shell", f"-master=127.0.0.1:{ports['master']}.{grpc['-master']}",
        f"-filer=127.0.0.1:{ports['filer']}.{grpc['-filer']}",
    ]  # fmt: skip
    with running(command, folder / "weed.log", lambda: listens(ports["s3"])):
        subprocess.run(shell, input=made, text=True, capture_output=True, timeout=60, check=True)
        yield f"http://127.0.0.1:{ports['s3']}"


def s3_store(endpoint: str, bucket: str) -> Any:
    """Return a bucket to put objects into."""
    from obstore.store import S3Store

    return S3Store(
        bucket,
        config={"endpoint": endpoint, "access_key_id": KEY, "secret_access_key": SECRET},
        client_options={"allow_http": True, "timeout": "20s"},
        retry_config={"max_retries": 1, "retry_timeout": timedelta(seconds=30)},
    )


@contextmanager
def google(program: Path, folder: Path, objects: dict[str, bytes]) -> Iterator[str]:
    """Give the endpoint of a server of Google's interface with the bucket ``models`` and these objects."""
    port = free_port()
    command: list[str | Path] = [
        program, "-scheme", "http", "-host", "127.0.0.1", "-port", str(port), "-backend", "memory",
        "-public-host", f"127.0.0.1:{port}",
    ]  # fmt: skip
    endpoint = f"http://127.0.0.1:{port}"
    with running(command, folder / "gcs.log", lambda: listens(port)):
        _post(f"{endpoint}/storage/v1/b?project=test", b'{"name": "models"}', "application/json")
        for name, data in objects.items():
            _post(f"{endpoint}/upload/storage/v1/b/models/o?uploadType=media&name={name}", data, "text/plain")
        yield endpoint


def _post(url: str, data: bytes, kind: str) -> None:
    request = urllib.request.Request(url, data, {"Content-Type": kind}, method="POST")  # noqa: S310 - this machine
    with urllib.request.urlopen(request, timeout=20) as answer:  # noqa: S310 - as above
        answer.read()


@contextmanager
def azurite(program: Path, folder: Path) -> Iterator[str]:
    """Give the endpoint of an account of Azure's interface with the container ``models``."""
    import os

    port = free_port()
    command: list[str | Path] = [
        program, "--silent", "--skipApiVersionCheck", "--blobHost", "127.0.0.1", "--blobPort", str(port),
        "--location", folder,
    ]  # fmt: skip
    endpoint = f"http://127.0.0.1:{port}/{AZURE_ACCOUNT}"
    env = {**os.environ, "AZURITE_ACCOUNTS": f"{AZURE_ACCOUNT}:{AZURE_KEY}"}
    with running(command, folder / "azurite.log", lambda: listens(port), env):
        _make_container(endpoint)
        yield endpoint


def azure_store(endpoint: str) -> Any:
    """Return the container to put objects into."""
    from obstore.store import AzureStore

    return AzureStore(
        "models",
        config={"endpoint": endpoint, "account_name": AZURE_ACCOUNT, "account_key": AZURE_KEY},
        client_options={"allow_http": True},
    )


def _make_container(endpoint: str) -> None:
    """Make ``models``: a request with a shared key (Azure Storage, Authorize with Shared Key)."""
    headers = {"x-ms-date": formatdate(usegmt=True), "x-ms-version": "2021-12-02"}
    named = "".join(f"{key}:{value}\n" for key, value in sorted(headers.items()))
    what = f"/{AZURE_ACCOUNT}/{AZURE_ACCOUNT}/models\nrestype:container"
    text = "PUT\n" + "\n" * 11 + named + what
    signed = hmac.new(base64.b64decode(AZURE_KEY), text.encode(), hashlib.sha256).digest()
    headers["Authorization"] = f"SharedKey {AZURE_ACCOUNT}:{base64.b64encode(signed).decode()}"
    request = urllib.request.Request(  # noqa: S310 - this machine
        f"{endpoint}/models?restype=container", method="PUT", headers={**headers, "Content-Length": "0"}
    )
    with urllib.request.urlopen(request, timeout=20) as answer:  # noqa: S310 - as above
        answer.read()
