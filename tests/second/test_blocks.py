"""Two decoders and one block: whatever the block, both give the same bytes, or both refuse it.

``AIRLIFT_SECOND=all`` tries sixty times as many. Of a block with two faults either may be told, so ``malformed`` and
``format-too-new`` count as one here; the golden vectors, with one fault each, pin the code.
"""

import os
import random
from collections import Counter
from collections.abc import Callable

import pytest

from airlift import codec
from airlift.errors import AirliftError
from tests.second import made_blocks
from tests.second.codecs.decoding import decode
from tests.second.errors import Refused
from tests.second.made_blocks import Made

COUNT = 600 * (60 if os.environ.get("AIRLIFT_SECOND") == "all" else 1)
REFUSED = {"malformed", "format-too-new"}


def real(block: Made) -> tuple[str, bytes]:
    try:
        target = codec.decode(block.codec, block.payload, block.sources, block.length, block.element)
    except AirliftError as error:
        return error.code, b""
    return "ok", bytes(target)


def second(block: Made) -> tuple[str, bytes]:
    try:
        return "ok", decode(block.codec, block.element, block.length, block.sources, block.payload)
    except Refused as refused:
        return refused.code, b""


def mutated_vectors(choose: random.Random) -> Callable[[], Made]:
    blocks = made_blocks.golden()
    return lambda: made_blocks.mutated(choose.choice(blocks), choose)


def predictions(choose: random.Random) -> Callable[[], Made]:
    return lambda: made_blocks.predicted(choose)


def mutated_predictions(choose: random.Random) -> Callable[[], Made]:
    return lambda: made_blocks.mutated(made_blocks.predicted(choose), choose)


@pytest.mark.timeout(3000)
@pytest.mark.parametrize("make", [mutated_vectors, predictions, mutated_predictions])
def test_two_decoders_agree(make: Callable[[random.Random], Callable[[], Made]]) -> None:
    following, seen = make(random.Random(14)), Counter[str]()
    for number in range(COUNT):
        block = following()
        one, other = real(block), second(block)
        seen[one[0]] += 1
        assert one == other or {one[0], other[0]} == REFUSED, (number, block, one[0], other[0])
    assert seen["ok"] > COUNT // 20
    assert seen["malformed"] > 0
