"""Run a command under strace: what SQLite asks of the kernel cannot be seen, or spoilt, from Python."""

import ctypes
import os
import re
import signal
import subprocess
import time
import warnings
from dataclasses import dataclass
from pathlib import Path

import pytest

from airlift.errors import AirliftError
from tests.crash.scenes import Run

CHANGING = ("openat", "pwrite64", "write", "fsync", "fdatasync", "ftruncate", "unlink", "rename")
DONE, FAILED = signal.SIGUSR1, signal.SIGUSR2
_LINE = re.compile(r"(\d+) +(\w+)\((.*)\) += (\S+)")
_SET_PTRACER, _ANYBODY = 0x59616D61, ctypes.c_ulong(-1)


@dataclass(frozen=True, slots=True)
class Call:
    """A system call: the ``ordinal``-th of its name in the run, from 1."""

    name: str
    ordinal: int
    text: str

    @property
    def is_of_ledger(self) -> bool:
        """Say whether it changes the ledger's files, or syncs them or their folder."""
        return "ledger.db" in self.text and (self.name != "openat" or "O_CREAT" in self.text)


def run_traced(strace: str, run: Run, top: Path, inject: str | None = None) -> tuple[int, list[Call]]:
    """Run a command in a process of its own under strace; return the signal that ended it, and its calls.

    It ends itself by DONE, or by FAILED after an AirliftError with exit code 7 or 8.
    """
    ready, go = os.pipe()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # newer Pythons warn of threads, here idle ones
        child = os.fork()
    if not child:
        _run_when_told(run, top, ready)
    os.close(ready)
    log = top.with_name("strace")
    command = [strace, "-f", "-y", "-s", "0", "-o", str(log), "-e", f"trace={','.join(CHANGING)}"]
    command += [f"-einject={inject}"] if inject else []
    with subprocess.Popen([*command, "-p", str(child)], stderr=subprocess.PIPE, text=True) as tracer:
        try:
            _wait_for_tracer(child, tracer)
            os.write(go, b"x")
        finally:
            os.close(go)
            _, status = os.waitpid(child, 0)
            tracer.wait(30)
    assert os.WIFSIGNALED(status)
    return os.WTERMSIG(status), _calls(log.read_text(), child)


def _run_when_told(run: Run, top: Path, ready: int) -> None:
    ended = signal.SIGABRT
    try:
        ctypes.CDLL(None).prctl(_SET_PTRACER, _ANYBODY, 0, 0, 0)
        if os.read(ready, 1):
            run(top)
        ended = DONE
    except AirliftError as error:
        ended = FAILED if error.exit_code in {7, 8} else signal.SIGABRT
    finally:
        os.kill(os.getpid(), ended)


def _wait_for_tracer(child: int, tracer: "subprocess.Popen[str]") -> None:
    until = time.monotonic() + 10
    while "TracerPid:\t0\n" in Path(f"/proc/{child}/status").read_text():
        if tracer.poll() is not None or time.monotonic() > until:
            said = tracer.stderr.read() if tracer.stderr and tracer.poll() is not None else "nothing"
            if os.environ.get("AIRLIFT_REQUIRE_TOOLS") == "1":
                pytest.fail(f"strace cannot attach: {said}")
            pytest.skip(f"strace cannot attach: {said}")
        time.sleep(0.002)


def _calls(log: str, child: int) -> list[Call]:
    """Return the calls of the main thread, in order."""
    counts: dict[str, int] = dict.fromkeys(CHANGING, 0)
    found = []
    for line in log.splitlines():
        pid, _, rest = line.partition(" ")
        name = rest.strip().partition("(")[0]
        if int(pid) == child and name in counts:
            counts[name] += 1
            found.append(Call(name, counts[name], rest.strip()))
    return found
