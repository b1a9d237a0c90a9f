"""Runs: anchors that agree make one, chance is dropped, and the ends lie where the bytes differ."""

from random import Random

import numpy as np

from airlift.tensors.matching.anchor import WINDOW, Digests, Index, Places, index
from airlift.tensors.matching.runs import Content, Run, find

NOISE = Random(5).randbytes(40_000)


def content(data: bytes) -> Content:
    return Content(len(data), lambda start, end: data[start:end])


def anchors(*pairs: tuple[int, int]) -> tuple[Places, Digests]:
    """Return (place, digest) pairs as arrays."""
    return np.array([place for place, _ in pairs]), np.array([digest for _, digest in pairs], np.uint64)


def indexed(*files: tuple[int, tuple[tuple[int, int], ...]]) -> Index:
    return index((file, *anchors(*pairs)) for file, pairs in files)


def found(
    target: bytes, base: list[bytes], pairs: tuple[tuple[int, int], ...], known: Index, shortest: int = 1
) -> list[tuple[int, int, int, int]]:
    """Return file, shift, start and end of each run."""
    runs = find(
        [anchors(*pairs)],
        known,
        content(target),
        [content(data) for data in base],
        preferred=1,
        shortest=shortest,
    )
    return [(run.file, run.shift, run.start, run.end) for run in runs]


def test_a_run_knows_where_it_comes_from() -> None:
    run = Run(2, -10, 30, 50)
    assert (run.length, run.base_start, run.base_end) == (20, 20, 40)
    assert run.continues(Run(2, -10, 90, 91))
    assert not run.continues(Run(2, -9, 90, 91))
    assert not run.continues(Run(1, -10, 90, 91))


def test_the_ends_are_found_byte_by_byte() -> None:
    target = b"x" * 100 + NOISE[5_000:35_000] + b"y" * 100
    known = indexed((0, ((20_000, 7),)))
    assert found(target, [NOISE], ((15_100, 7),), known) == [(0, 4_900, 100, 30_100)]


def test_the_ends_of_the_files_are_ends_of_runs() -> None:
    known = indexed((0, ((20_000, 7),)))
    assert found(NOISE, [NOISE], ((20_000, 7),), known) == [(0, 0, 0, len(NOISE))]
    assert found(NOISE[100:-100], [NOISE], ((19_900, 7),), known) == [(0, 100, 0, len(NOISE) - 200)]


def test_a_chance_between_two_anchors_of_a_run_is_dropped() -> None:
    known = indexed((0, ((1_000, 1), (9_000, 2), (30_000, 3))))
    pairs = ((1_000, 1), (20_000, 2), (30_000, 3))
    assert found(NOISE, [NOISE], pairs, known) == [(0, 0, 0, len(NOISE))]


def test_a_run_that_the_one_before_took_is_dropped() -> None:
    """Two anchors whose windows overlap, with different shifts: what the first covers is not given away."""
    known = indexed((0, ((1_000, 1), (20_000, 2))))
    assert found(NOISE, [NOISE], ((1_000, 1), (1_000, 2)), known) == [(0, 0, 0, 1_000 + WINDOW)]


def test_the_base_that_continues_goes_first_then_the_preferred() -> None:
    pairs = ((1_000, 1), (30_000, 3))
    both = indexed((0, pairs), (1, pairs))
    assert found(NOISE, [NOISE, NOISE], pairs, both) == [(1, 0, 0, len(NOISE))]
    first = indexed((0, pairs), (1, pairs[1:]))
    assert found(NOISE, [NOISE, NOISE], pairs, first) == [(0, 0, 0, len(NOISE))]


def test_short_runs_are_dropped_and_their_neighbours_joined() -> None:
    target = NOISE[:10_000] + NOISE[500:700] + NOISE[10_200:]
    known = indexed((0, ((1_000, 1), (550, 2), (600, 3), (30_000, 4))))
    pairs = ((1_000, 1), (10_050, 2), (10_100, 3), (30_000, 4))
    assert len(found(target, [NOISE], pairs, known)) == 3
    assert found(target, [NOISE], pairs, known, shortest=201) == [(0, 0, 0, len(NOISE))]


def test_what_is_not_known_makes_no_runs() -> None:
    assert found(NOISE, [NOISE], ((5, 5),), indexed((0, ((5, 6),)))) == []
    assert found(NOISE, [], (), indexed()) == []
