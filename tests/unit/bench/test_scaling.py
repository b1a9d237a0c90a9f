"""The model of what commands take: it finds the parts that it was made of, and says how far off it is."""

import pytest

from tests.bench import scaling
from tests.bench.process import Cost
from tests.bench.results import Results, Row
from tests.bench.scaling import Model, Point
from tests.bench.table import OURS
from tests.bench.way import ONE_CORE

SIZES = (1e8, 1e9, 8e9)


def made(model: Model, rate: float = 5e8) -> list[Point]:
    """Return what a model would have measured."""
    return [Point(size, cores, model.seconds(size, cores, rate), rate) for size in SIZES for cores in (1, 2)]


@pytest.mark.parametrize("model", [Model(5e8, 0.3, 1.2), Model(0.0, 0.0, 1.0), Model(1e9, 2.0, 0.0)])
def test_a_fit_finds_the_parts(model: Model) -> None:
    found = scaling.fit(made(model))
    wanted = (model.start, model.serial, model.parallel)
    assert (found.start, found.serial, found.parallel) == pytest.approx(wanted, rel=1e-6, abs=1e-3)
    assert scaling.errors(found, made(model)) == pytest.approx([0.0] * 6, abs=1e-6)


def test_no_part_is_less_than_nothing() -> None:
    """Two cores that take a third of the time of one would make the serial part negative."""
    measured = [Point(1e9, 1, 6.0, 5e8), Point(1e9, 2, 2.0, 5e8), Point(2e9, 1, 12.0, 5e8)]
    found = scaling.fit(measured)
    assert min(found.start, found.serial, found.parallel) >= 0


def test_the_page_holds_what_was_measured_against_the_model() -> None:
    def cost(seconds: float) -> Cost:
        return Cost(seconds, seconds, 0, 0)

    rows = [
        Row(f"{size}", round(size), name, 1, cost(size / 1e8 / cores + 1), cost(size / 5e7 / cores + 2), 1)
        for size in SIZES
        for name, cores in ((OURS, 2), (ONE_CORE, 1))
    ]
    page = scaling.document(Results({"processor": "2 x P"}, {f"{size}": [0.5] for size in SIZES}, rows))
    assert "## low bundle" in page
    assert "## high import" in page
    assert "| 1.00 | 2 | 0.50 | 6.00 | 6.00 | +0% |" in page
    assert "| 2,000 GB |" in page
