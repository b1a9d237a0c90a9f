"""Trees of layouts: what is built is what was planned, linked where it can be, and told from anything else."""

import errno
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from airlift.bundle.release import Release
from airlift.errors import ContentDamagedError, LayoutError, MalformedError, NoSpaceError, UsageError
from airlift.layouts.build import build
from airlift.layouts.compare import differences
from airlift.layouts.layouts import LAYOUTS, Choice, choose, plan_of
from airlift.layouts.plan import Joined, Linked, Plan, Pointer, Written, checked
from airlift.store.content import ContentFolder
from tests.support.served import component_of, entry_of, keep, release_of

WEIGHTS, CONFIG = b"w" * 70_000, b"{}"
BASE = {"config.json": CONFIG, "deep/er/model.safetensors": WEIGHTS}
GUARD = {"config.json": CONFIG}
RELEASE: Release = release_of(
    component_of("base", "model", "1.0", BASE), component_of("guard", "guard", "2.0", GUARD)
)
PLAN: Plan = {
    "blobs/one": Linked(entry_of("x", WEIGHTS)),
    "joined": Joined((b"head", entry_of("x", WEIGHTS), b"", entry_of("y", CONFIG), b"tail")),
    "sub/pointer": Pointer("../blobs/one"),
    "text": Written(b"said"),
    "to-folder": Pointer("blobs"),
}


@pytest.fixture
def content(tmp_path: Path) -> ContentFolder:
    return keep(tmp_path / "content", BASE, GUARD)


def tree_of(place: Path) -> dict[str, bytes | str]:
    found: dict[str, bytes | str] = {}
    for path in place.rglob("*"):
        if path.is_symlink():
            found[str(path.relative_to(place))] = str(path.readlink())
        elif path.is_file():
            found[str(path.relative_to(place))] = path.read_bytes()
    return found


def test_every_kind_of_part(tmp_path: Path, content: ContentFolder) -> None:
    built = build(checked(PLAN), content, tmp_path / "tree")
    assert tree_of(tmp_path / "tree") == {
        "blobs/one": WEIGHTS,
        "joined": b"head" + WEIGHTS + CONFIG + b"tail",
        "sub/pointer": "../blobs/one",
        "text": b"said",
        "to-folder": "blobs",
    }
    assert (built.files, built.pointers) == (3, 2)
    assert (built.linked_bytes, built.copied_bytes) == (len(WEIGHTS), 0)
    assert built.written_bytes == len(WEIGHTS) + len(CONFIG) + 4 + 8
    assert (tmp_path / "tree/text").stat().st_mode & 0o777 == 0o444
    assert (tmp_path / "tree/blobs/one").samefile(content.path(entry_of("x", WEIGHTS).sha512))
    assert differences(PLAN, content, tmp_path / "tree") == []


