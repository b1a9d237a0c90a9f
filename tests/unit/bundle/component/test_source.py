"""Sources: chains of what was taken over, and how long they are. Their vectors are in tests/vectors/bundle."""

import doctest
from typing import Any

import pytest

from airlift.bundle.component import source as sources
from airlift.errors import MalformedError
from tests.support.bundle_values import CHOSEN, HUB, REGISTERED, TAKEN

PATH = {"kind": "path", "path": "../base"}


def taken(times: int, origin: dict[str, Any]) -> dict[str, Any]:
    for _ in range(times):
        origin = TAKEN | {"origin": origin}
    return origin


def test_the_example_in_the_documentation_is_true() -> None:
    assert doctest.testmod(sources).failed == 0


@pytest.mark.parametrize("origin", [PATH, HUB, CHOSEN, REGISTERED])
def test_a_chain_leads_to_where_the_files_were_first(origin: dict[str, Any]) -> None:
    found = sources.from_json(taken(8, origin), more=True)
    kinds = [step["kind"] for step in sources.chain(found)]
    assert kinds == ["enclave"] * 8 + [origin["kind"]]
    assert sources.first(found) is origin
    with pytest.raises(MalformedError, match="taken over too often"):
        sources.from_json(taken(9, origin), more=True)


def test_a_broken_link_is_found_wherever_it_is() -> None:
    for origin in ({}, {"kind": "ftp"}, REGISTERED | {"enclave": ""}, PATH | {"zzz": 1}, TAKEN | {"size": 7}):
        for times in range(1, 8):
            with pytest.raises(MalformedError, match="release manifest: source"):
                sources.from_json(taken(times, origin), more=True)


@pytest.mark.parametrize(
    ("source", "new", "inside"),
    [
        (PATH, 0, 0),
        (HUB, 0, 0),
        (CHOSEN, 1, 0),
        (HUB | {"exclude": ["x"]}, 1, 0),
        (REGISTERED, 1, 1),
        (TAKEN, 1, 1),
    ],
)
def test_what_only_format_2_can_say(source: dict[str, Any], new: int, inside: int) -> None:
    assert (sources.is_new(source), sources.is_inside(source)) == (bool(new), bool(inside))
    assert sources.from_json(source, more=True) is source
    if new:
        with pytest.raises(MalformedError):
            sources.from_json(source, more=False)
    else:
        assert sources.from_json(source, more=False) is source
