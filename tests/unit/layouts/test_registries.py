"""Layouts for registries: what is in them, and that the same is always the same (SPEC 8.7.5, 8.7.6)."""

import io
import json
import tarfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airlift import files
from airlift.bundle.component.file_entry import FileEntry
from airlift.bundle.release import Release
from airlift.errors import ContentDamagedError, LayoutError
from airlift.layouts.build import build, digest_joined
from airlift.layouts.compare import differences
from airlift.layouts.forms import oci_image
from airlift.layouts.layouts import choose, lay_out, plan_of
from airlift.layouts.plan import Joined, Linked, Plan, Written, checked
from airlift.layouts.registry import MAX_MANIFEST
from airlift.layouts.tar_layer import BLOCK, layer
from airlift.store.content import ContentFolder
from airlift.store.whole_folders import building
from tests.support.served import component_of, entry_of, keep, release_of

LARGE = bytes(range(256)) * (oci_image.ALONE_BYTES // 256)
BASE = {
    "LICENSE": b"free",
    "config.json": b"{}",
    "empty.txt": b"",
    "model.safetensors": LARGE,
    "sub/vocab.txt": b"v" * 5000,
}
LISTS = {"blocked.txt": b"bad words"}
HUB = {"kind": "hub", "repo": "org/base", "revision": "a" * 40, "include": []}
RELEASE: Release = release_of(
    component_of("base", "model", "1.0+cu", BASE, source=HUB, license="MIT"),
    component_of("lists", "blocklist", "2.0", LISTS),
)
NAME = "org.opencontainers.image.ref.name"


@pytest.fixture
def content(tmp_path: Path) -> ContentFolder:
    return keep(tmp_path / "content", BASE, LISTS)


def document(plan: Plan, path: str) -> dict[str, Any]:
    part = plan[path]
    assert isinstance(part, Written)
    found = json.loads(part.data)
    assert isinstance(found, dict)
    return found


def blob(plan: Plan, named: dict[str, Any]) -> dict[str, Any]:
    """Return the document that a descriptor names, which has its digest and size."""
    digest = named["digest"].removeprefix("sha256:")
    part = plan[f"blobs/sha256/{digest}"]
    assert isinstance(part, Written)
    assert (entry_of("", part.data).sha256, len(part.data)) == (digest, named["size"])
    return document(plan, f"blobs/sha256/{digest}")


def entries(plan: Plan) -> dict[str, dict[str, Any]]:
    return {entry["annotations"][NAME]: entry for entry in document(plan, "index.json")["manifests"]}


# -- oci -----------------------------------------------------------------------------------------------------------


def test_a_manifest_of_modelpack(content: ContentFolder, tmp_path: Path) -> None:
    plan = plan_of(choose("oci"), RELEASE, content)
    assert document(plan, "oci-layout") == {"imageLayoutVersion": "1.0.0"}
    manifest = blob(plan, entries(plan)["base-1.0_cu"])
    assert manifest["artifactType"] == "application/vnd.cncf.model.manifest.v1+json"
    assert manifest["config"]["mediaType"] == "application/vnd.cncf.model.config.v1+json"
    layers = {found["annotations"]["org.cncf.model.filepath"]: found for found in manifest["layers"]}
    assert list(layers) == sorted(BASE)
    assert [found["mediaType"].removeprefix("application/vnd.cncf.model.") for found in layers.values()] == [
        "doc.v1.raw",
        "weight.config.v1.raw",
        "weight.config.v1.raw",
        "weight.v1.raw",
        "weight.config.v1.raw",
    ]
    for path, found in layers.items():
        assert (found["digest"], found["size"]) == (
            f"sha256:{entry_of('', BASE[path]).sha256}",
            len(BASE[path]),
        )
        assert isinstance(plan["blobs/sha256/" + found["digest"][7:]], Linked)
    assert blob(plan, manifest["config"]) == {
        "descriptor": {"name": "base", "version": "1.0+cu", "licenses": ["MIT"], "revision": "a" * 40},
        "config": {"format": "safetensors"},
        "modelfs": {"type": "layers", "diffIds": [found["digest"] for found in layers.values()]},
    }
    built = build(plan, content, tmp_path / "oci")
    assert (built.linked_bytes, built.copied_bytes) == (sum(map(len, BASE.values())) + 9, 0)
    assert differences(plan, content, tmp_path / "oci") == []


def test_the_index_of_a_release_names_what_was_signed(content: ContentFolder) -> None:
    plan = plan_of(choose("oci"), RELEASE, content)
    index = blob(plan, entries(plan)["1"])
    assert index["annotations"]["vnd.airlift.release"] == f"sha512:{RELEASE.digest}"
    assert [entry["digest"] for entry in index["manifests"]] == [
        entries(plan)[name]["digest"] for name in ("base-1.0_cu", "lists-2.0")
    ]
    lists = index["manifests"][1]["annotations"]
    assert lists["vnd.airlift.component"] == f"sha512:{RELEASE.components[1].digest}"
    assert lists["vnd.airlift.marking"] == "UNCLASSIFIED"
    roles = [found["mediaType"] for found in blob(plan, entries(plan)["lists-2.0"])["layers"]]
    assert roles == ["application/vnd.cncf.model.dataset.v1.raw"]


@pytest.mark.parametrize("layout", ["oci", "oci-image"])
def test_a_component_that_did_not_change_keeps_its_digest(content: ContentFolder, layout: str) -> None:
    def digests(release: Release) -> set[str]:
        plan = plan_of(choose(layout), release, content)
        return {
            path
            for path, part in plan.items()
            if path.startswith("blobs/") and b"layers" in getattr(part, "data", b"")
        }

    assert digests(RELEASE) == digests(release_of(*RELEASE.components, version="2"))


@pytest.mark.parametrize("layout", ["oci", "oci-image"])
@pytest.mark.parametrize("name", ["a:b:" + "x" * 129, "a//b", "a-", "a.-b"])
def test_names_that_tools_do_not_read(content: ContentFolder, layout: str, name: str) -> None:
    if "//" in name:
        name = "a/-b"
    with pytest.raises(LayoutError) as caught:
        plan_of(choose(layout, (), {"base": name}), RELEASE, content)
    assert "--as base=NAME" in caught.value.hint


@pytest.mark.parametrize("layout", ["oci", "oci-image"])
def test_other_names(content: ContentFolder, layout: str) -> None:
    plan = plan_of(choose(layout, ("base",), {"base": "hub.example:5000/org/base:1"}), RELEASE, content)
    assert "hub.example:5000/org/base:1" in entries(plan)
    with pytest.raises(LayoutError):
        plan_of(choose(layout, (), {"base": "lists-2.0"}), RELEASE, content)


def test_a_component_is_not_named_as_the_release(content: ContentFolder) -> None:
    with pytest.raises(LayoutError) as caught:
        plan_of(choose("oci", (), {"base": "1"}), RELEASE, content)
    assert "--as" in caught.value.hint


def test_a_manifest_is_no_longer_than_registries_take(tmp_path: Path) -> None:
    held = {f"{number:05d}/{'x' * 200}.txt": b"" for number in range(MAX_MANIFEST // 500)}
    many = release_of(component_of("many", "data", "1", held))
    with pytest.raises(LayoutError) as caught:
        plan_of(choose("oci"), many, keep(tmp_path / "content", {"x": b""}))
    assert "oci-image" in caught.value.hint
    plan = plan_of(choose("oci-image"), many, keep(tmp_path / "content", {"x": b""}))
    assert "many-1" in entries(plan)


# -- oci-image -----------------------------------------------------------------------------------------------------


def unpacked(place: Path, digest: str) -> dict[str, bytes]:
    """Return what a layer has, in its order; folders are empty."""
    found = {}
    with tarfile.open(place / "blobs/sha256" / digest.removeprefix("sha256:")) as tar:
        for member in tar:
            taken = tar.extractfile(member)
            found[member.name] = taken.read() if taken is not None else b""
    return found


def test_an_image_for_every_platform(content: ContentFolder, tmp_path: Path) -> None:
    plan = plan_of(choose("oci-image"), RELEASE, content)
    built = build(plan, content, tmp_path / "images")
    assert differences(plan, content, tmp_path / "images") == []
    assert built.linked_bytes == 0 or built.linked_bytes >= len(LARGE)
    index = blob(plan, entries(plan)["base-1.0_cu"])
    assert index["annotations"]["vnd.airlift.release"] == f"sha512:{RELEASE.digest}"
    assert [found["platform"]["architecture"] for found in index["manifests"]] == ["amd64", "arm64"]
    for found in index["manifests"]:
        platform = found["platform"]["architecture"]
        assert entries(plan)[f"base-1.0_cu-{platform}"]["digest"] == found["digest"]
        manifest = blob(plan, found)
        config = blob(plan, manifest["config"])
        assert (config["architecture"], config["os"]) == (platform, "linux")
        assert config["rootfs"]["diff_ids"] == [one["digest"] for one in manifest["layers"]]
        assert config["config"]["Labels"]["vnd.airlift.component"] == f"sha512:{RELEASE.components[0].digest}"
        small, large = (unpacked(tmp_path / "images", one["digest"]) for one in manifest["layers"])
        assert list(small)[:2] == ["models", "models/sub"]
        assert list(small)[2:] == [f"models/{path}" for path in sorted(BASE) if BASE[path] != LARGE]
        assert large == {"models": b"", "models/model.safetensors": LARGE}
        assert {path: data for path, data in small.items() if data} == {
            f"models/{path}": data for path, data in BASE.items() if data and data != LARGE
        }


@pytest.mark.parametrize("path", [".wh.x", "a/.wh..wh..opq", ".wh.folder/x"])
def test_a_file_that_would_delete_others_is_refused(tmp_path: Path, path: str) -> None:
    bad = release_of(component_of("bad", "model", "1", {path: b"x"}))
    with pytest.raises(LayoutError) as caught:
        plan_of(choose("oci-image"), bad, keep(tmp_path, {path: b"x"}))
    assert ".wh." in caught.value.message


def test_many_large_files_are_few_layers() -> None:
    large = [FileEntry(f"{n:03d}", oci_image.ALONE_BYTES, "5" * 128, "2" * 64) for n in range(200)]
    joined = list(oci_image._layers(large))
    held = [[part.path for part in one.parts if isinstance(part, FileEntry)] for one in joined]
    assert [path for run in held for path in run] == [entry.path for entry in large]
    assert len(held) == oci_image.MAX_ALONE
    assert {len(run) for run in held} == {3, 4}


def test_images_are_digested_while_they_are_written(
    content: ContentFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Content is read once for both, the tree is the same, and no draft is left in it."""
    read = list[int]()

    def counted(descriptor: int, offset: int, length: int) -> bytes:
        data = read_at(descriptor, offset, length)
        read.append(len(data))
        return data

    read_at = files.read_at
    monkeypatch.setattr(files, "read_at", counted)
    seen = list[tuple[str, int, int]]()
    (tmp_path / "one").mkdir()
    built = lay_out(choose("oci-image"), RELEASE, content, tmp_path / "one", lambda *now: seen.append(now))
    assert sum(read) == sum(entry.size for _, entry in RELEASE.files())
    assert all(done <= total for _, done, total in seen)
    joining = [done for stage, done, _ in seen if stage == "joining files"]
    assert len(joining) > len(LARGE) >> 20  # within a layer, too
    assert joining == sorted(joining)
    assert {stage for stage, _, _ in seen} == {"joining files", "exporting"}
    plan = plan_of(choose("oci-image"), RELEASE, content)
    assert built == build(plan, content, tmp_path / "two")
    assert differences(plan, content, tmp_path / "one") == []


def test_damaged_content_leaves_no_drafts(content: ContentFolder, tmp_path: Path) -> None:
    path = content.path(entry_of("", LARGE).sha512)
    path.chmod(0o644)
    path.write_bytes(b"X" + LARGE[1:])
    with pytest.raises(ContentDamagedError), building(tmp_path / "images") as temporary:
        lay_out(choose("oci-image"), RELEASE, content, temporary)
    assert [found.name for found in tmp_path.iterdir() if "images" in found.name or "tmp" in found.name] == []


def test_damaged_content_never_gets_a_digest(content: ContentFolder) -> None:
    path = content.path(entry_of("", LARGE).sha512)
    path.chmod(0o644)
    path.write_bytes(b"X" + LARGE[1:])
    with pytest.raises(ContentDamagedError):
        plan_of(choose("oci-image"), RELEASE, content)
    path.write_bytes(LARGE[1:])
    with pytest.raises(ContentDamagedError):
        plan_of(choose("oci-image"), RELEASE, content)
    path.unlink()
    with pytest.raises(ContentDamagedError):
        plan_of(choose("oci-image"), RELEASE, content)


# -- tar -----------------------------------------------------------------------------------------------------------

PATHS = st.lists(
    st.sampled_from(["a", "b/c", "b/d/e", "x" * 99, "y" * 180 + "/z" * 3, "ä/ö", "long/" + "é" * 110]),
    unique=True,
)


def written(joined: Joined, held: dict[str, bytes]) -> bytes:
    return b"".join(part if isinstance(part, bytes) else held[part.path] for part in joined.parts)


@given(PATHS, st.data())
def test_a_tar_has_the_files_and_each_begins_with_a_block(paths: Sequence[str], data: st.DataObject) -> None:
    sizes = st.one_of(st.integers(0, 1100), st.sampled_from([4095, 4096, 4097, 9000]))
    held = {path: b"x" * data.draw(sizes) for path in paths}
    joined = layer([(path, entry_of(path, held[path])) for path in paths])
    tar = written(joined, held)
    assert len(tar) % 512 == 0
    assert tar.endswith(bytes(1024))
    assert all(
        type(one) is not type(other) or isinstance(one, FileEntry)
        for one, other in zip(joined.parts, joined.parts[1:], strict=False)
    )
    with tarfile.open(fileobj=io.BytesIO(tar)) as found:
        members = [member for member in found if member.isfile()]
        assert [member.name for member in members] == sorted(paths)
        for member in members:
            assert member.size == len(held[member.name])
            assert member.size < BLOCK or member.offset_data % BLOCK == 0
            assert (member.mtime, member.uid, member.gid, member.uname, member.gname) == (0, 0, 0, "", "")
            assert member.mode == 0o444
            taken = found.extractfile(member)
            assert taken is not None
            assert taken.read() == held[member.name]


def test_a_tar_says_sizes_beyond_eight_gigabytes() -> None:
    joined = layer([("big", FileEntry("big", 1 << 40, "5" * 128, "2" * 64))])
    head = joined.parts[0]
    assert isinstance(head, bytes)
    assert len(head) % BLOCK == 0
    with tarfile.open(fileobj=io.BytesIO(head)) as found:
        member = found.next()
        assert member is not None
        assert (member.name, member.size, member.offset_data) == ("big", 1 << 40, len(head))


def test_blocks_are_shared_where_the_file_system_can(
    content: ContentFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As Btrfs and XFS would: what stands at the start of another file is written in its place."""
    asked = []

    def share(target: int, start: int, source: int, offset: int, length: int) -> bool:
        asked.append((start % BLOCK, offset, length % BLOCK))
        files.Writer(target).write_at(start, files.read_at(source, offset, length))
        return True

    monkeypatch.setattr(files, "_share", share)
    joined = layer([(path, entry_of(path, data)) for path, data in BASE.items()])
    plan = checked({"blob": joined})
    built = build(plan, content, tmp_path / "tree")
    assert asked == [(0, 0, 0)] * 2
    assert built.linked_bytes == len(LARGE) + 4096
    assert built.linked_bytes + built.written_bytes == (tmp_path / "tree/blob").stat().st_size
    assert entry_of("", (tmp_path / "tree/blob").read_bytes()).sha256 == digest_joined(joined, content)[0]
    assert differences(plan, content, tmp_path / "tree") == []
