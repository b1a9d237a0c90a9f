"""A Hugging Face endpoint on this machine: real sockets, repositories with commits, and faults on demand.

It speaks what ``huggingface_hub`` asks a hub: the listing of a revision, its tree in pages, files by HEAD and GET
with ranges, ``ETag``, ``X-Repo-Commit`` and ``X-Linked-*``. Files in LFS are led to a second server of another
origin, as a hub leads to the network that delivers them; those in Xet have Xet's headers, too. Small files are led to
another path of the same origin. A repository may be gated or private, and ask for a token.

A :class:`Fault` changes the next answers to addresses that hold a text: put off, cut, changed, slow, endless.
``asked`` says what came in, with the headers, and how many bytes of a body went out.
"""

import fnmatch
import hashlib
import http.server
import json
import re
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, quote, unquote, urlsplit

LFS = ("*.safetensors", "*.gguf", "*.bin", "*.onnx")
PIECE = 1 << 16


@dataclass(frozen=True)
class Stored:
    """A file of a commit, and what a hub states of it."""

    data: bytes
    lfs: bool
    xet: bool = False

    @property
    def sha256(self) -> str:
        """SHA-256 of the bytes (hex)."""
        return hashlib.sha256(self.data).hexdigest()

    @property
    def blob(self) -> str:
        """The id of the git blob: of the bytes, or of the pointer that stands for them in git."""
        held = self.data
        if self.lfs:
            lines = ("version https://git-lfs.github.com/spec/v1", f"oid sha256:{self.sha256}", "size ")
            held = f"{chr(10).join(lines)}{len(self.data)}\n".encode()
        return hashlib.sha1(b"blob %d\x00" % len(held) + held, usedforsecurity=False).hexdigest()

    @property
    def etag(self) -> str:
        """What a hub calls this content."""
        return self.sha256 if self.lfs else self.blob


@dataclass
class Repo:
    """A repository: files by path, of each commit; commits by branch; who may read it.

    ``listed`` are members that the listing says differently of a file, by path: lies.
    """

    commits: dict[str, dict[str, Stored]] = field(default_factory=dict)
    branches: dict[str, str] = field(default_factory=dict)
    token: str | None = None
    gated: bool = False
    blobs: bool = True
    listed: dict[str, dict[str, Any]] = field(default_factory=dict)

    def commit(
        self, files: Mapping[str, bytes] | Path, *, branch: str = "main", xet: Sequence[str] = ()
    ) -> str:
        """Add a commit of these files, or of those in a folder; return its id, which follows from them."""
        if isinstance(files, Path):
            files = {
                str(path.relative_to(files)): path.read_bytes() for path in files.rglob("*") if path.is_file()
            }
        stored = {
            path: Stored(data, _fits(path, LFS) or _fits(path, xet), _fits(path, xet))
            for path, data in files.items()
        }
        tree = "".join(f"{path}\0{item.blob}\n" for path, item in sorted(stored.items()))
        told = f"{branch}{tree}".encode(errors="surrogatepass")
        sha = hashlib.sha1(told, usedforsecurity=False).hexdigest()
        self.commits[sha] = stored
        self.branches[branch] = sha
        return sha


@dataclass
class Fault:
    """What is wrong with the next ``times`` answers to addresses that hold ``where``.

    ``status`` and ``headers`` are answered instead; ``cut`` closes after so many bytes of a body, ``reset`` without
    a farewell; ``change`` changes the body; ``wait`` are seconds before the answer, ``drip`` after each piece of
    ``piece`` bytes; ``endless`` repeats the body for ever; ``ranges`` says whether Range is honoured; ``chunked``
    gives no length; ``call`` is called first.
    """

    where: str
    times: int = 1
    status: int | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    cut: int | None = None
    reset: bool = False
    change: Callable[[bytes], bytes] | None = None
    wait: float = 0.0
    drip: float = 0.0
    piece: int = PIECE
    endless: bool = False
    ranges: bool = True
    chunked: bool = False
    call: Callable[[], None] | None = None


