"""``make bench``: bytes, seconds and memory of airlift beside its peers, on the same files, in one run, alternating.

    python -m tests.bench pairs      the example stack, generated pairs of 45 MB, real ones of AIRLIFT_BENCH_DATA
    python -m tests.bench growth     generated pairs of 0.1 to 8 GB in four files (--sizes)
    python -m tests.bench full       both
    python -m tests.bench scaling    airlift alone on the pairs of growth, on all cores and on one, the best of three
    python -m tests.bench cases FOLDER   releases of public packages, unpacked there: sizes beside generic tools

Pages, plots and the figures as JSON go to docs/benchmarks (--output). --scratch and --high say where files lie; 8 GB
need 52 GB. docs/benchmarks/README.md says what is measured.
"""

import argparse
import shutil
import tempfile
from collections.abc import Callable, Container, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.bench import machine, peers, report, scaling
from tests.bench.cases import measure as cases
from tests.bench.cases import page
from tests.bench.generate import Recipe, parse_size
from tests.bench.measure import measure, measure_alone
from tests.bench.model import Kind
from tests.bench.pairs import Pair, generated, real, stack
from tests.bench.results import Results, Row

DOCS = Path(__file__).parents[2] / "docs" / "benchmarks"
SIZES = "0.1G,0.25G,0.5G,1G,2G,4G,8G"
RECIPES = (
    Recipe(Kind.SFT),
    Recipe(Kind.FAR),
    Recipe(Kind.RL),
    Recipe(Kind.LORA),
    Recipe(Kind.SFT, "f16"),
    Recipe(Kind.INT8),
)
PAIR_BYTES = 45_000_000
FILES = 4
SOURCES = "stack,real,generated"
ROUNDS = 3
REPEAT_BYTES = 250_000_000


def small(scratch: Path, sources: Container[str]) -> Iterator[Pair]:
    """Yield the pairs that show sizes: of the stack, real, generated."""
    if "stack" in sources:
        yield from stack()
    if "real" in sources:
        yield from real()
    for recipe in RECIPES if "generated" in sources else ():
        yield generated(scratch / "pair", PAIR_BYTES, 1, recipe)


def growing(scratch: Path, sizes: list[int]) -> Iterator[Pair]:
    """Yield pairs that show how cost grows."""
    return (generated(scratch / "pair", size, FILES, Recipe()) for size in sizes)


def _alternating(
    names: Container[str], scratch: Path, high: Path, *, one_core: bool
) -> Callable[[Pair], Iterator[Row]]:
    """Return what measures airlift and peers on a pair, in as many rounds as its size allows."""

    def rows(pair: Pair) -> Iterator[Row]:
        rounds = ROUNDS if pair.size <= REPEAT_BYTES else 1
        return measure(pair, names, scratch, high, rounds, one_core=one_core)

    return rows


def collect(
    pairs: Iterable[Pair], measured: Callable[[Pair], Iterator[Row]], scratch: Path, high: Path
) -> Iterator[Results]:
    """Measure pairs one after the other, and yield what there is after each; a generated pair is removed then."""
    results = Results(machine.describe() | {"files": _places(scratch, high)}, {}, [])
    for pair in pairs:
        rates = results.rates[pair.name] = [machine.sha512_rate()]
        print(f"\n{pair.name}, {pair.size / 1e6:,.1f} MB", flush=True)
        for row in measured(pair):
            results.rows.append(row)
            print(_line(row), flush=True)
        rates += [machine.sha512_rate(), machine.sha512_rate()]
        shutil.rmtree(scratch / "pair", ignore_errors=True)
        yield results


def _places(scratch: Path, high: Path) -> str:
    return f"pairs and depot on {machine.storage(scratch)}, enclave and deltas on {machine.storage(high)}"


def _line(row: Row) -> str:
    return (
        f"  {row.program:22} {row.size:>14,} {row.share:>8.4f}"
        f"  make {row.make.seconds:>8.2f} s  apply {row.apply.seconds:>8.2f} s"
    )


def _sizes(text: str) -> list[int]:
    return [parse_size(size) for size in text.split(",")]


def _sources(text: str) -> set[str]:
    found = set(text.split(","))
    if not found <= set(SOURCES.split(",")):
        raise argparse.ArgumentTypeError(f"expected some of {SOURCES}")
    return found


def main() -> None:
    """Measure, and write pages and plots."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.bench", description="Measure airlift beside its peers."
    )
    parser.add_argument(
        "what", choices=("pairs", "growth", "full", "scaling", "cases"), nargs="?", default="pairs"
    )
    parser.add_argument("packages", type=Path, nargs="?", help="of cases: unpacked, each in NAME==VERSION")
    parser.add_argument("--sources", type=_sources, default=SOURCES, help="of pairs")
    parser.add_argument("--sizes", type=_sizes, default=SIZES, help="of growth, decimal: 0.1G,1G,8G")
    parser.add_argument("--scratch", type=Path, help="a folder for pairs and depot")
    parser.add_argument("--high", type=Path, help="a folder for enclave and deltas, if not the same")
    parser.add_argument("--output", type=Path, default=DOCS)
    words = parser.parse_args()
    if words.what == "cases":
        _cases(words, parser)
    elif words.what == "scaling":
        _scaling(words)
    else:
        _pairs(words)


def _cases(words: argparse.Namespace, parser: argparse.ArgumentParser) -> None:
    if words.packages is None or not words.packages.is_dir():
        parser.error("cases need the folder that the packages are unpacked in")
    with tempfile.TemporaryDirectory(prefix="airlift-bench-", dir=words.scratch) as scratch:
        for record in cases.collect(words.packages, Path(scratch)):
            page.write(words.output, record)


def _pairs(words: argparse.Namespace) -> None:
    for peer in filter(peers.missing, peers.PEERS):
        print(f"{peer.name} is not measured: {peers.missing(peer)}")
    with _folders(words) as (low, high):
        for name, pairs, names in (
            ("pairs", small(low, words.sources), peers.ALL),
            ("growth", growing(low, words.sizes), {peers.ZSTD, peers.ZIPNN_XOR}),
        ):
            if words.what in {name, "full"}:
                for results in collect(
                    pairs, _alternating(names, low, high, one_core=name == "growth"), low, high
                ):
                    report.write(words.output, name, results)


def _scaling(words: argparse.Namespace) -> None:
    with _folders(words) as (low, high):
        for results in collect(
            growing(low, words.sizes), lambda pair: measure_alone(pair, low, high, ROUNDS), low, high
        ):
            scaling.write(words.output, results)


@contextmanager
def _folders(words: argparse.Namespace) -> Iterator[tuple[Path, Path]]:
    """Give a folder for pairs and depot, and one for enclave and deltas; both are removed afterwards."""
    with (
        tempfile.TemporaryDirectory(prefix="airlift-bench-", dir=words.scratch) as low,
        tempfile.TemporaryDirectory(prefix="airlift-bench-", dir=words.high or words.scratch) as high,
    ):
        yield Path(low), Path(high)


if __name__ == "__main__":
    main()
