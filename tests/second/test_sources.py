"""What a release manifest says of addresses: both implementations take it, or both refuse it (SPEC 5.1-19)."""

import string
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airlift import strict
from airlift.bundle import release as releases
from airlift.errors import AirliftError
from tests.second.documents import release as second
from tests.second.errors import Refused
from tests.support import facts

HEX = "0123456789abcdef" * 8
PIN, LONG = f"sha256:{HEX[:64]}", f"sha512:{HEX}"
HTTPS = {"kind": "https", "url": "https://models.example/base/"}
BUCKET = {"kind": "bucket", "url": "s3://models/base.bin"}
OCI = {"kind": "oci", "reference": f"registry.example:5000/org/base@{PIN}", "form": "files"}
VERSIONED = {**BUCKET, "versions": [{"path": "a", "version": "1"}, {"path": "b/c", "version": "~ 2"}]}

GOOD: tuple[dict[str, Any], ...] = (
    HTTPS,
    {**HTTPS, "include": ["*.bin"], "left_out": {"count": 1, "names": ["a"]}},
    {**HTTPS, "exclude": ["a"]},
    {**HTTPS, "url": "http://[::1]:8080/%20;a=b,c"},
    BUCKET,
    VERSIONED,
    {**VERSIONED, "endpoint": "https://s3.example:9000"},
    {**BUCKET, "url": "az://models/", "endpoint": "http://127.0.0.1/devstoreaccount1"},
    OCI,
    {**OCI, "form": "layout"},
    {**OCI, "reference": f"localhost/a__b/c-d.e@{LONG}"},
)

TWO_PINS: tuple[dict[str, Any], ...] = (
    {**HTTPS, "digest": PIN},
    {**HTTPS, "digests": "SHA256SUMS"},
    {**HTTPS, "files": [{"path": "a", "digest": PIN}]},
    {**HTTPS, "versions": VERSIONED["versions"]},
    {**BUCKET, "version": "1"},
    {**BUCKET, "digest": PIN},
    {**VERSIONED, "versions": [{"path": "a", "version": "1", "digest": PIN}]},
    {**VERSIONED, "versions": [{"path": "a", "version": "1"}, {"path": "a", "version": "2"}]},
    {**OCI, "digest": PIN},
    {**OCI, "reference": f"{OCI['reference']}@{PIN}"},
    {**OCI, "reference": f"registry.example/org/base:latest@{PIN}"},
    {**OCI, "versions": VERSIONED["versions"]},
)
"""What pins a file is in the component's list of files; beside it stand versions of objects alone, one a file."""

NO_PIN: tuple[dict[str, Any], ...] = (
    {**OCI, "reference": "registry.example/org/base"},
    {**OCI, "reference": "registry.example/org/base:latest"},
    {**OCI, "reference": "registry.example/org/base@"},
    {**VERSIONED, "versions": []},
    {**VERSIONED, "versions": [{"path": "a"}]},
    {**VERSIONED, "versions": [{"path": "a", "version": ""}]},
    {**VERSIONED, "versions": [{"path": "a", "version": None}]},
    {**VERSIONED, "versions": None},
    {**VERSIONED, "versions": {"a": "1"}},
)

WRONG_PIN: tuple[dict[str, Any], ...] = (
    *(
        {**OCI, "reference": f"registry.example/org/base@{pin}"}
        for pin in (
            *(PIN[:-1], f"{PIN}0", LONG[:-1], f"{LONG}0", PIN.upper(), PIN.replace("256", "512")),
            *(
                LONG.replace("512", "256"),
                f"sha384:{HEX[:96]}",
                f"md5:{HEX[:32]}",
                HEX[:64],
                f"{PIN}\n",
                f" {PIN}",
            ),
        )
    ),
    *(
        {**VERSIONED, "versions": [{"path": "a", "version": version}]}
        for version in ("v" * 1025, "é", "a\nb", "a\tb", "\x00", "\x7f", "\u202e", 1, True, ["1"])
    ),
    *(
        {**VERSIONED, "versions": [{"path": path, "version": "1"}]}
        for path in ("../a", "/a", "a/../b", "", "a\\b", "CON", "a/", "./a", "a//b", 7, None)
    ),
    {**VERSIONED, "versions": list(reversed(VERSIONED["versions"]))},
    {**VERSIONED, "versions": ["a"]},
)

