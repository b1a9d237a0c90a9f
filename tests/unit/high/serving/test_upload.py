"""A release in a bucket of a real S3 server: what policy names, whole, digested, and never half pointed at."""

import hashlib
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from airlift.errors import BucketError, DigestError, UncheckedError, UsageError
from airlift.high.activation.change_policy import change_policy
from airlift.high.enclave.enclave import Enclave
from airlift.high.serving import bucket as buckets
from airlift.high.serving.upload import UploadJob, UploadResult, upload
from airlift.layouts.layouts import Choice, choose
from tests.conftest import find_file
from tests.support.enclaves import V2, enclave, operator
from tests.support.object_stores import KEY, SECRET, s3_store, seaweed

pytestmark = pytest.mark.usefixtures("quick_disk")
URL, TREE = "s3://plain/serving", Choice("tree")


@pytest.fixture(scope="module")
def endpoint(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    weed = find_file("AIRLIFT_SEAWEEDFS", "weed, of SeaweedFS,")
    with seaweed(weed, tmp_path_factory.mktemp("s3")) as found:
        yield found


@pytest.fixture(autouse=True)
def login(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.startswith("AWS"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", KEY)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)


def permitting(folder: Path, endpoint: str, url: str = URL) -> Enclave:
    place = enclave("two", folder)
    (folder / "policy").mkdir()
    text = f"airlift: 2\nenclave: alpha\nbuckets:\n  - {{url: {url}, endpoint: '{endpoint}'}}\n"
    (folder / "policy/policy.yaml").write_text(text)
    change_policy(place, folder / "policy/policy.yaml", operator=operator())
    return place


def put(place: Enclave, url: str = URL, choice: Choice = TREE, *, dry_run: bool = False) -> UploadResult:
    return upload(place, UploadJob("active", choice, url), operator=operator(), dry_run=dry_run)


def held(endpoint: str, prefix: str) -> dict[str, bytes]:
    """Return what a client of its own finds below a prefix."""
    import obstore

    store = s3_store(endpoint, "plain")
    keys = [item["path"] for batch in obstore.list(store, prefix=prefix) for item in batch]
    return {key.removeprefix(f"{prefix}/"): bytes(obstore.get(store, key).bytes()) for key in keys}


def pointer(endpoint: str, key: str) -> dict[str, Any]:
    import obstore

    found: dict[str, Any] = json.loads(bytes(obstore.get(s3_store(endpoint, "plain"), key).bytes()))
    return found


FILES = {f"{name}/{path}": data for name, parts in V2.items() for path, data in parts.items()}


def test_a_release_is_there_whole_and_then_pointed_at(tmp_path: Path, endpoint: str) -> None:
    place = permitting(tmp_path, endpoint)
    size = place.state().size
    assert put(place, dry_run=True).sent_bytes == 0
    assert place.state().size == size
    first = put(place)
    assert first.sent_bytes == first.bytes == sum(map(len, FILES.values()))
    assert held(endpoint, first.prefix) == FILES
    assert pointer(endpoint, "serving/active.json") == {
        "release": "assistant@2",
        "digest": first.digest,
        "layout": "tree",
        "prefix": first.prefix,
    }
    with place.ledger() as log:
        (entry,) = log.entries(size)
    assert (entry.type, entry.detail["output"], entry.detail["follow"]) == ("export", URL, False)
    again = put(place)
    assert (again.sent_bytes, again.prefix) == (0, first.prefix)


def test_what_was_changed_there_is_sent_again(tmp_path: Path, endpoint: str) -> None:
    import obstore

    url = f"{URL}/changed"
    place = permitting(tmp_path, endpoint)
    first = put(place, url)
    key, data = f"{first.prefix}/base/nested/config.json", FILES["base/nested/config.json"]
    obstore.put(
        s3_store(endpoint, "plain"),
        key,
        bytes(len(data)),
        attributes={buckets.DIGEST: hashlib.sha512(data).hexdigest()},
    )
    put(place, url)
    assert held(endpoint, first.prefix) == FILES
    obstore.delete(s3_store(endpoint, "plain"), key)
    assert put(place, url).sent_bytes == len(data)
    assert held(endpoint, first.prefix) == FILES


def test_what_broke_off_is_taken_up(tmp_path: Path, endpoint: str, monkeypatch: pytest.MonkeyPatch) -> None:
    import obstore

    url = f"{URL}/broken"
    place = permitting(tmp_path, endpoint)
    real, sent = buckets.OpenBucket.put, list[str]()

    def some(self: buckets.OpenBucket, key: str, *rest: Any) -> None:
        if len(sent) == 3:
            raise UncheckedError("the line is cut")
        sent.append(key)
        real(self, key, *rest)

    with monkeypatch.context() as patch:
        patch.setattr(buckets.OpenBucket, "put", some)
        with pytest.raises(UncheckedError):
            put(place, url)
    size = place.state().size
    with pytest.raises(FileNotFoundError):
        obstore.get(s3_store(endpoint, "plain"), "serving/broken/active.json")
    done = put(place, url)
    assert 0 < done.sent_bytes < done.bytes
    assert held(endpoint, done.prefix) == FILES
    assert place.state().size == size + 1


def test_a_server_that_lies_is_proven_bad_and_nothing_points_at_it(
    tmp_path: Path, endpoint: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    import obstore

    url = f"{URL}/lies"
    place = permitting(tmp_path, endpoint)
    size = place.state().size
    real = buckets.OpenBucket.put

    def other(self: buckets.OpenBucket, key: str, pieces: Any, sha512: str) -> None:
        data = b"".join(pieces)
        real(self, key, [bytes(len(data))], sha512)

    monkeypatch.setattr(buckets.OpenBucket, "put", other)
    with pytest.raises(DigestError):
        put(place, url)
    assert place.state().size == size
    with pytest.raises(FileNotFoundError):
        obstore.get(s3_store(endpoint, "plain"), "serving/lies/active.json")


def test_only_what_policy_names(tmp_path: Path, endpoint: str, monkeypatch: pytest.MonkeyPatch) -> None:
    place = permitting(tmp_path, endpoint)
    monkeypatch.setattr(buckets.OpenBucket, "__init__", lambda *_: pytest.fail("a socket was opened"))
    for url in ("s3://plain/servings", "s3://plain", "s3://other/serving", "s3://plain/serving2/x"):
        with pytest.raises(BucketError) as caught:
            put(place, url)
        assert caught.value.exit_code == 6
    for url in (
        "plain/serving",
        "https://plain/serving",
        "s3://plain/serving/../x",
        "s3://plain/serving/",
        "s3://ü/x",
    ):
        with pytest.raises(UsageError):
            put(place, url)
    with pytest.raises(BucketError):
        put(enclave("one", tmp_path))


def test_who_may_not_write_is_told(tmp_path: Path, endpoint: str, monkeypatch: pytest.MonkeyPatch) -> None:
    place = permitting(tmp_path, endpoint)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "another")
    with pytest.raises(UncheckedError) as caught:
        put(place, f"{URL}/denied")
    assert "another" not in str(caught.value) + caught.value.hint
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    with pytest.raises(UncheckedError, match="nothing says who"):
        put(place, f"{URL}/denied")


def test_nobody_answers(tmp_path: Path) -> None:
    place = permitting(tmp_path, "http://127.0.0.1:9")
    with pytest.raises(UncheckedError) as caught:
        put(place)
    assert caught.value.exit_code == 7


def test_links_of_a_layout_are_the_files_that_they_lead_to(tmp_path: Path, endpoint: str) -> None:
    place = permitting(tmp_path, endpoint)
    result = put(place, f"{URL}/hub", choose("hf-cache", ("guard",)))
    found = held(endpoint, result.prefix)
    shown = {path.rpartition("/")[2]: data for path, data in found.items() if "/snapshots/" in path}
    assert shown == dict(V2["guard"])
