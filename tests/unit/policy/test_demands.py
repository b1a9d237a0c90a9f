"""What a policy demands: quorums and bars as a document states them (SPEC 8.2-21, 8.2-22)."""

from typing import Any

import pytest

from airlift import authored
from airlift.errors import ManifestError
from airlift.policy.demands import Demands, Quorum, combinations_of, parse_demands
from airlift.policy.document import parse_policy

TEXT = """\
airlift: 2
enclave: alpha
attestations:
  scan: {threshold: 1, keys: [scanner.pub]}
  approval: {threshold: 2, keys: [issm.pub, people/owner.pub], expires_after_days: 90}
bar:
  - [build, approval]
  - [scan, release, approval]
"""


def parsed(text: str) -> Demands:
    return parse_policy(authored.load("p", text.encode(), "policy.schema.json")).demands


def test_quorums_and_bars() -> None:
    demands = parsed(TEXT)
    assert demands.attestations == (
        ("approval", Quorum(2, ("issm.pub", "people/owner.pub"), 90)),
        ("scan", Quorum(1, ("scanner.pub",))),
    )
    assert demands.bars == (
        ("approval", "build"), ("approval", "release"), ("approval", "scan"), ("release", "scan"),
    )  # fmt: skip
    assert demands.barred("approval") == ("build", "release", "scan")
    assert demands.barred("build") == ("approval",)
    assert demands.barred("custody") == ()
    assert demands.key_files() == ("issm.pub", "people/owner.pub", "scanner.pub")
    ids = {"issm.pub": "1", "owner.pub": "2", "scanner.pub": "3"}
    assert demands.voters(ids) == {"approval": {"1", "2"}, "scan": {"3"}}


def test_without_them_nothing_is_demanded_or_barred() -> None:
    assert parse_demands({}) == Demands()
    assert combinations_of(Demands()) == 1


def test_a_bar_of_what_nobody_attests_is_allowed() -> None:
    assert parse_demands({"bar": [["release", "build"]]}).bars == (("build", "release"),)


@pytest.mark.parametrize("key", ["expires_after_days: 90", "bar:"])
def test_they_are_of_format_2(key: str) -> None:
    text = TEXT.replace("airlift: 2", "airlift: 1")
    lines = [
        line
        for line in text.splitlines()
        if key in line or not any(k in line for k in ("bar", "  - ", "days"))
    ]
    kept = "\n".join(lines) + ("\n  - [build, scan]\n" if key == "bar:" else "\n")
    with pytest.raises(ManifestError, match=f"unknown key '{key.partition(':')[0]}' in format 1") as caught:
        parsed(kept)
    assert "airlift: 2" in caught.value.hint
    parsed(kept.replace("airlift: 1", "airlift: 2"))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("days: 90", "days: 0"),
        ("days: 90", "days: 36501"),
        ("days: 90", "days: '90'"),
        ("[build, approval]", "[build]"),
        ("[build, approval]", "[build, build]"),
        ("[build, approval]", "[build, approve]"),
        ("[build, approval]", "build"),
    ],
)
def test_what_the_schema_refuses(old: str, new: str) -> None:
    with pytest.raises(ManifestError):
        parsed(TEXT.replace(old, new))


@pytest.mark.parametrize(
    ("more", "reason"),
    [
        ({"bar": [["build", "custody"]]}, "a bar names custody, and no custody attestations are asked for"),
        ({"attestations": {"scan": {"threshold": 2, "keys": ["a"]}}}, "scan asks for more attestations"),
    ],
)
def test_contradictions(more: dict[str, Any], reason: str) -> None:
    with pytest.raises(ManifestError, match=reason):
        parse_demands(more)


def test_what_cannot_be_judged_in_time_is_refused() -> None:
    keys = [f"{number}.pub" for number in range(64)]
    kinds = {kind: {"threshold": 21, "keys": keys} for kind in ("scan", "approval", "evaluation")}
    with pytest.raises(ManifestError, match="too high to be judged") as caught:
        parse_demands({"attestations": kinds, "bar": [list(kinds)]})
    assert caught.value.found == str(22**3)
    assert parse_demands({"attestations": kinds, "bar": [["scan", "approval"], ["build", "evaluation"]]}).bars
