"""Cut a plan into parts of about equal cost, the same in every process that makes the same plan (SPEC L4.20).

A plan may have hundreds of thousands of blocks: they are walked through, and never listed.
"""

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

import numpy as np
import zstandard

import airlift
from airlift.codec import Effort
from airlift.errors import UsageError
from airlift.low.bundle.planning.coding_plan import BlockLimits, CodingPlan, cut_plan
from airlift.tensors.matching.hint import Adapter, Conversion, Grid, LowRank
from airlift.tensors.matching.segment import Segment

MAX_SHARDS = 4096

BLOCK_COST = 256 << 10
"""What a block costs whatever its length, in bytes that are coded plainly."""
COSTS: tuple[tuple[type, int], ...] = ((LowRank, 16), (Adapter, 4), (Conversion, 2), (Grid, 2))
"""How many times as long as plain ones bytes take of which there is a hint, roughly: it decides who waits."""

_NUMBER = re.compile(r"[1-9][0-9]{0,3}\Z")


@dataclass(frozen=True, slots=True)
class Share:
    """Which part of a plan, counted from 1, ``of`` how many."""

    number: int
    of: int


@dataclass(frozen=True, slots=True)
class Run:
    """A part of a plan: its blocks ``[first, last)``, in order, and the bytes that they rebuild."""

    first: int
    last: int
    target_bytes: int

    @property
    def blocks(self) -> int:
        """How many blocks it has."""
        return self.last - self.first


@dataclass(frozen=True, slots=True)
class Divisible:
    """A plan, and how its blocks are cut and coded: what all processes have in common."""

    plan: CodingPlan
    limits: BlockLimits
    effort: Effort

    def blocks(self, run: Run | None = None) -> Iterator[tuple[int, Segment]]:
        """Yield the number of the file with each block, those of a part or of all, in order."""
        every = cut_plan(self.plan, self.limits)
        return every if run is None else islice(every, run.first, run.last)

    def digest(self) -> str:
        """Return the SHA-512 (hex) of what decides what is coded, and how."""
        running = hashlib.sha512(
            f"airlift {airlift.__version__}, numpy {np.__version__}, zstd {zstandard.ZSTD_VERSION}, "
            f"effort {self.effort.name}\n".encode()
        )
        for kind, files in (("file", self.plan.files), ("base", self.plan.bases)):
            for item in files:
                running.update(f"{kind} {item.entry.sha512} {item.entry.size}\n".encode())
        for number, segment in self.blocks():
            running.update(f"{number} {segment}\n".encode())
        return running.hexdigest()

    def divide(self, of: int) -> tuple[Run, ...]:
        """Return the parts of the plan: neighbouring blocks, about equally costly, perhaps none."""
        whole = sum(_cost(segment) for _, segment in self.blocks())
        blocks, lengths, before = [0] * of, [0] * of, 0
        for _, segment in self.blocks():
            cost = _cost(segment)
            number = (2 * before + cost) * of // (2 * whole)
            blocks[number] += 1
            lengths[number] += segment.length
            before += cost
        return tuple(_runs(blocks, lengths))


def parse_share(text: str) -> Share:
    """Return the share that ``I/N`` says.

    Raises:
        UsageError: it is none.
    """
    first, slash, second = text.partition("/")
    if slash and _NUMBER.match(first) and _NUMBER.match(second) and int(first) <= int(second) <= MAX_SHARDS:
        return Share(int(first), int(second))
    raise UsageError(
        f"{text[:40]!a} names no shard",
        expected=f"I/N, with 1 <= I <= N <= {MAX_SHARDS}: 3/8",
        hint="give the number of the shard and how many there are: `--shard 1/8` to `--shard 8/8`",
    )


def _runs(blocks: list[int], lengths: list[int]) -> Iterator[Run]:
    first = 0
    for count, length in zip(blocks, lengths, strict=True):
        yield Run(first, first + count, length)
        first += count


def _cost(block: Segment) -> int:
    times = next((times for kind, times in COSTS if isinstance(block.hint, kind)), 1)
    return BLOCK_COST + times * block.length
