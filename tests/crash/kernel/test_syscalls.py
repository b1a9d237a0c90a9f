"""The list of calls that change a folder is complete: nothing else is asked of the kernel about it."""

import re

import pytest

from airlift.high.enclave.check_content import check_content
from airlift.high.enclave.status import enclave_status
from airlift.high.record.verify_ledger import verify_ledger
from tests.crash.kernel import child
from tests.crash.kernel.calls import CHANGING, REQUESTS
from tests.crash.kernel.spoil import Patient, count
from tests.crash.kernel.strace import run_traced
from tests.crash.rehearsal import FULL, SCENES, Rehearsal
from tests.crash.scenes import Run, enclave_in, operator
from tests.support.depots import NOW

HARMLESS = re.compile(
    r"access|faccessat2|close|dup3?|fadvise64|fchdir|fcntl|getcwd|getdents64|lseek"
    r"|(new)?l?f?stat(at|x|fs)?|fstatfs|open(at)?|p?readv?2?|pread64|readlink(at)?|[fl]?(get|list)xattr"
)
"""What reads, waits or asks."""


@pytest.mark.parametrize("name", SCENES if FULL else ["import-delta", "release"])
def test_no_other_call_changes_the_folder(name: str, patients: dict[str, Patient]) -> None:
    """A mapping that is written to, a call that is new: it would have to be spoilt as well."""
    patient = patients[name]
    with patient.rehearsal.fresh() as top:
        ended, lines = run_traced(patient.strace, patient.rehearsal.scene.run, top, trace="all")
        assert ended == child.DONE
    here = [line for line in lines if str(top) in line.text]
    names = {line.name for line in here} - set(CHANGING) - {"mmap"}
    assert [name for name in names if not HARMLESS.fullmatch(name)] == []
    asked = [line.text for line in here if line.name == "ioctl"]
    assert [text for text in asked if not any(name in text for name in (*REQUESTS.values(), "TCGETS"))] == []
    written = [
        line.text for line in here if line.name == "mmap" and re.search("PROT_WRITE.*MAP_SHARED", line.text)
    ]
    assert written == []
    assert not {line.name for line in lines} & {"io_uring_setup", "io_submit", "process_vm_writev"}


@pytest.mark.parametrize(
    "look",
    [
        lambda top: check_content(enclave_in(top)),
        lambda top: enclave_status(enclave_in(top), NOW),
        lambda top: verify_ledger(enclave_in(top), public_key=operator().signer.public),
    ],
    ids=["check", "status", "ledger verify"],
)
def test_what_only_looks_changes_nothing(look: Run, rehearsals: dict[str, Rehearsal]) -> None:
    """There is no call to be spoilt but a lock, which ends with the process: these commands cannot leave anything."""
    with rehearsals["rollback"].fresh() as top:
        assert [point for point in count(look, top) if point.name != "flock"] == []
