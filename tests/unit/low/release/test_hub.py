"""The one module that opens sockets, against a tiny server on this machine that speaks what huggingface_hub asks."""

import builtins
import hashlib
import http.server
import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from airlift.errors import ForbiddenFileError, ManifestError, NotHeldError, UncheckedError, UsageError
from airlift.low.release import hub

pytest.importorskip("huggingface_hub")

COMMIT = "0123456789abcdef0123456789abcdef01234567"
REPO = "org/tiny"
FILES = {
    "config.json": b"{}",
    "model.safetensors": b"weights" * 1000,
    "onnx/model.onnx": b"onnx",
    "readme.md": b"# tiny",
}


class Endpoint(http.server.BaseHTTPRequestHandler):
    """Answers the listing of one commit, and HEAD and GET of its files."""

    server: "Server"

    def do_HEAD(self) -> None:
        self._answer(body=False)

    def do_GET(self) -> None:
        self._answer(body=True)

    def log_message(self, *_arguments: Any) -> None:
        pass

    def _answer(self, *, body: bool) -> None:
        path = self.path.partition("?")[0]
        self.server.asked.append(f"{self.command} {path}")
        prefix = f"/{REPO}/resolve/{COMMIT}/"
        if path == f"/api/models/{REPO}/revision/{COMMIT}":
            self._send(
                200, json.dumps(self.server.listing()).encode(), {"Content-Type": "application/json"}, body
            )
        elif path.startswith(prefix) and path[len(prefix) :] in self.server.files:
            data = self.server.files[path[len(prefix) :]]
            etag = f'"{hashlib.sha256(data).hexdigest()}"'
            self._send(200, data, {"ETag": etag, "X-Repo-Commit": COMMIT}, body)
        else:
            code = "RepoNotFound" if "missing" in path else "RevisionNotFound"
            self._send(404, b"", {"X-Error-Code": code}, body)

    def _send(self, status: int, data: bytes, headers: dict[str, str], body: bool) -> None:
        self.send_response(status)
        for key, value in {**headers, "Content-Length": str(len(data)), "Connection": "close"}.items():
            self.send_header(key, value)
        self.end_headers()
        if body:
            self.wfile.write(data)


