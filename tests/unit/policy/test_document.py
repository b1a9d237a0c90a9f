"""The policy as a value: safe defaults, and what contradicts itself."""

from typing import Any

import pytest

from airlift import authored
from airlift.bundle.fields import Marking
from airlift.errors import ManifestError
from airlift.policy.demands import Quorum
from airlift.policy.document import (
    CONTENT,
    DEFAULT_LEVELS,
    SCAN,
    Command,
    Permission,
    Policy,
    Rule,
    SubEnclave,
    parse_policy,
)

LEAST = {"airlift": 1, "enclave": "alpha"}


def test_every_other_key_has_a_safe_default() -> None:
    policy = parse_policy(LEAST)
    assert policy == Policy("alpha")
    assert policy.ceiling == Marking("UNCLASSIFIED")
    assert (policy.digest, policy.keep, policy.refuse_new_after_days) == ("sha512", 2, None)


def test_the_ceiling_defaults_to_the_lowest_of_its_own_levels() -> None:
    assert parse_policy(LEAST | {"marking": {"levels": ["LOW", "HIGH"]}}).ceiling == Marking("LOW")
    assert parse_policy(LEAST | {"marking": {}}).levels == DEFAULT_LEVELS


@pytest.mark.parametrize("levels", [["SECRET", "UNCLASSIFIED"], ["LOW", "TOP SECRET", "HIGH", "CUI"]])
def test_no_policy_turns_the_known_levels_around(levels: list[str]) -> None:
    """Else the join of SECRET and UNCLASSIFIED would be UNCLASSIFIED, and a ceiling would let in what is above it."""
    with pytest.raises(ManifestError, match="another order"):
        parse_policy(LEAST | {"marking": {"levels": levels}})
    assert parse_policy(LEAST | {"marking": {"levels": levels[::-1]}}).levels == tuple(levels[::-1])


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


# -- waivers -------------------------------------------------------------------------------------------------------

WAIVERS = b"""\
airlift: 2
enclave: alpha
waivers: [{what: remote-code, component: base}, {what: pickle}]
"""


def test_no_waiver_is_allowed_unless_the_policy_says_so() -> None:
    assert not any(parse_policy(LEAST).permits(what, "base") for what in ("code", "pickle", "remote-code"))
    policy = parse_policy(authored.load("p", WAIVERS, "policy.schema.json"))
    assert policy.waivers == (Permission("remote-code", "base"), Permission("pickle"))
    assert policy.permits("remote-code", "base")
    assert not policy.permits("remote-code", "other")
    assert policy.permits("pickle", "anything")
    assert not policy.permits("code", "base")


def test_waivers_are_of_format_2() -> None:
    with pytest.raises(ManifestError, match="unknown key 'waivers' in format 1") as caught:
        parse_policy(authored.load("p", WAIVERS.replace(b"2", b"1", 1), "policy.schema.json"))
    assert "airlift: 2" in caught.value.hint
    assert parse_policy(authored.load("p", b"airlift: 2\nenclave: alpha\n", "policy.schema.json")) == Policy(
        "alpha"
    )


def test_a_rule_about_a_newer_kind_is_of_format_2() -> None:
    text = b"airlift: 2\nenclave: alpha\nrequires: [{kind: image, needs: guard, version: '>=2'}]\n"
    (rule,) = parse_policy(authored.load("p", text, "policy.schema.json")).requires
    assert rule == Rule("image", "guard", ">=2")
    with pytest.raises(ManifestError, match="unknown kind 'image' in format 1"):
        parse_policy(authored.load("p", text.replace(b"2", b"1", 1), "policy.schema.json"))


@pytest.mark.parametrize(
    "item", ["{}", "{what: virus}", "{what: code, component: A}", "{what: code, why: x}", "code"]
)
def test_what_a_permission_is(item: str) -> None:
    text = f"airlift: 2\nenclave: alpha\nwaivers: [{item}]\n".encode()
    with pytest.raises(ManifestError, match="waivers"):
        authored.load("p", text, "policy.schema.json")


@pytest.mark.parametrize(
    ("relay", "number", "message"),
    [
        ("{alpha: {ledger_key: a.pub, ceiling: {level: CUI}}}", 2, "no sub-enclave"),
        ("{any: {ledger_key: a.pub, ceiling: {level: CUI}}}", 2, "no sub-enclave"),
        ("{bravo: {ledger_key: a.pub, ceiling: {level: HIGH}}}", 2, "ceiling of bravo"),
        ("{bravo: {ledger_key: a.pub, ceiling: {level: CUI}}}", 1, "unknown key 'relay' in format 1"),
        ("{bravo: {ceiling: {level: CUI}}}", 2, "ledger_key"),
    ],
)
def test_sub_enclaves_that_contradict_themselves(relay: str, number: int, message: str) -> None:
    """SPEC 8.2-24."""
    text = f"airlift: {number}\nenclave: alpha\nrelay: {relay}\n".encode()
    with pytest.raises(ManifestError, match=message):
        parse_policy(authored.load("p", text, "policy.schema.json"))


def test_sub_enclaves() -> None:
    text = b"airlift: 2\nenclave: alpha\nrelay: {bravo: {ledger_key: k/b.pub, ceiling: {level: CUI, caveats: [B]}}}\n"
    (found,) = parse_policy(authored.load("p", text, "policy.schema.json")).relay
    assert found == SubEnclave("bravo", "k/b.pub", Marking("CUI", ("B",)))


def accepting(*items: dict[str, Any], number: int = 2) -> Policy:
    return parse_policy({"airlift": number, "enclave": "alpha", "acceptance": list(items)})


def test_a_gate_in_the_place_of_a_command() -> None:
    policy = accepting({"name": "own", "gate": "content"}, {"name": "canary", "command": ["x"]})
    assert policy.acceptance == (Command("own", (), kind=SCAN, gate=CONTENT), Command("canary", ("x",)))
    with pytest.raises(ManifestError, match="unknown key 'acceptance' in format 1"):
        accepting({"name": "own", "gate": "content"}, number=1)


@pytest.mark.parametrize(
    ("item", "reason"),
    [
        ({"name": "a"}, "a of acceptance has neither"),
        ({"name": "a", "gate": "content", "command": ["x"]}, "a of acceptance has both"),
        ({"name": "a", "gate": "content", "memory": "1GiB"}, "has a gate, for which 'memory' means nothing"),
        (
            {"name": "a", "gate": "content", "kind": "evaluation"},
            "has a gate, for which 'kind' means nothing",
        ),
    ],
)
def test_a_test_is_a_command_or_a_gate(item: dict[str, Any], reason: str) -> None:
    with pytest.raises(ManifestError, match=reason):
        accepting(item)
