"""The release manifest: what it says of itself, and its limits. Its vectors are in tests/vectors/bundle."""

import doctest
import hashlib
import json
from dataclasses import replace
from typing import Any

import pytest

from airlift.bundle import release
from airlift.bundle.component.data_set import DataSet
from airlift.bundle.component.vendor_signature import VendorSignature
from airlift.bundle.component.waiver import Waiver
from airlift.bundle.fields import FileDigest, Marking
from airlift.bundle.patterns import LeftOut
from airlift.bundle.release import Release
from airlift.errors import MalformedError
from tests.support.bundle_values import (
    GUARD,
    HUB,
    INSIDE,
    LOW,
    REGISTERED,
    RELEASE,
    TAKEN,
    TUNED,
    WAIVED,
    component,
    entry,
    sha512,
)
from tests.vectors.make_bundle import canonical


def test_the_example_in_the_documentation_is_true() -> None:
    assert doctest.testmod(release).failed == 0


def test_parse_returns_what_was_formatted() -> None:
    assert release.parse(release.format(RELEASE)) == RELEASE


def test_a_release_is_named_and_identified() -> None:
    assert RELEASE.label == "assistant@2026.11.0"
    assert RELEASE.digest == hashlib.sha512(release.format(RELEASE)).hexdigest()
    assert release.target_name(RELEASE.digest) == f"release-{RELEASE.digest[:64]}"


def test_contents_are_distinct_and_in_order() -> None:
    same = component("a", "1", "data", "x", "y")
    twice = replace(same, files=(entry("x", "t"), entry("y", "t"), entry("z", "u")))
    built = replace(RELEASE, components=(twice,))
    assert list(built.contents().items()) == [(sha512("t"), 1), (sha512("u"), 1)]
    assert [f.path for _, f in built.files()] == ["x", "y", "z"]
    assert twice.files[0].content == FileDigest(sha512("t"), 1)


def refused(built: Release, reason: str) -> None:
    with pytest.raises(MalformedError, match=reason):
        release.parse(release.format(built))


def test_one_digest_has_one_size() -> None:
    for other in (replace(entry("y"), size=2), replace(entry("y"), sha256="0" * 64)):
        refused(
            replace(RELEASE, components=(replace(GUARD, files=(entry("x"), other)),)),
            "one SHA-512 stands with two",
        )


def test_components_are_sorted_and_have_portable_names() -> None:
    one, two = component("a"), component("b")
    refused(replace(RELEASE, components=(two, one)), "sorted by name")
    refused(replace(RELEASE, components=(one, one)), "sorted by name")
    refused(replace(RELEASE, components=(component("aux"),)), "Windows reserves")
    refused(replace(RELEASE, components=(component("a."),)), "trailing dot")


def _document(**changes: Any) -> bytes:
    return canonical(json.loads(release.format(RELEASE)) | changes)


def test_counts_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(MalformedError, match="too many components"):
        release.parse(_document(components=[0] * (release.MAX_COMPONENTS + 1)))
    with pytest.raises(MalformedError, match="too many requirements"):
        release.parse(_document(requires=[0] * (release.MAX_REQUIREMENTS + 1)))
    monkeypatch.setattr(release, "MAX_FILES", 2)
    refused(RELEASE, "too many files")
    monkeypatch.setattr(release, "MAX_BYTES", 100)
    refused(RELEASE, "too long")


# -- format 2 ------------------------------------------------------------------------------------------------------


def number(built: Release) -> int:
    return int(json.loads(release.format(built))["airlift"])


def test_the_format_is_the_lowest_that_says_it_all() -> None:
    """Old manifests keep their bytes, and so their digests."""
    assert number(RELEASE) == 1
    assert number(WAIVED) == 2
    assert release.parse(release.format(WAIVED)) == WAIVED
    assert number(INSIDE) == 2
    assert release.parse(release.format(INSIDE)) == INSIDE
    assert set(json.loads(release.format(RELEASE))["components"][0]) == {
        "name", "kind", "version", "license", "source", "parents", "vendor_signature", "digest", "files",
    }  # fmt: skip


@pytest.mark.parametrize(
    "change",
    [
        {"accept": (Waiver("code", "why", ("config.json",)),)},
        {"marking": Marking("CUI")},
        {"kind": "image"},
        {"marking": LOW, "data": (DataSet("mail", "1", LOW),)},
        {"source": {"kind": "path", "path": "x", "include": ["*"]}},
        {"source": {"kind": "path", "path": "x", "exclude": ["*.pt"]}},
        {"source": HUB | {"exclude": ["*.pt"]}},
        {"source": HUB | {"left_out": {"count": 1, "names": ["a"]}}},
        {"vendor_signature": VendorSignature("key", sha512("s"), 9, ("PEM",), 2, LeftOut(1, ("a",)))},
    ],
)
def test_each_new_member_makes_it_format_2(change: dict[str, Any]) -> None:
    built = replace(RELEASE, components=(replace(GUARD, **change),), requires=())
    assert number(built) == 2
    assert release.parse(release.format(built)) == built
    with pytest.raises(MalformedError, match=r"unknown (keys|kind)"):
        release.parse(canonical(json.loads(release.format(built)) | {"airlift": 1}))


def test_a_component_is_not_marked_above_its_release() -> None:
    """THREATS, content: a component whose marking is above its release's."""
    for marking in (Marking("TOP SECRET"), Marking("CUI", ("SI",)), Marking("COSMIC")):
        refused(
            replace(RELEASE, components=(replace(GUARD, marking=marking),), requires=()),
            "the marking of component guard is not within its release's",
        )


@pytest.mark.parametrize("source", [REGISTERED, TAKEN])
def test_what_was_trained_inside_is_said_in_format_2_only(source: dict[str, Any]) -> None:
    built = replace(RELEASE, components=(replace(GUARD, source=source, marking=LOW),), requires=())
    assert number(built) == 2
    assert release.parse(release.format(built)) == built
    document = json.loads(release.format(built))
    del document["components"][0]["marking"]
    with pytest.raises(MalformedError, match="unknown kind"):
        release.parse(canonical(document | {"airlift": 1}))


@pytest.mark.parametrize("marking", [Marking("CUI"), Marking("SECRET"), Marking("COSMIC", ("NOFORN",))])
def test_what_was_made_of_data_is_not_marked_below_it(marking: Marking) -> None:
    """THREATS, rules: a component with a marking below its data's."""
    above = replace(RELEASE, marking=replace(marking, caveats=("NOFORN", "ORCON")), requires=())
    refused(
        replace(above, components=(replace(TUNED, marking=marking),)),
        "component tuned is marked below its data mail",
    )
    refused(replace(above, components=(replace(TUNED, marking=None),)), "component tuned lacks a marking")
