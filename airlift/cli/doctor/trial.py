"""Blocks to try the codecs on: numbers like those of a model, a nudge of them, and a merge of low rank."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from airlift.codec.block import Codec, Context
from airlift.codec.grid.grid import GRID
from airlift.codec.plain.raw_equal import EQUAL
from airlift.codec.predict import convert
from airlift.codec.predict.adapter import ADAPTER, prediction
from airlift.codec.predict.convert import CONVERT
from airlift.codec.predict.lowrank import LOWRANK
from airlift.codec.predict.narrow import NARROW
from airlift.tensors.element import Element
from airlift.tensors.matching.hint import Adapter, Conversion, Grid, Hint, LowRank, Rule

COLUMNS = 512


@dataclass(frozen=True, slots=True)
class Trial:
    """A block that a codec can code."""

    target: memoryview
    sources: Sequence[memoryview]
    element: Element
    hint: Hint = None

    @property
    def context(self) -> Context:
        """What the encoder is told."""
        return Context(self.sources, self.element, hint=self.hint)


def trial(codec: Codec, length: int) -> Trial:
    """Return a block of ``length`` bytes, whole rows of 1024, for a codec."""
    if codec in {LOWRANK, ADAPTER}:
        return _merged(codec, length)
    if codec is CONVERT:
        return _converted(length)
    if codec is GRID:
        return _dequantised(length)
    if codec is NARROW:
        wide = np.arange(length // 4, dtype="<u4") << np.uint32(16)
        return Trial((wide ^ np.uint32(1 << 16)).view(np.uint8).data, [wide.view(np.uint8).data], Element.F32)
    base = np.arange(length // 2, dtype="<u2")
    target = base if codec is EQUAL else base + np.uint16(1)
    return Trial(target.view(np.uint8).data, [base.view(np.uint8).data], Element.U16)


def _converted(length: int) -> Trial:
    """Return bfloat16 numbers that were rounded from float32, all but the last bit."""
    source = np.random.default_rng(1).standard_normal(length // 2, np.float32).view(np.uint8).data
    hint = Conversion(rule=Rule.CAST, source=Element.F32, columns=COLUMNS)
    found = convert.prediction(Context([source], Element.BF16), hint, length)
    target = np.frombuffer(found, "<u2") ^ np.uint16(1)
    return Trial(target.view(np.uint8).data, [source], Element.BF16, hint)


def _dequantised(length: int) -> Trial:
    """Return integers of eight bits times a scale a row, as bfloat16."""
    rng = np.random.default_rng(1)
    integers = rng.integers(-127, 128, (length // 2 // COLUMNS, COLUMNS)).astype(np.float32)
    integers[:, 0] = 1  # a step that tells the scale
    bits = (integers * np.float32(0.5)).view("<u4") >> np.uint32(16)
    hint = Grid(columns=COLUMNS, group=(1, 0), steps=Element.I8)
    return Trial(bits.astype("<u2").view(np.uint8).reshape(-1).data, [], Element.BF16, hint)


def _merged(codec: Codec, length: int) -> Trial:
    """Return bfloat16 numbers of which the product of two columns was added."""
    rows = length // 2 // COLUMNS
    rng = np.random.default_rng(1)
    base = (
        (rng.standard_normal(rows * COLUMNS, np.float32).view("<u4") >> 16).astype("<u2").view(np.uint8).data
    )
    factors = (rng.standard_normal(count, np.float32).view(np.uint8).data for count in (rows, COLUMNS))
    hint = Adapter(left=Element.F32, right=Element.F32, columns=COLUMNS, rank=1, scale=0.25)
    whole = Trial(base, [base, *factors], Element.BF16, hint)
    target = prediction(base, whole.context, hint)
    if codec is ADAPTER:
        return Trial(target, whole.sources, Element.BF16, hint)
    return Trial(target, [base], Element.BF16, LowRank(COLUMNS))
