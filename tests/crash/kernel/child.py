"""The process that a command runs in: forked from one that has everything loaded, released once it is traced."""

import ctypes
import os
import signal
import struct
import warnings
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

from airlift.errors import AirliftError
from tests.crash.kernel.calls import CHANGING
from tests.crash.scenes import Run

DONE, FAILED = signal.SIGUSR1, signal.SIGUSR2
"""How it ends itself: without an error, or after an AirliftError with exit code 7 or 8."""

_SET_PTRACER, _ANYBODY = 0x59616D61, ctypes.c_ulong(-1)
_NO_NEW_PRIVS, _SET_SECCOMP, _FILTER = 38, 22, 2
_LOAD, _EQUAL, _RETURN = 0x20, 0x15, 0x06
_TRACE, _ALLOW = 0x7FF00000, 0x7FFF0000


@dataclass(frozen=True, slots=True)
class Child:
    """A forked process that waits for a byte in the pipe ``go``."""

    process: int
    go: int

    def release(self) -> None:
        """Let it run."""
        os.write(self.go, b"x")

    def end(self) -> None:
        """Let it give up, if it still waits."""
        os.close(self.go)


def start(run: Run, top: Path, *, stops: Collection[str] = ()) -> Child:
    """Fork a process that will run a command; it stops for a tracer at the calls in ``stops`` (seccomp)."""
    ready, go = os.pipe()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # newer Pythons warn of threads, here idle ones
        child = os.fork()
    if not child:
        os.close(go)
        _run_when_told(run, top, ready, stops)
    os.close(ready)
    return Child(child, go)


def _run_when_told(run: Run, top: Path, ready: int, stops: Collection[str]) -> None:
    ended = signal.SIGABRT
    try:
        ctypes.CDLL(None).prctl(_SET_PTRACER, _ANYBODY, 0, 0, 0)
        if os.read(ready, 1):
            if stops:
                _stop_at([CHANGING[name][0] for name in stops])
            run(top)
        ended = DONE
    except AirliftError as error:
        ended = FAILED if error.exit_code in {7, 8} else signal.SIGABRT
    finally:
        os.kill(os.getpid(), ended)


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("steps", ctypes.c_char_p))


def _stop_at(numbers: Sequence[int]) -> None:
    """Install a filter (seccomp(2)) that stops at these calls, and lets all others pass untraced."""
    steps = [struct.pack("HBBI", _LOAD, 0, 0, 0)]
    for left, number in enumerate(reversed(numbers)):
        steps.insert(1, struct.pack("HBBI", _EQUAL, left + 1, 0, number))
    steps += [struct.pack("HBBI", _RETURN, 0, 0, value) for value in (_ALLOW, _TRACE)]
    program = _Program(len(steps), b"".join(steps))
    prctl = ctypes.CDLL(None, use_errno=True).prctl
    if prctl(_NO_NEW_PRIVS, 1, 0, 0, 0) or prctl(_SET_SECCOMP, _FILTER, ctypes.byref(program), 0, 0):
        raise OSError(ctypes.get_errno(), "seccomp")
