"""SIGKILL at steps of airlift's own (THREATS: faults): some of them, for tests.crash.kernel has every system call."""

from pathlib import Path

import pytest

from tests.crash.recorder import Recorder
from tests.crash.rehearsal import SCENES, Rehearsal, run_killed, sample, told


@pytest.mark.parametrize("name", SCENES)
def test_undisturbed(name: str, rehearsals: dict[str, Rehearsal]) -> None:
    rehearsal = rehearsals[name]
    assert len(rehearsal.steps) > 5
    with rehearsal.fresh() as top:
        rehearsal.scene.run(top)
        rehearsal.expected.finished(top)
        rehearsal.scene.run(top)
        rehearsal.expected.finished(top)


@pytest.mark.parametrize("name", SCENES)
def test_killed_at_any_step(name: str, rehearsals: dict[str, Rehearsal]) -> None:
    """SIGKILL right before what decides, and elsewhere: the old state or the new one, and the next run finishes."""
    rehearsal = rehearsals[name]
    for step in sample(rehearsal.steps, 37, full=37):
        with rehearsal.fresh() as top:
            run_killed(rehearsal.scene.run, top, step)
            with told(f"killed at {step}, {rehearsal.steps[step - 1]}"):
                rehearsal.judge(top)


@pytest.mark.parametrize("name", SCENES)
def test_killed_again_during_recovery(name: str, rehearsals: dict[str, Rehearsal]) -> None:
    """SIGKILL again during recovery, at the steps of the next run of the command."""
    rehearsal = rehearsals[name]
    for step in sample(rehearsal.steps, 127, full=127)[::5]:
        with rehearsal.fresh() as first:
            run_killed(rehearsal.scene.run, first, step)
            _kill_again(rehearsal, first, step)


def _kill_again(rehearsal: Rehearsal, first: Path, step: int) -> None:
    run = rehearsal.scene.run
    with rehearsal.fresh(first) as top, Recorder(top) as disk:
        run(top)
    for second in sample(disk.steps, 127, full=127, offset=step)[::5]:
        with rehearsal.fresh(first) as top:
            run_killed(run, top, second)
            with told(
                f"killed at {step}, {rehearsal.steps[step - 1]}, then at {second}, {disk.steps[second - 1]}"
            ):
                rehearsal.judge(top)
