"""Estimate how many bytes the coding of a file takes, from blocks of it that are coded (SPEC L4.24)."""

from collections.abc import Iterator
from dataclasses import replace

from airlift import codec
from airlift.low.bundle.planning.coding_plan import BlockLimits, CodingPlan, cut_plan
from airlift.low.depot.depot import Depot
from airlift.tensors.matching.hint import Conversion
from airlift.tensors.matching.segment import Segment
from airlift.tensors.matching.windows import Read

LIMITS = BlockLimits(ordinary=1 << 20, low_rank=4 << 20)
SAMPLE_PART, SAMPLE_BYTES = 16, 4 << 20
"""So much of a file is coded: one part in so many of it, or so many bytes if these are more."""


def estimate(depot: Depot, plan: CodingPlan) -> dict[str, int]:
    """Return about how many bytes the payloads of each content (SHA-512) of a plan take."""
    files = [item.entry.sha512 for item in (*plan.bases, *plan.files)]
    blocks: dict[int, list[Segment]] = {}
    for number, block in cut_plan(plan, LIMITS):
        blocks.setdefault(number, []).append(block)
    with depot.content.reader(files) as read:
        return {
            item.entry.sha512: _file(blocks.get(number, []), len(plan.bases) + number, item.entry.size, read)
            for number, item in enumerate(plan.files)
        }


def _file(blocks: list[Segment], number: int, size: int, read: Read) -> int:
    budget, done, taken = max(size // SAMPLE_PART, SAMPLE_BYTES), 0, 0
    for block in _spread(blocks, budget):
        done += block.length
        taken += _coded_bytes(block, number, read)
    return taken * size // done if done else 0


def _spread(blocks: list[Segment], budget: int) -> Iterator[Segment]:
    """Yield blocks of about so many bytes in all, evenly spread; the first one whatever its length."""
    total = sum(block.length for block in blocks)
    step, passed, due = max(total / budget, 1.0), 0, 0.0
    for block in blocks:
        passed += block.length
        if passed > due:
            yield block
            due = due + block.length * step


def _coded_bytes(block: Segment, number: int, read: Read) -> int:
    sources = [read(source.file, source.start, source.end) for source in block.sources]
    hint, aside = block.hint, block.aside
    if aside is not None and isinstance(hint, Conversion):
        hint = replace(hint, scales=read(aside.file, aside.start, aside.end))
    target = read(number, block.start, block.end)
    return len(
        codec.encode(
            memoryview(target),
            [memoryview(source) for source in sources],
            block.element,
            block.rows,
            effort=codec.Effort.NORMAL,
            hint=hint,
        ).payload
    )
