"""A tracer of its own (ptrace(2)), for faults that strace cannot inject: see :func:`run_stopped`.

It stops the process at the changing calls only. A call to be killed after has then really taken effect; one that is
to write less is really asked by the kernel to write less: its length is changed before the kernel reads it.
"""

import ctypes
import errno
import os
import platform
import signal
import struct
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from tests.conftest import lacking
from tests.crash.kernel import child
from tests.crash.kernel.calls import CHANGING, LENGTHS, NAMES, Call, Point, changes, place_of
from tests.crash.kernel.child import Child
from tests.crash.scenes import Run

_POKE, _CONTINUE, _UNTIL_CALL, _SEIZE, _INTERRUPT, _CALL_INFO = 6, 7, 24, 0x4206, 0x4207, 0x420E
_OPTIONS = 0x00100000 | 0x80 | 0x8 | 0x1  # EXITKILL, TRACESECCOMP, TRACECLONE, TRACESYSGOOD
_AT_CALL, _AFTER_CALL = 7, signal.SIGTRAP | 0x80
_ANY_THREAD = 0x40000000
_RAX, _RDX, _ORIG_RAX = 80, 96, 120  # offsets in struct user of x86-64
_HERE = (1 << 32) - 100  # AT_FDCWD
_PATH_BYTES = 4096

Fault = Callable[["Stopped", int, Call], None]
"""What is done to a thread that stands before a call."""


def run_stopped(
    run: Run, top: Path, point: Point | None = None, fault: Fault | None = None
) -> tuple[int, list[Call], list[Call]]:
    """Run a command and spoil it at a point.

    Returns the signal that ended it, its calls (of the point's name, if there is one), and those that were spoilt.
    """
    if platform.machine() != "x86_64":
        lacking("the tracer knows the registers of x86-64 only")
    started = child.start(run, top, stops=CHANGING if point is None else [point.name])
    stopped = Stopped(started, top, point, fault)
    try:
        return stopped.run(), stopped.calls, stopped.spoilt
    finally:
        started.end()


@dataclass(slots=True)
class Stopped:
    """A process under this tracer."""

    child: Child
    top: Path
    point: Point | None
    fault: Fault | None
    calls: list[Call] = field(default_factory=list)
    spoilt: list[Call] = field(default_factory=list)
    _counts: Counter[tuple[int, str]] = field(default_factory=Counter)
    _met: int = 0

    def run(self) -> int:
        """Trace until the end; return the signal that ended it."""
        process = self.child.process
        try:
            _ptrace(_SEIZE, process, 0, _OPTIONS)
        except OSError as error:
            os.kill(process, signal.SIGKILL)
            os.waitpid(process, 0)
            lacking(f"this process may not trace its children: {error.strerror}")
        _ptrace(_INTERRUPT, process)
        os.waitpid(process, _ANY_THREAD)
        _resume(process)
        self.child.release()
        while True:
            thread, status = os.waitpid(-1, _ANY_THREAD)
            if os.WIFSTOPPED(status):
                self._handle(thread, os.WSTOPSIG(status), status >> 16)
            elif thread == process:
                assert os.WIFSIGNALED(status)
                return os.WTERMSIG(status)

    def _handle(self, thread: int, stop: int, event: int) -> None:
        if stop == _AFTER_CALL:
            self.kill(thread)
        elif event == _AT_CALL:
            self._enter(thread)
        else:
            _resume(thread, 0 if event else stop)

    def _enter(self, thread: int) -> None:
        call = self._read(thread)
        self.calls.append(call)
        point = self.point
        if (
            point is not None
            and self.fault is not None
            and (call.name, call.place) == (point.name, point.place)
        ):
            self._met += 1
            if self._met == point.repeat:
                self.spoilt.append(call)
                self.fault(self, thread, call)
                return
        _resume(thread)

    def _read(self, thread: int) -> Call:
        told = ctypes.create_string_buffer(96)
        _ptrace(_CALL_INFO, thread, len(told), ctypes.addressof(told))
        number, *arguments = struct.unpack_from("7Q", told, 24)
        name = NAMES[number]
        self._counts[thread, name] += 1
        place = ""
        if changes(name, arguments):
            place = place_of(_paths(thread, CHANGING[name][1], arguments), str(self.top))
        length = arguments[LENGTHS[name]] if name in LENGTHS else 0
        number = 0 if thread == self.child.process else thread
        return Call(name, number, self._counts[thread, name], place, length)

    def kill(self, _thread: int = 0, _call: Call | None = None) -> None:
        """Kill the process; a thread that stands before a call does not make it."""
        os.kill(self.child.process, signal.SIGKILL)


def kill_before(stopped: Stopped, thread: int, _call: Call) -> None:
    """SIGKILL before the call takes effect."""
    stopped.kill(thread)


def kill_after(_stopped: Stopped, thread: int, _call: Call) -> None:
    """SIGKILL as soon as the call has taken effect, before the program knows."""
    _resume(thread, how=_UNTIL_CALL)


def write_less(_stopped: Stopped, thread: int, call: Call) -> None:
    """Let the kernel write about half of the bytes."""
    _ptrace(_POKE, thread, _RDX, (call.length + 1) // 2)
    _resume(thread)


def fail(code: int) -> Fault:
    """Return what lets a call fail with an error number, without effect."""

    def spoil(_stopped: Stopped, thread: int, _call: Call) -> None:
        _ptrace(_POKE, thread, _ORIG_RAX, (1 << 64) - 1)
        _ptrace(_POKE, thread, _RAX, (1 << 64) - code)
        _resume(thread)

    return spoil


def _paths(thread: int, kinds: str, arguments: list[int]) -> list[str]:
    """Return the paths that a call names, by descriptor or by name."""
    found, folder = [], _HERE
    for kind, argument in zip(kinds, arguments, strict=False):
        if kind == "a":
            folder = argument & 0xFFFFFFFF
        elif kind == "d":
            found.append(_descriptor(thread, argument & 0xFFFFFFFF))
        elif kind == "p":
            base = f"/proc/{thread}/cwd" if folder == _HERE else f"/proc/{thread}/fd/{folder}"
            found.append(_named(thread, base, argument))
    return [path for path in found if path]


def _named(thread: int, base: str, address: int) -> str:
    """Return a path in the memory of a thread, made absolute by what ``base`` is a link to."""
    if not address:
        return _link(base)
    with Path(f"/proc/{thread}/mem").open("rb", buffering=0) as memory:
        name = os.fsdecode(os.pread(memory.fileno(), _PATH_BYTES, address).partition(b"\0")[0])
    return name if name.startswith("/") else f"{_link(base)}/{name}"


def _descriptor(thread: int, number: int) -> str:
    return _link(f"/proc/{thread}/fd/{number}")


def _link(path: str) -> str:
    try:
        return str(Path(path).readlink()).removesuffix(" (deleted)")
    except OSError:
        return ""


def _resume(thread: int, stop: int = 0, *, how: int = _CONTINUE) -> None:
    try:
        _ptrace(how, thread, 0, stop)
    except ProcessLookupError:
        return  # killed meanwhile


# Found once: every CDLL makes classes, and they are garbage in circles.
_CALL = ctypes.CDLL(None, use_errno=True).ptrace
_CALL.restype = ctypes.c_long
_CALL.argtypes = (ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p)


def _ptrace(request: int, thread: int, address: int = 0, data: int = 0) -> None:
    if _CALL(request, thread, address, data) == -1 and (code := ctypes.get_errno()):
        raise OSError(code, errno.errorcode[code])
