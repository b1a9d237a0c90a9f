"""A model of how long commands take, from what was measured, and what it says of sizes that nobody measured here.

    python -m tests.bench scaling          measures, and writes docs/benchmarks/scaling.json and scaling.md
    python -m tests.bench.scaling          writes the page again

Everything is counted in what one core digests meanwhile with SHA-512, so that a slow hour of a machine, or another
machine, changes the unit and not the model::

    seconds x rate = start + bytes x (serial + parallel / cores)

``rate`` is SHA-512 of one core, in bytes a second. ``start`` is what a command takes whatever it does; ``serial`` is
what only one thread does, ``parallel`` what all share. The three are fitted to all sizes on one core and on two, each
by its relative error; none may be less than nothing.
"""

import argparse
import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from airlift.cli.high import import_
from airlift.cli.low import bundle_options
from tests.bench.results import Results, load, save
from tests.bench.table import OURS
from tests.bench.way import ONE_CORE

FIGURES = "scaling.json"
DOCS = Path(__file__).parents[2] / "docs" / "benchmarks"
COMMANDS = {
    "make": ("low bundle", bundle_options.MAX_WORKERS),
    "apply": ("high import", import_.MAX_WORKERS),
}
"""What each measurement is of, and how many threads it may have."""

CORES = {ONE_CORE: 1, OURS: 2}
CACHED = 0.75
"""This part of the memory holds files, at most."""

DEPOT_COPIES = 3
"""A bundle reads base and target, while the enclave's base lies in memory as well."""

SIZES = (700e9, 2e12)
MACHINES = (2, 16, 64)
WORKERS = 8
"""How many processes code shards, each with all the cores of a machine of its own."""

PLAN_BYTES = 24 * 0.88e9 / 2e12
"""What one core digests with SHA-512 while it plans a byte: 24 s for 2 TB (``python -m tests.bench.terabytes``)."""


@dataclass(frozen=True, slots=True)
class Point:
    """A measurement: bytes of the target, cores, seconds, and the rate of SHA-512 around it.

    ``reads_disk``: base and target did not fit into memory beside what else was there, and the disk was waited for.
    """

    size: float
    cores: int
    seconds: float
    rate: float
    reads_disk: bool = False


@dataclass(frozen=True, slots=True)
class Model:
    """``start`` in bytes, ``serial`` and ``parallel`` as shares of a byte that SHA-512 would have taken meanwhile."""

    start: float
    serial: float
    parallel: float

    def seconds(self, size: float, cores: int, rate: float) -> float:
        """Return how long it takes."""
        return (self.start + size * (self.serial + self.parallel / cores)) / rate


def points(results: Results, verb: str) -> list[Point]:
    """Return what was measured of airlift on one core and on all of them."""
    room = CACHED * 1e9 * float(results.machine.get("memory", "inf").split()[0])
    return [
        Point(
            row.target,
            CORES[row.program],
            getattr(row, verb).seconds,
            1e9 * float(np.median(results.rates[row.pair])),
            verb == "make" and DEPOT_COPIES * row.target > room,
        )
        for row in results.rows
        if row.program in CORES
    ]


def fit(measured: Sequence[Point]) -> Model:
    """Return the model with the least sum of squares of relative errors, with no part below nothing.

    It knows processors and no disk: what waited for one is left out.
    """
    measured = [one for one in measured if not one.reads_disk]
    parts = np.array([[1.0, one.size, one.size / one.cores] for one in measured])
    wanted = np.array([one.seconds * one.rate for one in measured])
    parts /= wanted[:, None]
    best, least = np.zeros(3), np.inf
    for kept in itertools.chain.from_iterable(itertools.combinations(range(3), count) for count in (1, 2, 3)):
        found = np.zeros(3)
        found[list(kept)] = np.linalg.lstsq(parts[:, list(kept)], np.ones(len(measured)), rcond=None)[0]
        error = float(np.square(parts @ found - 1).sum())
        if (found >= 0).all() and error < least:
            best, least = found, error
    return Model(*map(float, best))


