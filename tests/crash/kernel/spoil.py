"""Spoil a command at one point, and judge what it left."""

import errno
import re
import signal
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from tests.crash.kernel import tracer
from tests.crash.kernel.calls import Point, points
from tests.crash.kernel.child import DONE, FAILED
from tests.crash.kernel.strace import run_traced
from tests.crash.rehearsal import FULL, Rehearsal, told
from tests.crash.scenes import Run

BEFORE, AFTER, LESS = "killed before", "killed after", "writes less"
TWICE, RECOVERY, BY_STRACE = "killed twice", "recovery killed", "by strace"
FAULTS = (BEFORE, AFTER, "EIO", "ENOSPC", "EINTR", LESS)
_INJECTED = {BEFORE: "signal=KILL"} | {name: f"error={name}" for name in ("EIO", "ENOSPC", "EINTR")}
_OWN = {BEFORE: tracer.kill_before, AFTER: tracer.kill_after, LESS: tracer.write_less} | {
    name: tracer.fail(code) for code, name in errno.errorcode.items() if name in {"EIO", "ENOSPC", "EINTR"}
}
STRACE_EACH = 4 if FULL else 1
"""Of how many faults that strace can inject it injects one: attached to a process, it stops that at every call."""
REPORTED = ("EIO", "ENOSPC")
"""What a command may not pass over in silence, but for:"""
TOLERATED = re.compile(
    r"ioctl .*"  # nothing is shared then, and all is written
    r"|flock (again|out|shared/[^/]+)(/\.tmp-.*)? .*"  # tells others that the writer is alive
    r"|openat enclave/staging .*"  # a nameless file; where there are none, it is named first
    r"|openat enclave/ledger\.db .*"  # SQLite opens it for reading then
    r"|fchown \S+-journal .*"  # only where root runs SQLite
    r"|fdatasync \S*enclave \(\d*[13579]\)"  # SQLite's sync of the folder after the journal was made
)
KEEPING = re.compile(
    r"(openat|write|fchmod|fsync) enclave/\.tmp- .*|rename .*/state\.note .*|fsync enclave .*"
)
"""Calls that keep the state beside the ledger (decision 011), which is only a copy of what is known."""


def count(run: Run, top: Path) -> list[Point]:
    """Run a command; return every call that changes its folder."""
    ended, calls, _ = tracer.run_stopped(run, top)
    assert ended == DONE
    return points(calls)


def _spoil_by_strace(strace: str, run: Run, top: Path, point: Point, fault: str) -> int | None:
    """Run a command and spoil it at a point; return the signal that ended it, or None if another call was spoilt."""
    ended, calls = run_traced(strace, run, top, f"{point.name}:{_INJECTED[fault]}:when={point.ordinal}")
    spoilt = [call for call in calls if call.is_spoilt]
    if fault == BEFORE:  # what other threads were about to do is unfinished as well
        spoilt = [call for call in spoilt if not call.thread]
    return ended if len(spoilt) == 1 and spoilt[0].is_at(point) else None


def _spoil_by_tracer(run: Run, top: Path, point: Point, fault: str) -> int:
    """Do the same with the tests' own tracer, which goes by what the call works on.

    Raises:
        AssertionError: the call was not spoilt.
    """
    ended, _, spoilt = tracer.run_stopped(run, top, point, _OWN[fault])
    assert len(spoilt) == 1, f"{point} was never reached"
    return ended


def suits(point: Point, fault: str) -> bool:
    """Say whether a fault makes sense at a point: a single byte cannot be written in part."""
    return fault != LESS or point.length > 1


@dataclass
class Patient:
    """A scene to be spoilt; ``by_strace`` counts how often strace did it, of the ``asked`` times that it could."""

    rehearsal: Rehearsal
    strace: str
    by_strace: int = 0
    asked: int = 0

    @cached_property
    def points(self) -> list[Point]:
        """Every call of the command that changes its folder."""
        with self.rehearsal.fresh() as top:
            return count(self.rehearsal.scene.run, top)

    def spoil(self, chosen: Sequence[Point], fault: str) -> None:
        """Spoil the command at each of these points, and judge what it left."""
        for point in chosen:
            with told(f"{fault}: {point}"), self.spoilt(point, fault) as (top, ended):
                self.judge(top, ended, fault)
                assert ended != DONE or fault not in REPORTED or self._may_fail(point)

    def _may_fail(self, point: Point) -> bool:
        keeps = any(at.place.endswith(" enclave/state.note") for at in self.points)
        return bool(TOLERATED.fullmatch(str(point)) or (keeps and KEEPING.fullmatch(str(point))))

    @contextmanager
    def spoilt(
        self, point: Point, fault: str, run: Run | None = None, start: Path | None = None
    ) -> Iterator[tuple[Path, int]]:
        """Give the folder in which a command was spoilt, and the signal that ended it.

        strace does one of :data:`STRACE_EACH` where the number of the call in its thread says which it is, and where
        strace can; the tests' own tracer the others, in less time. The order of some calls differs between runs; if
        strace meets another one than intended, the tests' own tracer does it as well.
        """
        run = run or self.rehearsal.scene.run
        if point.ordinal is not None and fault in _INJECTED and self._is_strace_s_turn():
            with self.rehearsal.fresh(start) as top:
                ended = _spoil_by_strace(self.strace, run, top, point, fault)
                if ended is not None:
                    self.by_strace += 1
                    yield top, ended
                    return
        with self.rehearsal.fresh(start) as top:
            yield top, _spoil_by_tracer(run, top, point, fault)

    def _is_strace_s_turn(self) -> bool:
        self.asked += 1
        return self.asked % STRACE_EACH == 1 % STRACE_EACH

    def judge(self, top: Path, ended: int, fault: str) -> None:
        """Assert that a spoilt run left what it may, and that the next command ends right."""
        killed, done = {signal.SIGKILL}, {DONE}
        assert ended in {BEFORE: killed, AFTER: killed, LESS: done}.get(fault, {DONE, FAILED})
        if ended == DONE:
            self.rehearsal.finished(top)
        else:
            self.rehearsal.judge(top)
