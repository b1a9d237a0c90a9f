"""Which component is served as which revision of which repository of a hub."""

import hashlib
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from airlift.bundle.component.component import Component
from airlift.bundle.release import Release
from airlift.errors import LayoutError
from airlift.layouts.plan import Subject
from airlift.layouts.repositories import Repository, lfs_pointer, repositories, up
from tests.support.served import component_of, entry_of, release_of

COMMIT = "607a30d783dfa663caf39e06633721c8d4cfcd7e"
CONFIG = {"config.json": b"{}"}


def hub(repo: str = "acme/tiny", revision: str = COMMIT) -> dict[str, Any]:
    return {"kind": "hub", "repo": repo, "revision": revision, "include": []}


def taken_over(origin: dict[str, Any]) -> dict[str, Any]:
    return {"kind": "enclave", "enclave": "alpha", "component": "base", "origin": origin}


def served(*components: Component, **names: str) -> tuple[Repository, ...]:
    release: Release = release_of(*components)

    def never(*_: object) -> Any:
        raise AssertionError("nothing is read")

    return repositories(Subject(release, release.components, names, never, never, never))


def test_a_component_of_a_hub_keeps_its_repository_and_commit() -> None:
    (found,) = served(component_of("base", "model", "1", CONFIG, source=hub()))
    assert (found.group, found.name) == ("models", "acme/tiny")
    assert found.revisions == {"main": COMMIT}
    assert list(found.commits) == [COMMIT]
    assert list(found.commits[COMMIT]) == ["config.json"]


def test_what_was_taken_over_from_an_enclave_keeps_the_hub_that_it_came_from() -> None:
    (found,) = served(component_of("base", "model", "1", CONFIG, source=taken_over(taken_over(hub("gpt2")))))
    assert (found.name, found.revisions) == ("gpt2", {"main": COMMIT})


@pytest.mark.parametrize(
    "source",
    [
        {"kind": "path", "path": "somewhere"},
        taken_over({"kind": "registered", "enclave": "alpha"}),
        {"kind": "registered", "enclave": "alpha"},
    ],
)
def test_any_other_is_served_under_its_release_at_its_digest(source: dict[str, Any]) -> None:
    component = component_of("base", "model", "1", CONFIG, source=source)
    (found,) = served(component)
    assert (found.name, found.revisions) == ("assistant/base", {"main": component.digest[:40]})


@pytest.mark.parametrize("revision", ["main", COMMIT[:39], COMMIT.upper(), COMMIT + "\n", COMMIT + "0"])
def test_a_revision_that_is_no_commit_is_not_taken_for_one(revision: str) -> None:
    component = component_of("base", "model", "1", CONFIG, source=hub(revision=revision))
    assert served(component)[0].revisions == {"main": component.digest[:40]}


def test_data_is_a_data_set_and_all_else_a_model() -> None:
    found = served(
        component_of("lines", "data", "1", CONFIG, source=hub()),
        component_of("base", "guard", "1", CONFIG, source=hub()),
    )
    assert [(item.group, item.name) for item in found] == [("datasets", "acme/tiny"), ("models", "acme/tiny")]


def test_the_operator_names_repository_and_revision() -> None:
    old = component_of("old", "model", "1", {"config.json": b"[]"})
    new = component_of("new", "model", "2", CONFIG, source=hub())
    (found,) = served(old, new, old="acme/tiny:v1")
    assert found.revisions == {"main": COMMIT, "v1": old.digest[:40]}
    assert set(found.commits) == {COMMIT, old.digest[:40]}
    assert served(new, new="one")[0].name == "one"


def test_parts_of_one_commit_are_served_together() -> None:
    weights = component_of("weights", "model", "1", {"a.gguf": b"w", "config.json": b"{}"}, source=hub())
    (found,) = served(component_of("base", "model", "1", CONFIG, source=hub()), weights)
    assert sorted(found.commits[COMMIT]) == ["a.gguf", "config.json"]


@pytest.mark.parametrize(
    "other",
    [
        component_of("other", "model", "1", CONFIG, source=hub(revision="0" * 40)),
        component_of("other", "model", "1", {"config.json": b"[]"}, source=hub()),
    ],
)
def test_two_of_one_revision_are_refused(other: Component) -> None:
    with pytest.raises(LayoutError) as caught:
        served(component_of("base", "model", "1", CONFIG, source=hub()), other)
    assert caught.value.exit_code == 2
    assert "--as" in caught.value.hint
    assert len(served(component_of("base", "model", "1", CONFIG, source=hub()), other, other="x/y")) == 2


@pytest.mark.parametrize(
    "name",
    [
        *("a/b/c", "-a/b", "a./b", "a--b/c", "a/b..c", "a/b.git", "a/" + "b" * 97, "a:", "a:x/y", "a/b:" + COMMIT),
        *("a/b:.x", "a/b:x:y", ":x"),
    ],
)  # fmt: skip
def test_names_that_the_library_refuses_are_refused(name: str) -> None:
    with pytest.raises(LayoutError) as caught:
        served(component_of("base", "model", "1", CONFIG), base=name)
    assert "--as" in caught.value.hint


def test_a_derived_name_that_is_none_is_refused() -> None:
    """Names of components may have two hyphens in a row; those of repositories may not."""
    with pytest.raises(LayoutError):
        served(component_of("base--small", "model", "1", CONFIG))
    with pytest.raises(LayoutError):
        served(component_of("base", "model", "1", CONFIG, source=hub("https://hub.example/acme/tiny")))


def test_the_way_up() -> None:
    assert [up(path) for path in ("a", "a/b", "a/b/c")] == ["", "../", "../../"]


def test_the_pointer_is_the_one_that_git_would_keep(
    require_tool: Callable[[str], str], tmp_path: Path
) -> None:
    entry = entry_of("model.bin", b"weights")
    digest = hashlib.sha256(b"weights").hexdigest()
    text = f"version https://git-lfs.github.com/spec/v1\noid sha256:{digest}\nsize 7\n"
    (tmp_path / "pointer").write_text(text)
    run = subprocess.run(
        [require_tool("git"), "hash-object", "--no-filters", tmp_path / "pointer"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert lfs_pointer(entry) == (run.stdout.strip(), len(text))
