"""Anchors: defined by content alone, evenly spread, and never too many."""

from random import Random

import numpy as np
import pytest

from airlift.tensors.matching import anchor
from airlift.tensors.matching.anchor import (
    MAX_ANCHORS,
    TILE_BYTES,
    WINDOW,
    anchors,
    history,
    index,
    scan,
    scan_small,
    sparseness,
)

NOISE = Random(7).randbytes(3 * TILE_BYTES // 2)


def scanned(data: bytes, bits: int = 12) -> dict[int, int]:
    """Return the places with their digests."""
    found: dict[int, int] = {}
    for places, digests in scan(lambda start, end: data[start:end], len(data), bits):
        found.update(zip(places.tolist(), digests.tolist(), strict=True))
    return found


@pytest.mark.parametrize("bits", [7, 10, 12, 14])
def test_about_one_place_in_two_to_the_bits_is_an_anchor(bits: int) -> None:
    expected = len(NOISE) / 2**bits
    assert abs(len(scanned(NOISE, bits)) - expected) < 5 * expected**0.5


def test_tiles_make_no_difference(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = scanned(NOISE[:TILE_BYTES])
    monkeypatch.setattr(anchor, "TILE_BYTES", 10_007)
    assert scanned(NOISE[:TILE_BYTES]) == whole


@pytest.mark.parametrize("shift", [1, 2, 3, 5, 8, 1001])
def test_anchors_move_with_their_bytes(shift: int) -> None:
    data = NOISE[:200_000]
    moved = scanned(b"x" * shift + data)
    assert {place + shift: digest for place, digest in scanned(data).items()}.items() <= moved.items()


def test_a_digest_covers_its_window_and_no_more() -> None:
    place, digest = next(iter(scanned(NOISE).items()))
    for changed, same in ((place - 1, True), (place + WINDOW - 1, False), (place + WINDOW, True)):
        data = bytearray(NOISE)
        data[changed] ^= 1
        assert (scanned(bytes(data)).get(place) == digest) == same


@pytest.mark.parametrize("data", [b"", b"x", bytes(WINDOW - 1), bytes(WINDOW), bytes(500_000)])
def test_little_or_nothing_has_no_anchors(data: bytes) -> None:
    assert scanned(data) == {}
    assert anchors(data, 7)[0].size == 0


@pytest.mark.parametrize("period", range(1, 40))
def test_what_repeats_has_few_anchors(period: int) -> None:
    """Threat: a file made to have an anchor everywhere would fill the memory."""
    assert len(scanned(NOISE[:period] * (200_000 // period), 7)) <= anchor.REPEATS * period


def test_a_tile_has_a_limited_number_of_anchors(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(anchor, "_chosen", lambda data, count, bits: np.arange(count))
    places, digests = anchors(NOISE[:50_000], 12)
    assert places.size == digests.size == 64 + 4 * (50_000 - WINDOW + 1) // 4096


def test_the_number_of_anchors_of_a_huge_file_is_limited() -> None:
    assert sparseness(0) == sparseness(1) == sparseness(MAX_ANCHORS << 8) == 8
    assert sparseness((MAX_ANCHORS << 12) + 1) == 13
    assert sparseness(MAX_ANCHORS << 20) == 20


def test_an_index_finds_every_place_of_a_digest_in_the_order_given() -> None:
    digests = np.array([5, 9, 5], np.uint64)
    found = index([(3, np.array([10, 20, 30]), digests), (1, np.array([40]), digests[:1])])
    first, last = found.find(np.array([9, 5, 6], np.uint64))
    assert (last - first).tolist() == [1, 3, 0]
    equals = slice(first[1], last[1])
    assert list(zip(found.files[equals], found.places[equals], strict=True)) == [(3, 10), (3, 30), (1, 40)]


def test_an_index_forgets_what_is_everywhere() -> None:
    common = np.full(2 * anchor.REPEATS + 1, 7, np.uint64)
    found = index([(0, np.arange(common.size), common), (0, np.array([99]), np.array([8], np.uint64))])
    assert found.places.tolist() == [99]


def test_an_index_of_nothing_finds_nothing() -> None:
    first, last = index([]).find(np.array([1, 2], np.uint64))
    assert first.tolist() == last.tolist() == [0, 0]


@pytest.mark.parametrize("seed", range(20))
def test_a_history_finds_what_an_index_of_the_files_before_finds(seed: int) -> None:
    random = np.random.default_rng(seed)
    files = sorted(random.integers(0, 6, 12).tolist())
    scanned = [
        (file, random.integers(0, 999, 9), random.integers(0, 12, 9).astype(np.uint64)) for file in files
    ]
    asked, known = np.arange(14, dtype=np.uint64), history(scanned)
    for number in range(8):
        alone, earlier = index(item for item in scanned if item[0] < number), known.before(number)
        for one, other in zip(
            zip(*alone.find(asked), strict=True), zip(*earlier.find(asked), strict=True), strict=True
        ):
            assert list(alone.places[slice(*one)]) == list(earlier.places[slice(*other)])
            assert list(alone.files[slice(*one)]) == list(earlier.files[slice(*other)])


def test_a_history_of_nothing_finds_nothing() -> None:
    first, last = history([]).before(3).find(np.array([1, 2], np.uint64))
    assert first.tolist() == last.tolist()


def mixture(seed: int) -> list[bytes]:
    """Return small files: noise of many lengths, parts of others before, and what repeats."""
    random, made = Random(seed), list[bytes]()
    for _ in range(random.randrange(30)):
        data = random.randbytes(random.choice([0, 1, 40, 63, 64, 65, 100, 700, 9000]))
        kind = random.random()
        if kind < 0.2 and made:
            data = random.choice(made) + data
        elif kind < 0.3:
            data = (data[:80] * 60)[:8000]
        elif kind < 0.35:
            data = bytes(len(data))
        made.append(data)
    return made


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("bits", [8, 11])
def test_small_files_are_scanned_at_once_as_one_by_one(seed: int, bits: int) -> None:
    contents = mixture(seed)
    files, places, digests = scan_small(contents, bits)
    alone = [(number, *pair) for number, data in enumerate(contents) for pair in scanned(data, bits).items()]
    assert list(zip(files.tolist(), places.tolist(), digests.tolist(), strict=True)) == alone


def test_a_small_file_has_a_limited_number_of_anchors(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(anchor, "_likely", lambda _data, count: np.arange(count))
    contents = [NOISE[:40_000], NOISE[40_000:41_000]]
    files, places, _ = scan_small(contents, 8)
    alone = [scanned(data, 8) for data in contents]
    assert places.tolist() == [*alone[0], *alone[1]]
    assert np.bincount(files).tolist() == list(map(len, alone))


@pytest.mark.parametrize("seed", range(20))
def test_a_history_knows_which_files_have_something_of_those_before(seed: int) -> None:
    contents = mixture(seed)
    known = history([scan_small(contents, 8)])
    files, _, digests = scan_small(contents, 8)
    expected = {
        number
        for number in range(len(contents))
        if set(digests[files == number].tolist()) & set(digests[files < number].tolist())
    }
    assert known.repeating() == expected
