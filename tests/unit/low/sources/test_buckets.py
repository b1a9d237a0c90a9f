"""Files of buckets: a real S3 server (SeaweedFS), fake-gcs-server and Azurite on this machine (SPEC L2.19)."""

import builtins
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from airlift.errors import AirliftError, DigestError, ManifestError, NotHeldError, UncheckedError, UsageError
from airlift.low.sources.fetch import Fetched, fetch
from tests.conftest import find_file
from tests.support import object_stores
from tests.support.depots import Site
from tests.support.running import cutting
from tests.support.web_server import certificates

obstore = pytest.importorskip("obstore")
DATA = bytes(range(256)) * 8192
"""2 MiB."""


def pin(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


@dataclass
class Desk:
    site: Site
    waited: list[float] = field(default_factory=list)

    def get(self, source: dict[str, Any], folder: Path = Path()) -> Fetched:
        return fetch(self.site.depot, source, folder, sleep=self.waited.append)

    @property
    def kept(self) -> list[str]:
        return sorted(path.name for path in self.site.depot.fetched.glob("*") if path.name != "lock")


@pytest.fixture
def desk(site: Site) -> Desk:
    return Desk(site)


@pytest.fixture(scope="module")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    weed = find_file("AIRLIFT_SEAWEEDFS", "weed, of SeaweedFS,")
    with object_stores.seaweed(weed, tmp_path_factory.mktemp("weed")) as endpoint:
        yield endpoint


@pytest.fixture
def keys(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", object_stores.KEY)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", object_stores.SECRET)


def put(endpoint: str, bucket: str, key: str, data: bytes) -> str:
    """Put an object, and return its version."""
    return str(obstore.put(object_stores.s3_store(endpoint, bucket), key, data)["version"])


def port(endpoint: str) -> int:
    return int(endpoint.rpartition(":")[2])


def test_an_object_by_its_digest(desk: Desk, s3: str, keys: None) -> None:
    put(s3, "plain", "one/base.bin", DATA)
    found = desk.get({"s3": "s3://plain/one/base.bin", "digest": pin(DATA), "endpoint": s3})
    assert found.paths["base.bin"].read_bytes() == DATA
    assert found.stated == {"kind": "bucket", "url": "s3://plain/one/base.bin", "endpoint": s3}


def test_versions_of_objects(desk: Desk, s3: str, keys: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was pinned is what comes, whatever the bucket has now."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", s3)
    old = put(s3, "models", "v/base.bin", DATA)
    put(s3, "models", "v/base.bin", b"newer")
    put(s3, "models", "v/config.json", b"{}")
    listed = [{"path": "base.bin", "version": old}, {"path": "config.json", "digest": pin(b"{}")}]
    found = desk.get({"s3": "s3://models/v/", "files": listed})
    assert {path: file.read_bytes() for path, file in found.paths.items()} == {
        "base.bin": DATA,
        "config.json": b"{}",
    }
    assert found.stated == {
        "kind": "bucket",
        "url": "s3://models/v/",
        "endpoint": s3,
        "versions": [{"path": "base.bin", "version": old}],
    }
    again = desk.get({"s3": "s3://models/v/base.bin", "version": old, "digest": pin(DATA)})
    assert again.bytes == len(DATA)


def test_a_bucket_that_keeps_no_versions(desk: Desk, s3: str, keys: None) -> None:
    put(s3, "plain", "x.bin", b"x")
    with pytest.raises(AirliftError) as caught:
        desk.get({"s3": "s3://plain/x.bin", "version": "7", "endpoint": s3})
    assert caught.value.exit_code in {5, 7}
    assert desk.kept == []
    with pytest.raises(ManifestError, match="nothing pins"):
        desk.get({"s3": "s3://plain/x.bin", "version": "null", "endpoint": s3})


def test_what_breaks_off_goes_on(desk: Desk, s3: str, keys: None) -> None:
    put(s3, "plain", "cut.bin", DATA)
    with cutting(port(s3), [700_000, 0, 900_000]) as through:
        source = {
            "s3": "s3://plain/cut.bin", "digest": pin(DATA), "endpoint": f"http://127.0.0.1:{through}",
        }  # fmt: skip
        assert desk.get(source).paths["cut.bin"].read_bytes() == DATA
    assert len(desk.waited) == 3


def test_another_command_goes_on(desk: Desk, s3: str, keys: None) -> None:
    put(s3, "plain", "later.bin", DATA)
    source = {"s3": "s3://plain/later.bin", "digest": pin(DATA)}
    with cutting(port(s3), [700_000, *[0] * 9]) as through, pytest.raises(UncheckedError) as caught:
        desk.get(source | {"endpoint": f"http://127.0.0.1:{through}"})
    assert caught.value.code == "unreachable"
    (part,) = desk.site.depot.fetched.glob("*.part")
    assert 0 < part.stat().st_size < len(DATA)
    left: list[int] = []
    with cutting(port(s3), left) as through:
        assert desk.get(source | {"endpoint": f"http://127.0.0.1:{through}"}).bytes == len(DATA)


def test_wrong_bytes_do_not_stay(desk: Desk, s3: str, keys: None) -> None:
    put(s3, "plain", "wrong.bin", b"wrong")
    with pytest.raises(DigestError):
        desk.get({"s3": "s3://plain/wrong.bin", "digest": pin(DATA), "endpoint": s3})
    with pytest.raises(DigestError, match="length"):
        desk.get({"s3": "s3://plain/wrong.bin", "digest": pin(b"wrong"), "bytes": 6, "endpoint": s3})
    assert desk.kept == []


@pytest.mark.parametrize("url", ["s3://plain/none", "s3://none/none", "s3://models/none"])
def test_what_is_not_there(desk: Desk, s3: str, keys: None, url: str) -> None:
    with pytest.raises(NotHeldError) as caught:
        desk.get({"s3": url, "digest": pin(b""), "endpoint": s3})
    assert caught.value.exit_code == 5


def test_credentials_of_the_command_line_of_aws(desk: Desk, s3: str, monkeypatch: pytest.MonkeyPatch) -> None:
    put(s3, "plain", "p.bin", b"p")
    source = {"s3": "s3://plain/p.bin", "digest": pin(b"p")}
    folder = Path.home() / ".aws"
    folder.mkdir()
    (folder / "config").write_text(f"[profile test]\nregion = eu-central-1\nendpoint_url = {s3}\n")
    (folder / "credentials").write_text(
        f"[test]\naws_access_key_id = {object_stores.KEY}\naws_secret_access_key = {object_stores.SECRET}\n"
    )
    monkeypatch.setenv("AWS_PROFILE", "test")
    found = desk.get(source)
    assert found.stated["endpoint"] == s3
    told = repr(found)
    assert object_stores.SECRET not in told


def test_credentials_that_do_not_fit(desk: Desk, s3: str, monkeypatch: pytest.MonkeyPatch) -> None:
    put(s3, "plain", "q.bin", b"q")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", object_stores.KEY)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "hunter2")
    with pytest.raises(UncheckedError, match="may not be read") as caught:
        desk.get({"s3": "s3://plain/q.bin", "digest": pin(b"q"), "endpoint": s3})
    assert "AWS_PROFILE" in caught.value.hint
    assert "hunter2" not in repr((str(caught.value), caught.value.found))
    assert not desk.waited


def test_nobody_is_there(desk: Desk, keys: None) -> None:
    with pytest.raises(UncheckedError) as caught:
        desk.get({"s3": "s3://plain/x", "digest": pin(b""), "endpoint": "http://127.0.0.1:9"})
    assert caught.value.code == "unreachable"
    assert desk.waited == [1.0, 2.0, 4.0, 8.0]


@pytest.mark.parametrize(
    "endpoint", ["http://anna:hunter2@127.0.0.1:9", "http://127.0.0.1:9?x=hunter2", "ftp://127.0.0.1"]
)
def test_endpoints_that_are_none(desk: Desk, keys: None, endpoint: str) -> None:
    with pytest.raises(ManifestError) as caught:
        desk.get({"s3": "s3://plain/x", "digest": pin(b""), "endpoint": endpoint})
    assert "hunter2" not in repr((str(caught.value), caught.value.found))


def test_only_this_machine_is_asked_without_tls(desk: Desk, keys: None) -> None:
    source = {"s3": "s3://plain/x", "digest": pin(b""), "endpoint": "http://models.invalid"}
    with pytest.raises(UncheckedError, match="not protected by TLS"):
        desk.get(source)
    with pytest.raises(UncheckedError, match="cannot fetch"):
        desk.get(source | {"plain_http": True})


def test_a_private_authority(desk: Desk, tmp_path: Path, keys: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """A server of files is enough: what counts is whom the library trusts."""
    from tests.support.web_server import serving

    made = certificates(tmp_path)
    with serving(made.context()) as server:
        server.files["/plain/x.bin"] = DATA
        source = {"s3": "s3://plain/x.bin", "digest": pin(DATA), "endpoint": server.url}
        with pytest.raises(UncheckedError):
            desk.get(source)
        assert server.asked == []
        monkeypatch.setenv("SSL_CERT_FILE", str(made.authority))
        server.files["/plain/x.bin"] = DATA
        server.tags["/plain/x.bin"] = '"t"'
        server.dated = True
        assert desk.get(source).bytes == len(DATA)


def test_google(desk: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = find_file("AIRLIFT_FAKE_GCS", "fake-gcs-server")
    monkeypatch.setenv("GOOGLE_SKIP_SIGNATURE", "true")
    with object_stores.google(program, tmp_path, {"base.bin": DATA}) as endpoint:
        found = desk.get({"gs": "gs://models/base.bin", "digest": pin(DATA), "endpoint": endpoint})
        assert found.paths["base.bin"].read_bytes() == DATA
        assert found.stated == {"kind": "bucket", "url": "gs://models/base.bin", "endpoint": endpoint}
        with pytest.raises(NotHeldError):
            desk.get({"gs": "gs://models/none", "digest": pin(b""), "endpoint": endpoint})


def test_azure(desk: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = find_file("AIRLIFT_AZURITE", "azurite-blob")
    with object_stores.azurite(program, tmp_path) as endpoint:
        obstore.put(object_stores.azure_store(endpoint), "m/base.bin", DATA)
        monkeypatch.setenv("AZURE_STORAGE_ACCOUNT_NAME", object_stores.AZURE_ACCOUNT)
        monkeypatch.setenv("AZURE_STORAGE_ACCOUNT_KEY", object_stores.AZURE_KEY)
        source = {"az": "az://models/m/base.bin", "digest": pin(DATA), "endpoint": endpoint}
        found = desk.get(source)
        assert found.paths["base.bin"].read_bytes() == DATA
        assert found.stated == {"kind": "bucket", "url": "az://models/m/base.bin", "endpoint": endpoint}
        monkeypatch.setenv("AZURE_STORAGE_ACCOUNT_KEY", "aHVudGVyMg==")
        with pytest.raises(UncheckedError, match="may not be read") as caught:
            desk.get(source | {"az": "az://models/m/other.bin", "digest": pin(b"")})
        assert "aHVudGVyMg" not in repr((str(caught.value), caught.value.found))


def test_without_the_extra(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def missing(name: str, *arguments: Any, **more: Any) -> Any:
        if name.partition(".")[0] == "obstore":
            raise ImportError(name)
        return real(name, *arguments, **more)

    monkeypatch.setattr(builtins, "__import__", missing)
    with pytest.raises(UsageError, match="not installed") as caught:
        desk.get({"s3": "s3://plain/x", "digest": pin(b"")})
    assert "airlift[low]" in caught.value.hint
