"""An endpoint that lies: bytes, sizes, names and answers that are not what they should be (SPEC L2.10 to L2.10e)."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from airlift.errors import DigestError, ForbiddenFileError, UncheckedError
from airlift.low.release.hub import listing
from airlift.low.release.hub.fetch import newest_commit
from tests.support.hub_files import FILES, REPO, WEIGHTS, fetch
from tests.support.hub_server import Fault, HubServer

NAME = "model.safetensors"
SIZE = len(WEIGHTS)


def held(folder: Path) -> list[str]:
    """Return the names of the regular files in a cache."""
    return sorted(path.name for path in folder.rglob("*") if path.is_file() and not path.is_symlink())


@pytest.mark.parametrize(
    ("name", "told"), [(NAME, "SHA-256 "), ("config.json", "git blob ")], ids=["in LFS", "in git"]
)
def test_wrong_bytes_are_proven_bad_and_not_kept(
    server: HubServer, tmp_path: Path, name: str, told: str
) -> None:
    commit = server.repo(REPO).commit(FILES)
    server.faults = [Fault(f"{commit}/{name}", times=9, change=lambda data: b"?" + data[1:])]
    with pytest.raises(DigestError, match=f"{name} of {REPO} is not what the endpoint lists") as caught:
        fetch(tmp_path, commit, include=[name])
    assert caught.value.exit_code == 3
    assert (caught.value.expected or "").startswith(told)
    assert f"`airlift low fetch {REPO} --revision {commit}`" in caught.value.hint
    assert server.sent() == len(FILES[name])  # once: nothing was taken up
    assert held(tmp_path) == []
    server.faults = []
    assert fetch(tmp_path, commit).paths[name].read_bytes() == FILES[name]


def test_what_came_before_a_wrong_file_is_kept(server: HubServer, tmp_path: Path) -> None:
    commit = server.repo(REPO).commit(FILES)
    server.faults = [Fault("/readme.md", times=9, change=lambda data: data[::-1])]
    with pytest.raises(DigestError):
        fetch(tmp_path, commit)
    server.faults, before = [], server.sent()
    assert fetch(tmp_path, commit).came == server.sent() - before == len(FILES["readme.md"])


@pytest.mark.parametrize("name", [NAME, "config.json"])
@pytest.mark.parametrize(
    ("change", "chunked"),
    [(lambda data: data + b"more", False), (lambda data: data[:-1], False), (lambda data: data + b"x", True)],
    ids=["longer", "shorter", "longer, in pieces"],
)
def test_a_body_of_another_length(
    server: HubServer, tmp_path: Path, name: str, change: Callable[[bytes], bytes], *, chunked: bool
) -> None:
    commit = server.repo(REPO).commit(FILES)
    server.faults = [Fault(f"{commit}/{name}", times=9, change=change, chunked=chunked)]
    server.faults[0].where = "/delivered/" if name == NAME else "/resolve-cache/"
    with pytest.raises(DigestError, match="is not as long as the endpoint lists") as caught:
        fetch(tmp_path, commit, include=[name])
    assert caught.value.expected == f"{len(FILES[name])} bytes"
    assert held(tmp_path) == []


def test_a_body_that_never_ends(server: HubServer, tmp_path: Path) -> None:
    commit = server.repo(REPO).commit({NAME: WEIGHTS})
    server.faults = [Fault("/delivered/", endless=True)]
    with pytest.raises(DigestError, match="is not as long as the endpoint lists"):
        fetch(tmp_path, commit)
    assert server.sent() < SIZE + (32 << 20)  # what sockets hold
    assert held(tmp_path) == []


def test_a_body_in_pieces_that_ends_early(server: HubServer, tmp_path: Path) -> None:
    """It may have been cut, so it is asked for the rest; there is none, and that is proof."""
    commit = server.repo(REPO).commit({NAME: WEIGHTS})
    server.faults = [Fault("/delivered/", times=9, change=lambda data: data[:1000], chunked=True)]
    with pytest.raises(DigestError, match="is not as long as the endpoint lists") as caught:
        fetch(tmp_path, commit)
    assert caught.value.found == "1000 bytes"
    assert held(tmp_path) == []


@pytest.mark.parametrize("size", [SIZE - 1, SIZE + 1, 0, 7])
def test_a_listing_that_lies_about_a_size(server: HubServer, tmp_path: Path, size: int) -> None:
    repo = server.repo(REPO)
    commit = repo.commit({NAME: WEIGHTS})
    digest = repo.commits[commit][NAME].sha256
    repo.listed = {NAME: {"lfs": {"sha256": digest, "size": size, "pointerSize": 1}}}
    with pytest.raises(DigestError):
        fetch(tmp_path, commit)
    assert held(tmp_path) == []


@pytest.mark.parametrize(
    "lie",
    [
        {"lfs": {"sha256": "../../x", "size": 3}},
        {"lfs": {"sha256": "A" * 64, "size": 3}},
        {"lfs": {"sha256": "a" * 64 + "\n", "size": 3}},
        {"lfs": {"sha256": "a" * 64, "size": -1}},
        {"lfs": {"sha256": "a" * 64, "size": 1 << 60}},
        {"lfs": {"sha256": "a" * 64, "size": True}},
        {"lfs": {"sha256": "a" * 64, "size": 1.5}},
        {"lfs": []},
        {"blobId": None},
        {"blobId": "b"},
        {"blobId": "../" * 10},
        {"size": "3"},
        {"size": None},
    ],
    ids=str,
)
def test_a_file_of_which_nothing_is_stated_is_not_fetched(
    server: HubServer, tmp_path: Path, lie: dict[str, Any]
) -> None:
    repo = server.repo(REPO)
    commit = repo.commit({"config.json": b"{}"})
    repo.listed = {"config.json": lie}
    server.faults = [Fault("/tree/", change=None, status=404)]
    with pytest.raises(UncheckedError):
        fetch(tmp_path, commit)
    assert [one.path for one in server.asked if "/resolve" in one.path] == []
    assert held(tmp_path) == []


def test_the_tree_says_what_the_listing_does_not(server: HubServer, tmp_path: Path) -> None:
    repo = server.repo(REPO)
    repo.blobs, server.page = False, 2
    commit = repo.commit(FILES)
    found = fetch(tmp_path, commit)
    assert {name: path.read_bytes() for name, path in found.paths.items()} == FILES
    assert len([one for one in server.asked if "/tree/" in one.path]) == 3
    assert all(one.status < 400 for one in server.asked)  # all asked of this endpoint


def test_a_tree_without_end(server: HubServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    repo = server.repo(REPO)
    repo.blobs, server.page = False, 1
    commit = repo.commit({f"f{number}": b"x" for number in range(40)})
    monkeypatch.setattr(listing, "MAX_PAGES", 10)
    with pytest.raises(UncheckedError, match="cannot be used") as caught:
        fetch(tmp_path, commit)
    assert caught.value.found == "more than 10 pages"
    monkeypatch.setattr(listing, "MAX_PAGES", 1000)
    monkeypatch.setattr(listing, "MAX_FILES", 39)
    with pytest.raises(UncheckedError, match="cannot be used"):
        fetch(tmp_path, commit)


def test_a_tree_that_lists_the_same_page_again(server: HubServer, tmp_path: Path) -> None:
    repo = server.repo(REPO)
    repo.blobs = False
    commit = repo.commit({"a": b"x"})
    again = f'<{server.address}/api/models/{REPO}/tree/{commit}?recursive=true&cursor=0>; rel="next"'
    server.faults = [Fault("/tree/", times=99, headers={"Link": again})]
    with pytest.raises(UncheckedError, match="cannot be used"):
        fetch(tmp_path, commit)
    assert len(server.asked) == 3


def test_a_tree_that_does_not_know_the_file_either(server: HubServer, tmp_path: Path) -> None:
    repo = server.repo(REPO)
    repo.blobs = False
    commit = repo.commit({"a": b"x"})
    server.faults = [Fault("/tree/", change=None, call=repo.commits[commit].clear)]
    with pytest.raises(UncheckedError, match=f"states no size and digest of a of {REPO}"):
        fetch(tmp_path, commit)


def _answering(server: HubServer, commit: str, body: bytes) -> None:
    """Let the listing of a commit be other bytes."""
    repo = server.repo(REPO)
    repo.commits[commit] = {}
    server.bodies = {f"/api/models/{REPO}/revision/{commit}": body}


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>log in</html>",
        b"\xff",
        b"[]",
        b"null",
        b"[" * 100_000,
        b"[" + b"{}," * 1_050_000 + b"1]",
        b"[" + b"1," * 4_200_000 + b"1]",
        b'{"sha": "COMMIT"}',
        b'{"sha": "COMMIT", "siblings": {}}',
        b'{"sha": "COMMIT", "siblings": [1]}',
        b'{"sha": "COMMIT", "siblings": [{}]}',
        b'{"sha": "COMMIT", "siblings": [{"rfilename": 1}]}',
        b'{"sha": "COMMIT", "siblings": [{"rfilename": ""}]}',
        b'{"sha": "COMMIT", "siblings": [{"rfilename": "\\ud800"}]}',
        b'{"sha": "COMMIT", "siblings": [{"rfilename": "a"}, {"rfilename": "a"}]}',
        b'{"sha": ["COMMIT"], "siblings": []}',
    ],
    ids=lambda body: body[:60].decode(errors="replace"),
)
def test_answers_that_are_no_listing(server: HubServer, tmp_path: Path, body: bytes) -> None:
    commit = "ab" * 20
    _answering(server, commit, body.replace(b"COMMIT", commit.encode()))
    with pytest.raises(UncheckedError) as caught:
        fetch(tmp_path, commit)
    assert caught.value.exit_code == 7
    assert "HF_ENDPOINT" in caught.value.hint
    assert list(tmp_path.iterdir()) == []


def test_an_endpoint_that_answers_with_another_commit(server: HubServer, tmp_path: Path) -> None:
    commit = "ab" * 20
    _answering(server, commit, json.dumps({"sha": "f" * 40, "siblings": []}).encode())
    with pytest.raises(UncheckedError, match="another commit"):
        fetch(tmp_path, commit)


@pytest.mark.parametrize("name", [NAME, "config.json"])
def test_files_of_another_commit(server: HubServer, tmp_path: Path, name: str) -> None:
    """Between the listing and the file the endpoint moved on, or its parts are not of one mind."""
    repo = server.repo(REPO)
    commit = repo.commit({name: FILES[name]})
    other = repo.commit({name: FILES[name]}, branch="other")
    server.faults = [Fault("/api/models/", call=lambda: server.moved.update({commit: other}))]
    with pytest.raises(UncheckedError, match=f"{name} of {REPO} is given of another commit") as caught:
        fetch(tmp_path, commit)
    assert (caught.value.expected, caught.value.found) == (commit, other)
    assert [path for path in held(tmp_path) if not path.endswith("-incomplete")] == []


@pytest.mark.parametrize(
    "name",
    [
        "../outside.json",
        "a/../../outside.json",
        "/etc/outside.json",
        "a//b.json",
        "./a.json",
        "C:/a.json",
        "a\\b.json",
        "a\x1b[2J.json",
        "a\u202eb.json",
        "a\n.json",
        "nul.json",
        "con",
        "a .json/ b",
        "trailing.",
        "e\u0301.json",
        "x" * 256,
        "/".join(["d" * 200] * 6),
    ],
    ids=ascii,
)
def test_hostile_names(server: HubServer, tmp_path: Path, name: str) -> None:
    commit = server.repo(REPO).commit({**FILES, name: b"{}"})
    with pytest.raises(ForbiddenFileError, match="a path ") as caught:
        fetch(tmp_path / "cache", commit)
    assert caught.value.exit_code == 2
    assert caught.value.hint == "leave the file out: --exclude GLOB"
    assert len(server.asked) == 1
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "names", [("A.json", "a.json"), ("a", "a/b"), ("D/a", "d/b"), ("stra\u00dfe", "STRASSE")], ids=ascii
)
def test_names_that_collide(server: HubServer, tmp_path: Path, names: tuple[str, str]) -> None:
    commit = server.repo(REPO).commit(dict.fromkeys(names, b"x"))
    with pytest.raises(ForbiddenFileError):
        fetch(tmp_path / "cache", commit)
    assert list(tmp_path.iterdir()) == []


def test_a_hostile_name_that_is_left_out_does_no_harm(server: HubServer, tmp_path: Path) -> None:
    commit = server.repo(REPO).commit({**FILES, "../outside": b"x"})
    found = fetch(tmp_path / "cache", commit, exclude=["../*"])
    assert set(found.paths) == set(FILES)
    assert found.left_out == ("../outside",)


@pytest.mark.parametrize("name", ["a b#c?d%20e.json", "\u00fc/\u4e2d.json", "a&b=c+d;e.json"])
def test_names_that_addresses_must_quote(server: HubServer, tmp_path: Path, name: str) -> None:
    if "?" in name:
        name = name.replace("?", "!")
    commit = server.repo(REPO).commit({name: b"{}"})
    assert fetch(tmp_path, commit).paths[name].read_bytes() == b"{}"


def test_a_range_that_is_not_the_one_asked_for(server: HubServer, tmp_path: Path) -> None:
    commit = server.repo(REPO).commit({NAME: WEIGHTS})
    server.faults = [
        Fault("/delivered/", cut=700_000),
        Fault("/delivered/", headers={"Content-Range": f"bytes 5-{SIZE - 1}/{SIZE}"}),
    ]
    with pytest.raises(UncheckedError, match="is given from another byte on"):
        fetch(tmp_path, commit)
    assert fetch(tmp_path, commit).paths[NAME].read_bytes() == WEIGHTS


def test_what_is_compressed_is_refused(server: HubServer, tmp_path: Path) -> None:
    commit = server.repo(REPO).commit({NAME: WEIGHTS})
    server.faults = [Fault("/api/models", headers={"Content-Encoding": "gzip"})]
    with pytest.raises(UncheckedError, match="is compressed"):
        fetch(tmp_path, commit)


def test_redirects_are_bounded(server: HubServer, tmp_path: Path) -> None:
    commit = server.repo(REPO).commit({NAME: WEIGHTS})
    server.faults = [Fault("/", times=99, status=302, headers={"Location": "/api/models/again"})]
    with pytest.raises(UncheckedError, match="is led on too often"):
        fetch(tmp_path, commit)
    assert len(server.asked) == 11


@pytest.mark.parametrize(
    "location", ["file:///etc/passwd", "http://[x", "ftp://127.0.0.1/x", "http://127.0.0.1:0/"]
)
def test_redirects_to_what_is_no_address(server: HubServer, tmp_path: Path, location: str) -> None:
    commit = server.repo(REPO).commit({NAME: WEIGHTS})
    server.faults = [Fault("/resolve/", times=99, status=302, headers={"Location": location})]
    with pytest.raises(UncheckedError):
        fetch(tmp_path, commit)
    assert held(tmp_path) in ([], [f"{server.repo(REPO).commits[commit][NAME].sha256}.airlift-incomplete"])


def test_what_a_server_says_cannot_paint_the_terminal(server: HubServer, tmp_path: Path) -> None:
    commit = server.repo(REPO).commit({NAME: WEIGHTS})
    said = "\x1b[2Jall is well" + "!" * 5000
    server.faults = [Fault("/api/models", status=400, headers={"X-Error-Message": said})]
    with pytest.raises(UncheckedError) as caught:
        fetch(tmp_path, commit)
    assert "\x1b" not in (caught.value.found or "")
    assert len(caught.value.found or "") <= 200


@pytest.mark.parametrize("sha", [None, "main", "../x", 3, "F" * 40])
def test_a_branch_without_a_commit(server: HubServer, sha: Any) -> None:
    server.repo(REPO)
    server.bodies = {f"/api/models/{REPO}/revision/main": json.dumps({"sha": sha}).encode()}
    with pytest.raises(UncheckedError, match=f"tells no commit of branch main of {REPO}"):
        newest_commit(REPO, "main")
