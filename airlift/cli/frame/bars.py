"""Progress on stderr: bars on a terminal, now and then a plain line elsewhere."""

import time
from typing import TYPE_CHECKING, TextIO

from airlift.shown import clean

if TYPE_CHECKING:
    from rich.progress import TaskID

FIRST_LINE = 2.0  # seconds: quick work says nothing
INTERVAL = 10.0  # seconds between plain lines


class Bars:
    """One bar per stage."""

    __slots__ = ("_progress", "_tasks")

    def __init__(self, stream: TextIO) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

        self._progress = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            TaskProgressColumn(),
            TimeRemainingColumn(),
            console=Console(file=stream, markup=False, highlight=False, emoji=False),
            transient=True,
        )
        self._tasks: dict[str, TaskID] = {}

    def __call__(self, stage: str, done: int, total: int) -> None:
        """Show that ``done`` of ``total`` bytes or items of a stage are done."""
        if stage not in self._tasks:
            self._tasks[stage] = self._progress.add_task(clean(stage), total=None)
            self._progress.start()
        self._progress.update(self._tasks[stage], completed=done, total=total)

    def tell(self, text: str) -> None:
        """Write a sentence above the bars."""
        self._progress.console.print(clean(text))

    def close(self) -> None:
        """Take the bars away, so that a question, an error or the answer has the terminal for itself."""
        self._progress.stop()
        self._tasks.clear()


class Lines:
    """A line per stage when it takes long: the first after FIRST_LINE seconds, then one every INTERVAL."""

    __slots__ = ("_next", "_stream")

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._next = time.monotonic() + FIRST_LINE

    def __call__(self, stage: str, done: int, total: int) -> None:
        """Report that ``done`` of ``total`` bytes or items of a stage are done, if it is time for a line."""
        if time.monotonic() < self._next:
            return
        self._next = time.monotonic() + INTERVAL
        share = f"{100 * done // total} %" if total else f"{done}"
        self._stream.write(f"{clean(stage)}: {share}\n")
        self._stream.flush()

    def tell(self, text: str) -> None:
        """Write a sentence at once."""
        self._stream.write(f"{clean(text)}\n")
        self._stream.flush()

    def close(self) -> None:
        """Nothing to take away."""
