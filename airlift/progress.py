"""How long-running work reports progress: through one callable, so that only the command line knows of terminals."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

Progress = Callable[[str, int, int], None]
"""Called with the stage (a short text), and how many bytes of it are done out of a total; 0 of 0 if nobody knows."""


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


_LARGER = ("kB", "MB", "GB", "TB")
_listener: ContextVar[Progress] = ContextVar("listener", default=silent)


@contextmanager
def listening(progress: Progress) -> Iterator[None]:
    """Let ``progress`` hear what is announced meanwhile."""
    before = _listener.set(progress)
    try:
        yield
    finally:
        _listener.reset(before)


def announce(stage: str) -> None:
    """Tell whoever listens that a stage begins whose length nobody knows: a command of others, a plan, a network."""
    _listener.get()(stage, 0, 0)


def pace(done: int, total: int, seconds: float) -> str:
    """Return how far a stage is after so many seconds, how fast, and how long yet: ``40 %, 93.1 MB/s, 0:12 left``.

    Without a total, that is how long it has taken. Before the first percent nobody can tell how long it takes.
    """
    if not total:
        return _clock(seconds)
    share = f"{100 * done // total} %"
    if seconds <= 0 or 100 * done < total:
        return share
    rate = done / seconds
    return f"{share}, {_amount(rate)}/s, {_clock((total - done) / rate)} left"


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def _amount(count: float) -> str:
    if count < 1000:
        return f"{count:.0f} bytes"
    power = min((len(f"{count:.0f}") - 1) // 3, len(_LARGER))
    return f"{count / 1000**power:.1f} {_LARGER[power - 1]}"
