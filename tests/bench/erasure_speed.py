"""Speed of the parity code, for each kernel: python -m tests.bench.erasure_speed [MEMBER_MIB].

Prints GB of data a second and core (time of the thread, as the least of some rounds): all parity from the data, and
as many lost data members back. Members of 1 MiB by default; large ones also cost what the system takes for fresh
memory. AIRLIFT_BENCH_PARITY names a Python that has zfec or pyeclib, which are then measured beside.
"""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from airlift import erasure
from airlift.erasure import kernel, matrix
from tests.bench import machine

SHAPES = ((5, 1), (10, 2), (20, 4), (100, 20))
SECONDS = 0.5
PEER = Path(__file__).with_name("parity_peers.py")


def rate(work: Callable[[], object], size: int) -> float:
    """Return GB a second of the fastest round."""
    best, end = float("inf"), time.monotonic() + SECONDS
    while time.monotonic() < end:
        start = time.thread_time()
        work()
        best = min(best, time.thread_time() - start)
    return size / best / 1e9


def measure(using: kernel.Kernel, data: int, parity: int, length: int) -> tuple[float, float]:
    """Return the rates of encoding, and of reconstructing as many data members as there are parity members.

    Raises:
        AssertionError: other bytes come back.
    """
    members = [memoryview(np.random.default_rng(seed).bytes(length)) for seed in range(data)]
    lost, used = list(range(min(data, parity))), list(range(min(data, parity), data + min(data, parity)))
    code = using.combine(matrix.coefficients(data, parity), members, length)
    every = [*members, *(memoryview(member) for member in code)]

    def back() -> list[bytearray]:
        weights = matrix.weights(data, parity, used[:data], lost)
        return using.combine(weights, [every[member] for member in used[:data]], length)

    assert back() == members[: len(lost)]
    encoding = rate(lambda: using.combine(matrix.coefficients(data, parity), members, length), data * length)
    return encoding, rate(back, data * length)


def peers(length: int) -> Iterator[str]:
    """Yield lines of what others need for the same."""
    python = os.environ.get("AIRLIFT_BENCH_PARITY")
    if python is None:
        yield "AIRLIFT_BENCH_PARITY names no Python with zfec or pyeclib: no peer was measured"
        return
    words = [python, str(PEER), str(length), str(SECONDS), *(f"{data}+{parity}" for data, parity in SHAPES)]
    yield subprocess.run(words, check=True, capture_output=True, text=True).stdout.rstrip()


def main() -> None:
    """Print the machine, then every shape in every kernel, then the peers."""
    length = (int(sys.argv[1]) if len(sys.argv) > 1 else 1) << 20
    for name, value in machine.describe().items():
        print(f"{name}: {value}")
    print(f"members of {length:,} bytes, load {os.getloadavg()[0]:.1f}, in use: {kernel.default().name}")
    for data, parity in SHAPES:
        assert len(erasure.encode([b"a"] * data, parity)) == parity
        for name in kernel.names():
            encoding, decoding = measure(kernel.get(name), data, parity, length)
            print(
                f"{data:3} + {parity:2} {name:38} encode {encoding:7.3f}   reconstruct {decoding:7.3f} GB/s"
            )
    for line in peers(length):
        print(line)


if __name__ == "__main__":
    main()
