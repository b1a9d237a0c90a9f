"""Every system call of every command that changes something, spoilt in a run of its own (THREATS: faults)."""

from collections import Counter
from collections.abc import Callable
from random import Random

import pytest

from tests.crash.kernel.calls import REQUESTS
from tests.crash.kernel.child import DONE
from tests.crash.kernel.spoil import BY_STRACE, FAULTS, LESS, Patient, suits
from tests.crash.kernel.strace import run_traced
from tests.crash.kernel.table import PROPERTY
from tests.crash.rehearsal import FULL, SCENES

Record = Callable[[str, object], None]
SAMPLE = 2

CASES = [
    (name, fault)
    for number, name in enumerate(SCENES)
    for turn, fault in enumerate(FAULTS)
    if FULL or turn == number % len(FAULTS)
]
"""Every scene with every fault, or with one of them."""


@pytest.mark.parametrize(("name", "fault"), CASES)
def test_spoilt_at_every_call(
    name: str, fault: str, patients: dict[str, Patient], record_property: Record
) -> None:
    """Killed before and after, failed or cut short at any call: old or new, nothing lost, and the next run works."""
    patient = patients[name]
    fitting = [point for point in patient.points if suits(point, fault)]
    chosen = fitting if FULL else Random(name).sample(fitting, min(SAMPLE, len(fitting)))
    assert chosen or fault == LESS
    before = patient.by_strace
    patient.spoil(chosen, fault)
    record_property(PROPERTY, [name, fault, len(chosen)])
    record_property(PROPERTY, [name, BY_STRACE, patient.by_strace - before])


@pytest.mark.parametrize("name", SCENES if FULL else ["import-delta", "bundle"])
def test_strace_counts_the_same(name: str, patients: dict[str, Patient]) -> None:
    """Were a call not counted, it would not be spoilt: two tracers agree on what was called."""
    patient = patients[name]
    with patient.rehearsal.fresh() as top:
        ended, lines = run_traced(patient.strace, patient.rehearsal.scene.run, top)
        assert ended == DONE
        seen = Counter(line.name for line in lines if str(top) in line.text and _changes(line.text))
    assert seen == Counter(point.name for point in patient.points)
    # by ioctl Python asks whether what it opens is a terminal: fewer times if this process parsed that policy last
    alone = {
        (point.name, point.ordinal) for point in patient.points if point.ordinal and point.name != "ioctl"
    }
    assert alone <= {(line.name, line.ordinal) for line in lines if not line.thread}


def _changes(text: str) -> bool:
    if text.startswith("open"):
        return any(flag in text for flag in ("O_WRONLY", "O_RDWR", "O_CREAT", "O_TRUNC"))
    return not text.startswith("ioctl") or any(name in text for name in REQUESTS.values())
