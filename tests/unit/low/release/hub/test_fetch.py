"""Files of a commit come into the cache, whole and right, from a real server on this machine (SPEC L2.10)."""

import builtins
import hashlib
import os
from pathlib import Path
from typing import Any

import pytest

from airlift.errors import ForbiddenFileError, ManifestError, NotHeldError, UncheckedError, UsageError
from airlift.low.release.hub import download as downloading
from airlift.low.release.hub.fetch import Wanted, fetch_commit, plan_fetch
from tests.support.hub_files import FILES, REPO, WEIGHTS, Told, fetch, leftovers
from tests.support.hub_server import HubServer

COMMIT = "0123456789abcdef0123456789abcdef01234567"


def test_all_files_of_a_commit(server: HubServer, tmp_path: Path) -> None:
    told, commit = Told(), server.repo(REPO).commit(FILES)
    found = fetch(tmp_path, commit, told)
    assert {name: path.read_bytes() for name, path in found.paths.items()} == FILES
    assert list(found.paths) == sorted(FILES)
    assert found.sha256 == {name: hashlib.sha256(data).hexdigest() for name, data in FILES.items()}
    total = sum(map(len, FILES.values()))
    assert (found.bytes, found.came, server.sent()) == (total, total, total)
    assert all(path.is_file() and not path.is_symlink() for path in found.paths.values())
    assert leftovers(tmp_path) == []
    assert told.said == []


def test_progress_is_told_while_a_large_file_comes(server: HubServer, tmp_path: Path) -> None:
    told, commit = Told(), server.repo(REPO).commit({"model.safetensors": WEIGHTS})
    fetch(tmp_path, commit, told)
    assert {stage for stage, _, _ in told.seen} == {f"fetching {REPO}"}
    assert {total for _, _, total in told.seen} == {len(WEIGHTS)}
    done = [count for _, count, _ in told.seen]
    assert (done[0], done[-1]) == (0, len(WEIGHTS))
    assert done == sorted(done)
    assert len(done) > 10


def test_the_library_finds_what_was_fetched(server: HubServer, tmp_path: Path) -> None:
    import huggingface_hub

    commit = server.repo(REPO).commit(FILES)
    fetch(tmp_path, commit)
    server.close()
    there = huggingface_hub.snapshot_download(
        REPO, revision=commit, cache_dir=tmp_path, local_files_only=True
    )
    held = {str(path.relative_to(there)): path for path in Path(there).rglob("*") if path.is_file()}
    assert {name: path.read_bytes() for name, path in held.items()} == FILES
    report = huggingface_hub.scan_cache_dir(tmp_path)
    assert [item.repo_id for item in report.repos] == [REPO]
    assert report.warnings == []


