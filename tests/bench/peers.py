"""The peers: published programs that make and apply a delta between two files, each run as a whole process."""

import shutil
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.bench.pairs import Pair


@dataclass(frozen=True)
class Figure:
    """What one program made of one pair: bytes that cross, seconds to make and to apply."""

    program: str
    size: int
    encode: float
    decode: float


def timed(*command: str | Path) -> float:
    """Run a command and return its seconds."""
    started = time.perf_counter()
    subprocess.run([str(word) for word in command], check=True, capture_output=True)
    return time.perf_counter() - started


def peers(pair: Pair, folder: Path) -> Iterator[Figure]:
    """Yield a figure for each peer that is installed; each must rebuild the target to the byte."""
    delta, out = folder / "peer.delta", folder / "peer.out"
    if zstd := shutil.which("zstd"):
        common = (zstd, "-q", "-f", "--long=30", f"--patch-from={pair.base}")
        for level in ("3", "19"):
            encode = timed(*common, f"-{level}", pair.target, "-o", delta)
            decode = timed(*common, "-d", delta, "-o", out)
            _check(pair, out)
            yield Figure(f"zstd -{level} --patch-from", delta.stat().st_size, encode, decode)
    if xdelta3 := shutil.which("xdelta3"):
        encode = timed(xdelta3, "-e", "-f", "-S", "none", "-s", pair.base, pair.target, delta)
        decode = timed(xdelta3, "-d", "-f", "-s", pair.base, delta, out)
        _check(pair, out)
        yield Figure("xdelta3", delta.stat().st_size, encode, decode)


def _check(pair: Pair, out: Path) -> None:
    if out.read_bytes() != pair.target.read_bytes():
        raise SystemExit(f"a peer did not rebuild {pair.target}")


def versions() -> list[str]:
    """Return the peers' own words about their versions."""
    found = []
    for words in (("zstd", "--version"), ("xdelta3", "-V")):
        if shutil.which(words[0]):
            done = subprocess.run(words, check=False, capture_output=True, text=True)
            found.append((done.stdout + done.stderr).strip().splitlines()[0].strip("* "))
        else:
            found.append(f"{words[0]}: not installed, not measured")
    return found
