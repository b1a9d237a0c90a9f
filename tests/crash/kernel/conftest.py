"""What the tests here share."""

import pytest

from tests.conftest import find_tool
from tests.crash.kernel.spoil import Patient
from tests.crash.rehearsal import Rehearsal


@pytest.fixture(scope="session")
def patients(rehearsals: dict[str, Rehearsal]) -> dict[str, Patient]:
    """Return every scene, to be spoilt; filled when asked for."""
    return _Patients(rehearsals)


class _Patients(dict[str, Patient]):
    def __init__(self, rehearsals: dict[str, Rehearsal]) -> None:
        super().__init__()
        self.rehearsals, self.strace = rehearsals, find_tool("strace")

    def __missing__(self, name: str) -> Patient:
        self[name] = Patient(self.rehearsals[name], self.strace)
        return self[name]