def test_what_the_library_fetched_is_found(
    server: HubServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import huggingface_hub

    commit = server.repo(REPO).commit(FILES)
    for name in FILES:
        huggingface_hub.hf_hub_download(
            REPO, name, revision=commit, cache_dir=tmp_path, endpoint=server.address
        )
    before = server.sent()
    found = fetch(tmp_path, commit)
    assert (found.came, server.sent()) == (0, before)
    assert {name: path.read_bytes() for name, path in found.paths.items()} == FILES


def test_what_is_there_is_not_fetched_again(server: HubServer, tmp_path: Path) -> None:
    commit = server.repo(REPO).commit(FILES)
    fetch(tmp_path, commit)
    server.asked.clear()
    again = fetch(tmp_path, commit)
    assert [one.path for one in server.asked] == [f"/api/models/{REPO}/revision/{commit}"]
    assert (again.came, again.bytes) == (0, sum(map(len, FILES.values())))


def test_the_next_commit_shares_what_did_not_change(server: HubServer, tmp_path: Path) -> None:
    old = server.repo(REPO).commit(FILES)
    fetch(tmp_path, old)
    new = server.repo(REPO).commit({**FILES, "config.json": b'{"a": 1}', "copy.safetensors": WEIGHTS})
    found = fetch(tmp_path, new)
    assert found.came == len(b'{"a": 1}')
    assert found.paths["copy.safetensors"] == found.paths["model.safetensors"]


@pytest.mark.parametrize("name", ["model.safetensors", "config.json"])
def test_what_is_wrong_in_the_cache_is_fetched_anew(server: HubServer, tmp_path: Path, name: str) -> None:
    commit, told = server.repo(REPO).commit(FILES), Told()
    blob = fetch(tmp_path, commit).paths[name]
    blob.chmod(0o644)
    blob.write_bytes(b"x" * len(FILES[name]))
    found = fetch(tmp_path, commit, told)
    assert found.paths[name].read_bytes() == FILES[name]
    assert found.came == len(FILES[name])
    assert told.said == [f"{name} of {REPO} in the cache is not what the endpoint lists: fetching it anew"]
    assert told.seen[-1][1] == found.bytes


def test_a_file_that_was_cut_in_the_cache_is_fetched_anew(server: HubServer, tmp_path: Path) -> None:
    commit = server.repo(REPO).commit(FILES)
    blob = fetch(tmp_path, commit).paths["model.safetensors"]
    os.truncate(blob, 1000)
    found = fetch_commit(Wanted(REPO, commit), tmp_path, digested=False)
    assert found.paths["model.safetensors"].read_bytes() == WEIGHTS


def test_files_in_lfs_are_left_to_a_caller_who_digests(server: HubServer, tmp_path: Path) -> None:
    commit = server.repo(REPO).commit(FILES)
    paths = fetch(tmp_path, commit).paths
    for name in ("model.safetensors", "config.json"):
        paths[name].chmod(0o644)
        paths[name].write_bytes(b"x" * len(FILES[name]))
    found = fetch_commit(Wanted(REPO, commit), tmp_path, digested=False)
    assert found.paths["config.json"].read_bytes() == FILES["config.json"]
    assert found.sha256["model.safetensors"] == hashlib.sha256(WEIGHTS).hexdigest()
    assert found.came == len(FILES["config.json"])


def test_only_what_is_included(server: HubServer, tmp_path: Path) -> None:
    commit = server.repo(REPO).commit(FILES)
    found = fetch(tmp_path, commit, include=["*.safetensors", "*.json"])
    assert list(found.paths) == ["config.json", "model.safetensors"]
    with pytest.raises(NotHeldError, match="no such files") as caught:
        fetch(tmp_path, commit, include=["*.gguf"])
    assert caught.value.hint == f"see what it has: `airlift low fetch {REPO} --revision {commit} --dry-run`"


def test_what_is_left_out_is_named_and_not_fetched(server: HubServer, tmp_path: Path) -> None:
    commit = server.repo(REPO).commit(
        {**FILES, ".gitattributes": b"x", "a/.DS_Store": b"x", "optimizer.pt": b"x"}
    )
    found = fetch(tmp_path, commit, include=["*.json", "o*"], exclude=["*.pt"])
    assert list(found.paths) == ["config.json", "onnx/model.onnx"]
    assert found.skipped == (".gitattributes", "a/.DS_Store")
    assert found.left_out == ("empty.txt", "model.safetensors", "optimizer.pt", "readme.md")
    assert not [one.path for one in server.asked if "optimizer" in one.path or "gitattributes" in one.path]
    with pytest.raises(ForbiddenFileError, match=r"exclude fits no file: '\*\.bin'"):
        fetch(tmp_path, commit, exclude=["*.bin"])


def test_a_plan_fetches_nothing(server: HubServer, tmp_path: Path) -> None:
    commit = server.repo(REPO).commit(FILES)
    plan = plan_fetch(Wanted(REPO, commit), tmp_path)
    total = sum(map(len, FILES.values()))
    assert (dict(plan.sizes), plan.bytes, plan.to_come) == (
        {name: len(data) for name, data in FILES.items()},
        total,
        total,
    )
    assert list(tmp_path.iterdir()) == []
    assert server.sent() == 0
    fetch(tmp_path, commit, include=["*.safetensors"])
    assert plan_fetch(Wanted(REPO, commit), tmp_path).to_come == total - len(WEIGHTS)


def test_a_file_that_is_too_large_for_one_answer(
    server: HubServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(downloading, "MAX_ANSWER", 1_000_000)
    commit = server.repo(REPO).commit({"model.safetensors": WEIGHTS})
    assert fetch(tmp_path, commit).paths["model.safetensors"].read_bytes() == WEIGHTS
    ranges = [one.headers.get("range") for one in server.files_asked() if one.host == "delivery"]
    assert ranges == [
        "bytes=0-999999",
        "bytes=1000000-1999999",
        "bytes=2000000-2999999",
        f"bytes=3000000-{len(WEIGHTS) - 1}",
    ]
    assert server.sent() == len(WEIGHTS)


def test_where_there_are_no_links_the_file_itself_lies_there(
    server: HubServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_arguments: Any) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "symlink", refuse)
    commit = server.repo(REPO).commit(FILES)
    found = fetch(tmp_path, commit)
    assert {name: path.read_bytes() for name, path in found.paths.items()} == FILES
    assert all(path.parts[-3] == "snapshots" or "snapshots" in path.parts for path in found.paths.values())
    assert fetch(tmp_path, commit).came == 0


@pytest.mark.parametrize("revision", ["main", "v1.0", COMMIT[:-1], COMMIT.upper(), COMMIT + "\n"])
def test_only_whole_commits(tmp_path: Path, revision: str) -> None:
    with pytest.raises(ManifestError, match="whole commit") as caught:
        fetch(tmp_path, revision)
    assert f"/{REPO}/commits/main shows it" in caught.value.hint


@pytest.mark.parametrize("repo", ["a/b/c", "", "../x", "org/--x", "a b", "org/x\n", "org/x?y"])
def test_a_name_that_is_no_repository(server: HubServer, tmp_path: Path, repo: str) -> None:
    with pytest.raises(ManifestError, match="no name of a repository"):
        fetch_commit(Wanted(repo, COMMIT), tmp_path)
    assert server.asked == []


@pytest.mark.parametrize(
    "address", ["hub.example", "ftp://hub.example", "http://", "http://x:99999", "http://[x"]
)
def test_an_endpoint_that_is_no_address(
    server: HubServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, address: str
) -> None:
    monkeypatch.setenv("HF_ENDPOINT", address)
    with pytest.raises(UsageError, match="HF_ENDPOINT is no address"):
        fetch(tmp_path, COMMIT)


def test_an_endpoint_that_is_not_there(
    server: HubServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    told = Told()
    with pytest.raises(UncheckedError, match="cannot fetch") as caught:
        fetch(tmp_path, COMMIT, told)
    assert "HF_ENDPOINT" in caught.value.hint
    assert told.said == []  # nothing is waited for


def test_offline(server: HubServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import huggingface_hub.constants

    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(UncheckedError, match="cannot fetch") as caught:
        fetch(tmp_path, COMMIT)
    assert "take HF_HUB_OFFLINE out" in caught.value.hint
    assert server.asked == []


def test_without_the_extra(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    real = builtins.__import__

    def missing(name: str, *arguments: Any, **more: Any) -> Any:
        if name.partition(".")[0] == "huggingface_hub":
            raise ImportError(name)
        return real(name, *arguments, **more)

    monkeypatch.setattr(builtins, "__import__", missing)
    with pytest.raises(UsageError, match="not installed") as caught:
        fetch(tmp_path, COMMIT)
    assert "airlift[low]" in caught.value.hint
