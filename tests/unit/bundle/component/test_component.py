"""A component of a release manifest: its identity, its files, and when it is marked."""

from dataclasses import replace

import pytest

from airlift.bundle.component import component
from airlift.bundle.component.component import Component
from airlift.errors import MalformedError
from tests.support.bundle_values import GUARD, REGISTERED, TAKEN, WAIVED, entry


def refused(built: Component, reason: str) -> None:
    with pytest.raises(MalformedError, match=reason):
        component.from_json(built.to_json(), more=True)


def test_from_json_returns_what_was_written() -> None:
    for built in (GUARD, *WAIVED.components):
        assert component.from_json(built.to_json(), more=True) == built


def test_it_is_identified_by_its_tree_alone() -> None:
    renamed = replace(GUARD, name="other", version="9", license="", source={})
    assert renamed.digest == GUARD.digest
    assert replace(GUARD, files=(entry("other"),)).digest != GUARD.digest


@pytest.mark.parametrize("sort", [["b", "a"], ["a", "a"]])
def test_files_are_sorted(sort: list[str]) -> None:
    refused(replace(GUARD, files=tuple(entry(path) for path in sort)), "sorted by path")


@pytest.mark.parametrize("kind", component.NEW_KINDS)
def test_kinds_of_format_2_are_unknown_in_format_1(kind: str) -> None:
    built = replace(GUARD, kind=kind)
    assert built.is_new
    assert component.from_json(built.to_json(), more=True) == built
    with pytest.raises(MalformedError, match="unknown kind"):
        component.from_json(built.to_json(), more=False)


def test_what_was_taken_over_is_marked() -> None:
    refused(replace(GUARD, source=TAKEN), "component guard lacks a marking")
    own = replace(GUARD, source=REGISTERED)
    assert component.from_json(own.to_json(), more=True) == own
