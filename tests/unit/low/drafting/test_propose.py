"""Names, versions and parents by what was published (SPEC L3.5)."""

import pytest

from airlift.bundle.component.component import Component
from airlift.bundle.component.file_entry import FileEntry
from airlift.bundle.fields import Marking
from airlift.bundle.release import Release
from airlift.low.drafting import propose
from airlift.low.drafting.propose import Known
from airlift.low.drafting.recognise import Base


def component(name: str, version: str, content: str = "a") -> Component:
    """Return a component of one file."""
    return Component(
        name,
        "model",
        version,
        "",
        {"kind": "path", "path": f"x/{name}"},
        (FileEntry("f", 1, content * 128, ""),),
    )


def release(version: str, *components: Component) -> Release:
    """Return a release of these components."""
    return Release("assistant", version, Marking("UNCLASSIFIED"), "", components, ())


@pytest.mark.parametrize(
    ("text", "name"),
    [("Llama-3.1 8B", "llama-3.1-8b"), ("_x_", "x"), ("é", "component"), ("a" * 90, "a" * 64)],
)
def test_slugs(text: str, name: str) -> None:
    assert propose.slug(text) == name


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("base", "base"),
        ("Base-1.1", "base"),
        ("base-v2", "base"),
        ("guard-2", "guard-2"),
        ("base-x", "base-x"),
    ],
)
def test_names_follow_published_ones(text: str, name: str) -> None:
    assert propose.component_name(text, (), release("1", component("base", "1"))) == name


def test_no_name_twice() -> None:
    assert propose.component_name("m", ("m", "m-2"), None) == "m-3"
    assert len(propose.component_name("m" * 64, ("m" * 64,), None)) <= propose.MAX_NAME


@pytest.mark.parametrize(
    ("version", "next_"),
    [
        ("1", "2"), ("9", "10"), ("1.0.1", "1.0.2"), ("2026.11.09", "2026.11.10"), ("2.0-rc1", "2.0-rc2"),
        ("1.0a", "1.1a"), ("x", "x.1"),
    ],
)  # fmt: skip
def test_versions_are_raised(version: str, next_: str) -> None:
    assert propose.bump(version) == next_


def test_versions_of_components() -> None:
    """The same files have the version under which they were published; no version is given twice (SPEC L3.2)."""
    releases = [
        release("1", component("base", "1"), component("old", "1")),
        release("2", component("base", "3", "b")),
        release("3", component("base", "2", "c")),
    ]
    same = {item.digest: item.version for one in releases for item in one.components if item.name == "base"}
    for digest, version in same.items():
        assert propose.component_version(releases, "base", digest)[0] == version
    assert propose.component_version(releases, "base", "0") == ("4", "other files than 2 in assistant@3")
    assert propose.component_version(releases, "base", None)[0] == "4"
    assert propose.component_version(releases, "new", "0") == ("1", "new here")
    assert propose.component_version(releases[:1], "base", component("base", "1").digest) == (
        "1",
        "the same files as in assistant@1",
    )


def test_versions_of_releases() -> None:
    assert propose.release_version([release("1"), release("3"), release("2")], "assistant") == "4"
    assert propose.release_version([release("1")], "other") == "1"


def test_parents() -> None:
    known = [
        Known("base", None, frozenset({"base", "base-1.1"})),
        *propose.known_components(release("7", component("base", "1.0"), component("far", "2"))),
    ]
    assert propose.parent(Base("org/Far", "adapter-of", "x"), "me", known) == {
        "component": "far",
        "version": "2",
        "relation": "adapter-of",
    }
    assert propose.parent(Base("/models/base-1.1/", "tuned-from", "x"), "me", known) == {
        "component": "base",
        "relation": "tuned-from",
    }
    assert propose.parent(Base("far-2", "tuned-from", "x"), "me", known) is not None
    assert propose.parent(Base("far", "tuned-from", "x"), "far", known) is None
    assert propose.parent(Base("unknown", "tuned-from", "x"), "me", known) is None
