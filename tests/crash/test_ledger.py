"""What SQLite does to the ledger's file, call by call; tests.crash.kernel spoils these calls."""

import re
from collections.abc import Callable
from pathlib import Path

from airlift.ledger import database
from airlift.ledger.entries.imports import ImportReject
from tests.crash.kernel.child import DONE
from tests.crash.kernel.strace import Traced, run_traced
from tests.crash.rehearsal import Rehearsal
from tests.crash.scenes import enclave_in, operator

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


def _letter(call: Traced) -> str:
    """Return J, D for a write to journal, database; j, b, d for a sync of journal, database, folder; U for unlink."""
    if call.name in {"fsync", "fdatasync"}:
        for pattern, letter in ((r"ledger\.db-journal>", "j"), (r"ledger\.db>", "b"), (r"/enclave>", "d")):
            if re.search(pattern, call.text):
                return letter
    if call.name == "pwrite64":
        return "J" if "ledger.db-journal>" in call.text else "D" if "ledger.db>" in call.text else ""
    return "U" if call.name == "unlink" and "ledger.db-journal" in call.text else ""
