"""Predicates of any content: read without an error, and what has a fault never passes (SPEC 4.5-10)."""

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airlift.bundle.fields import parse_time
from airlift.trust.statements import predicates
from airlift.trust.statements.predicates import read_predicate
from tests.property.test_schema import places
from tests.unit.trust.statements.test_predicates import SAMPLES

TYPES = sorted({*SAMPLES, *map(predicates.own_type, predicates.ATTESTED)})
TEXTS = st.sampled_from(
    ["", "PASSED", "FAILED", "pass", "low", "cvss", "3.9", "9", "2026-11-21T12:00:00Z", "x"]
)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | TEXTS,
    lambda below: st.lists(below, max_size=3) | st.dictionaries(TEXTS, below, max_size=3),
    max_leaves=6,
)


def check(kind: str, predicate: dict[str, Any]) -> None:
    found = read_predicate(kind, predicate)
    assert not (found.passes and found.fault)
    if found.time is not None:
        parse_time(found.time)


@given(st.sampled_from(TYPES), st.dictionaries(TEXTS, VALUES, max_size=4))
def test_anything_at_all(kind: str, predicate: dict[str, Any]) -> None:
    check(kind, predicate)


@pytest.mark.parametrize("kind", sorted(SAMPLES))
@given(data=st.data())
def test_a_sample_with_one_value_changed(kind: str, data: st.DataObject) -> None:
    path = data.draw(st.sampled_from([place for place in places(SAMPLES[kind]) if place]))
    sample = copy.deepcopy(SAMPLES[kind])
    parent: Any = sample
    for key in path[:-1]:
        parent = parent[key]
    parent[path[-1]] = data.draw(VALUES)
    check(kind, sample)
