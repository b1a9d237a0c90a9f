"""Turns results into a page and a plot in a folder."""

from collections.abc import Iterator
from pathlib import Path

from tests.bench.measure import DIGEST
from tests.bench.peers import ZIPNN_XOR, ZSTD
from tests.bench.plot import Panel, Series, draw
from tests.bench.results import Results, save
from tests.bench.table import MIB, OURS, document

SMALL = 20_000_000  # below it, starting a process is what is measured


def write(folder: Path, name: str, results: Results) -> None:
    """Write ``name.json``, ``name.md`` and ``name.svg``."""
    title, panels = {"pairs": ("Size against time", _pairs), "growth": ("From 0.1 to 8 GB", _growth)}[name]
    folder.mkdir(parents=True, exist_ok=True)
    save(results, folder / f"{name}.json")
    (folder / f"{name}.svg").write_text(draw(title, list(panels(results))))
    (folder / f"{name}.md").write_text(document(title, f"{name}.svg", results))


def _pairs(results: Results) -> Iterator[Panel]:
    large = [pair for pair, size in results.pairs.items() if size >= SMALL]
    for pair in large or results.pairs:
        rows = [row for row in results.of(pair).values() if row.program != DIGEST]
        marks = [Series(row.program, [(row.seconds, row.share)]) for row in rows]
        yield Panel(pair, "seconds to make and apply", "bytes / bytes of the target", marks)


def _growth(results: Results) -> Iterator[Panel]:
    """Draw seconds and memory of both ways against the target's size, of airlift and of zstd."""
    for title, verb in (("Making", "make"), ("Applying", "apply")):
        costs = {
            program: [
                (row.target / 1e9, getattr(row, verb)) for row in results.rows if row.program == program
            ]
            for program in (OURS, ZSTD, ZIPNN_XOR, DIGEST)
            if (program, verb) != (DIGEST, "make")
        }
        measured = {name: points for name, points in costs.items() if points}
        seconds = [
            Series(name, [(x, cost.seconds) for x, cost in points]) for name, points in measured.items()
        ]
        memory = [
            Series(name, [(x, cost.anonymous / MIB) for x, cost in points])
            for name, points in measured.items()
            if name != DIGEST
        ]
        yield Panel(title, "GB of target", "seconds", seconds)
        yield Panel(f"{title}: memory", "GB of target", "MiB beyond mapped files, at the peak", memory)
