"""The callable that long work reports to."""

from airlift.progress import Progress, silent


def test_silence_is_a_progress() -> None:
    report: Progress = silent
    report("verifying", 1, 2)
