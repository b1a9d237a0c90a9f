"""Run a scene undisturbed, to know its steps and its outcome; then disturb it."""

import os
import re
import shutil
import signal
import tempfile
import warnings
from collections.abc import Iterator, Sequence
from collections.abc import Set as AbstractSet
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Protocol

import pytest

from airlift.high.enclave.recover import points_at
from tests.crash import depot_scenes, model
from tests.crash.depot_scenes import ExpectedDepot
from tests.crash.fingerprint import fingerprint
from tests.crash.recorder import Call, KilledError, Recorder
from tests.crash.scenes import OUT, Known, Run, Scene, copy, enclave_in, unknown
from tests.crash.verdict import Expected, contents, facts, folders_in, passed_through

FULL = os.environ.get("AIRLIFT_CRASH") == "full"
"""Whether every step is disturbed, or a sample."""

HIGH = (
    "enrol",
    "import-full",
    "import-delta",
    "import-resumed",
    "import-parity",
    "import-part",
    "import-next",
    "import-last",
    "import-beside",
    "import-revoking",
    "import-withdrawing",
    "discard",
    "gc-staged",
    "activate",
    "activate-long",
    "rollback",
    "gc",
    "policy",
    "attest",
    "register",
    "repair",
    "recover",
    "serve",
    "serve-follow",
    "relay-store",
    "relay-to",
    "relay-drop",
)
_DECIDING = re.compile(
    r"commit |rename \S+ (enclave/active|served|enclave/relay/\S+|depot/metadata/\S+|depot|enclave|out/[^./]+)\Z"
)
REVOKING = frozenset({"import-revoking", "import-withdrawing"})
"""Scenes in which the active release gives way whatever becomes of the rest of the import (SPEC 7.9-2)."""
SCENES = (*HIGH, *depot_scenes.SCENES)
_GIVEN_BACK = re.compile(
    r"(commit of ledger\.db before: |rename \S+ )?enclave/staging/[0-9a-f]{64}/chunks/.*"
)
"""A staged chunk: what parity gave back need not be durable, for staged chunks are digested again (SPEC 6.7-5)."""


class Verdict(Protocol):
    """What is expected of a scene; both methods raise AssertionError if it is not so."""

    def judge(self, top: Path, known: Known = unknown) -> None:
        """Judge what an interrupted run left, and run the command again, unless what it left is known."""

    def finished(self, top: Path) -> None:
        """Judge what a run to the end left."""


@dataclass(frozen=True, slots=True)
class Rehearsal:
    """A scene, steps and calls of its undisturbed run, what to expect of the disturbed ones, and room for them."""

    scene: Scene
    steps: Sequence[str]
    calls: AbstractSet[Call]
    expected: Verdict
    room: Path = field(repr=False)
    _known: set[bytes] = field(default_factory=set, repr=False)

    @contextmanager
    def fresh(self, start: Path | None = None) -> Iterator[Path]:
        """Give a copy of what the scene starts from (or of ``start``), and remove it afterwards.

        It always lies at the same place, for a ledger may name places; what lies there already, ``start`` perhaps, is
        put aside meanwhile.
        """
        top, aside = self.room / "run" / "top", Path(tempfile.mkdtemp(prefix="aside-", dir=self.room)) / "top"
        top.parent.mkdir(exist_ok=True)
        if top.exists():
            top.rename(aside)
            start = aside if start == top else start
        try:
            yield copy(start or self.scene.start, top)
        finally:
            shutil.rmtree(top)
            if aside.exists():
                aside.rename(top)
            aside.parent.rmdir()

    def judge(self, top: Path) -> None:
        """Judge what an interrupted run left, and run the command again; not twice for the same state."""
        if not self._knows(top, "left"):
            self.expected.judge(top, lambda recovered: self._knows(recovered, "recovered"))

    def finished(self, top: Path) -> None:
        """Judge what a run to the end left; not twice for the same state."""
        if not self._knows(top, "finished"):
            self.expected.finished(top)

    def at_risk(self, disk: Recorder) -> list[str]:
        """Return what was relied on, or is there at the end, although a power cut may take it."""
        found = [*disk.broken, *model.unsynced(disk.root)]
        spared = self.scene.name == "import-parity"
        return [text for text in found if not (spared and _GIVEN_BACK.fullmatch(text))]

    def _knows(self, top: Path, kind: str) -> bool:
        state = fingerprint(top) + kind.encode()
        if state in self._known:
            return True
        self._known.add(state)  # if it is found to be wrong, the test that looked first fails
        return False