def errors(model: Model, measured: Sequence[Point]) -> list[float]:
    """Return by how much of what was measured the model is wrong."""
    return [model.seconds(one.size, one.cores, one.rate) / one.seconds - 1 for one in measured]


def write(folder: Path, results: Results) -> None:
    """Write figures and page into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    save(results, folder / FIGURES)
    (folder / "scaling.md").write_text(document(load(folder / FIGURES)))  # they are rounded there


def sharded(bundle: Model, joining: Model, size: float, cores: int, rate: float) -> float:
    """Return how long a bundle takes that :data:`WORKERS` machines code: each plans all of it and codes its shard.

    Then one of them joins, and decodes everything as an import does (docs/scaling-out.md).
    """
    most_coding, most_joining = (threads for _, threads in COMMANDS.values())
    coded = bundle.seconds(size / WORKERS, min(cores, most_coding), rate)
    return size * PLAN_BYTES / rate + coded + joining.seconds(size, min(cores, most_joining), rate)


def document(results: Results) -> str:
    """Return a page: the models, how well they fit, and what they say of large models."""
    lines = ["# Predicted", "", *(f"- {what}: {words}" for what, words in results.machine.items())]
    for verb, (command, threads) in COMMANDS.items():
        lines += ["", f"## {command}", "", *_command(points(results, verb), threads)]
    lines += ["", f"## low bundle, coded by {WORKERS} machines and joined by one", "", *_sharded(results)]
    return "\n".join([*lines, ""])


def _command(measured: Sequence[Point], threads: int) -> Iterator[str]:
    model = fit(measured)
    yield (
        f"seconds x rate = {model.start / 1e9:.2f} GB + bytes x ({model.serial:.2f} + {model.parallel:.2f} / cores)"
    )
    yield ""
    yield "| GB | cores | SHA-512 GB/s | measured s | predicted s | error |"
    yield "|---:|---:|---:|---:|---:|---:|"
    for one, error in zip(measured, errors(model, measured), strict=True):
        predicted = model.seconds(one.size, one.cores, one.rate)
        yield (
            f"| {one.size / 1e9:.2f} | {one.cores} | {one.rate / 1e9:.2f} | {one.seconds:.2f} | {predicted:.2f} "
            f"| {round(error, 3) + 0.0:+.0%}{', from the disk' if one.reads_disk else ''} |"
        )
    rate = float(np.median([one.rate for one in measured]))
    yield ""
    yield f"At {rate / 1e9:.2f} GB/s of SHA-512, with at most {threads} threads, if disks keep up:"
    yield ""
    yield from _table(lambda size, cores: model.seconds(size, min(cores, threads), rate))


def _sharded(results: Results) -> Iterator[str]:
    bundle, joining = (fit(points(results, verb)) for verb in COMMANDS)
    rate = float(np.median([one.rate for one in points(results, "make")]))
    yield from _table(lambda size, cores: sharded(bundle, joining, size, cores, rate))


def _table(seconds: Callable[[float, int], float]) -> Iterator[str]:
    """Yield how long each size takes on each machine, and how much of the target that is in a second."""
    yield "| target | " + " | ".join(f"{cores} cores" for cores in MACHINES) + " |"
    yield "|---|" + "---:|" * len(MACHINES)
    for size in SIZES:
        each = (seconds(size, cores) for cores in MACHINES)
        cells = (f"{_time(took)}, {size / took / 1e9:.1f} GB/s" for took in each)
        yield f"| {size / 1e9:,.0f} GB | " + " | ".join(cells) + " |"


def _time(seconds: float) -> str:
    return f"{seconds / 3600:.1f} h" if seconds >= 3600 else f"{seconds / 60:.0f} min"


def main() -> None:
    """Write the page."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.scaling")
    parser.add_argument("folder", type=Path, nargs="?", default=DOCS)
    folder = parser.parse_args().folder
    write(folder, load(folder / FIGURES))


if __name__ == "__main__":
    main()
