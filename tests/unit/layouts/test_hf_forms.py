"""The plans of ``hf-cache`` and ``hf-mirror``: what stands where, and that nothing is copied or read."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airlift.bundle.release import Release
from airlift.errors import LayoutError, MalformedError
from airlift.layouts.build import build
from airlift.layouts.compare import differences
from airlift.layouts.forms import hf_mirror
from airlift.layouts.layouts import choose, plan_of
from airlift.layouts.plan import Linked, Plan, Pointer, Written
from airlift.store.content import ContentFolder
from tests.support.served import component_of, entry_of, keep, release_of

COMMIT = "607a30d783dfa663caf39e06633721c8d4cfcd7e"
CONFIG, WEIGHTS = b"{}", b"w" * 4096
BASE = {"config.json": CONFIG, "again.json": CONFIG, "onnx/deep/model.onnx": WEIGHTS}
LINES = {"train.jsonl": b"{}\n"}
SOURCE = {"kind": "hub", "repo": "acme/tiny", "revision": COMMIT, "include": []}
RELEASE: Release = release_of(
    component_of("base", "model", "1", BASE, source=SOURCE), component_of("lines", "data", "1", LINES)
)
LINES_COMMIT = RELEASE.components[1].digest[:40]
HUB = ("hf-cache", "hf-mirror")


@pytest.fixture
def content(tmp_path: Path) -> ContentFolder:
    return keep(tmp_path / "content", BASE, LINES)


def written(plan: Plan, path: str) -> Any:
    part = plan[path]
    assert isinstance(part, Written)
    return json.loads(part.data)


def test_the_cache(content: ContentFolder) -> None:
    plan = plan_of(choose("hf-cache"), RELEASE, content)
    top = "models--acme--tiny"
    config, weights = entry_of("", CONFIG).sha256, entry_of("", WEIGHTS).sha256
    assert {path for path in plan if path.startswith(top)} == {
        f"{top}/blobs/{config}",
        f"{top}/blobs/{weights}",
        f"{top}/refs/main",
        f"{top}/snapshots/{COMMIT}/again.json",
        f"{top}/snapshots/{COMMIT}/config.json",
        f"{top}/snapshots/{COMMIT}/onnx/deep/model.onnx",
        f"{top}/trees/{COMMIT}.json",
    }
    assert plan[f"{top}/snapshots/{COMMIT}/onnx/deep/model.onnx"] == Pointer(f"../../../../blobs/{weights}")
    assert plan[f"{top}/refs/main"] == Written(COMMIT.encode())
    listed = written(plan, f"{top}/trees/{COMMIT}.json")
    assert listed["format_version"] == 1
    assert listed["files"]["onnx/deep/model.onnx"]["lfs_sha256"] == weights
    assert plan["datasets--assistant--lines/refs/main"] == Written(LINES_COMMIT.encode())
    tag = plan["CACHEDIR.TAG"]
    assert isinstance(tag, Written)
    assert tag.data.startswith(b"Signature: 8a477f597d28d172789f06886806bc55\n")


def test_the_mirror(content: ContentFolder) -> None:
    plan = plan_of(choose("hf-mirror"), RELEASE, content)
    blob = f"{COMMIT}-{entry_of('', WEIGHTS).sha256}-{len(WEIGHTS)}"
    path = "onnx/deep/model.onnx"
    assert isinstance(plan[f"acme/tiny/blobs/{blob}"], Linked)
    assert plan[f"acme/tiny/resolve/{COMMIT}/{path}"] == Pointer(f"../../../../blobs/{blob}")
    assert plan[f"acme/tiny/digests/{COMMIT}/{path}/{blob}"] == Pointer(f"../../../../../blobs/{blob}")
    assert plan["acme/tiny/resolve/main"] == plan["acme/tiny/digests/main"] == Pointer(COMMIT)
    about = written(plan, f"api/models/acme/tiny/revision/{COMMIT}.json")
    assert (about["id"], about["sha"]) == ("acme/tiny", COMMIT)
    assert [item["rfilename"] for item in about["siblings"]] == ["again.json", "config.json", path]
    assert plan["api/models/acme/tiny/revision/main.json"] == Pointer(f"{COMMIT}.json")
    assert written(plan, "api/models/acme/tiny/refs.json")["branches"] == [
        {"name": "main", "ref": "refs/heads/main", "targetCommit": COMMIT}
    ]
    assert f"datasets/assistant/lines/resolve/{LINES_COMMIT}/train.jsonl" in plan


def test_the_lists_of_folders(content: ContentFolder) -> None:
    plan = plan_of(choose("hf-mirror"), RELEASE, content)

    def listed(name: str) -> list[tuple[str, str]]:
        items = written(plan, f"api/models/acme/tiny/tree/{COMMIT}/{name}")
        return [(item["type"][0], item["path"]) for item in items]

    here = [("f", "again.json"), ("f", "config.json"), ("d", "onnx")]
    below = [("d", "onnx/deep"), ("f", "onnx/deep/model.onnx")]
    assert listed("@here.json") == here
    assert listed("@all.json") == [*here, *below]
    assert listed("onnx/@here.json") == below[:1]
    assert listed("onnx/@all.json") == below
    assert listed("onnx/deep/@here.json") == listed("onnx/deep/@all.json") == below[1:]


@given(
    st.sets(st.lists(st.sampled_from("abc"), min_size=1, max_size=5).map("/".join), min_size=1, max_size=20)
)
def test_every_list_names_what_lies_there_and_nothing_else(paths: set[str]) -> None:
    files = {path for path in paths if not any(other.startswith(f"{path}/") for other in paths)}
    lists = hf_mirror._listings({path: entry_of(path, b"") for path in files})
    folders = {path[:end] for path in files for end, letter in enumerate(path) if letter == "/"} | {""}
    everything = files | folders - {""}
    assert set(lists) == {
        f"{folder}/{name}".lstrip("/") for folder in folders for name in ("@all.json", "@here.json")
    }
    for folder in folders:
        below = sorted(path for path in everything if path.startswith(f"{folder}/") or not folder)
        here = [path for path in below if "/" not in path[len(folder) :].lstrip("/")]
        assert [item["path"] for item in lists[f"{folder}/@all.json".lstrip("/")]] == below
        assert [item["path"] for item in lists[f"{folder}/@here.json".lstrip("/")]] == here


@pytest.mark.parametrize("layout", HUB)
def test_nothing_of_the_release_is_written_or_read(
    tmp_path: Path, layout: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    nothing = ContentFolder(tmp_path / "nothing")
    plan = plan_of(choose(layout), RELEASE, nothing)
    content = keep(tmp_path / "content", BASE, LINES)
    built = build(plan, content, tmp_path / "tree")
    assert (built.copied_bytes, built.linked_bytes) == (0, len(WEIGHTS) + len(CONFIG) + 3)
    assert differences(plan, content, tmp_path / "tree") == []
    held = [path for path in (tmp_path / "tree").rglob("*") if path.is_symlink()]
    assert all(path.exists() for path in held)
    assert len(held) >= 4


@pytest.mark.parametrize("layout", HUB)
def test_a_release_of_two_revisions(layout: str, content: ContentFolder) -> None:
    release = release_of(*RELEASE.components, component_of("older", "model", "0", {"config.json": CONFIG}))
    plan = plan_of(choose(layout, (), {"older": "acme/tiny:v0"}), release, content)
    older = release.components[2].digest[:40]
    if layout == "hf-cache":
        assert plan["models--acme--tiny/refs/v0"] == Written(older.encode())
    else:
        assert plan["acme/tiny/resolve/v0"] == Pointer(older)
    with pytest.raises(LayoutError):
        plan_of(choose(layout, (), {"older": "acme/tiny"}), release, content)


def test_what_would_stand_in_the_place_of_a_configuration_is_refused(content: ContentFolder) -> None:
    with pytest.raises(MalformedError):
        plan_of(choose("hf-mirror", (), {"base": "serving/nginx.conf"}), RELEASE, content)


@pytest.mark.parametrize("name", ["resolve/main", "api/models", "datasets/x", "blobs/blobs", "digests"])
def test_names_that_look_like_a_part_of_the_tree(name: str, content: ContentFolder, tmp_path: Path) -> None:
    plan = plan_of(choose("hf-mirror", (), {"base": name}), RELEASE, content)
    build(plan, content, tmp_path / "tree")
    assert differences(plan, content, tmp_path / "tree") == []
