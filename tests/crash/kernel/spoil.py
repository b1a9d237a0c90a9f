"""Spoil a command at one point, and judge what it left."""

import errno
import signal
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from tests.crash.kernel import tracer
from tests.crash.kernel.calls import Point, points
from tests.crash.kernel.child import DONE, FAILED
from tests.crash.kernel.strace import run_traced
from tests.crash.rehearsal import Rehearsal, told
from tests.crash.scenes import Run

BEFORE, AFTER, LESS = "killed before", "killed after", "writes less"
RECOVERY, TWICE = "recovery killed", "killed twice"
FAULTS = (BEFORE, AFTER, "EIO", "ENOSPC", "EINTR", LESS)
_INJECTED = {BEFORE: "signal=KILL"} | {name: f"error={name}" for name in ("EIO", "ENOSPC", "EINTR")}
_OWN = {BEFORE: tracer.kill_before, AFTER: tracer.kill_after, LESS: tracer.write_less} | {
    name: tracer.fail(code) for code, name in errno.errorcode.items() if name in {"EIO", "ENOSPC", "EINTR"}
}


def count(run: Run, top: Path) -> list[Point]:
    """Run a command; return every call that changes its folder."""
    ended, calls, _ = tracer.run_stopped(run, top)
    assert ended == DONE
    return points(calls)


def spoil(strace: str, run: Run, top: Path, point: Point, fault: str) -> int:
    """Run a command and spoil it at a point; return the signal that ended it.

    strace does it where the number of the call in its thread says which it is, and where strace can.

    Raises:
        AssertionError: the call was not spoilt, or another one was.
    """
    if point.ordinal is None or fault not in _INJECTED:
        ended, _, spoilt = tracer.run_stopped(run, top, point, _OWN[fault])
        assert len(spoilt) == 1, f"{point} was never reached"
        return ended
    ended, calls = run_traced(strace, run, top, f"{point.name}:{_INJECTED[fault]}:when={point.ordinal}")
    spoilt_calls = [call for call in calls if call.is_spoilt]
    assert any(call.is_at(point) for call in spoilt_calls), (point, spoilt_calls, calls[-3:])
    if (
        fault != BEFORE
    ):  # what other threads were about to do when the process was killed is unfinished as well
        assert len(spoilt_calls) == 1
    return ended


def suits(point: Point, fault: str) -> bool:
    """Say whether a fault makes sense at a point: a single byte cannot be written in part."""
    return fault != LESS or point.length > 1


@dataclass
class Patient:
    """A scene to be spoilt with strace."""

    rehearsal: Rehearsal
    strace: str

    @cached_property
    def points(self) -> list[Point]:
        """Every call of the command that changes its folder."""
        with self.rehearsal.fresh() as top:
            return count(self.rehearsal.scene.run, top)

    def spoil(self, chosen: Sequence[Point], fault: str) -> None:
        """Spoil the command at each of these points, and judge what it left."""
        run = self.rehearsal.scene.run
        for point in chosen:
            with self.rehearsal.fresh() as top, told(f"{fault}: {point}"):
                self.judge(top, spoil(self.strace, run, top, point, fault), fault)

    def judge(self, top: Path, ended: int, fault: str) -> None:
        """Assert that a spoilt run left what it may, and that the next command ends right."""
        killed, done = {signal.SIGKILL}, {DONE}
        assert ended in {BEFORE: killed, AFTER: killed, LESS: done}.get(fault, {DONE, FAILED})
        if ended == DONE:
            self.rehearsal.finished(top)
        else:
            self.rehearsal.judge(top)