@dataclass
class Asked:
    """One question: ``sent`` counts the bytes of the body that went out."""

    method: str
    host: str
    path: str
    headers: dict[str, str]
    status: int = 0
    sent: int = 0


class HubServer:
    """Two servers of different origins: the hub, and the network that delivers large files for it."""

    def __init__(self) -> None:
        self.repos: dict[str, Repo] = {}
        self.faults: list[Fault] = []
        self.asked: list[Asked] = []
        self.bodies: dict[str, bytes] = {}  # answers by path, whatever is there
        self.moved: dict[str, str] = {}  # commits whose files are given of another one
        self.page = 1000
        self._lock = threading.Lock()
        self.hub, self.delivery = _Server(self, "hub"), _Server(self, "delivery")

    @property
    def address(self) -> str:
        """The address of the endpoint."""
        return f"http://127.0.0.1:{self.hub.server_port}"

    def repo(self, name: str = "org/tiny") -> Repo:
        """Return a repository, which is made if it is new."""
        return self.repos.setdefault(name, Repo())

    def files_asked(self) -> list[Asked]:
        """Return the questions for bytes of files."""
        return [
            one for one in self.asked if one.method == "GET" and ("/resolve" in one.path or one.host != "hub")
        ]

    def sent(self, where: str = "") -> int:
        """Return how many bytes of files went out, of addresses that hold ``where``."""
        return sum(one.sent for one in self.files_asked() if where in one.path)

    def fault(self, path: str) -> Fault | None:
        """Return the fault that the next answer to ``path`` has, and count it."""
        with self._lock:
            for item in self.faults:
                if item.times > 0 and item.where in path:
                    item.times -= 1
                    return item
        return None

    def close(self) -> None:
        """End both."""
        for server in (self.hub, self.delivery):
            server.end()


@contextmanager
def serving() -> Iterator[HubServer]:
    """Serve until the body is done."""
    server = HubServer()
    try:
        yield server
    finally:
        server.close()


