"""What a lineage says of enclaves and data is held against the release manifest, word for word."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from airlift import verify
from airlift.bundle import release as releases
from airlift.ledger.answers import lineage
from airlift.ledger.answers.lineage import Record
from tests.support.bundle_values import BASE, HUB, INSIDE, TAKEN, TUNED, sha512

THERE = {"digest": sha512("there"), "name": "other", "version": "9"}
AGAIN = {"enclave": "charlie", "component": "other", "release": THERE, "origin": TAKEN}
TWICE = replace(TUNED, source=TAKEN | AGAIN)
RELEASE = replace(INSIDE, components=(BASE, *INSIDE.components[1:2], TWICE))
FROM_HUB = replace(RELEASE, components=(replace(TUNED, source=TAKEN | {"origin": HUB}),))


def ground(release: releases.Release) -> verify.Ground:
    """Return what an entry proves that names a release, with the release's manifest."""
    leaf = {"index": 0, "time": "2026-11-01T00:00:00Z", "type": "gc", "detail": {}, "release": release.digest}
    return verify.Ground({0: leaf}, [releases.format(release)])


def traced(release: releases.Release, name: str) -> dict[str, Any]:
    (node,) = lineage.trace(Record({release.digest: release}, {}, []), name)
    return node.to_json()


def walk(node: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield node
    for parent in node["parents"]:
        yield from walk(parent)


CASES = [(RELEASE, "made"), (RELEASE, "tuned"), (RELEASE, "base"), (FROM_HUB, "tuned")]


@pytest.mark.parametrize(("release", "name"), CASES)
def test_what_a_trace_says_is_proven(release: releases.Release, name: str) -> None:
    node = traced(release, name)
    ground(release).check({"node": node, "nodes": [node], "omitted": 0})
    found = {item["name"] for item in walk(node) if item["kind"] in {"source", "data"}}
    assert (
        found
        == {
            "made": {"registered:alpha", "mail", "notes"},
            "tuned": {"enclave:charlie/other", "enclave:bravo/tuned", "registered:alpha", "mail", "notes"}
            if release is RELEASE
            else {"enclave:bravo/tuned", "hub:org/name", "mail", "notes"},
            "base": {"path:../base"},
        }[name]
    )


@pytest.mark.parametrize("key", ["name", "version", "digest", "relation"])
@pytest.mark.parametrize(("release", "name"), CASES)
def test_no_word_of_it_can_be_changed(release: releases.Release, name: str, key: str) -> None:
    proven = ground(release)
    places = [n for n, item in enumerate(walk(traced(release, name))) if item["kind"] in {"source", "data"}]
    for place in places:
        node = traced(release, name)
        changed = list(walk(node))[place]
        changed[key] = {"name": "registered:omega", "version": "8", "digest": sha512("x")}.get(
            key, "made-from"
        )
        with pytest.raises(verify.Failure):
            proven.check({"node": node})


def test_no_place_in_a_chain_can_be_left_out() -> None:
    node = traced(RELEASE, "tuned")
    for item in walk(node):
        if item["name"] == "enclave:charlie/other":
            item["parents"] = [parent for above in item["parents"] for parent in above["parents"]]
    ground(RELEASE).check({"node": traced(RELEASE, "tuned")})
    with pytest.raises(verify.Failure):
        ground(RELEASE).check({"node": node})


def test_a_component_of_another_source_is_not_proven() -> None:
    for source in (TAKEN, HUB):
        other = replace(RELEASE, components=(replace(TUNED, source=source),))
        node = traced(other, "tuned")
        with pytest.raises(verify.Failure):
            ground(RELEASE).check({"node": node})
