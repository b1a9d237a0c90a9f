"""Feeds the compiled kernel of predictions; runs in a process with sanitizers, which end it at the first fault.

``python prediction_driver.py KERNEL.so SECONDS SEED``: prints how many calls were made, refused and answered. Each
array has memory of exactly its size. Half of the calls have one of their arguments changed, past what it may be.
"""

import random
import sys
import time
from typing import Any

import numpy as np

from tests.fuzz.erasure_driver import loaded


def call(rng: np.random.Generator, paths: list[str]) -> tuple[Any, ...]:
    """Return arguments that fit each other."""
    element, rank = int(rng.integers(0, 3)), int(rng.integers(1, 12))
    rows, columns = int(rng.integers(0, 6)), int(rng.choice([1, 3, 15, 16, 17, 255, 256, 257, 600]))
    size = 4 if element == 2 else 2
    left, right = rng.standard_normal(rows * rank), rng.standard_normal(rank * columns)
    base = rng.integers(0, 256, rows * columns * size).astype(np.uint8)
    out, rows_out = np.zeros(len(base), np.uint8), np.zeros(rows, np.uint8)
    return str(rng.choice(paths)), element, rank, base, left, right, out, rows_out


def spoilt(given: tuple[Any, ...], random_: random.Random) -> tuple[Any, ...]:
    """Return arguments of which one was changed."""
    place = random_.randrange(len(given))
    wrong: Any = given[place]
    if place == 0:
        wrong = "abacus"
    elif place < 3:
        wrong = random_.choice([-1, 0, 3, 7, wrong + 1, 1 << 12, 1 << 30, (1 << 31) - 1])
    else:
        wrong = random_.choice(
            [wrong[:-1], np.concatenate([wrong, wrong[:3]]), wrong[:0], wrong.view(np.uint8)[:-1]]
        )
    return *given[:place], wrong, *given[place + 1 :]


def main() -> None:
    """Feed until the time is over."""
    module, random_ = loaded(sys.argv[1]), random.Random(int(sys.argv[3]))
    rng = np.random.default_rng(int(sys.argv[3]))
    end, made, refused = time.monotonic() + float(sys.argv[2]), 0, 0
    while time.monotonic() < end:
        given = call(rng, module.paths())
        bad = random_.random() < 0.5
        try:
            module.add(*(spoilt(given, random_) if bad else given))
        except (ValueError, TypeError, OverflowError):
            assert bad
            refused += 1
        made += 1
    sys.stdout.write(f"{made} made, {refused} refused, {made - refused} answered\n")


if __name__ == "__main__":
    main()
