"""What an `hf-mirror` holds is a hub to the real library, behind a real nginx and a real Caddy as they ship."""

import hashlib
import http.client
import json
import re
import threading
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote

import pytest

from airlift import files
from airlift.bundle.release import Release
from airlift.store.content import ContentFolder
from tests.conftest import find_tool
from tests.serving.conftest import COMMIT, LINES, NAMES, ODD, OLD, OLD_COMMIT, SOURCE, TINY, laid_out, reader
from tests.support.served import component_of, keep, release_of
from tests.support.web_servers import Cutting, between, serving

Serve = Callable[[Path], str]
MODEL = "onnx/deep/model.bin"


def digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def ask(
    address: str, path: str, method: str = "GET", **headers: str
) -> tuple[int, http.client.HTTPMessage, bytes]:
    """Return status, headers and body of one answer; redirects are not followed."""
    connection = http.client.HTTPConnection(address.removeprefix("http://"), timeout=20)
    try:
        connection.request(
            method, path, headers={name.replace("_", "-"): said for name, said in headers.items()}
        )
        answer = connection.getresponse()
        return answer.status, answer.headers, answer.read()
    finally:
        connection.close()


@pytest.fixture
def tree(tmp_path: Path, content: ContentFolder) -> Path:
    """Return the link that is served, as --follow leaves it."""
    laid_out("hf-mirror", tmp_path / "trees" / "one", content, names=NAMES)
    (tmp_path / "hub").symlink_to("trees/one")
    return tmp_path / "hub"


def test_the_library_uses_it_as_a_hub(tmp_path: Path, tree: Path, serve: Serve) -> None:
    inside = reader(tmp_path / "home", HF_ENDPOINT=serve(tree))
    whole = inside.do("whole", repo_id="acme/tiny")
    assert whole["files"] == {path: digest(data) for path, data in TINY.items()}
    assert Path(whole["path"]).name == COMMIT
    blobs = Path(whole["path"]).parents[1] / "blobs"
    assert {path.name for path in blobs.iterdir()} == {digest(data) for data in TINY.values()}
    assert inside.do("whole", repo_id="acme/tiny", local_files_only=True) == whole

    old = inside.do("whole", repo_id="acme/tiny", revision="v1")
    assert (Path(old["path"]).name, list(old["files"])) == (OLD_COMMIT, ["config.json"])
    lines = inside.do("whole", repo_id="assistant/lines", repo_type="dataset")
    assert lines["files"] == {"train.jsonl": digest(LINES["train.jsonl"])}
    plain = inside.do("one", repo_id="gpt2", filename="config.json", revision=COMMIT)
    assert plain["sha256"] == digest(OLD["config.json"])
    odd = inside.do("one", repo_id="acme/tiny", filename=ODD, local_dir=str(tmp_path / "plain"))
    assert odd["sha256"] == digest(b"odd")


def test_it_answers_what_is_asked_about_a_repository(tmp_path: Path, tree: Path, serve: Serve) -> None:
    inside = reader(tmp_path / "home", HF_ENDPOINT=serve(tree))
    told = inside.do("about", repo="acme/tiny", kind="model", revision=COMMIT)
    assert told["sha"] == [COMMIT, COMMIT]
    assert told["gated"] is False
    assert told["files"] == sorted(TINY)
    assert told["sizes"] == {path: [len(data), digest(data)] for path, data in TINY.items()}
    assert told["tree"] == sorted([*TINY, "a folder", "onnx", "onnx/deep"])
    assert told["branches"] == {"main": COMMIT, "v1": OLD_COMMIT}
    assert told["exists"] == [True, False, True, False, True, False]
    told = inside.do("about", repo="assistant/lines", kind="dataset", revision="main")
    assert told["files"] == ["train.jsonl"]
    assert told["exists"] == [True, False, True, False, True, False]


def test_what_is_not_there_is_an_error_that_the_library_knows(
    tmp_path: Path, tree: Path, serve: Serve
) -> None:
    inside = reader(tmp_path / "home", HF_ENDPOINT=serve(tree), HF_TOKEN="hf_nobody")
    for action, asked, expected in (
        ("whole", {"repo_id": "acme/gated"}, "RepositoryNotFoundError"),
        ("one", {"repo_id": "acme/gated", "filename": "config.json"}, "RepositoryNotFoundError"),
        ("whole", {"repo_id": "acme/tiny", "repo_type": "dataset"}, "RepositoryNotFoundError"),
        ("whole", {"repo_id": "acme/tiny", "revision": "v3"}, "RevisionNotFoundError"),
        ("whole", {"repo_id": "acme/tiny", "revision": "0" * 40}, "RevisionNotFoundError"),
        ("one", {"repo_id": "acme/tiny", "filename": "none"}, "RemoteEntryNotFoundError"),
        ("one", {"repo_id": "acme/tiny", "filename": "onnx"}, "RemoteEntryNotFoundError"),
    ):
        assert expected in inside.do(action, **asked)["error"], asked
    asked = {"repo_id": "acme/tiny", "filename": "none.json", "revision": COMMIT}
    assert "RemoteEntryNotFoundError" in inside.do("one", **asked)["error"]
    assert (tmp_path / f"home/hf/hub/models--acme--tiny/.no_exist/{COMMIT}/none.json").exists()


