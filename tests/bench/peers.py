"""The peers: published programs that make and apply a delta, file by file, unsigned and unsynced."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Container, Iterator
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

from tests.bench.pairs import Pair
from tests.bench.process import NOTHING, Cost, run

HERE = Path(__file__).parent
THREADS = f"-T{os.cpu_count()}"
Words = list[str | Path]


@dataclass(frozen=True, slots=True)
class Peer:
    """A program: how it makes ``delta`` from (base, target), how it makes ``out`` from (base, delta).

    Pairs over ``limit`` bytes are not for it: it would take many minutes, or all memory. With a ``library``, the
    program is a Python that has this module, and what it runs prints the seconds that count.
    """

    name: str
    program: str
    make: Callable[[Path, Path, Path], Words]
    apply: Callable[[Path, Path, Path], Words]
    limit: int = sys.maxsize
    library: str = ""


def _zstd(level: int, limit: int = sys.maxsize) -> Peer:
    return Peer(
        f"zstd -{level} --patch-from",
        "zstd",
        lambda base, target, delta: [
            *("zstd", "-q", "-f", f"-{level}", THREADS, f"--patch-from={base}", target, "-o", delta)
        ],
        lambda base, delta, out: [
            "zstd",
            "-q",
            "-f",
            "-d",
            "--long=31",
            f"--patch-from={base}",
            delta,
            "-o",
            out,
        ],
        limit,
    )


def _library(name: str, module: str, limit: int, *script: str) -> Peer:
    """Return a peer that is a Python library, in the environment whose Python a variable names."""
    python = os.environ.get(_variable(module), sys.executable)
    words: Words = [HERE / script[0], *script[1:]]
    return Peer(
        name,
        python,
        lambda base, target, delta: [python, *words, "make", base, target, delta],
        lambda base, delta, out: [python, *words, "apply", base, delta, out],
        limit,
        module,
    )


def _variable(module: str) -> str:
    return {
        "zipnn": "AIRLIFT_BENCH_ZIPNN",
        "tensordex": "AIRLIFT_BENCH_TENSORX",
        "fmd": "AIRLIFT_BENCH_FMDELTA",
    }[module]


ZSTD, ZIPNN_XOR, TENSORX, FM_DELTA = "zstd -3 --patch-from", "ZipNN on XOR", "TensorX", "FM-Delta"
PEERS = (
    _zstd(3),
    _zstd(19, 60_000_000),
    Peer(
        "zstd -3 alone",
        "zstd",
        lambda _base, target, delta: ["zstd", "-q", "-f", "-3", THREADS, target, "-o", delta],
        lambda _base, delta, out: ["zstd", "-q", "-f", "-d", delta, "-o", out],
    ),
    Peer(
        "xdelta3",
        "xdelta3",
        lambda base, target, delta: ["xdelta3", "-e", "-f", "-S", "none", "-s", base, target, delta],
        lambda base, delta, out: ["xdelta3", "-d", "-f", "-s", base, delta, out],
        300_000_000,
    ),
    Peer(
        "bsdiff",
        "bsdiff",
        lambda base, target, delta: ["bsdiff", base, target, delta],
        lambda base, delta, out: ["bspatch", base, out, delta],
        4_000_000,
    ),
    _library(ZIPNN_XOR, "zipnn", 4_500_000_000, "zipnn_xor.py"),
    _library(TENSORX, "tensordex", 4_500_000_000, "tensor_delta.py", "tensorx"),
    _library(FM_DELTA, "fmd", 4_500_000_000, "tensor_delta.py", "fmdelta"),
)


ALL = frozenset(peer.name for peer in PEERS)


@cache
def missing(peer: Peer) -> str:
    """Return why a peer cannot be measured here, or nothing."""
    if shutil.which(peer.program) is None:
        return f"{peer.program} is not installed"
    if peer.library:
        probe = f"import sys; from importlib.util import find_spec as f; sys.exit(not f({peer.library!r}))"
        if subprocess.run([peer.program, "-c", probe], check=False, capture_output=True).returncode != 0:
            return f"{peer.program} cannot import {peer.library}: {_variable(peer.library)} names a Python that can"
    return ""


def fitting(pair: Pair, names: Container[str]) -> Iterator[Peer]:
    """Yield the peers of these names that are here and can take a pair."""
    return (peer for peer in PEERS if peer.name in names and pair.size <= peer.limit and not missing(peer))


class PeerRun:
    """A peer at work on a pair, with its files in a folder of its own."""

    def __init__(self, peer: Peer, pair: Pair, folder: Path) -> None:
        self.name, self.peer, self.pair, self.folder = peer.name, peer, pair, folder
        self.deltas = [folder / f"{number}.delta" for number in range(len(pair.targets))]
        self.size = 0
        folder.mkdir()

    def make(self) -> Cost:
        """Make the deltas."""
        steps = zip(self.pair.bases, self.pair.targets, self.deltas, strict=True)
        cost = sum((self._cost(self.peer.make(*step)) for step in steps), NOTHING)
        self.size = sum(delta.stat().st_size for delta in self.deltas)
        return cost

    def apply(self) -> Cost:
        """Rebuild the target's files, and compare each; neither they nor the deltas are kept."""
        steps = zip(self.pair.bases, self.deltas, self.pair.targets, strict=True)
        return sum((self._apply(*step) for step in steps), NOTHING)

    def _apply(self, base: Path, delta: Path, target: Path) -> Cost:
        out = self.folder / "out"
        cost = self._cost(self.peer.apply(base, delta, out))
        compare(out, target)
        out.unlink()
        delta.unlink()
        return cost

    def _cost(self, command: Words) -> Cost:
        cost, answer = run(command)
        return replace(cost, **json.loads(answer)) if self.peer.library else cost


def compare(one: Path, other: Path) -> None:
    """End the measurement unless two files are equal."""
    if subprocess.run(["cmp", one, other], check=False).returncode != 0:
        raise SystemExit(f"{other} was not rebuilt")
