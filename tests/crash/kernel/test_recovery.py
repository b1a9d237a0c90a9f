"""Killed again while the next command recovers (THREATS: faults)."""

from collections.abc import Callable
from pathlib import Path
from random import Random

import pytest

from tests.crash import depot_scenes, verdict
from tests.crash.fingerprint import fingerprint
from tests.crash.kernel.calls import Point
from tests.crash.kernel.spoil import BEFORE, RECOVERY, TWICE, Patient, count
from tests.crash.kernel.table import PROPERTY
from tests.crash.rehearsal import FULL, HIGH, SCENES, told
from tests.crash.scenes import Run

Choose = Callable[[list[Point]], list[Point]]
Record = Callable[[str, object], None]
PAIRS = -(-1000 // len(SCENES)) if FULL else 2
"""How many pairs of points each scene is killed at."""
SECONDS = 5 if FULL else 2
"""How many of them share the first point."""


@pytest.mark.parametrize("name", ["activate", "sign"] if FULL else ["activate"])
def test_killed_at_every_call_of_every_recovery(
    name: str, patients: dict[str, Patient], record_property: Record
) -> None:
    """Killed at any call of a command, and then at any call of what the next command recovers with."""
    patient, known, tried = patients[name], set[bytes](), 0
    recover = verdict.recover_enclave if name in HIGH else depot_scenes.recover_depot
    for first in patient.points if FULL else Random(name).sample(patient.points, 1):
        with told(f"killed at {first}"), patient.spoilt(first, BEFORE) as (top, _):
            state = fingerprint(top)
            if state not in known:
                known.add(state)
                tried += _kill_again(patient, recover, top, list if FULL else _some(Random(name), SECONDS))
    record_property(PROPERTY, [name, RECOVERY, tried])


@pytest.mark.parametrize("name", SCENES if FULL else ["import-delta", "bundle"])
def test_killed_at_random_pairs(name: str, patients: dict[str, Patient], record_property: Record) -> None:
    """Killed at a random call, and then at a random call of the next run of the command."""
    patient, tried, random = patients[name], 0, Random(name)
    while tried < PAIRS:
        first = random.choice(patient.points)
        with told(f"killed at {first}"), patient.spoilt(first, BEFORE) as (top, _):
            choose = _some(random, min(SECONDS, PAIRS - tried))
            tried += _kill_again(patient, patient.rehearsal.scene.run, top, choose)
    record_property(PROPERTY, [name, TWICE, tried])


def _some(random: Random, number: int) -> Choose:
    return lambda found: random.sample(found, min(number, len(found)))


def _kill_again(patient: Patient, run: Run, start: Path, choose: Choose) -> int:
    """Kill a run on what a killed one left, at the calls that are chosen; return at how many."""
    with patient.rehearsal.fresh(start) as top:
        chosen = choose(count(run, top))
    for point in chosen:
        with told(f"and then at {point}"), patient.spoilt(point, BEFORE, run, start) as (top, ended):
            patient.judge(top, ended, BEFORE)
    return len(chosen)
