"""Blocks that are shared with another file (ioctl, FICLONERANGE), spoilt on a file system that can do that."""

import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.conftest import sharing_folder
from tests.crash.kernel.child import DONE
from tests.crash.kernel.spoil import FAULTS, Patient, suits
from tests.crash.kernel.strace import run_traced


@pytest.fixture
def patient(patients: dict[str, Patient]) -> Iterator[Patient]:
    """Return an import that shares blocks, in a folder where that works."""
    place, found = sharing_folder(), patients["import-delta"]
    with tempfile.TemporaryDirectory(dir=place) as room:
        yield Patient(replace(found.rehearsal, room=Path(room)), found.strace)


def test_spoilt_where_blocks_are_shared(patient: Patient) -> None:
    """The call that shares, and every other one on the same file: old or new, nothing lost."""
    with patient.rehearsal.fresh() as top:
        ended, lines = run_traced(patient.strace, patient.rehearsal.scene.run, top)
    assert ended == DONE
    assert {line.text[-4:] for line in lines if "FICLONERANGE" in line.text} == {" = 0"}
    places = {point.place for point in patient.points if point.name == "ioctl"}
    chosen = [point for point in patient.points if point.place in places]
    assert len(chosen) > len(places)
    for fault in FAULTS:
        patient.spoil([point for point in chosen if suits(point, fault)], fault)
