"""What policy says of variants: a choice, and what is there (SPEC 7.14)."""

from dataclasses import replace

import pytest

from airlift.bundle.component.variant import parse_rule
from airlift.bundle.release import Requirement
from airlift.errors import ManifestError
from airlift.policy import floors
from airlift.policy.document import Policy, parse_policy
from airlift.policy.objections import Known, activation_objections
from airlift.policy.ruling import refusals
from airlift.policy.variants import variant_rulings
from tests.support.bundle_values import component
from tests.unit.bundle.test_choice import FP16, INT4, VARIED

CHOOSES = Policy("alpha", variants=(parse_rule("base=precision:int4"),))


def test_what_is_chosen_and_there_may_run() -> None:
    assert refusals(variant_rulings(VARIED, CHOOSES, {"base-int4"})) == []
    assert list(variant_rulings(None, CHOOSES, ())) == []


def test_what_is_chosen_and_not_there_is_refused_with_what_to_ask_for() -> None:
    (refusal,) = refusals(variant_rulings(VARIED, CHOOSES, {"base-fp16"}))
    assert (refusal.code, refusal.exit_code) == ("variant-refused", 6)
    assert refusal.found == "base-fp16 (device cuda, precision fp16)"
    assert "low bundle assistant@1 --for alpha --variant base=device:cpu,precision:int4" in (
        refusal.hint or ""
    )


@pytest.mark.parametrize(("rule", "word"), [("device:cpu", "more than one"), ("precision:int2", "none")])
def test_no_choice_is_refused_whatever_is_there(rule: str, word: str) -> None:
    rules = replace(CHOOSES, variants=(parse_rule(rule),))
    (refusal,) = refusals(variant_rulings(VARIED, rules, {"base-fp16", "base-int4", "base-int8"}))
    assert f"chooses {word} of the variants" in refusal.message


def test_a_policy_says_its_rules() -> None:
    document = {
        "airlift": 2,
        "enclave": "alpha",
        "variants": [{"component": "base", "labels": {"precision": "int4"}}],
    }
    assert parse_policy(document).variants == CHOOSES.variants
    with pytest.raises(ManifestError, match="unknown key 'variants' in format 1"):
        parse_policy({**document, "airlift": 1})
    with pytest.raises(ManifestError):
        parse_policy({**document, "variants": [{"labels": {}}]})


def test_requirements_are_met_by_what_is_asked_for_not_by_one_variant() -> None:
    """SPEC 5.7-3: a rule of the policy that names a variant could be met by one that is not there."""
    wants = parse_policy(
        {
            "airlift": 1,
            "enclave": "alpha",
            "requires": [{"kind": "guard", "needs": "base-int4", "version": ">=1"}],
        }
    )
    assert [e.code for e in activation_objections(VARIED, wants, Known())] == ["requirement-unmet"]
    wants = replace(wants, requires=(replace(wants.requires[0], needs="base"),))
    assert activation_objections(VARIED, wants, Known()) == []
    old = replace(VARIED, requires=(Requirement("base", "guard", ">=3"),))
    assert [e.code for e in activation_objections(old, Policy("alpha"), Known())] == ["requirement-unmet"]


@pytest.mark.parametrize("name", ["base", "base-int4", "kind:model"])
def test_floors_hold_for_every_variant(name: str) -> None:
    (first, *_) = refusals(floors.floor_rulings(VARIED, {name: "1.2"}, (VARIED,)))
    assert first.code == "below-floor"
    assert refusals(floors.floor_rulings(VARIED, {name: "1.1"}, (VARIED,))) == []


def test_a_floor_is_not_slipped_by_the_name_of_a_variant() -> None:
    """SPEC 8.2-9: what was a variant of base comes as a component of its own, without saying what it replaces."""
    loose = replace(VARIED, components=(replace(INT4, variant=None, version="0.1"),), requires=())
    found = refusals(floors.floor_rulings(loose, {"base": "1.1"}, (VARIED,)))
    assert [error.code for error in found] == ["below-floor"]
    honest = replace(loose, components=(replace(loose.components[0], version="1.1", replaces=("base",)),))
    assert refusals(floors.floor_rulings(honest, {"base": "1.1"}, (VARIED,))) == []


def test_a_floor_holds_where_a_component_becomes_variants_of_its_name() -> None:
    before = replace(VARIED, components=(component("base", "1.0"),), requires=())
    assert refusals(floors.floor_rulings(VARIED, {"base": "1.1"}, (before,))) == []
    low = replace(VARIED, components=(replace(FP16, version="1.0"),), requires=())
    assert refusals(floors.floor_rulings(low, {"base": "1.1"}, (before,)))
