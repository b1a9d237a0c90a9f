"""Whatever moved, the segments tile the file, it comes back, and it costs about what changed."""

from collections.abc import Iterator
from contextlib import ExitStack
from random import Random
from unittest.mock import patch

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airlift.tensors.matching import anchor, moved_bytes
from tests.support.opaque_files import TABLE_BYTES, Pair

SIZE = 40_000
NOISE = Random(3).randbytes(2 * SIZE)
LIMIT = 4096


@pytest.fixture(autouse=True, scope="module")
def small() -> Iterator[None]:
    """Shrink every limit, so that small files have many blocks and runs."""
    with ExitStack() as stack:
        for module, name, value in (
            (moved_bytes, "BLOCK_BYTES", LIMIT),
            (moved_bytes, "LONG_RUN", 16),
            (moved_bytes, "SHORTEST_RUN", 4),
            (moved_bytes, "SLACK", 128),
            (moved_bytes, "SEEN_BYTES", 1024),
            (anchor, "MIN_BITS", 7),
            (anchor, "TILE_BYTES", 9001),
        ):
            stack.enter_context(patch.object(module, name, value))
        yield


PLACES = st.integers(0, SIZE)
EDITS = st.lists(
    st.tuples(
        st.sampled_from(["insert", "delete", "move", "overwrite"]), PLACES, st.integers(0, 3000), PLACES
    ),
    max_size=6,
)


def edited(data: bytes, edits: list[tuple[str, int, int, int]]) -> tuple[bytes, int]:
    """Return the data after some edits, and how many new bytes those brought."""
    fresh, brought = SIZE, 0
    for kind, place, length, other in edits:
        new = NOISE[fresh : fresh + length]
        match kind:
            case "insert":
                data = data[:place] + new + data[place:]
            case "overwrite":
                data = data[:place] + new + data[place + length :]
            case "delete":
                data = data[:place] + data[place + length :]
            case "move":
                piece, data = data[place : place + length], data[:place] + data[place + length :]
                data = data[:other] + piece + data[other:]
        if kind in {"insert", "overwrite"}:
            fresh, brought = fresh + length, brought + length
    return data, brought


@given(EDITS)
@settings(max_examples=60, deadline=None)
def test_edits_cost_about_what_they_brought(edits: list[tuple[str, int, int, int]]) -> None:
    data, brought = edited(NOISE[:SIZE], edits)
    if not data:
        return
    files = Pair({"f": data}, {"f": NOISE[:SIZE]})
    blocks_around = (
        len(edits) * 2 * (600 + 3 * TABLE_BYTES)
    )  # short rests of runs, between edits that are close
    assert files.cost(files.segments(), LIMIT) <= brought + blocks_around + 500


PARTS = st.lists(
    st.tuples(st.integers(0, SIZE), st.integers(0, 9000)).map(lambda part: NOISE[part[0] : sum(part)])
    | st.tuples(st.binary(min_size=1, max_size=3), st.integers(1, 3000)).map(lambda part: part[0] * part[1]),
    max_size=6,
).map(b"".join)


@given(st.lists(PARTS, min_size=1, max_size=3), st.lists(PARTS, max_size=3))
@settings(max_examples=60, deadline=None)
def test_any_files_come_back(target: list[bytes], base: list[bytes]) -> None:
    files = Pair(
        {f"f{number}": data for number, data in enumerate(target) if data},
        {f"f{number}": data for number, data in enumerate(base)},
    )
    files.cost(files.segments(), LIMIT)
