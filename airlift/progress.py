"""How long-running work reports progress: through one callable, so that only the command line knows of terminals."""

import threading
from collections.abc import Callable

Progress = Callable[[str, int, int], None]
"""Called with the stage (a short text), and how much of it is done out of a total, in bytes or items."""


def silent(_stage: str, _done: int, _total: int) -> None:
    """Report nothing."""


def tell(progress: Progress, text: str) -> None:
    """Tell a sentence beside the progress (why it waits, for instance), if whoever shows it has a method ``tell``."""
    say = getattr(progress, "tell", None)
    if say is not None:
        say(text)


class Tally:
    """Counts the bytes that threads have read, and tells a progress callable of them one at a time."""

    __slots__ = ("_done", "_lock", "_progress", "_stage", "_total")

    def __init__(self, stage: str, total: int, progress: Progress) -> None:
        self._stage, self._total, self._progress = stage, total, progress
        self._done = 0
        self._lock = threading.Lock()

    def add(self, count: int) -> None:
        """Count ``count`` more bytes."""
        with self._lock:
            self._done += count
            self._progress(self._stage, self._done, self._total)
