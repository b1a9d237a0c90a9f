"""Two shards of a bundle coded at once, a core each, beside one process on one core (docs/scaling-out.md).

python -m tests.bench.side_by_side [SIZE] [--scratch FOLDER]

Prints seconds of a generated model of SIZE bytes (4G) in four files: of the plan alone (``--dry-run``), of all, and
of coding, which is the difference; and by how much two are quicker than one.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from tests.bench import machine
from tests.bench.generate import Recipe, parse_size
from tests.bench.pairs import generated
from tests.bench.process import installed
from tests.bench.way import AirliftRun

FILES = 4
ROUNDS = 5


def seconds(count: int, depot: Path, output: Path, *options: str) -> float:
    """Return how long so many processes take, each of which codes one of as many parts on a core of its own."""
    shutil.rmtree(output, ignore_errors=True)
    cores = sorted(os.sched_getaffinity(0))
    begun = time.monotonic()
    parts = [
        _start(
            f"{number + 1}/{count}", cores[number % len(cores)], depot, ("--output", str(output), *options)
        )
        for number in range(count)
    ]
    codes = [part.wait() for part in parts]
    if any(codes):
        raise SystemExit("a process failed")
    return time.monotonic() - begun


def _start(part: str, core: int, depot: Path, options: Sequence[str]) -> "subprocess.Popen[bytes]":
    words = ("low", "bundle", "bench@2", "--from", "bench@1", "--shard", part, "--workers", "1")
    return subprocess.Popen(
        [
            *("taskset", "-c", str(core), sys.executable, "-m", "airlift"),
            *(*words, *options, "--format", "json", "--no-progress"),
        ],
        cwd=depot,
        env=installed(os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}),
        stdout=subprocess.DEVNULL,
    )


def measured(depot: Path, output: Path) -> str:
    """Return a line of the table."""
    plans = [seconds(count, depot, output, "--dry-run") for count in (1, 2)]
    whole = [seconds(count, depot, output) for count in (1, 2)]
    coding = [took - plan for took, plan in zip(whole, plans, strict=True)]
    return (
        "| " + " | ".join(f"{cell:.2f}" for cell in (*plans, *whole, *coding, coding[0] / coding[1])) + " |"
    )


def main() -> None:
    """Measure, and print a line a round."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.side_by_side")
    parser.add_argument("size", type=parse_size, nargs="?", default="4G")
    parser.add_argument("--scratch", type=Path, help="a folder for models, depot and shards")
    words = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="airlift-bench-", dir=words.scratch) as name:
        scratch = Path(name)
        sides = generated(scratch / "pair", words.size, FILES, Recipe()).sides
        AirliftRun(sides, scratch / "low", scratch / "high", repeats=True)
        print(", ".join(f"{what}: {value}" for what, value in machine.describe().items()))
        print("| plan, one | plan, two | one | two | coding, one | coding, two | times |")
        print("|---:|---:|---:|---:|---:|---:|---:|")
        for _ in range(ROUNDS):
            print(measured(scratch / "low", scratch / "out"), flush=True)


if __name__ == "__main__":
    main()
