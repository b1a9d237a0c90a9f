"""The callable that long work reports to."""

from airlift.progress import Progress, Tally, silent


def test_silence_is_a_progress() -> None:
    report: Progress = silent
    report("verifying", 1, 2)


def test_a_tally_tells_how_much_was_read_in_all() -> None:
    told: list[tuple[str, int, int]] = []
    tally = Tally("checking", 10, lambda *line: told.append(line))
    tally.add(4)
    tally.add(6)
    assert told == [("checking", 4, 10), ("checking", 10, 10)]
