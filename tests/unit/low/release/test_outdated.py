"""Hub sources beside the newest commit of their branch, asked of a real server on this machine (SPEC L3.6)."""

import http.server
import json
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from airlift.errors import NotHeldError, UncheckedError
from airlift.low.release import gather
from airlift.low.release.hub.fetch import Fetched, Wanted
from airlift.low.release.make_release import make_release
from airlift.low.release.outdated import HubSource, find_outdated
from tests.support import keys
from tests.support.depots import NOW, RELEASERS, Site, signed_site
from tests.support.weights import component, weights

pytest.importorskip("huggingface_hub")

OLD, NEW = "01234567" * 5, "89abcdef" * 5
HEADS = {"org/moved": NEW, "org/same": OLD}


class Endpoint(http.server.BaseHTTPRequestHandler):
    """Answers what the hub says of a branch."""

    heads: dict[str, Any] = HEADS

    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        repo = path.removeprefix("/api/models/").removesuffix("/revision/main")
        found = path.endswith("/revision/main") and repo in self.heads
        body = (
            json.dumps({"id": repo, "sha": self.heads.get(repo), "siblings": []}).encode() if found else b""
        )
        self.send_response(200 if found else 404)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Content-Type", "application/json")
        if not found:
            self.send_header("X-Error-Code", "RepoNotFound")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_arguments: Any) -> None:
        pass


@pytest.fixture
def endpoint(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Endpoint)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{server.server_port}")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
        thread.join(10)


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Site:
    """A low side whose newest published release has three components of a hub, and one of a folder."""
    made = signed_site(tmp_path)
    component(tmp_path / "cache", {"model.safetensors": weights(1)})
    component(made.folder / "local", {"model.safetensors": weights(2)})

    def fetch(wanted: Wanted, **_more: Any) -> Fetched:
        path = tmp_path / "cache" / "model.safetensors"
        return Fetched(wanted.repo, wanted.revision, {"model.safetensors": path}, {}, 1)

    monkeypatch.setattr(gather, "fetch_commit", fetch)
    lines = [
        f"  - {{name: {name}, kind: model, version: '1', source: {{hub: org/{name}, revision: '{OLD}'}}}}"
        for name in ("moved", "same", "gone")
    ]
    path = made.folder / "r.yaml"
    path.write_text(
        "airlift: 1\nrelease: r\nversion: '1'\nmarking: {level: UNCLASSIFIED}\ncomponents:\n"
        + "\n".join([*lines, "  - {name: local, kind: model, version: '1', source: {path: local}}", ""])
    )
    make_release(made.depot, path, signers=[keys.signer(name) for name in RELEASERS[:2]], now=NOW)
    return made


@pytest.mark.usefixtures("endpoint")
def test_what_changed_upstream(site: Site) -> None:
    result = find_outdated(site.depot)
    assert result.release == "r@1"
    assert result.sources == (
        HubSource("gone", "1", "org/gone", "main", OLD, None),
        HubSource("moved", "1", "org/moved", "main", OLD, NEW),
        HubSource("same", "1", "org/same", "main", OLD, OLD),
    )
    assert [source.outdated for source in result.sources] == [True, True, False]


@pytest.mark.usefixtures("endpoint")
@pytest.mark.parametrize("sha", [None, "main", "../x", 3])
def test_an_answer_that_is_no_commit(site: Site, monkeypatch: pytest.MonkeyPatch, sha: Any) -> None:
    monkeypatch.setattr(Endpoint, "heads", {**HEADS, "org/gone": sha})
    with pytest.raises(UncheckedError, match="tells no commit of branch main of org/gone"):
        find_outdated(site.depot)


def test_an_endpoint_that_cannot_be_asked(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{taken.getsockname()[1]}")
        monkeypatch.setenv("NO_PROXY", "127.0.0.1")
        with pytest.raises(UncheckedError, match="cannot fetch branch main of org/gone") as caught:
            find_outdated(site.depot)
    assert caught.value.exit_code == 7


def test_no_release(tmp_path: Path) -> None:
    with pytest.raises(NotHeldError):
        find_outdated(signed_site(tmp_path).depot)
