"""Size and speed of the codec lowrank: python -m tests.bench.lowrank_speed [ROUNDS].

Merges of adapters into matrices of the shapes that blocks have, drawn as the generated pairs are. Speed is target
bytes over thread time on one core, the best of some rounds: of encoding, and of decoding into memory that is used
again, which is the check of ``low bundle`` and most of an import. Libraries use one thread, as in the command.
"""

import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass

os.environ["OPENBLAS_NUM_THREADS"] = "1"

import numpy as np

from airlift import codec
from airlift.codec.block import Context, Effort
from airlift.codec.predict import kernel
from airlift.codec.predict.lowrank import LOWRANK
from airlift.tensors.element import Element
from airlift.tensors.matching.hint import LowRank
from tests.bench.codec_speed import best
from tests.bench.generate import round_to, widen
from tests.bench.model import BASES, MERGE_STEP, Role

SHAPES = ((1808, 1808, 8), (1159, 7232, 8), (4639, 1808, 8), (1024, 4096, 16), (1024, 4096, 32))
"""Rows, columns and rank; the first three are those of a file of 1 GB."""


@dataclass(frozen=True, slots=True)
class Block:
    """Bytes of a matrix, of the one that an adapter was merged into, and how many columns they have."""

    name: str
    base: bytes
    target: bytes
    columns: int


def blocks() -> Iterator[Block]:
    """Yield merges in bfloat16."""
    for rows, columns, rank in SHAPES:
        rng = np.random.default_rng(rank)
        scale = BASES[Role.MATRIX].std * rng.lognormal(0, BASES[Role.MATRIX].spread, (rows, 1))
        values = rng.standard_normal((rows, columns), np.float32)
        values *= scale.astype(np.float32)
        base = round_to(values, "bf16")
        left = rng.standard_normal((rows, rank), np.float32) * np.float32(MERGE_STEP / rank**0.5)
        right = rng.standard_normal((rank, columns), np.float32)
        merged = (widen(base, "bf16") + left @ right).astype(np.float32, copy=False)
        target = round_to(merged, "bf16")
        yield Block(f"{rows} x {columns}, rank {rank}", base.tobytes(), target.tobytes(), columns)


def report(block: Block, rounds: int) -> None:
    """Print a line."""
    target, size = memoryview(block.target), len(block.target)
    context = Context(
        [memoryview(block.base)], Element.BF16, [(block.columns, size // 2)], LowRank(block.columns)
    )
    payload = LOWRANK.encode(target, context, Effort.NORMAL)
    assert payload is not None
    room = memoryview(bytearray(size))
    assert codec.decode(LOWRANK.id, payload, [block.base], size, Element.BF16, out=room) == target
    encoding = best(lambda: LOWRANK.encode(target, context, Effort.NORMAL), rounds)
    decoding = best(
        lambda: codec.decode(LOWRANK.id, payload, [block.base], size, Element.BF16, out=room), rounds
    )
    print(
        f"{block.name:24} {len(payload) / size:8.5f} of {size:12,} bytes"
        f"   encode {size / encoding / 1e9:6.3f}   decode {size / decoding / 1e9:6.3f} GB/s",
        flush=True,
    )


def main() -> None:
    """Print the kernel, then every block."""
    print(f"numpy {np.__version__}, kernel {kernel.default().name}, load {os.getloadavg()[0]:.1f}")
    for block in blocks():
        report(block, int(sys.argv[1]) if len(sys.argv) > 1 else 3)


if __name__ == "__main__":
    main()