@pytest.mark.parametrize("code", [errno.EXDEV, errno.EMLINK, errno.EPERM])
def test_what_cannot_be_linked_is_copied(
    tmp_path: Path, content: ContentFolder, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(os, "link", refuse)
    built = build(plan_of(Choice("tree"), RELEASE, content), content, tmp_path / "tree")
    assert (built.linked_bytes, built.copied_bytes) == (0, len(WEIGHTS) + 2 * len(CONFIG))
    assert tree_of(tmp_path / "tree")["base/deep/er/model.safetensors"] == WEIGHTS
    assert differences(plan_of(Choice("tree"), RELEASE, content), content, tmp_path / "tree") == []


def test_a_copy_of_damaged_content_is_refused_and_nothing_is_left(
    tmp_path: Path, content: ContentFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(errno.EXDEV, "")

    monkeypatch.setattr(os, "link", refuse)
    damaged = content.path(entry_of("x", WEIGHTS).sha512)
    damaged.chmod(0o644)
    damaged.write_bytes(b"W" + WEIGHTS[1:])
    with pytest.raises(ContentDamagedError):
        build(PLAN, content, tmp_path / "tree")
    damaged.write_bytes(WEIGHTS[1:])
    with pytest.raises(ContentDamagedError):
        build(PLAN, content, tmp_path / "tree")
    damaged.unlink()
    with pytest.raises(ContentDamagedError):
        build(PLAN, content, tmp_path / "tree")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["content"]


def test_a_full_disk_leaves_nothing(
    tmp_path: Path, content: ContentFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(NoSpaceError):
        build(PLAN, content, tmp_path / "tree")
    assert not (tmp_path / "tree").exists()


def overwrite(path: Path, data: bytes) -> None:
    path.unlink()
    path.write_bytes(data)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda tree: overwrite(tree / "text", b"sa1d"), "text"),
        (lambda tree: overwrite(tree / "joined", b"head"), "joined"),
        (lambda tree: overwrite(tree / "blobs/one", b"w" * 69_999 + b"x"), "blobs/one"),
        (lambda tree: (tree / "text").unlink(), "text"),
        (lambda tree: (tree / "more").write_bytes(b""), "more"),
        (lambda tree: (tree / "more").symlink_to("/etc"), "more"),
        (lambda tree: os.mkfifo(tree / "more"), "more"),
        (lambda tree: ((tree / "text").unlink(), (tree / "text").symlink_to("joined")), "text"),
        (
            lambda tree: ((tree / "sub/pointer").unlink(), (tree / "sub/pointer").symlink_to("/x")),
            "sub/pointer",
        ),
        (lambda tree: overwrite(tree / "sub/pointer", WEIGHTS), "sub/pointer"),
    ],
)
def test_every_difference_is_told(
    tmp_path: Path, content: ContentFolder, change: Callable[[Path], object], told: str
) -> None:
    build(PLAN, content, tmp_path / "tree")
    change(tmp_path / "tree")
    assert differences(PLAN, content, tmp_path / "tree") == [told]


def test_components_are_chosen_and_named(content: ContentFolder) -> None:
    chosen = choose("tree", ("guard",), {"guard": "watch/man"})
    assert sorted(plan_of(chosen, RELEASE, content)) == ["watch/man/config.json"]
    with pytest.raises(LayoutError) as caught:
        plan_of(choose("tree", ("none",)), RELEASE, content)
    assert caught.value.exit_code == 2
    with pytest.raises(LayoutError):
        plan_of(choose("tree", ("base",), {"gaurd": "x"}), RELEASE, content)


@pytest.mark.parametrize("name", ["", "../x", "a//b", "/x", "a b", "x" * 201, "ü", "a\n"])
def test_names_that_are_none(name: str) -> None:
    with pytest.raises(UsageError):
        choose("tree", (), {"base": name})


def test_two_components_of_one_name_collide(content: ContentFolder) -> None:
    other = release_of(*RELEASE.components, component_of("more", "guard", "1", {"config.json": WEIGHTS}))
    with pytest.raises(LayoutError) as caught:
        plan_of(choose("tree", (), {"more": "guard"}), other, content)
    assert "--as" in caught.value.hint
    with pytest.raises(MalformedError):
        plan_of(choose("tree", (), {"more": "Guard"}), other, content)


@pytest.mark.parametrize("target", ["/etc/passwd", "../../x", "nothing", "../tree/../../x"])
def test_pointers_stay_within(target: str) -> None:
    with pytest.raises(LayoutError):
        checked({"a/pointer": Pointer(target), "b": Written(b"")})


def test_the_tree_of_each_choice_has_a_name_of_its_own() -> None:
    names = {
        Choice("tree").tree_name("0" * 128),
        Choice("tree").tree_name("1" * 128),
        Choice("tree", ("base",)).tree_name("0" * 128),
        Choice("tree", (), (("base", "x"),)).tree_name("0" * 128),
        Choice("tree").tree_name("0" * 128, ("base-int4",)),
    }
    assert len(names) == 5
    assert all(len(name) == 64 for name in names)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_plan_is_the_same_each_time(layout: str, content: ContentFolder) -> None:
    with pytest.raises(UsageError):
        choose("zip")
    try:
        first = plan_of(choose(layout), RELEASE, content)
    except LayoutError:
        pytest.skip("this release cannot be served so")
    assert first == plan_of(choose(layout), RELEASE, content)
