"""What SQLite does to the ledger's file: killed, failed and checked call by call, with strace."""

import re
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from airlift.ledger import database
from airlift.ledger.entries.imports import ImportReject
from tests.crash.rehearsal import FULL, Rehearsal, told
from tests.crash.scenes import enclave_in, operator
from tests.crash.traced import DONE, FAILED, Call, run_traced

Tool = Callable[[str], str]


def test_durability_settings(rehearsals: dict[str, Rehearsal]) -> None:
    """Rollback journal and synchronous=EXTRA (3), or a commit that has returned could vanish."""
    with rehearsals["activate"].fresh() as top:
        connection = database.connect(enclave_in(top).ledger_path, writable=True)
        try:
            assert connection.execute("PRAGMA journal_mode").fetchone()[0] == b"delete"
            assert connection.execute("PRAGMA synchronous").fetchone() == (3,)
        finally:
            connection.close()


def _append(top: Path) -> object:
    return enclave_in(top).record(operator(), ImportReject("digest", 3))


def test_an_append_syncs_in_this_order(rehearsals: dict[str, Rehearsal], require_tool: Tool) -> None:
    """Journal, its folder, database, then the journal is removed and the folder synced: then it returns."""
    with rehearsals["activate"].fresh() as top:
        ended, calls = run_traced(require_tool("strace"), _append, top)
    assert ended == DONE
    letters = "".join(_letter(call) for call in calls)
    assert re.fullmatch(r"C?(J+j+d)J*j*D+x?b+Ud", letters), (letters, calls)


def _letter(call: Call) -> str:
    """Return J, D for a write to journal, database; j, b, d for a sync of journal, database, folder; U for unlink."""
    if call.name in {"fsync", "fdatasync"}:
        for pattern, letter in ((r"ledger\.db-journal>", "j"), (r"ledger\.db>", "b"), (r"/enclave>", "d")):
            if re.search(pattern, call.text):
                return letter
    if call.name == "pwrite64":
        return "J" if "ledger.db-journal>" in call.text else "D" if "ledger.db>" in call.text else ""
    return "U" if call.name == "unlink" and "ledger.db-journal" in call.text else ""


@pytest.mark.parametrize("name", ["activate", "enrol"])
@pytest.mark.parametrize("fault", ["signal=KILL", "error=EIO", "error=ENOSPC", "error=EINTR"])
def test_spoilt_calls(name: str, fault: str, rehearsals: dict[str, Rehearsal], require_tool: Tool) -> None:
    """SIGKILL, EIO, ENOSPC and EINTR at every system call of SQLite: old or new, and then it works."""
    strace, rehearsal = require_tool("strace"), rehearsals[name]
    with rehearsal.fresh() as top:
        ended, calls = run_traced(strace, rehearsal.scene.run, top)
        assert ended == DONE
    chosen = [call for call in calls if call.is_of_ledger or ".tmp-" in call.text]
    assert len(chosen) > 20
    stride = 1 if FULL else 41
    for call in chosen[number_of(fault) % stride :: stride]:
        with rehearsal.fresh() as top, told(f"{fault} at {call.name} {call.ordinal}: {call.text}"):
            inject = f"{call.name}:{fault}:when={call.ordinal}"
            ended, _ = run_traced(strace, rehearsal.scene.run, top, inject)
            assert ended in ({signal.SIGKILL} if "KILL" in fault else {DONE, FAILED})
            rehearsal.expected.judge(top)


def number_of(text: str) -> int:
    """Return a small number that differs between faults, the same on every run."""
    return sum(text.encode())