class _Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False

    def __init__(self, owner: HubServer, name: str) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.owner, self.name = owner, name
        self._thread = threading.Thread(
            target=self.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True
        )
        self._thread.start()

    def end(self) -> None:
        self.shutdown()
        self.server_close()
        self._thread.join(10)

    def handle_error(self, *_arguments: Any) -> None:
        """A client that went away is no news."""


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def log_message(self, *_arguments: Any) -> None:
        pass

    def do_HEAD(self) -> None:
        self._answer()

    def do_GET(self) -> None:
        self._answer()

    def _answer(self) -> None:
        owner, parts = self.server.owner, urlsplit(self.path)
        path, query = unquote(parts.path), {key: value[0] for key, value in parse_qs(parts.query).items()}
        self._asked = Asked(
            self.command, self.server.name, path, {key.lower(): value for key, value in self.headers.items()}
        )
        owner.asked.append(self._asked)
        self._fault = owner.fault(path) or Fault("", 0)
        if self._fault.call is not None:
            self._fault.call()
        if self._fault.wait:
            time.sleep(self._fault.wait)
        if self._fault.status is not None:
            self._send(self._fault.status, b"", self._fault.headers)
        elif path in owner.bodies:
            self._send(200, owner.bodies[path], JSON)
        elif self.server.name == "delivery":
            self._deliver(path)
        elif path.startswith("/api/models/"):
            self._tell(path.removeprefix("/api/models/"), query)
        elif path.startswith("/api/resolve-cache/models/"):
            self._small(path.removeprefix("/api/resolve-cache/models/"))
        else:
            self._resolve(path)

    # -- listings --------------------------------------------------------------------------------------------------

    def _tell(self, path: str, query: Mapping[str, str]) -> None:
        match = re.fullmatch(r"(.+?)/(revision|tree)/([^/]+)", path)
        if match is None:
            self._send(404, b"", {})
            return
        name, what, revision = match.groups()
        found = self._found(name, revision)
        if found is None:
            return
        repo, sha = found
        if what == "revision":
            self._tell_revision(
                name, repo, sha, blobs=repo.blobs and query.get("blobs", "").lower() == "true"
            )
        else:
            self._tell_tree(name, repo, sha, int(query.get("cursor", "0")))

    def _found(self, name: str, revision: str) -> tuple[Repo, str] | None:
        """Return a repository that may be read, and the commit that a revision stands for; else say why not."""
        repo, token = (
            self.server.owner.repos.get(name),
            self.headers.get("Authorization", "").partition(" ")[2],
        )
        if repo is None:
            self._send(404, b"", {"X-Error-Code": "RepoNotFound", "X-Error-Message": "Repository not found"})
        elif repo.token is not None and token != repo.token:
            code = "GatedRepo" if repo.gated else "RepoNotFound" if not token else ""
            said = (
                "Access to this repository is restricted" if repo.gated else "Invalid username or password."
            )
            headers = {"X-Error-Message": said} | ({"X-Error-Code": code} if code else {})
            self._send(403 if token else 401, b"", headers)
        elif (sha := repo.branches.get(revision, revision)) not in repo.commits:
            self._send(404, b"", {"X-Error-Code": "RevisionNotFound", "X-Error-Message": "Invalid rev id"})
        else:
            return repo, sha
        return None

    def _tell_revision(self, name: str, repo: Repo, sha: str, *, blobs: bool) -> None:
        siblings = []
        for path, item in repo.commits[sha].items():
            told: dict[str, Any] = {"rfilename": path}
            if blobs:
                told |= {"size": len(item.data), "blobId": item.blob}
                if item.lfs:
                    told["lfs"] = {"sha256": item.sha256, "size": len(item.data), "pointerSize": 130}
            siblings.append(told | repo.listed.get(path, {}))
        document = {"_id": "1", "id": name, "modelId": name, "sha": sha, "private": False, "tags": []}
        self._send(200, json.dumps({**document, "siblings": siblings, "score": 1.5}).encode(), JSON)

    def _tell_tree(self, name: str, repo: Repo, sha: str, start: int) -> None:
        files, page = list(repo.commits[sha].items()), self.server.owner.page
        items: list[dict[str, Any]] = [{"type": "directory", "oid": "0" * 40, "size": 0, "path": f"d{start}"}]
        for path, item in files[start : start + page]:
            told: dict[str, Any] = {"type": "file", "oid": item.blob, "size": len(item.data), "path": path}
            if item.lfs:
                told["lfs"] = {"oid": item.sha256, "size": len(item.data), "pointerSize": 130}
            if item.xet:
                told["xetHash"] = item.sha256
            items.append(told)
        more = {}
        if start + page < len(files):
            after = f"https://hub.invalid/api/models/{name}/tree/{sha}?recursive=true&cursor={start + page}"
            more["Link"] = f'<{after}>; rel="next"'
        self._send(200, json.dumps(items).encode(), {**JSON, **more})

    # -- files -----------------------------------------------------------------------------------------------------

    def _resolve(self, path: str) -> None:
        match = re.fullmatch(r"/(.+?)/resolve/([^/]+)/(.+)", path)
        if match is None:
            self._send(404, b"", {})
            return
        found = self._found(match[1], match[2])
        if found is None:
            return
        (repo, sha), name = found, match[3]
        sha = self.server.owner.moved.get(sha, sha)
        item = repo.commits[sha].get(name)
        if item is None:
            self._send(404, b"", {"X-Error-Code": "EntryNotFound", "X-Repo-Commit": sha})
            return
        headers = {"X-Repo-Commit": sha, "ETag": f'"{item.blob}"', "Accept-Ranges": "bytes"}
        if not item.lfs:
            place = f"/api/resolve-cache/models/{quote(f'{match[1]}/{sha}/{name}')}"
            self._send(307, b"", {**headers, "Location": place})
            return
        headers |= {"X-Linked-Etag": f'"{item.sha256}"', "X-Linked-Size": str(len(item.data))}
        if item.xet:
            where = self.server.owner.address
            headers["X-Xet-Hash"] = item.sha256
            headers["Link"] = f'<{where}/api/models/{match[1]}/xet-read-token/{sha}>; rel="xet-auth"'
        port = self.server.owner.delivery.server_port
        address = f"http://127.0.0.1:{port}/delivered/{quote(f'{match[1]}/{sha}/{name}')}?signature=secret-of-the-address"
        self._send(302, b"", {**headers, "Location": address})

    def _small(self, path: str) -> None:
        name, sha, file = re.fullmatch(r"(.+?)/([0-9a-f]{40})/(.+)", path).groups()  # type: ignore[union-attr]
        item = self.server.owner.repos[name].commits[sha][file]
        self._bytes(item.data, {"X-Repo-Commit": sha, "ETag": f'"{item.blob}"'})

    def _deliver(self, path: str) -> None:
        name, sha, file = re.fullmatch(r"/delivered/(.+?)/([0-9a-f]{40})/(.+)", path).groups()  # type: ignore[union-attr]
        item = self.server.owner.repos[name].commits[sha][file]
        self._bytes(item.data, {"ETag": f'"{item.sha256}"'})

    def _bytes(self, data: bytes, headers: Mapping[str, str]) -> None:
        """Send a file, or the range of it that was asked for."""
        data = self._fault.change(data) if self._fault.change else data
        match = (
            re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", "")) if self._fault.ranges else None
        )
        more = {"Accept-Ranges": "bytes", "Content-Type": "application/octet-stream", **headers}
        if match is None:
            self._send(200, data, more)
            return
        start, end = int(match[1]), min(len(data), int(match[2] or len(data)) + 1)
        if start >= len(data):
            self._send(416, b"", {"Content-Range": f"bytes */{len(data)}"})
            return
        self._send(206, data[start:end], {**more, "Content-Range": f"bytes {start}-{end - 1}/{len(data)}"})

    def _send(self, status: int, data: bytes, headers: Mapping[str, str]) -> None:
        fault = self._fault
        self._asked.status = status
        chunked = fault.chunked or fault.endless
        length = {"Transfer-Encoding": "chunked"} if chunked else {"Content-Length": str(len(data))}
        self.send_response(status)
        for key, value in ({**length, **headers} | (dict(fault.headers) if status < 300 else {})).items():
            self.send_header(key, value)
        self.end_headers()
        if self.command == "HEAD":
            return
        with suppress(ConnectionError):
            self._write(data, chunked=chunked)

    def _write(self, data: bytes, *, chunked: bool) -> None:
        fault = self._fault
        until = len(data) if fault.cut is None else min(fault.cut, len(data))
        for piece in _pieces(data[:until], fault.piece, endless=fault.endless):
            self.wfile.write(b"%x\r\n%b\r\n" % (len(piece), piece) if chunked else piece)
            self._asked.sent += len(piece)
            if fault.drip:
                time.sleep(fault.drip)
        if fault.cut is not None:
            self.close_connection = True
            if fault.reset:
                self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                self.connection.close()
        elif chunked:
            self.wfile.write(b"0\r\n\r\n")


JSON = {"Content-Type": "application/json; charset=utf-8"}


def _pieces(data: bytes, size: int, *, endless: bool) -> Iterator[bytes]:
    while True:
        yield from (data[start : start + size] for start in range(0, len(data), size))
        if not endless:
            return


def _fits(path: str, patterns: Sequence[str]) -> bool:
    return any(fnmatch.fnmatch(path, pattern) for pattern in patterns)
