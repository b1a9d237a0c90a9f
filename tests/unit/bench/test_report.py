"""The bench's table and plots: every figure is where it belongs, and the SVG is well-formed and legible."""

import dataclasses
import itertools
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from tests.bench import plot, report, results, table
from tests.bench.measure import DIGEST
from tests.bench.peers import FM_DELTA, TENSORX, ZIPNN_XOR, ZSTD
from tests.bench.process import Cost
from tests.bench.results import Results, Row

SVG = "{http://www.w3.org/2000/svg}"
MIB = 1 << 20
SIZES = {FM_DELTA: 100_000_000, TENSORX: 200_000_000}


def cost(seconds: float) -> Cost:
    return Cost(seconds, 2 * seconds, 100 * MIB, 300 * MIB)


def sample() -> Results:
    rows = [
        Row(pair, size, program, int(size * share), cost(make * size / 1e9), cost(apply * size / 1e9), 3)
        for pair, size in (("one", 10**9), ("four", 4 * 10**9))
        for program, share, make, apply in (
            (ZSTD, 0.55, 4.0, 2.0),
            (ZIPNN_XOR, 0.25, 2.0, 1.0),
            (DIGEST, 0.0, 0.0, 2.0),
            ("airlift", 0.125, 2.0, 2.0),
        )
    ]
    return Results({"processor": "2 x something"}, {"one": [0.5, 0.625], "four": [0.5]}, rows)


def test_json_keeps_everything(tmp_path: Path) -> None:
    results.save(sample(), tmp_path / "r.json")
    assert results.load(tmp_path / "r.json") == sample()


def test_median_is_of_each_part() -> None:
    costs = [Cost(1.0, 9.0, 4, 1), Cost(3.0, 8.0, 6, 2), Cost(2.0, 7.0, 5, 3)]
    assert results.median(costs) == Cost(2.0, 8.0, 5, 2)


def test_a_table_names_the_smallest_first_and_compares() -> None:
    page = table.document("T", "t.svg", sample())
    assert "- processor: 2 x something" in page
    lines = page.split("## one")[1].split("##")[0].splitlines()
    names = [line.split("|")[1].strip() for line in lines if line.startswith("|")][2:]
    assert names == ["**airlift**", ZIPNN_XOR, ZSTD, DIGEST]
    assert "| **airlift** | 125,000,000 | 0.1250 | 2.00 | 4.00 | 2.00 | 4.00 | 100 | 100 | 3 |" in lines
    assert "1,000.0 MB; SHA-512 on one core: 0.62 GB/s (best of 2)." in lines
    assert [line for line in lines if line.startswith("- ")] == [
        "- size: 0.50 of ZipNN on XOR",
        "- `low bundle`: 0.50 GB/s of target",
        "- `high import`: 0.50 GB/s, 0.80 of the SHA-512 rate",
        "- 2.0 times as fast as zstd -3 --patch-from",
        "- 2.0 times as fast as zstd -d --patch-from, then sha512sum",
    ]


@pytest.mark.parametrize("name", ["pairs", "growth"])
def test_a_report_is_three_files(tmp_path: Path, name: str) -> None:
    report.write(tmp_path / "new", name, sample())
    assert {path.name for path in (tmp_path / "new").iterdir()} == {
        f"{name}.{kind}" for kind in ("json", "md", "svg")
    }
    tree = ET.parse(tmp_path / "new" / f"{name}.svg").getroot()  # noqa: S314 - written a moment ago
    words = [element.text for element in tree.iter(f"{SVG}text")]
    panels = 2 if name == "pairs" else 4
    assert words.count("airlift") == words.count(ZSTD) == panels
    assert not list(tree.iter(f"{SVG}script"))


def test_a_growth_without_a_program_is_drawn_without_it(tmp_path: Path) -> None:
    whole = sample()
    some = dataclasses.replace(whole, rows=[row for row in whole.rows if row.program != ZSTD])
    report.write(tmp_path, "growth", some)
    assert ZSTD not in (tmp_path / "growth.svg").read_text()


def texts(drawing: str) -> list[tuple[float, float, str]]:
    tree = ET.fromstring(drawing)  # noqa: S314 - drawn a moment ago
    return [(float(e.get("x", "")), float(e.get("y", "")), e.text or "") for e in tree.iter(f"{SVG}text")]


def test_labels_do_not_cover_each_other() -> None:
    names = [f"program {number}" for number in range(9)]
    marks = [plot.Series(name, [(10 + number / 100, 0.5)]) for number, name in enumerate(names)]
    drawing = plot.draw("crowded", [plot.Panel("p", "x", "y", [*marks, plot.Series("far", [(1, 0.1)])])])
    heights = sorted(y for _, y, words in texts(drawing) if words in names)
    assert all(below - above >= plot.LINE for above, below in itertools.pairwise(heights))


def test_axes_are_logarithmic() -> None:
    axis = plot.Axis(1, 100, 0, 200)
    assert [round(axis.at(value)) for value in (1, 10, 100)] == [0, 100, 200]
    assert list(axis.ticks()) == [1, 2, 5, 10, 20, 50, 100]
    assert list(plot.Axis(1, 10_000, 0, 1).ticks()) == [1, 10, 100, 1000, 10_000]


def test_words_are_escaped() -> None:
    drawing = plot.draw("<&>", [plot.Panel("<p>", "x", "y", [plot.Series("<s>", [(1, 1)])])])
    assert {"<p>", "<s>"} <= {words for _, _, words in texts(drawing)}


def test_sizes_are_told_beside_every_coder_of_tensors() -> None:
    whole = sample()
    more = [dataclasses.replace(whole.rows[1], program=name, size=size) for name, size in SIZES.items()]
    page = table.document("T", "t.svg", dataclasses.replace(whole, rows=[*whole.rows[:4], *more]))
    assert [line for line in page.splitlines() if line.startswith("- size")] == [
        "- size: 0.50 of ZipNN on XOR",
        "- size: 0.62 of TensorX",
        "- size: 1.25 of FM-Delta",
    ]


def test_no_speed_is_told_of_a_small_pair() -> None:
    whole = sample()
    small = [dataclasses.replace(one, target=one.target // 10, size=one.size // 10) for one in whole.rows[:4]]
    page = table.document("T", "t.svg", Results({}, {"one": [0.5]}, small))
    assert "of ZipNN on XOR" in page
    assert "GB/s of target" not in page
