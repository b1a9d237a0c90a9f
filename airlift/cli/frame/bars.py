"""Progress on stderr: bars on a terminal, now and then a plain line elsewhere (SPEC 14-14)."""

import threading
import time
from typing import TYPE_CHECKING, TextIO

from airlift.progress import pace
from airlift.shown import clean

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

FIRST_BAR = 0.8  # seconds: quick work shows nothing
FIRST_LINE = 2.0  # seconds: nor does it say anything
INTERVAL = 10.0  # seconds between plain lines
BAR = 20  # columns


class Bars:
    """One bar per stage; before the first one the command itself, so that nothing long is silent.

    What is announced without a length is shown until the next stage begins.
    """

    __slots__ = ("_lock", "_passing", "_progress", "_tasks", "_timer")

    def __init__(self, stream: TextIO, command: str = "") -> None:
        self._progress = _drawn(stream)
        self._tasks: dict[str, TaskID] = {}
        self._passing: str | None = None
        self._timer: threading.Timer | None = None
        self._lock = threading.Lock()
        if command:
            self(command, 0, 0)

    def __call__(self, stage: str, done: int, total: int) -> None:
        """Show that ``done`` of ``total`` bytes of a stage are done; 0 of 0 if its length is not known."""
        with self._lock:
            if stage not in self._tasks:
                self._begin(stage, passing=not total)
            self._progress.update(self._tasks[stage], completed=done, total=total or None)

    def tell(self, text: str) -> None:
        """Write a sentence above the bars."""
        self._progress.console.print(clean(text))

    def close(self) -> None:
        """Take the bars away, so that a question, an error or the answer has the terminal for itself."""
        with self._lock:
            if self._timer is not None:
                self._timer.cancel()
            self._timer = None
            self._progress.stop()
            for task in self._tasks.values():
                self._progress.remove_task(task)
            self._tasks.clear()
            self._passing = None

    def _begin(self, stage: str, *, passing: bool) -> None:
        if self._passing is not None:
            self._progress.remove_task(self._tasks.pop(self._passing))
        self._passing = stage if passing else None
        self._tasks[stage] = self._progress.add_task(clean(stage), total=None)
        if self._timer is None:
            self._timer = threading.Timer(FIRST_BAR, self._draw)
            self._timer.daemon = True
            self._timer.start()

    def _draw(self) -> None:
        with self._lock:
            if self._timer is threading.current_thread():  # nobody closed it meanwhile
                self._progress.start()


class Lines:
    """A line per stage when it takes long: the first after FIRST_LINE seconds, then one every INTERVAL."""

    __slots__ = ("_begun", "_next", "_stage", "_stream")

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._begun = time.monotonic()
        self._next = self._begun + FIRST_LINE
        self._stage = ""

    def __call__(self, stage: str, done: int, total: int) -> None:
        """Report that ``done`` of ``total`` bytes of a stage are done, if it is time for a line."""
        now = time.monotonic()
        if stage != self._stage:
            self._stage, self._begun = stage, now
        if now < self._next:
            return
        self._next = now + INTERVAL
        self._stream.write(f"{clean(stage)}: {pace(done, total, now - self._begun)}\n")
        self._stream.flush()

    def tell(self, text: str) -> None:
        """Write a sentence at once."""
        self._stream.write(f"{clean(text)}\n")
        self._stream.flush()

    def close(self) -> None:
        """Nothing to take away."""


def _drawn(stream: TextIO) -> "Progress":
    from rich.console import Console
    from rich.progress import BarColumn, Progress, ProgressColumn, Task, TextColumn
    from rich.text import Text

    class Pace(ProgressColumn):
        """How far, how fast, how long yet."""

        def render(self, task: Task) -> Text:
            return Text(pace(int(task.completed), int(task.total or 0), task.elapsed or 0.0))

    return Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(BAR),
        Pace(),
        console=Console(file=stream, markup=False, highlight=False, emoji=False),
        transient=True,
    )
