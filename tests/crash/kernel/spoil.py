"""Spoil a command at one point, and judge what it left."""

import errno
import hashlib
import os
import signal
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from tests.crash.kernel import tracer
from tests.crash.kernel.calls import RANDOM, Point, points
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


_JOURNAL = bytes.fromhex("d9d505f920a163d7")
"""What a journal begins with once it is whole (https://sqlite.org/fileformat2.html#the_rollback_journal)."""


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
    """A scene to be spoilt with strace; what it leaves is judged, unless the same was judged already."""

    rehearsal: Rehearsal
    strace: str
    known: set[bytes] = field(default_factory=set)

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
            if not self._is_known(top, "whole"):
                self.rehearsal.expected.finished(top)
        elif not self._is_known(top, "left"):
            self.rehearsal.expected.judge(top, lambda found: self._is_known(found, "recovered"))

    def _is_known(self, top: Path, as_what: str) -> bool:
        """Say whether the same was asked before; then a failure was told there."""
        state = fingerprint(top) + as_what.encode()
        if state in self.known:
            return True
        self.known.add(state)
        return False


def fingerprint(top: Path) -> bytes:
    """Return a digest of a tree: names (but what is random in them), links, hard links, modes and bytes."""
    found, files = hashlib.sha256(), dict[int, int]()
    for folder, folders, names in os.walk(top):
        folders.sort(key=_steady)
        found.update(f"folder {_steady(os.path.relpath(folder, top))}\0".encode())
        for path in sorted(
            (Path(folder, name) for name in (*names, *folders)), key=lambda path: _steady(path.name)
        ):
            status = path.lstat()
            number = files.setdefault(status.st_ino, len(files))
            found.update(f"{_steady(path.name)} {status.st_mode:o} {number}\0".encode())
            if path.is_symlink():
                found.update(os.fsencode(path.readlink()) + b"\0")
            elif path.is_file():
                found.update(hashlib.sha256(_what_counts(path)).digest())
    return found.digest()


def _what_counts(path: Path) -> bytes:
    """Return the bytes of a file; of a journal that was not finished, nothing: SQLite goes by its first byte."""
    data = path.read_bytes()
    return b"" if path.name.endswith(".db-journal") and not data.startswith(_JOURNAL) else data


def _steady(name: str) -> str:
    return RANDOM.sub(".tmp-", name)
