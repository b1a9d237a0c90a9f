"""The list of calls that change a folder is complete: nothing else is asked of the kernel about it."""

import re

import pytest

from tests.crash.kernel import child
from tests.crash.kernel.calls import CHANGING
from tests.crash.kernel.spoil import Patient
from tests.crash.kernel.strace import run_traced
from tests.crash.rehearsal import FULL, SCENES

HARMLESS = set(
    [
        "access",
        "close",
        "dup",
        "dup3",
        "faccessat2",
        "fadvise64",
        "fchdir",
        "fcntl",
        "fgetxattr",
        "flistxattr",
        "fstat",
        "fstatfs",
        "getcwd",
        "getdents64",
        "getxattr",
        "lgetxattr",
        "listxattr",
        "llistxattr",
        "lseek",
        "lstat",
        "newfstatat",
        "open",
        "openat",
        "pread64",
        "preadv",
        "preadv2",
        "read",
        "readlink",
        "readlinkat",
        "readv",
        "stat",
        "statfs",
        "statx",
    ]
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
    assert {line.name for line in here} - HARMLESS - set(CHANGING) - {"mmap"} == set()
    written = [
        line.text for line in here if line.name == "mmap" and re.search("PROT_WRITE.*MAP_SHARED", line.text)
    ]
    assert written == []
    assert not {line.name for line in lines} & {"io_uring_setup", "io_submit", "process_vm_writev"}