class Server(http.server.ThreadingHTTPServer):
    """The endpoint's files, and what it was asked for."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Endpoint)
        self.files = dict(FILES)
        self.asked: list[str] = []
        self.sha = COMMIT

    def listing(self) -> dict[str, Any]:
        siblings = [
            {"rfilename": name, "size": len(data), "blobId": "b"} for name, data in self.files.items()
        ]
        for item in siblings:
            if str(item["rfilename"]).endswith(".safetensors"):
                digest = hashlib.sha256(self.files[str(item["rfilename"])]).hexdigest()
                item["lfs"] = {"sha256": digest, "size": item["size"], "pointerSize": 130}
        return {
            "id": REPO,
            "modelId": REPO,
            "sha": self.sha,
            "private": False,
            "tags": [],
            "siblings": siblings,
        }


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    found = Server()
    thread = threading.Thread(target=found.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{found.server_port}")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    try:
        yield found
    finally:
        found.shutdown()
        found.server_close()
        thread.join(10)


def test_all_files_of_a_commit(server: Server, tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    found = hub.fetch(
        REPO, COMMIT, folder=tmp_path, progress=lambda _stage, done, total: seen.append((done, total))
    )
    assert {name: path.read_bytes() for name, path in found.paths.items()} == FILES
    assert list(found.paths) == sorted(FILES)
    assert found.sha256 == {"model.safetensors": hashlib.sha256(FILES["model.safetensors"]).hexdigest()}
    total = sum(map(len, FILES.values()))
    assert (found.bytes, seen[0], seen[-1]) == (total, (0, total), (total, total))
    assert all(path.is_file() and not path.is_symlink() for path in found.paths.values())


def test_what_is_there_is_not_fetched_again(server: Server, tmp_path: Path) -> None:
    hub.fetch(REPO, COMMIT, folder=tmp_path)
    server.asked.clear()
    hub.fetch(REPO, COMMIT, folder=tmp_path)
    assert not [line for line in server.asked if line.startswith("GET") and "/resolve/" in line]


def test_only_what_is_included(server: Server, tmp_path: Path) -> None:
    hub.fetch(REPO, COMMIT, folder=tmp_path)
    found = hub.fetch(REPO, COMMIT, ["*.safetensors", "*.json"], folder=tmp_path)
    assert list(found.paths) == ["config.json", "model.safetensors"]
    with pytest.raises(NotHeldError, match="no such files"):
        hub.fetch(REPO, COMMIT, ["*.gguf"], folder=tmp_path)


def test_what_is_left_out_is_named_and_not_fetched(server: Server, tmp_path: Path) -> None:
    server.files |= {".gitattributes": b"x", "a/.DS_Store": b"x", "optimizer.pt": b"x"}
    found = hub.fetch(REPO, COMMIT, ["*.json", "o*"], folder=tmp_path, exclude=["*.pt"])
    assert list(found.paths) == ["config.json", "onnx/model.onnx"]
    assert found.skipped == (".gitattributes", "a/.DS_Store")
    assert found.left_out == ("model.safetensors", "optimizer.pt", "readme.md")
    assert not [line for line in server.asked if "optimizer" in line or "gitattributes" in line]
    with pytest.raises(ForbiddenFileError, match=r"exclude fits no file: '\*\.bin'"):
        hub.fetch(REPO, COMMIT, folder=tmp_path, exclude=["*.bin"])


@pytest.mark.parametrize("revision", ["main", "v1.0", COMMIT[:-1], COMMIT.upper(), COMMIT + "\n"])
def test_only_whole_commits(tmp_path: Path, revision: str) -> None:
    with pytest.raises(ManifestError, match="whole commit"):
        hub.fetch(REPO, revision, folder=tmp_path)


@pytest.mark.parametrize(("repo", "revision"), [("org/missing", COMMIT), (REPO, "f" * 40)])
def test_what_the_endpoint_does_not_have(server: Server, tmp_path: Path, repo: str, revision: str) -> None:
    with pytest.raises(NotHeldError):
        hub.fetch(repo, revision, folder=tmp_path)


def test_a_file_that_is_listed_and_not_there(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = server.listing()
    monkeypatch.setattr(server, "listing", lambda: whole)
    del server.files["config.json"]
    with pytest.raises((NotHeldError, UncheckedError), match=r"config\.json"):
        hub.fetch(REPO, COMMIT, folder=tmp_path)


def test_an_endpoint_that_answers_with_another_commit(server: Server, tmp_path: Path) -> None:
    server.sha = "f" * 40
    with pytest.raises(UncheckedError, match="another commit"):
        hub.fetch(REPO, COMMIT, folder=tmp_path)


def test_a_name_that_is_no_repository(server: Server, tmp_path: Path) -> None:
    with pytest.raises(UncheckedError):
        hub.fetch("a/b/c", COMMIT, folder=tmp_path)


def test_an_endpoint_that_is_not_there(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(UncheckedError, match="cannot fetch") as caught:
        hub.fetch(REPO, COMMIT, folder=tmp_path)
    assert "HF_ENDPOINT" in caught.value.hint


def test_without_the_extra(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    real = builtins.__import__

    def missing(name: str, *arguments: Any, **more: Any) -> Any:
        if name.partition(".")[0] == "huggingface_hub":
            raise ImportError(name)
        return real(name, *arguments, **more)

    monkeypatch.setattr(builtins, "__import__", missing)
    with pytest.raises(UsageError, match="not installed") as caught:
        hub.fetch(REPO, COMMIT, folder=tmp_path)
    assert "airlift[low]" in caught.value.hint
