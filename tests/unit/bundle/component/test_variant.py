"""Variants: what a manifest, a policy and a command line say of them (SPEC 5.7)."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airlift.bundle.component import variant
from airlift.bundle.component.variant import Rule, Variant
from airlift.errors import MalformedError, UsageError

INT4 = Variant("base", (("device", "cpu"), ("precision", "int4")))


@pytest.mark.parametrize(
    "document",
    [
        {},
        {"of": "base"},
        {"of": "base", "labels": {}},
        {"of": "base", "labels": []},
        {"of": "base", "labels": {"precision": 4}},
        {"of": "base", "labels": {"precision": "int 4"}},
        {"of": "base", "labels": {"precision": ""}},
        {"of": "base", "labels": {"precision": "a" * 65}},
        {"of": "base", "labels": {"Precision": "int4"}},
        {"of": "base", "labels": {"precision\n": "int4"}},
        {"of": "base", "labels": {"precision": "int4\n"}},
        {"of": "base", "labels": {f"k{number}": "v" for number in range(17)}},
        {"of": "Base", "labels": {"precision": "int4"}},
        {"of": "base", "labels": {"precision": "int4"}, "more": 1},
    ],
    ids=repr,
)
def test_what_is_no_variant(document: Any) -> None:
    """SPEC 5.7-2."""
    with pytest.raises(MalformedError):
        variant.from_json(document)


def test_a_variant_reads_back() -> None:
    assert variant.from_json(INT4.to_json()) == INT4
    assert str(INT4) == "variant of base: device cpu, precision int4"


@pytest.mark.parametrize(
    "text",
    [
        *("", "base", "base=", "base=int4", "=precision:int4", "precision:", ":int4", "precision:int4,"),
        *("BASE=a:b", "a:b,a:c", "a:b=c:d", "base=a:b c", ",".join(f"k{n}:v" for n in range(17))),
    ],
)
def test_what_is_no_rule(text: str) -> None:
    with pytest.raises(UsageError):
        variant.parse_rule(text)


KEYS = st.from_regex(r"[a-z][a-z0-9-]{0,31}", fullmatch=True)
VALUES = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", fullmatch=True)
NAMES = st.from_regex(r"[a-z0-9][a-z0-9._-]{0,63}", fullmatch=True)
LABELS = st.dictionaries(KEYS, VALUES, min_size=1, max_size=16).map(lambda d: tuple(sorted(d.items())))


@given(st.builds(Rule, LABELS, st.none() | NAMES))
def test_a_rule_reads_back_as_text_and_as_document(rule: Rule) -> None:
    assert variant.parse_rule(str(rule)) == rule
    assert variant.rule_from_json(rule.to_json(), "rule") == rule


@given(st.builds(Variant, NAMES, LABELS), st.data())
def test_a_rule_fits_exactly_what_has_all_its_labels(made: Variant, data: st.DataObject) -> None:
    some = tuple(sorted(data.draw(st.sets(st.sampled_from(made.labels), min_size=1))))
    assert Rule(some).fits(made)
    assert Rule(some, made.of).fits(made)
    assert not Rule(some, f"{made.of[:63]}x").fits(made)
    key, value = made.labels[0]
    assert not Rule(((key, f"{value[:63]}y"),)).fits(made)


def test_what_a_variant_does_not_say_it_has_of_its_component() -> None:
    """SPEC L3.10."""
    item = {
        "name": "base",
        "kind": "model",
        "version": "1",
        "license": "MIT",
        "variants": [
            {"name": "base-a", "labels": {"precision": "fp16"}, "source": {"path": "a"}},
            {"name": "base-b", "labels": {"precision": "int4"}, "source": {"path": "b"}, "license": "GPL"},
            {"name": "base-c", "labels": {"precision": "int8"}, "source": {"enclave": "e", "component": "c"}},
        ],
    }
    plain = {"name": "guard", "kind": "guard", "version": "1", "source": {"path": "g"}}
    one, two, taken, other = variant.expand([item, plain])
    assert (one["kind"], one["version"], one["license"], two["license"]) == ("model", "1", "MIT", "GPL")
    assert "license" not in taken
    assert variant.authored(one) == Variant("base", (("precision", "fp16"),))
    assert other == plain
    assert variant.authored(other) is None
