"""Feeds the compiled parity code with stripes; runs in a process with sanitizers, which end it at the first fault.

``python erasure_driver.py KERNEL.so SECONDS SEED``: prints how many calls were made, refused and answered. Each
member has memory of exactly its size, so that a byte read too far is seen. Half of the calls have one of their
arguments changed, past what the kernel may take.
"""

import importlib.util
import random
import sys
import time
from types import ModuleType
from typing import Any

import numpy as np

from airlift.erasure import reference

LENGTHS = (0, 1, 15, 16, 31, 32, 33, 63, 64, 65, 100, 1000, 8191, 8192, 8193, 16384, 20011)
COUNTS = (1, 2, 3, 10, 64, 191, 254, 255)


def loaded(path: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location("_compiled", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def stripe(random_: random.Random) -> tuple[bytes, tuple[memoryview, ...], int]:
    """Return weights, members and a length that fit each other."""
    count, length = random_.choice(COUNTS), random_.choice(LENGTHS)
    rows = random_.choice(COUNTS) if length < 200 and random_.random() < 0.02 else random_.randint(0, 3)
    lengths = [length, *(random_.randint(0, length) for _ in range(count - 1))]
    random_.shuffle(lengths)
    members = tuple(np.frombuffer(random_.randbytes(size), np.uint8).copy().data for size in lengths)
    return random_.randbytes(rows * count), members, length


def spoilt(given: tuple[Any, ...], random_: random.Random) -> tuple[Any, ...]:
    """Return arguments of which one was changed."""
    path, weights, members, length = given
    changed: list[tuple[Any, ...]] = [
        ("abacus", weights, members, length),
        (path, weights + bytes(random_.randint(1, 300)), members, length),
        (path, weights[:-1], members, length),
        (path, bytes(len(members) * random_.randint(256, 300)), members, length),
        (path, weights, (), length),
        (path, weights, members * random_.randint(2, 300), length),
        (path, weights, members[:-1], length),
        (path, weights, (*members[:-1], bytes(length + random_.randint(1, 9))), length),
        (path, weights, (*members[:-1], "text"), length),
        (path, weights, members, length - random_.randint(1, 1 << 40)),
        (path, weights, members, sys.maxsize - random_.randint(0, 9)),
        (path, weights, list(members), length),
    ]
    return random_.choice(changed)


def call(module: ModuleType, given: tuple[Any, ...]) -> list[bytearray] | None:
    """Return what the kernel answers, None if it refuses."""
    try:
        results: list[bytearray] = module.combine(*given)
    except (ValueError, TypeError, MemoryError, OverflowError):
        return None
    return results


def main() -> None:
    """Feed until the time is over."""
    module, random_ = loaded(sys.argv[1]), random.Random(int(sys.argv[3]))
    end, made, refused = time.monotonic() + float(sys.argv[2]), 0, 0
    while time.monotonic() < end:
        weights, members, length = stripe(random_)
        given = (random_.choice(module.paths()), weights, members, length)
        if random_.random() < 0.5:
            refused += call(module, spoilt(given, random_)) is None
        else:
            matrix = np.frombuffer(weights, np.uint8).reshape(-1, len(members))
            assert call(module, given) == reference.combine(matrix, members, length)
        made += 1
    sys.stdout.write(f"{made} made, {refused} refused, {made - refused} answered\n")


if __name__ == "__main__":
    main()