def test_the_headers_are_those_of_a_hub(tree: Path, serve: Serve) -> None:
    address, data = serve(tree), TINY[MODEL]
    for revision in ("main", COMMIT):
        for method in ("HEAD", "GET"):
            status, headers, _ = ask(address, f"/acme/tiny/resolve/{revision}/{MODEL}", method)
            assert status == 307
            assert headers["Location"] == f"/acme/tiny/blobs/{COMMIT}-{digest(data)}-{len(data)}"
            assert headers["X-Repo-Commit"] == COMMIT
            assert headers["X-Linked-ETag"] == f'"{digest(data)}"'
            assert headers["X-Linked-Size"] == str(len(data))
    status, headers, body = ask(address, headers["Location"], Accept_Encoding="gzip")
    assert (status, body) == (200, data)
    assert (headers["ETag"], headers["X-Repo-Commit"]) == (f'"{digest(data)}"', COMMIT)
    assert headers["Content-Encoding"] is None
    location = f"/acme/tiny/blobs/{COMMIT}-{digest(data)}-{len(data)}"
    status, headers, body = ask(address, location, Range="bytes=1000-1999")
    assert (status, body) == (206, data[1000:2000])
    assert headers["Content-Range"] == f"bytes 1000-1999/{len(data)}"
    assert (headers["X-Linked-Size"], headers["ETag"]) == (str(len(data)), f'"{digest(data)}"')
    status, headers, body = ask(address, location, "HEAD")
    assert (status, headers["Content-Length"], body) == (200, str(len(data)), b"")
    assert ask(address, f"/acme/tiny/resolve/main/{quote(ODD)}")[0] == 307


@pytest.mark.parametrize(
    "path",
    [
        *("/", "/serving/nginx.conf", "/serving/Caddyfile", "/acme/tiny/blobs/", "/api/models/acme/tiny/refs.json"),
        *("/acme/tiny/resolve/main/../../blobs/x", "/acme/tiny/resolve/main/%2e%2e/%2e%2e/%2e%2e/%2e%2e/secret"),
        *("/acme/tiny/resolve/main/*", "/acme/tiny/resolve/main/con[f]ig.json", "/acme/tiny/resolve/*/config.json"),
        *("/acme/tiny/resolve/main/..%2f..%2f..%2f..%2fsecret", "/acme/tiny/resolve/..%2f..%2f../secret"),
        *("/acme/tiny/digests/main/config.json/", "/acme/tiny/resolve/main/%00", "/api/models/../../secret"),
        *("/acme/tiny/resolve/main/config.json/", "/acme/tiny/resolve/main/x%0d%0aX-Evil:%20yes"),
        "/api/models/acme%2ftiny%2f..",
    ],
)  # fmt: skip
def test_nothing_else_is_shown(tree: Path, serve: Serve, path: str) -> None:
    (tree.parent / "secret").write_bytes(b"secret")
    (tree.parent / "trees" / "secret").write_bytes(b"secret")
    status, headers, body = ask(serve(tree), path)
    assert status in {301, 307, 308, 400, 404}
    assert status in {400, 404} or ask(serve(tree), headers["Location"])[0] == 404
    assert b"secret" not in body
    assert "X-Evil" not in headers


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE"])
def test_nobody_writes(tree: Path, serve: Serve, method: str) -> None:
    for path in ("/api/models/acme/tiny", "/acme/tiny/resolve/main/config.json", "/api/repos/create"):
        assert ask(serve(tree), path, method)[0] == 405


def test_the_hf_command(tmp_path: Path, tree: Path, serve: Serve) -> None:
    inside = reader(tmp_path / "home", HF_ENDPOINT=serve(tree))
    run = inside.hf("download", "acme/tiny", "--local-dir", str(tmp_path / "here"))
    assert run.returncode == 0, run.stderr
    assert {path: (tmp_path / "here" / path).read_bytes() for path in TINY} == TINY
    run = inside.hf("models", "info", "acme/tiny")
    assert run.returncode == 0, run.stderr
    assert COMMIT in run.stdout
    run = inside.hf("download", "acme/tiny")
    assert run.returncode == 0, run.stderr
    run = inside.hf("cache", "verify", "acme/tiny")
    assert run.returncode == 0, run.stdout + run.stderr
    run = inside.hf("download", "acme/gated")
    assert run.returncode != 0
    assert "not found" in (run.stdout + run.stderr).lower()


