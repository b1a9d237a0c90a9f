"""Runs a program as a whole process, and says what it took."""

import os
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Self

SAMPLE_SECONDS = 0.01
UNCOMPILED = "PYTHONDONTWRITEBYTECODE"
"""Where this is set, each process compiles every module anew: 0.2 s, which nobody waits for who installed airlift."""


@dataclass(frozen=True, slots=True)
class Cost:
    """Seconds on the clock, seconds of all cores, and peak resident bytes: without and with mapped files."""

    seconds: float
    cpu: float
    anonymous: int
    resident: int

    def __add__(self, other: "Cost") -> "Cost":
        """Return the cost of both, one after the other."""
        return Cost(
            self.seconds + other.seconds,
            self.cpu + other.cpu,
            max(self.anonymous, other.anonymous),
            max(self.resident, other.resident),
        )


NOTHING = Cost(0.0, 0.0, 0, 0)


class Memory(threading.Thread):
    """Samples the memory of a process until it ends; its ru_maxrss starts at that of the process that forks."""

    def __init__(self, pid: int) -> None:
        super().__init__(daemon=True)
        self.status = Path(f"/proc/{pid}/status")
        self.anonymous = self.resident = 0
        self.ended = threading.Event()

    def run(self) -> None:
        while not self.ended.wait(SAMPLE_SECONDS):
            try:
                lines = self.status.read_text().splitlines()
            except OSError:
                return
            fields = dict(line.split(":", 1) for line in lines)
            self.anonymous = max(self.anonymous, _bytes(fields.get("RssAnon")))
            self.resident = max(self.resident, _bytes(fields.get("VmHWM")))

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_raised: object) -> None:
        self.ended.set()
        self.join()


def _bytes(field: str | None) -> int:
    return int(field.split()[0]) * 1024 if field else 0


@contextmanager
def _confined(cores: int | None) -> Iterator[None]:
    """Let what this thread starts meanwhile use so many of its cores."""
    mine = os.sched_getaffinity(0)
    os.sched_setaffinity(0, sorted(mine)[:cores])
    try:
        yield
    finally:
        os.sched_setaffinity(0, mine)


def installed(env: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return an environment (None: this one) in which Python keeps what it compiles, as it does once installed."""
    return {name: value for name, value in (env or os.environ).items() if name != UNCOMPILED}


def run(
    command: Sequence[str | Path],
    folder: Path | None = None,
    env: Mapping[str, str] | None = None,
    cores: int | None = None,
) -> tuple[Cost, str]:
    """Run a command, on so many cores (None: all); return its cost and what it wrote to stdout.

    Raises:
        SystemExit: it failed.
    """
    words = [str(word) for word in command]
    with tempfile.TemporaryFile("w+") as answer, tempfile.TemporaryFile("w+") as trouble:
        started = time.perf_counter()
        with _confined(cores):
            process = subprocess.Popen(
                words, cwd=folder, env=installed(env), stdin=subprocess.DEVNULL, stdout=answer, stderr=trouble
            )
        with Memory(process.pid) as memory:
            _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - started
        process.returncode = os.waitstatus_to_exitcode(status)
        answer.seek(0)
        if process.returncode != 0:
            trouble.seek(0)
            raise SystemExit(
                f"{' '.join(words)}\nended with {process.returncode}:\n{answer.read()}{trouble.read()}"
            )
        return Cost(
            seconds, usage.ru_utime + usage.ru_stime, memory.anonymous, memory.resident
        ), answer.read()
