"""Measures the cases: bytes only, which do not depend on what else the machine does."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

from tests.bench import machine
from tests.bench.cases.figures import OURS, Coded, Figures, Record
from tests.bench.cases.generic import DELTA, FULL, code, peers
from tests.bench.cases.packages import Case, present, size
from tests.bench.pairs import Sides
from tests.bench.peers import missing
from tests.bench.way import AirliftRun


def collect(packages: Path, scratch: Path) -> Iterator[Record]:
    """Measure one case after the other, and yield what there is after each."""
    for peer in filter(missing, (*FULL, *DELTA)):
        print(f"{peer.name} is not measured: {missing(peer)}")
    record = Record(machine.describe(), [])
    for case, sides in present(packages):
        figures = measure(case, sides, scratch)
        record.cases.append(figures)
        print(_line(figures), flush=True)
        yield record


def measure(case: Case, sides: Sides, scratch: Path) -> Figures:
    """Return what airlift and each generic tool that is here make of a case."""
    with tempfile.TemporaryDirectory(dir=scratch) as folder:
        coded = [airlift(sides, Path(folder))]
    for peer in peers(delta=case.base is not None):
        if not missing(peer):
            with tempfile.TemporaryDirectory(dir=scratch) as folder:
                coded.append(code(peer, sides, Path(folder)))
    return Figures(
        case=case.name,
        target=case.target.package,
        base="" if case.base is None else case.base.package,
        left_out=case.target.but,
        files=len(sides.target),
        raw=size(sides.target),
        coded=tuple(coded),
    )


def airlift(sides: Sides, folder: Path) -> Coded:
    """Return the bytes of the chunks that airlift bundles; they are imported again, and every file compared."""
    ours = AirliftRun(sides, folder / "low", folder / "high", repeats=False)
    ours.make()
    ours.apply()
    return Coded(OURS, ours.size)


def _line(figures: Figures) -> str:
    sizes = "  ".join(f"{coded.program} {coded.size:,}" for coded in figures.coded)
    way = f"from {figures.base}" if figures.base else "in full"
    verdict = "" if figures.ratio is None else f"  ({figures.ratio:.4f} of the best)"
    return f"{figures.case} {way}, {figures.raw:,} bytes: {sizes}{verdict}"
