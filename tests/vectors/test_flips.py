"""The offsets at which a flipped bit must be refused: one bit of each, all with ``AIRLIFT_BITS=all``."""

import json
import os
from typing import Any

import pytest

from tests.vectors.make_flips import PARSERS, PATH, good, made, refused

ALL = os.environ.get("AIRLIFT_BITS") == "all"
LISTED: dict[str, Any] = json.loads(PATH.read_text("ascii"))


@pytest.mark.parametrize("kind", PARSERS)
def test_a_flip_where_it_is_listed_is_refused(kind: str) -> None:
    data, listed = good(kind), LISTED[kind]
    assert len(data) == listed["length"]
    offsets = [offset for start, end in listed["refused"] for offset in range(start, end)]
    assert offsets
    for offset in offsets:
        for bit in range(8) if ALL else [offset * 5 % 8]:
            assert refused(kind, data, offset, bit), (offset, bit)


@pytest.mark.skipif(not ALL, reason="it takes long; AIRLIFT_BITS=all does it")
def test_no_other_offset_belongs_there() -> None:
    assert made() == PATH.read_text("ascii")
