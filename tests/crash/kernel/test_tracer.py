"""The faults are what they are said to be: the kernel did nothing, all of it, or half of it."""

import errno
import os
import signal
import threading
from pathlib import Path

import pytest

from airlift.errors import StorageError
from tests.conftest import find_tool
from tests.crash.kernel import tracer
from tests.crash.kernel.calls import Point
from tests.crash.kernel.child import DONE, FAILED
from tests.crash.kernel.spoil import count
from tests.crash.kernel.strace import run_traced


def _write(top: Path) -> None:
    """Write ten bytes, and then how many the kernel said it wrote, or which error it told."""
    descriptor = os.open(top / "file", os.O_WRONLY | os.O_CREAT, 0o600)
    try:
        done = os.write(descriptor, b"0123456789")
    except OSError as error:
        raise StorageError("as told", found=errno.errorcode[error.errno or 0]) from error
    os.write(descriptor, b" %d" % done)


def _write_in_threads(top: Path) -> None:
    threads = [threading.Thread(target=_write, args=(top / name,)) for name in ("a", "b")]
    for thread in threads:
        thread.start()
        thread.join()


WRITE = Point("write", "file", 1, 10, 1)


@pytest.mark.parametrize(
    ("fault", "ended", "left"),
    [
        (tracer.kill_before, signal.SIGKILL, b""),
        (tracer.kill_after, signal.SIGKILL, b"0123456789"),
        (tracer.write_less, DONE, b"01234 5"),
        (tracer.fail(errno.ENOSPC), FAILED, b""),
    ],
    ids=["before", "after", "less", "ENOSPC"],
)
def test_what_a_fault_leaves(fault: tracer.Fault, ended: int, left: bytes, tmp_path: Path) -> None:
    found, _, spoilt = tracer.run_stopped(_write, tmp_path, WRITE, fault)
    assert (found, [(call.name, call.place, call.length) for call in spoilt]) == (
        ended,
        [("write", "file", 10)],
    )
    assert (tmp_path / "file").read_bytes() == left


@pytest.mark.parametrize(
    ("inject", "ended"), [("signal=KILL", signal.SIGKILL), ("error=EIO", FAILED)], ids=["before", "EIO"]
)
def test_what_strace_leaves(inject: str, ended: int, tmp_path: Path) -> None:
    top = tmp_path / "top"
    top.mkdir()
    found, calls = run_traced(find_tool("strace"), _write, top, f"write:{inject}:when=1")
    assert (found, [call.is_at(WRITE) for call in calls if call.is_spoilt]) == (ended, [True])
    assert (top / "file").read_bytes() == b""


def test_calls_of_other_threads_are_told_apart(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
    found = [(point.name, point.place, point.ordinal) for point in count(_write_in_threads, tmp_path)]
    assert found == [
        *[("openat", "a/file", None), ("write", "a/file", None), ("write", "a/file", None)],
        *[("openat", "b/file", None), ("write", "b/file", None), ("write", "b/file", None)],
    ]