def test_what_was_cut_is_resumed_by_a_range(tmp_path: Path, serve: Serve) -> None:
    """The library keeps what it has in pieces of 10 MiB, and asks for what follows the last whole one."""
    held = {"model.bin": bytes(range(256)) * 100_000}
    release = release_of(component_of("tiny", "model", "1", held, source=SOURCE))
    tree = laid_out("hf-mirror", tmp_path / "hub", keep(tmp_path / "content", held), release)
    cutting = Cutting(after=11 << 20, times=2)
    with between(serve(tree), cutting) as address:
        told = reader(tmp_path / "home", HF_ENDPOINT=address).do(
            "one", repo_id="acme/tiny", filename="model.bin"
        )
    assert told["sha256"] == digest(held["model.bin"])
    assert cutting.times == 0
    ranges = [int(start) for head in cutting.asked for start in re.findall(r"(?i)range: bytes=(\d+)-", head)]
    assert ranges == [10 << 20, 20 << 20]


# -- a switch --------------------------------------------------------------------------------------------------------


def of_one_letter(letter: str) -> tuple[Release, dict[str, bytes]]:
    held = {name: f"{letter} {name} ".encode() * 150_000 for name in ("a.bin", "b.bin", "config.json")}
    return release_of(component_of("base", "model", letter, held)), held


def two_trees(tmp_path: Path, one_commit: str = "") -> dict[str, str]:
    """Lay out two releases and serve the first; return which of both each digest and each commit is of."""
    marks = dict[str, str]()
    for letter in "AB":
        release, held = of_one_letter(letter)
        if one_commit:
            source = {**SOURCE, "repo": "assistant/base", "revision": one_commit}
            release = release_of(component_of("base", "model", letter, held, source=source))
        laid_out("hf-mirror", tmp_path / "trees" / letter, keep(tmp_path / "content", held), release)
        marks |= {digest(data): letter for data in held.values()}
        marks[release.components[0].digest[:40]] = letter
    (tmp_path / "hub").symlink_to("trees/A")
    return marks


@pytest.mark.parametrize("one_commit", ["", COMMIT])
def test_a_switch_in_the_midst_of_a_file_gives_an_error_and_no_mixture(
    tmp_path: Path, serve: Serve, one_commit: str
) -> None:
    """Even where a release wrongly says that other bytes are the same commit."""
    two_trees(tmp_path, one_commit)
    cutting = Cutting(after=500_000, cut=lambda: files.point_link(tmp_path / "hub", "trees/B"))
    with between(serve(tmp_path / "hub"), cutting) as address:
        inside = reader(tmp_path / "home", HF_ENDPOINT=address)
        told = inside.do("one", repo_id="assistant/base", filename="b.bin")
        assert (cutting.times, "OSError" in told["error"]) == (0, True)
        assert not list((tmp_path / "home").rglob("blobs/*"))
        again = inside.do("one", repo_id="assistant/base", filename="b.bin")
    assert again["sha256"] == digest(of_one_letter("B")[1]["b.bin"])


def test_a_client_that_loops_sees_one_release_or_an_error(tmp_path: Path, serve: Serve) -> None:
    marks = two_trees(tmp_path)
    inside = reader(tmp_path / "home", HF_ENDPOINT=serve(tmp_path / "hub"), HF_HUB_DISABLE_XET=1)
    told: dict[str, object] = {}
    asked = {"rounds": 40, "folder": str(tmp_path / "caches"), "repo": "assistant/base", "marks": marks}
    stop = tmp_path / "stop"
    client = threading.Thread(target=lambda: told.update(inside.do("many", **asked, stop=str(stop))))
    client.start()
    switches = 0
    while client.is_alive() and switches < 20_000:
        files.point_link(tmp_path / "hub", f"trees/{'AB'[switches % 2]}")
        switches += 1
        client.join((0.01, 0.4)[switches % 8 == 0])  # bursts, and pauses in which a client can finish
    stop.touch()
    client.join()
    assert told["mixtures"] == 0
    assert isinstance(told["whole"], int)
    assert told["whole"] > 0
    assert switches > 20


def test_the_public_libraries_load_and_compute(
    tmp_path: Path, loadable: dict[str, bytes], transformers_python: str, serve: Serve
) -> None:
    release = release_of(component_of("guard", "guard", "2.0", loadable, source=SOURCE))
    tree = laid_out("hf-mirror", tmp_path / "hub", keep(tmp_path / "content", loadable), release)
    inside = reader(tmp_path / "home", transformers_python, HF_ENDPOINT=serve(tree))
    texts = [
        "def move(self, other):\n    return self.place == other.place\n",
        "Please report problems to the maintainers.",
    ]
    told = inside.do("load", repo="acme/tiny", texts=texts)
    assert told["config"] == ["GPT2Config", 2]
    assert told["said"] == texts[0]
    assert told["labels"] == ["code", "prose"]
    assert inside.do("load", repo="acme/tiny", texts=texts, revision=COMMIT) == told


def test_the_examples_name_what_the_tree_has(tmp_path: Path, content: ContentFolder) -> None:
    tree = laid_out("hf-mirror", tmp_path / "hub", content, names=NAMES)
    assert (tree / "serving/nginx.conf").read_text().count("location ") == 7
    find_tool("nginx")
    with serving("nginx", find_tool("nginx"), tree, tmp_path / "server") as address:
        about = json.loads(ask(address, "/api/models/acme/tiny")[2])
    assert about["sha"] == COMMIT
    assert "uninitialized" not in (tmp_path / "server/error.log").read_text()
