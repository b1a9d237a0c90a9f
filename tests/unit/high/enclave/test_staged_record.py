"""The record of what was staged: bounded, strict, and of use to people only (SPEC 7.8-3)."""

import random
from dataclasses import replace

import pytest

from airlift import strict
from airlift.bundle.fields import FileDigest
from airlift.bundle.manifest import Bundle
from airlift.errors import AirliftError, FormatTooNewError, MalformedError
from airlift.high.enclave import staged_record
from airlift.high.enclave.staged_record import MAX_RANGES, MAX_SEEN, Record, SeenVolume
from tests.support.bundle_values import BUNDLE

RECORD = Record(
    "2026-11-21T12:00:00Z",
    7,
    "2027-05-20T12:00:00Z",
    (SeenVolume(2, 5, ((0, 3), (7, 9))), SeenVolume(1, 1, ())),
)


def of(chunks: int) -> Bundle:
    """Return a bundle with so many chunks."""
    return replace(BUNDLE, chunks=tuple(FileDigest(f"{number:0128x}", 1) for number in range(chunks)))


def test_what_is_written_is_read() -> None:
    assert staged_record.parse(staged_record.format(RECORD)) == RECORD
    assert staged_record.parse(staged_record.format(replace(RECORD, volumes=()))).volumes == ()


def test_any_flipped_cut_or_swapped_byte_raises_nothing_else() -> None:
    data, random_ = staged_record.format(RECORD), random.Random(1)
    for place in range(len(data)):
        for damaged in (
            data[:place],
            data[:place] + bytes([data[place] ^ (1 << random_.randrange(8))]) + data[place + 1 :],
            data[:place] + data[place + 1 : place + 2] + data[place : place + 1] + data[place + 2 :],
        ):
            try:
                found = staged_record.parse(damaged)
            except AirliftError:
                continue
            assert staged_record.format(found) == damaged


@pytest.mark.parametrize(
    "change",
    [
        {"volumes": [{"volume": 6, "volumes": 5, "chunks": []}]},
        {"volumes": [{"volume": 1, "volumes": 100, "chunks": []}]},
        {"volumes": [{"volume": 1, "volumes": 5, "chunks": [[2, 1]]}]},
        {"volumes": [{"volume": 1, "volumes": 5, "chunks": [[0, 2], [1, 3]]}]},
        {"volumes": [{"volume": 1, "volumes": 5, "chunks": [[-1, 3]]}]},
        {"volumes": [{"volume": 1, "volumes": 5, "chunks": [[0]]}]},
        {"volumes": [{"volume": 1, "volumes": 5, "chunks": [[0, True]]}]},
        {"volumes": [{"volume": 1, "volumes": 5, "chunks": {}}]},
        {"volumes": [{"volume": 1, "volumes": 5, "chunks": [], "more": 1}]},
        {"volumes": [{"volume": 1, "volumes": 5, "chunks": []}] * (MAX_SEEN + 1)},
        {"volumes": 1},
        {"since": "yesterday"},
        {"timestamp": -1},
        {"more": 1},
        {"type": "bundle"},
    ],
)
def test_bad_records(change: dict[str, object]) -> None:
    document = strict.parse(staged_record.format(RECORD), limit=10_000)
    with pytest.raises(MalformedError):
        staged_record.parse(strict.format({**document, **change}))


def test_a_record_of_the_future() -> None:
    document = strict.parse(staged_record.format(RECORD), limit=10_000)
    with pytest.raises(FormatTooNewError):
        staged_record.parse(strict.format({**document, "airlift": 2}))


def test_ranges() -> None:
    assert staged_record.ranges([]) == ()
    assert staged_record.ranges([0, 1, 2, 5, 7, 8]) == ((0, 3), (5, 6), (7, 9))


def test_what_is_remembered_is_bounded() -> None:
    known = replace(RECORD, volumes=())
    many = [SeenVolume(1, 99, ((n, n + 1),)) for n in range(MAX_SEEN + 10)]
    assert len(staged_record.remember(known, many).volumes) == MAX_SEEN
    large = SeenVolume(1, 2, tuple((2 * n, 2 * n + 1) for n in range(MAX_RANGES)))
    found = staged_record.remember(known, [large, SeenVolume(2, 2, ((1, 2),)), SeenVolume(2, 3, ())])
    assert [(item.volume, item.volumes) for item in found.volumes] == [(1, 2), (2, 3)]
    assert len(staged_record.format(found)) < staged_record.MAX_BYTES
    assert staged_record.remember(found, found.volumes) == found


def test_where_missing_chunks_are() -> None:
    """Volumes that list them first, each chunk once; then those not seen yet, of every cut."""
    seen = (SeenVolume(1, 3, ((0, 4),)), SeenVolume(1, 1, ((2, 5),)))
    found = staged_record.wanted(of(9), seen, [3, 4, 8])
    assert [(item.volume, item.volumes, item.seen, item.chunks) for item in found] == [
        (1, 3, True, 1),
        (1, 1, True, 1),
        (2, 3, False, None),
        (3, 3, False, None),
    ]
    assert staged_record.wanted(of(9), seen, []) == ()
    assert staged_record.wanted(of(9), (), [1]) == ()
    (last,) = staged_record.wanted(of(9), (SeenVolume(2, 2, ((0, 4),)),), [5, 6])
    assert (last.volume, last.seen, last.chunks) == (1, False, 2)
    (all_seen,) = staged_record.wanted(of(3), (SeenVolume(1, 1, ((0, 2**40),)),), [1, 2])
    assert (all_seen.chunks, all_seen.name) == (2, "airlift-alpha-7-vol01of01")


def test_volumes_as_people_say_them() -> None:
    volumes = [SeenVolume(n, 5, ()) for n in (4, 1, 3)]
    assert staged_record.spell(volumes) == "volumes 1, 3 and 4 of 5"
    assert staged_record.spell(volumes, last="or") == "volume 1, 3 or 4 of 5"
    assert staged_record.spell(volumes[:1]) == "volume 4 of 5"
    assert (
        staged_record.spell([SeenVolume(1, 2, ()), *volumes]) == "volume 1 of 2, and volumes 1, 3 and 4 of 5"
    )
    assert staged_record.spell([]) == "no volume"
