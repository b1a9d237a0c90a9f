"""The model of what commands take: it finds the parts that it was made of, and says how far off it is."""

import sys
from pathlib import Path

import pytest

from tests.bench import __main__ as bench
from tests.bench import scaling
from tests.bench.process import Cost
from tests.bench.results import Results, Row, load
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
    assert page.count("| 2,000 GB |") == 3


def test_what_is_measured_becomes_figures_and_a_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    words = ["scaling", "--sizes", "2M,40M", "--scratch", str(tmp_path), "--output", str(tmp_path / "docs")]
    monkeypatch.setattr(sys, "argv", ["bench", *words])
    bench.main()
    found = load(tmp_path / "docs" / scaling.FIGURES)
    assert [row.program for row in found.rows] == [OURS, ONE_CORE] * 2
    assert all(row.rounds == bench.ROUNDS and row.apply.seconds > 0 < row.make.seconds for row in found.rows)
    assert (tmp_path / "docs/scaling.md").read_text() == scaling.document(found)
    assert [path.name for path in tmp_path.iterdir()] == ["docs"]


def test_shards_divide_what_is_coded_and_nothing_else() -> None:
    bundle, joining = Model(0.0, 0.5, 1.0), Model(0.0, 0.25, 0.5)
    alone = bundle.seconds(8e11, 4, 1e9)
    planned = 8e11 * scaling.PLAN_BYTES / 1e9
    found = scaling.sharded(bundle, joining, 8e11, 4, 1e9)
    assert found == pytest.approx(planned + alone / scaling.WORKERS + joining.seconds(8e11, 4, 1e9))


@pytest.mark.parametrize("verb", list(scaling.COMMANDS))
def test_the_recorded_figures_fit_the_model(verb: str) -> None:
    """What docs/SCALING.md says of large models rests on it: every size from 0.1 to 8 GB, on one core and on two.

    But for bundles whose depot had to be read from the disk, which the model does not know: those take longer.
    """
    measured = scaling.points(load(scaling.DOCS / scaling.FIGURES), verb)
    assert {one.cores for one in measured} == {1, 2}
    assert min(one.size for one in measured) <= 1.01e8
    assert max(one.size for one in measured) >= 7.9e9
    assert {one.size for one in measured if one.reads_disk} <= {max(one.size for one in measured)}
    cached = [one for one in measured if not one.reads_disk]
    assert max(map(abs, scaling.errors(scaling.fit(measured), cached))) <= 0.15


def test_the_recorded_page_is_of_the_recorded_figures() -> None:
    assert (scaling.DOCS / "scaling.md").read_text() == scaling.document(load(scaling.DOCS / scaling.FIGURES))
