"""A small update of every element type: airlift is at most 1 % larger than the best of its peers."""

import pytest

from tests.bench.elements import CASES, STEPS, Case, measure

ROWS, COLUMNS = 64, 1024


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_no_type_costs_more_than_its_peers_take(case: Case) -> None:
    for step in STEPS[1:]:
        found = measure(case, ROWS, COLUMNS, step)
        assert found.good, f"step {step}: {found}"
