"""Run a command under strace, which sees, and spoils, what libraries and threads ask of the kernel as well."""

import os
import re
import subprocess
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.conftest import lacking
from tests.crash.kernel import child
from tests.crash.kernel.calls import CHANGING, Point, steady
from tests.crash.scenes import Run

_UNFINISHED, _RESUMED = " <unfinished ...>", re.compile(r"<\.\.\. \w+ resumed>")


@dataclass(frozen=True, slots=True)
class Traced:
    """A system call as strace tells it: the ``ordinal``-th of its name in its thread (from 1; the first is 0)."""

    name: str
    thread: int
    ordinal: int
    text: str

    @property
    def is_spoilt(self) -> bool:
        """Say whether strace let it fail, or the process was killed before it was made."""
        return self.text.endswith(("(INJECTED)", "= ?"))

    def is_at(self, point: Point) -> bool:
        """Say whether this is the call of a point."""
        text = steady(self.text)
        here = all(Path(part).name in text for part in point.place.split(" "))
        return here and (self.name, self.thread, self.ordinal) == (point.name, 0, point.ordinal)


def run_traced(
    strace: str, run: Run, top: Path, inject: str | None = None, *, trace: str = ",".join(CHANGING)
) -> tuple[int, list[Traced]]:
    """Run a command in a process of its own under strace; return the signal that ended it, and its calls."""
    started = child.start(run, top)
    log = top.with_name("strace")
    command = [strace, "-f", "-y", "-s", "0", "-o", str(log), "-e", f"trace={trace}"]
    command += ["-e", f"inject={inject}"] if inject else []
    command += ["-p", str(started.process)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as tracer:
        try:
            _wait_for_tracer(started.process, tracer)
            started.release()
        finally:
            started.end()
            _, status = os.waitpid(started.process, 0)
            tracer.wait(30)
    assert os.WIFSIGNALED(status)
    return os.WTERMSIG(status), list(_calls(log.read_text(), started.process))


def _wait_for_tracer(process: int, tracer: "subprocess.Popen[str]") -> None:
    """Wait until strace says that it has stopped the process: a moment earlier it may miss calls."""
    assert tracer.stderr is not None
    said = tracer.stderr.readline()
    if f"Process {process} attached" not in said:
        lacking(f"strace cannot attach: {said or 'it says nothing'}")


def _calls(log: str, first: int) -> Iterator[Traced]:
    """Yield the calls of a log; one that was interrupted by another thread's is put together."""
    counts: Counter[tuple[int, str]] = Counter()
    begun: dict[int, str] = {}
    for line in log.splitlines():
        pid, _, text = line.partition(" ")
        thread, text = int(pid), text.strip()
        if text.endswith(_UNFINISHED):
            begun[thread] = text.removesuffix(_UNFINISHED)
            continue
        if (resumed := _RESUMED.match(text)) is not None:
            text = begun.pop(thread, "") + text[resumed.end() :]
        name = text.partition("(")[0]
        if name.isidentifier():
            counts[thread, name] += 1
            yield Traced(name, 0 if thread == first else thread, counts[thread, name], text)
    for thread, text in begun.items():
        name = text.partition("(")[0]
        counts[thread, name] += 1
        yield Traced(name, 0 if thread == first else thread, counts[thread, name], f"{text} = ?")
