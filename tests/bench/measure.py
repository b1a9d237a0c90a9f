"""Measures every program on a pair: in one run, alternating."""

import os
import shutil
from collections.abc import Callable, Container, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Timer
from typing import Protocol

from tests.bench.pairs import Pair
from tests.bench.peers import PeerRun, fitting
from tests.bench.process import NOTHING, Cost, run
from tests.bench.results import Row, median
from tests.bench.way import AirliftRun, OneCore

REPEAT_SECONDS = 10.0
START_SECONDS = 0.5
"""How long a command loads modules and checks signatures."""

DIGEST = "sha512sum"
_NOTHING = bytes(8 << 20)


class Program(Protocol):
    """Something that makes a delta, and applies the last one that it made."""

    @property
    def name(self) -> str:
        """What it is called in tables."""

    @property
    def size(self) -> int:
        """Bytes that cross."""

    def make(self) -> Cost:
        """Make the delta."""

    def apply(self) -> Cost:
        """Rebuild the target, and check it."""


@dataclass(frozen=True, slots=True)
class DigestRun:
    """sha512sum of the target, which a peer needs besides to know what it rebuilt."""

    pair: Pair
    name: str = DIGEST
    size: int = 0

    def make(self) -> Cost:
        """Nothing."""
        return NOTHING

    def apply(self) -> Cost:
        """Digest every file."""
        return run(["sha512sum", *self.pair.targets])[0]


def measure(
    pair: Pair, names: Container[str], low: Path, high: Path, rounds: int, *, one_core: bool = False
) -> Iterator[Row]:
    """Yield a row for airlift, if asked one on one core, and one for each peer of these names.

    What is rebuilt lies in ``high``.
    """
    with _folders(low / "airlift", high / "airlift", high / "peers"):
        (high / "peers").mkdir()
        peers = [
            PeerRun(peer, pair, high / "peers" / str(place))
            for place, peer in enumerate(fitting(pair, names))
        ]
        ours = AirliftRun(pair.sides, low / "airlift", high / "airlift", repeats=rounds > 1 or one_core)
        alone = [OneCore(ours)] if one_core else []
        yield from _alternate(pair, [*peers, DigestRun(pair), ours, *alone], rounds)


def measure_alone(pair: Pair, low: Path, high: Path, rounds: int) -> Iterator[Row]:
    """Yield a row for airlift on all cores and on one: of each the round that was disturbed least."""
    with _folders(low / "airlift", high / "airlift"):
        ours = AirliftRun(pair.sides, low / "airlift", high / "airlift", repeats=True)
        for program in (ours, OneCore(ours)):
            costs = [
                (_settled(program.make), _warmed(program.apply, high / "warm", pair.size))
                for _ in range(rounds)
            ]
            made, applied = (min(each, key=lambda cost: cost.seconds) for each in zip(*costs, strict=True))
            yield Row(pair.name, pair.size, program.name, program.size, made, applied, rounds)


def _alternate(pair: Pair, programs: list[Program], rounds: int) -> Iterator[Row]:
    costs: dict[str, list[tuple[Cost, Cost]]] = {program.name: [] for program in programs}
    for _ in range(rounds):
        for program in programs:
            earlier = costs[program.name]
            if not earlier or sum(cost.seconds for cost in earlier[0]) < REPEAT_SECONDS:
                earlier.append((_settled(program.make), _settled(program.apply)))
    for program in programs:
        made, applied = zip(*costs[program.name], strict=True)
        yield Row(pair.name, pair.size, program.name, program.size, median(made), median(applied), len(made))


def _settled(work: Callable[[], Cost]) -> Cost:
    """Do some work when all earlier writes have reached the disk."""
    os.sync()
    return work()


def _warmed(work: Callable[[], Cost], held: Path, size: int) -> Cost:
    """Do some work; as much as a target was written before, and is removed while it starts.

    A virtual machine that gives unused memory back to its host is slow to get it again: that is not measured here.
    """
    with held.open("wb") as out:
        for _ in range(0, size, len(_NOTHING)):
            out.write(_NOTHING)
    releasing = Timer(START_SECONDS, held.unlink)
    releasing.start()
    try:
        return _settled(work)
    finally:
        releasing.join()


@contextmanager
def _folders(*folders: Path) -> Iterator[None]:
    """Remove these afterwards."""
    try:
        yield
    finally:
        for folder in folders:
            shutil.rmtree(folder, ignore_errors=True)
