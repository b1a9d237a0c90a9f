"""A small mutation loop: damages good inputs, feeds them, and keeps what was accepted to damage it further."""

import random
import resource
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from airlift.errors import AirliftError

Parts = tuple[bytes, ...]
Feed = Callable[[Parts, random.Random], None]
"""Takes one input; must raise an AirliftError if it is refused, and AssertionError if what is accepted is wrong."""

KEPT = 200
NUMBERS = (
    0,
    1,
    2,
    0x7F,
    0x80,
    0xFF,
    0x7FFF,
    0xFFFF,
    1 << 24,
    (1 << 31) - 1,
    1 << 31,
    (1 << 32) - 1,
    (1 << 64) - 1,
)


@dataclass(frozen=True, slots=True)
class Case:
    """A good input in one or more parts, and who takes it."""

    feed: Feed
    parts: Parts

    def replaced(self, part: int, data: bytes) -> "Case":
        """Return the case with another part."""
        return Case(self.feed, (*self.parts[:part], data, *self.parts[part + 1 :]))


@dataclass(frozen=True, slots=True)
class Input:
    """An input that was kept: a part of a case, both by number, and what takes its place."""

    case: int
    part: int
    data: bytes

    def put_in(self, cases: Sequence[Case]) -> Case:
        """Return the case with this part; numbers that there are no longer count from the start again."""
        case = cases[self.case % len(cases)]
        return case.replaced(self.part % len(case.parts), self.data)


@dataclass(frozen=True, slots=True)
class Kept:
    """What is committed for one target: inputs that reach what its cases do not, and words of its format."""

    inputs: tuple[Input, ...] = ()
    words: tuple[bytes, ...] = ()


NOTHING = Kept()


@dataclass(slots=True)
class Count:
    """Inputs fed and refused, the CPU seconds of the slowest, and by how many bytes the process grew."""

    fed: int = 0
    refused: int = 0
    slowest: float = 0.0
    grown: int = 0

    def __str__(self) -> str:
        return (
            f"{self.fed} fed, {self.refused} refused, {self.fed - self.refused} accepted, "
            f"slowest {self.slowest:.3f} s, grown by {self.grown >> 20} MiB"
        )


def damaged(data: bytes, other: bytes, random_: random.Random, words: Sequence[bytes] = ()) -> bytes:
    """Return the bytes changed in one to eight places: flipped, cut, repeated, spliced, numbers set to extremes.

    ``words`` are what the format spells out; some are put in.
    """
    changed = bytearray(data)
    for _ in range(random_.choice([1, 1, 1, 2, 3, 8])):
        reach = min(len(changed), random_.choice([16, 64, 400, 1 << 24]))
        place, length = random_.randrange(reach + 1), random_.choice([1, 2, 4, 8, random_.randrange(64)])
        match random_.randrange(8 if words else 7):
            case 0 if place < len(changed):
                changed[place] ^= 1 << random_.randrange(8)
            case 1:
                changed[place : place + 1] = random_.randbytes(1)
            case 2:
                width = random_.choice([1, 2, 4, 8])
                number = random_.choice(NUMBERS) + random_.randrange(-1, 2)
                changed[place : place + width] = (number % (1 << (8 * width))).to_bytes(width, "little")
            case 3:
                del changed[place : place + length]
            case 4:
                changed[place:place] = changed[place : place + length]
            case 5 if other:
                start = random_.randrange(len(other))
                changed[place : place + length] = other[start : start + length]
            case 7:
                word = random_.choice(words)
                end = place + random_.choice([0, len(word)])
                changed[place:end] = word
            case _:
                del changed[len(changed) - random_.randrange(min(len(changed), 40) + 1) :]
    return bytes(changed)


def run(cases: Sequence[Case], seconds: float, seed: int, kept: Kept = NOTHING) -> Count:
    """Feed what was kept, then damaged inputs for some seconds; an error that is no AirliftError ends it."""
    random_, corpus, count = random.Random(seed), list(cases), Count()
    for case in cases:
        case.feed(case.parts, random.Random(0))
    for item in kept.inputs:
        corpus.append(item.put_in(cases))
        _accepted(corpus[-1], random.Random(0), count)
    known = len(corpus)
    before, end = _peak(), time.monotonic() + seconds
    while time.monotonic() < end:
        case = random_.choice(corpus)
        found = changed(case, random_.choice(corpus), random_, kept.words)
        if _accepted(found, random_, count):
            place = known + random_.randrange(KEPT)
            corpus[place : place + 1] = [found]
    count.grown = _peak() - before
    return count


def changed(case: Case, other: Case, random_: random.Random, words: Sequence[bytes]) -> Case:
    """Return a case of which one part is damaged, mostly the first."""
    which = random_.choice([0, 0, random_.randrange(len(case.parts))])
    return case.replaced(which, damaged(case.parts[which], other.parts[0], random_, words))


def _accepted(case: Case, random_: random.Random, count: Count) -> bool:
    started, count.fed = time.thread_time(), count.fed + 1
    try:
        case.feed(case.parts, random_)
    except AirliftError:
        count.refused += 1
        return False
    finally:
        count.slowest = max(count.slowest, time.thread_time() - started)
    return True


def _peak() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
