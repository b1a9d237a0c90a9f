"""The policy as a value: safe defaults, and what contradicts itself."""

from typing import Any

import pytest

from airlift import authored
from airlift.bundle.fields import Marking
from airlift.errors import ManifestError
from airlift.policy.document import DEFAULT_LEVELS, Policy, Quorum, Rule, parse_policy

LEAST = {"airlift": 1, "enclave": "alpha"}


def test_every_other_key_has_a_safe_default() -> None:
    policy = parse_policy(LEAST)
    assert policy == Policy("alpha")
    assert policy.ceiling == Marking("UNCLASSIFIED")
    assert (policy.digest, policy.keep, policy.refuse_new_after_days) == ("sha512", 2, None)


def test_the_ceiling_defaults_to_the_lowest_of_its_own_levels() -> None:
    assert parse_policy(LEAST | {"marking": {"levels": ["LOW", "HIGH"]}}).ceiling == Marking("LOW")
    assert parse_policy(LEAST | {"marking": {}}).levels == DEFAULT_LEVELS


@pytest.mark.parametrize(("inventory", "strict"), [("strict", True), ("lenient", False)])
def test_the_inventory_of_volumes(inventory: str, strict: bool) -> None:
    """A key of the second version of policies (SPEC 8.2-4)."""
    text = f"airlift: 2\nenclave: alpha\ninventory: {inventory}\n".encode()
    assert parse_policy(authored.load("p", text, "policy.schema.json")).strict_inventory is strict
    assert parse_policy(authored.load("p", b"airlift: 2\nenclave: alpha\n", "policy.schema.json")) == Policy(
        "alpha"
    )
    with pytest.raises(ManifestError, match="unknown key 'inventory' in format 1"):
        parse_policy(authored.load("p", text.replace(b"2", b"1"), "policy.schema.json"))


def test_all_keys() -> None:
    text = b"""\
airlift: 1
enclave: alpha
marking: {levels: [LOW, HIGH], ceiling: {level: HIGH, caveats: [Z, A]}}
attestations:
  scan: {threshold: 1, keys: [scanner.pub]}
  approval: {threshold: 2, keys: [issm.pub, owner.pub, official.pub]}
requires: [{kind: model, needs: guard, version: ">=2.0"}]
floors: {tokenizer: "1", guard: "2.1"}
staleness: {warn_after_days: 30, refuse_new_after_days: 60}
digest: sha256
keep: 5
"""
    assert parse_policy(authored.load("p", text, "policy.schema.json")) == Policy(
        enclave="alpha",
        levels=("LOW", "HIGH"),
        ceiling=Marking("HIGH", ("A", "Z")),
        attestations=(
            ("approval", Quorum(2, ("issm.pub", "owner.pub", "official.pub"))),
            ("scan", Quorum(1, ("scanner.pub",))),
        ),
        requires=(Rule("model", "guard", ">=2.0"),),
        floors=(("guard", "2.1"), ("tokenizer", "1")),
        warn_after_days=30,
        refuse_new_after_days=60,
        digest="sha256",
        keep=5,
    )


@pytest.mark.parametrize(
    ("more", "reason"),
    [
        ({"marking": {"levels": ["LOW"], "ceiling": {"level": "SECRET"}}}, "not one of the levels"),
        ({"marking": {"ceiling": {"level": "COSMIC"}}}, "not one of the levels"),
        ({"attestations": {"scan": {"threshold": 2, "keys": ["a"]}}}, "scan asks for more attestations"),
        ({"floors": {"guard": "stable"}}, "'stable' cannot be compared"),
        ({"requires": [{"kind": "model", "needs": "guard", "version": "2.0"}]}, "not a version range"),
    ],
)
def test_contradictions_are_found_when_the_policy_is_set(more: dict[str, Any], reason: str) -> None:
    with pytest.raises(ManifestError, match=reason):
        parse_policy(LEAST | more)