UNKNOWN: tuple[dict[str, Any], ...] = (
    *({**one, "token": "hunter2"} for one in (HTTPS, BUCKET, OCI)),
    *({**one, "path": "x"} for one in (HTTPS, BUCKET, OCI)),
    {**HTTPS, "endpoint": "https://s3.example"},
    {**OCI, "endpoint": "https://s3.example"},
    {**HTTPS, "plain_http": True},
    {**HTTPS, "form": "files"},
    {**VERSIONED, "versions": [{"path": "a", "version": "1", "size": 1}]},
    {**HTTPS, "kind": "ftp"},
    {**HTTPS, "kind": "s3"},
    {**BUCKET, "kind": "gs"},
    {**HTTPS, "kind": None},
    {"kind": "https"},
    {"kind": "bucket"},
    {"kind": "oci", "reference": OCI["reference"]},
    {"kind": "oci", "form": "files"},
    {**OCI, "form": "unpacked"},
    {**OCI, "form": None},
    {**OCI, "form": "layout", "include": ["*"]},
    {**OCI, "form": "layout", "exclude": ["*"]},
    {**OCI, "form": "layout", "left_out": {"count": 1, "names": ["a"]}},
    {**HTTPS, "left_out": {"count": 1, "names": ["a"]}},
    {**HTTPS, "include": []},
    {**HTTPS, "origin": HTTPS},
)

NO_ADDRESS: tuple[dict[str, Any], ...] = (
    *(
        {**HTTPS, "url": url}
        for url in (
            *(
                "https://anna:hunter2@host/x",
                "https://host/x?token=1",
                "https://host/x#1",
                "https://host/a b",
                "",
            ),
            *(
                "https://host",
                "https:///x",
                "ftp://host/x",
                "https://-host/x",
                "https://host:/x",
                "https://ho_st/x",
            ),
            *(
                "https://host:123456/x",
                "https://höst/x",
                "https://host/é",
                "https://host/\\x",
                "HTTPS://host/x",
            ),
            *(
                "https://host/" + "x" * 2048,
                "https://host/x\n",
                "//host/x",
                "https://host/[x]",
                7,
                None,
                "s3://a/b",
            ),
        )
    ),
    *(
        {**BUCKET, "url": url}
        for url in (
            *("s3://m/x", "s3://Models/x", "s3://-models/x", "s3://models", "s3://models/x?versionId=1"),
            *(
                "s3://" + "m" * 64 + "/x",
                "s3://anna@models/x",
                "gcs://models/x",
                "https://models/x",
                "s3:///x",
            ),
        )
    ),
    *(
        {**BUCKET, "endpoint": endpoint}
        for endpoint in (
            "s3.example",
            "https://a@b",
            "https://b?x=1",
            "s3://models",
            "",
            None,
            "https://b/#x",
        )
    ),
    *(
        {**OCI, "reference": f"{place}@{PIN}"}
        for place in (
            "org",
            "registry.example/Org",
            "registry.example//base",
            "/org",
            "registry.example/org/",
            "a b/c",
        )
    ),
    {**OCI, "reference": f"oci://registry.example/org@{PIN}"},
    {**OCI, "reference": f"registry.example/{'x/' * 1024}x@{PIN}"},
)


def manifest(source: Any) -> bytes:
    """Return a release manifest of format 2 whose component comes from there."""
    release = facts.releases()[0]
    made = replace(release, components=(replace(release.components[0], source=HTTPS),), requires=())
    document = strict.parse_any(releases.format(made), limit=1 << 20, what="release")
    document["components"][0]["source"] = source
    return strict.format(document)


def both(source: Any) -> tuple[bool, bool]:
    """Say whether airlift takes a source, and whether the second implementation does."""
    data = manifest(source)
    taken = [True, True]
    try:
        releases.parse(data)
    except AirliftError as error:
        assert error.exit_code == 3  # noqa: PT017 - either may be raised, or none
        taken[0] = False
    try:
        second.parse(data)
    except Refused:
        taken[1] = False
    return taken[0], taken[1]


@pytest.mark.parametrize("source", GOOD, ids=repr)
def test_both_take_what_may_be_said(source: dict[str, Any]) -> None:
    assert both(source) == (True, True)


@pytest.mark.parametrize(
    "source", [*TWO_PINS, *NO_PIN, *WRONG_PIN, *UNKNOWN, *NO_ADDRESS], ids=lambda one: repr(one)[:120]
)
def test_both_refuse_what_may_not(source: dict[str, Any]) -> None:
    assert both(source) == (False, False)


TEXT = st.text(string.printable + "é\u202e\x7f\x00", max_size=12)


@st.composite
def sources(draw: st.DrawFn) -> dict[str, Any]:
    """A good source in which something was put in, taken away, or changed: perhaps still a good one."""
    source = dict(draw(st.sampled_from(GOOD)))
    for _ in range(draw(st.integers(1, 2))):
        key = draw(
            st.sampled_from(
                [*source, "url", "reference", "endpoint", "versions", "form", "include", "digest"]
            )
        )
        old = source.get(key)
        if isinstance(old, str) and draw(st.booleans()):
            at = draw(st.integers(0, len(old)))
            source[key] = old[:at] + draw(TEXT) + old[at + draw(st.integers(0, 3)) :]
        elif draw(st.booleans()):
            source.pop(key, None)
        else:
            source[key] = draw(st.sampled_from([one[key] for one in GOOD if key in one] or [PIN]))
    return source


@settings(max_examples=300, deadline=None)
@given(sources())
def test_both_are_of_one_mind(source: dict[str, Any]) -> None:
    first, other = both(source)
    assert first == other
