"""Feeds the compiled digests with messages; runs in a process with sanitizers, which end it at the first fault.

``python digests_driver.py KERNEL.so SECONDS SEED``: prints how many calls were made, refused and answered. Each
message has memory of exactly its size, so that a byte read too far is seen. Half of the calls have one of their
arguments changed, past what the kernel may take.
"""

import random
import sys
import time
from types import ModuleType
from typing import Any

import numpy as np

from airlift.digests import reference
from airlift.digests.kernel.compiled import LANES, Compiled
from tests.fuzz.erasure_driver import loaded

LENGTHS = (0, 1, 111, 112, 127, 128, 129, 240, 1000, 4096, 20_011)
STATE = 8 * 8 * LANES


def member(size: int, random_: random.Random) -> memoryview:
    return np.frombuffer(random_.randbytes(size), np.uint8).copy().data


def spoilt(path: str, random_: random.Random) -> tuple[Any, ...]:
    """Return arguments of which one does not fit."""
    state, steps = bytearray(random_.randbytes(STATE)), random_.randint(0, 9)
    members = tuple(member(128 * steps, random_) for _ in range(LANES))
    changed: list[tuple[Any, ...]] = [
        ("abacus", state, members),
        (path, bytearray(random_.choice([0, 1, STATE - 1, STATE + 1, 2 * STATE])), members),
        (path, bytes(state), members),
        (path, state, members[: random_.randint(0, LANES - 1)]),
        (path, state, members * random_.randint(2, 9)),
        (path, state, (*members[:-1], member(128 * steps + random_.randint(1, 300), random_))),
        (path, state, tuple(member(128 * steps + 1, random_) for _ in range(LANES))),
        (path, state, (*members[:-1], "text")),
        (path, state, list(members)),
    ]
    return random_.choice(changed)


def refused(module: ModuleType, given: tuple[Any, ...]) -> bool:
    try:
        module.advance(*given)
    except (ValueError, TypeError, BufferError):
        return True
    return False


def main() -> None:
    """Feed until the time is over."""
    module, random_ = loaded(sys.argv[1]), random.Random(int(sys.argv[3]))
    end, made, left = time.monotonic() + float(sys.argv[2]), 0, 0
    while time.monotonic() < end:
        path = random_.choice(module.paths())
        if random_.random() < 0.5:
            left += refused(module, spoilt(path, random_))
        else:
            count = random_.randint(1, LANES)
            one, other = Compiled(module, path).start(count), reference.start(count)
            for _ in range(random_.randint(0, 4)):
                size = random_.choice(LENGTHS)
                members = [member(size, random_) for _ in range(count)]
                one.feed(members)
                other.feed(members)
            assert one.finish() == other.finish()
        made += 1
    sys.stdout.write(f"{made} made, {left} refused, {made - left} answered\n")


if __name__ == "__main__":
    main()
