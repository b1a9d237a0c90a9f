"""Patience with media: a read that does not come back within a time limit ends the command (SPEC 6.4-9).

A drive that retries a scratch, or a medium that hangs, keeps a read in the kernel, where nothing in Python ends it.
So what touches a medium runs on a thread of its own, and the caller waits for signs of life: every piece that was
read. The thread of a read that never comes back is left behind; it holds no lock, and ends with the process.
"""

import _thread
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Generic, TypeVar

from airlift.errors import AirliftError, StalledError, UsageError

VARIABLE = "AIRLIFT_MEDIUM_SECONDS"
SECONDS = 120
MAX_SECONDS = 86_400

Beat = Callable[[], object]
Result = TypeVar("Result")


def within_limit(work: Callable[[Beat], Result], place: Path) -> Result:
    """Return what ``work`` returns, or raise what it raises; it calls its argument as a sign of life.

    Raises:
        StalledError: there was no sign of life of what lies at ``place`` for as long as the limit is.
        UsageError: the environment's limit is none.
    """
    limit = _limit()
    task = _Task(work)
    _thread.start_new_thread(task.run, ())  # a fifth of what starting a threading.Thread costs
    while not task.ended.wait(max(0.0, task.heard + limit - time.monotonic())):
        if time.monotonic() - task.heard >= limit:
            raise StalledError(
                f"the medium does not answer: a read of {place} has not come back",
                expected=f"within {limit} seconds",
            )
    return task.outcome()


class _Task(Generic[Result]):
    """Work on a thread that nobody has to wait for."""

    def __init__(self, work: Callable[[Beat], Result]) -> None:
        self.heard = time.monotonic()
        self.ended = threading.Event()
        self._work = work
        self._results: list[Result] = []
        self._error: AirliftError | OSError | None = None

    def run(self) -> None:
        """Do the work, and tell that it ended, however it did."""
        try:
            self._results.append(self._work(self._beat))
        except (AirliftError, OSError) as error:
            self._error = error
        finally:
            self.ended.set()

    def outcome(self) -> Result:
        """Return what the work returned, or raise what it raised."""
        if self._error is not None:
            raise self._error
        return self._results[0]

    def _beat(self) -> None:
        self.heard = time.monotonic()


def _limit() -> int:
    """Return the limit in seconds: that of the environment, or the usual one."""
    given = os.environ.get(VARIABLE, str(SECONDS))
    if not (given.isascii() and given.isdigit() and 1 <= int(given[:9]) <= MAX_SECONDS):
        raise UsageError(
            f"{VARIABLE} is not a number of seconds", expected=f"1 to {MAX_SECONDS}", found=ascii(given)
        )
    return int(given)
