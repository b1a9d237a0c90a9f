"""The callable that long work reports to."""

import pytest

from airlift.progress import Progress, Tally, announce, listening, pace, silent


def test_silence_is_a_progress() -> None:
    report: Progress = silent
    report("verifying", 1, 2)


def test_a_tally_tells_how_much_was_read_in_all() -> None:
    told: list[tuple[str, int, int]] = []
    tally = Tally("checking", 10, lambda *line: told.append(line))
    tally.add(4)
    tally.add(6)
    assert told == [("checking", 4, 10), ("checking", 10, 10)]


@pytest.mark.parametrize(
    ("done", "total", "seconds", "said"),
    [
        (0, 0, 3.2, "0:03"),
        (0, 0, 3725.0, "1:02:05"),
        (0, 100, 5.0, "0 %"),
        (9, 1000, 5.0, "0 %"),
        (400_000_000, 1_000_000_000, 4.0, "40 %, 100.0 MB/s, 0:06 left"),
        (999, 1000, 1.0, "99 %, 999 bytes/s, 0:00 left"),
        (10**15, 10**15, 1.0, "100 %, 1000.0 TB/s, 0:00 left"),
        (5, 10, 0.0, "50 %"),
    ],
)
def test_a_pace_is_how_far_how_fast_and_how_long_yet(
    done: int, total: int, seconds: float, said: str
) -> None:
    assert pace(done, total, seconds) == said


def test_what_is_announced_is_heard_by_who_listens_and_by_nobody_else() -> None:
    told: list[tuple[str, int, int]] = []
    announce("before")
    with listening(lambda *line: told.append(line)):
        announce("planning")
        with listening(silent):
            announce("within")
        announce("writing")
    announce("after")
    assert told == [("planning", 0, 0), ("writing", 0, 0)]
