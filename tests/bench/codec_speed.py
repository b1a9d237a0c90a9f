"""Size and speed of the codec ulp, for each kernel: python -m tests.bench.codec_speed [FOLDER [BLOCK_MIB]].

FOLDER (or AIRLIFT_BENCH_DATA) holds pairs named ``base.KIND.safetensors`` and ``NAME.KIND.safetensors``; without it a
pair is generated. Size counts payloads and block tables against the file. Speed is target bytes over thread time, the
best of several rounds, on one core, into memory that is reused, beside SHA-512 of the same bytes in the same rounds.
"""

import hashlib
import os
import platform
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from airlift.codec.block import Rows
from airlift.codec.ulp import kernel, reference, ulp
from airlift.tensors.element import Element
from airlift.tensors.formats.tiling import spans
from airlift.tensors.matching.match import FileSpans, match
from airlift.tensors.matching.segment import blocks, merge
from tests.support.tensors import weights

ROUNDS = 5
TABLE_BYTES = 48


@dataclass(frozen=True, slots=True)
class Block:
    """Target and source bytes of a block."""

    element: Element
    rows: tuple[Rows, ...]
    new: memoryview
    base: memoryview


def read_pair(new: Path, base: Path, limit: int) -> list[Block]:
    """Return the blocks of tensors that changed."""
    files = [FileSpans("f", "c", path.stat().st_size, spans(path)) for path in (new, base)]
    whole = [memoryview(path.read_bytes()) for path in (new, base)]
    found = match(files[::-1], 1, lambda number, start, end: bytes(whole[1 - number][start:end]))[0]
    found = merge(found)
    return [
        Block(
            part.element,
            part.rows,
            whole[0][part.start : part.end],
            whole[1][part.source.start : part.source.end],
        )
        for segment in found
        for part in blocks(segment, limit)
        if part.source is not None and part.element is not Element.BYTES
    ]


def generated() -> Iterator[tuple[str, list[Block], int]]:
    """Yield a pair for each of a few elements."""
    for element in (Element.BF16, Element.F16, Element.F32, Element.F8_E4M3, Element.I8):
        rows = (8 << 20) // 96 // element.size
        new, base = (memoryview(weights(element, step=step, rows=rows)) for step in (0.003, 0.0))
        yield f"generated {element.name}", [Block(element, ((96, rows * 96),), new, base)], len(new)


def pairs(folder: Path, limit: int) -> Iterator[tuple[str, list[Block], int]]:
    """Yield every pair of a folder: its name, its blocks and the size of its target file."""
    for base in sorted(folder.glob("base.*.safetensors")):
        for new in sorted(folder.glob(f"*.{base.name.split('.')[1]}.safetensors")):
            if new != base:
                yield new.name.removesuffix(".safetensors"), read_pair(new, base, limit), new.stat().st_size


def best(work: Callable[[], object], rounds: int) -> float:
    """Return the least thread time of some rounds, in seconds."""
    times = []
    for _ in range(rounds):
        start = time.thread_time()
        work()
        times.append(time.thread_time() - start)
    return min(times)


def measure(using: kernel.Kernel, block: Block, rounds: int) -> tuple[int, float, float]:
    """Return the bytes of the payload, and the seconds that encoding and decoding it take."""

    def encode() -> bytes:
        plan = ulp.plan(block.new, block.base, block.element, block.rows, using=using)
        assert plan is not None
        return ulp.write(plan, using=using)

    def decode() -> memoryview:
        return ulp.read(memoryview(data), block.base, block.element, len(block.new), out=room, using=using)

    data, room = encode(), memoryview(bytearray(len(block.new)))
    assert decode() == block.new
    return len(data), best(encode, rounds), best(decode, rounds)


def report(name: str, parts: list[Block], size: int) -> None:
    """Print one line for each kernel."""
    total = sum(len(block.new) for block in parts) / 1e9
    for path in kernel.names():
        rounds = 1 if path == reference.name else ROUNDS
        results = np.array([measure(kernel.get(path), block, rounds) for block in parts])
        coded, encoding, decoding = results.sum(axis=0)
        ratio = (coded + TABLE_BYTES * len(parts)) / size
        digest = total / sum(best(lambda b=block: hashlib.sha512(b.new), 3) for block in parts)  # type: ignore[misc]
        print(
            f"{name:20} {path:7} {ratio:8.5f} of {size:12,} bytes   encode {total / encoding:6.3f}"
            f"   decode {total / decoding:6.3f}   sha512 {digest:6.3f} GB/s",
            flush=True,
        )


def main() -> None:
    """Print the machine, then every pair."""
    print(
        platform.platform(), platform.processor(), f"numpy {np.__version__}", f"load {os.getloadavg()[0]:.1f}"
    )
    where = sys.argv[1] if len(sys.argv) > 1 else os.environ.get("AIRLIFT_BENCH_DATA", "")
    limit = int(sys.argv[2]) << 20 if len(sys.argv) > 2 else 8 << 20
    for name, parts, size in pairs(Path(where), limit) if where else generated():
        report(name, parts, size)


if __name__ == "__main__":
    main()