def rehearse(scene: Scene, room: Path) -> Rehearsal:
    """Run a scene of an enclave undisturbed."""
    top = copy(scene.start, Path(tempfile.mkdtemp(prefix="rehearsal-", dir=room)) / "top")
    size, link = 0, points_at(top / "enclave" / "active")
    kept = folders_in(top / "enclave" / "relay")
    if (top / "enclave").exists():
        size = enclave_in(top).state().size
    with Recorder(top) as disk:
        scene.run(top)
    enclave = enclave_in(top)
    allowed = passed_through(top, size)
    if scene.name in REVOKING:
        allowed |= {replace(one, active=b.active, previous=b.previous) for one in allowed for b in allowed}
    expected = Expected(
        scene=scene,
        allowed=allowed,
        final=facts(enclave.state()),
        contents=contents(top),
        active={link, points_at(enclave.active)},
        kept=kept | folders_in(enclave.relay),
        handed=folders_in(top / OUT),
    )
    return Rehearsal(scene, tuple(disk.steps), disk.calls, expected, room)


def rehearse_depot(scene: Scene, room: Path) -> Rehearsal:
    """Run a scene of a depot undisturbed."""
    top = copy(scene.start, Path(tempfile.mkdtemp(prefix="rehearsal-", dir=room)) / "top")
    before = depot_scenes.facts(top)
    with Recorder(top) as disk:
        scene.run(top)
    final = depot_scenes.facts(top)
    assert final is not None
    return Rehearsal(scene, tuple(disk.steps), disk.calls, ExpectedDepot(scene, before, final), room)


def sample(
    steps: Sequence[str], stride: int, *, full: int = 1, offset: int = 0, deciding: bool = True
) -> list[int]:
    """Return step numbers to disturb: every ``stride``-th, or every ``full``-th when everything is asked for.

    With ``deciding`` the steps at a commit of the ledger, at the switch of ``active`` and at whatever is published,
    and the ones after these, are among them.
    """
    every = full if FULL else stride
    numbers = range(1, len(steps) + 1)
    chosen = {n for n in numbers if n % every == offset % every}
    if deciding:
        decisive = {n for n in numbers if _DECIDING.match(steps[n - 1])}
        chosen |= decisive | {n + 1 for n in decisive if n < len(steps)}
    return sorted(chosen)


@contextmanager
def told(text: str) -> Iterator[None]:
    """Add to whatever the body raises how it came about."""
    try:
        yield
    except BaseException as error:
        error.add_note(text)
        raise


def run_dead(rehearsal: Rehearsal, top: Path, step: int) -> Recorder:
    """Run a scene whose disk does nothing any more from ``step`` on; return what still knows what is durable."""
    disk = Recorder(top)

    def kill(number: int, _text: str) -> None:
        if number == step:
            disk.kill()

    disk.on_step = kill
    with disk, pytest.raises(KilledError):
        rehearsal.scene.run(top)
    disk.on_step = lambda _number, _text: None
    return disk


def run_killed(run: Run, top: Path, step: int) -> None:
    """Run a command in a process of its own that is killed (SIGKILL) right before the given step.

    Raises:
        AssertionError: it ended in another way.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # newer Pythons warn of threads, here idle ones
        child = os.fork()
    if not child:
        _die_at(run, top, step)
    _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status), f"step {step} was never reached"
    assert os.WTERMSIG(status) == signal.SIGKILL, f"it ended by itself before step {step}"


def _die_at(run: Run, top: Path, step: int) -> None:
    def kill(number: int, _text: str) -> None:
        if number == step:
            os.kill(os.getpid(), signal.SIGKILL)

    try:
        with Recorder(top, on_step=kill):
            run(top)
    finally:
        os.kill(os.getpid(), signal.SIGTERM)
