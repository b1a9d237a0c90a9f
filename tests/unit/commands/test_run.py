"""Commands in bounds: what they may not reach, how long they may take, and what is told of them."""

import os
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from airlift.commands import confine
from airlift.commands.confine import MEMORY, OFFLINE, READ_ONLY, TIME, has_namespaces
from airlift.commands.run import SHOWN_BYTES, SHOWN_OBJECTIONS, Outcome, ask, run_confined, run_plainly
from airlift.policy.document import Command
from tests.conftest import lacking

SERVICES = Path("/run")
NAMESPACES = pytest.mark.usefixtures("namespaces")


@pytest.fixture
def namespaces() -> None:
    """Skip the test where the kernel gives no namespaces, or fail where all tools are asked for."""
    if not has_namespaces():
        lacking("this kernel gives no namespaces to this user (unshare of util-linux)")


def python(text: str, **bounds: Any) -> Command:
    return Command("probe", (sys.executable, "-c", text), **bounds)


def run(command: Command, folder: Path, **words: str) -> Outcome:
    return run_confined(command, folder, words)


def test_exit_decides(tmp_path: Path) -> None:
    for code in (0, 1, 77):
        outcome = run(python(f"print('said'); raise SystemExit({code})"), tmp_path)
        assert (outcome.exit, outcome.passes, outcome.said) == (code, code == 0, "said")
        assert {TIME, MEMORY} <= set(outcome.enforced)


def test_words_are_filled_in_and_never_expanded(tmp_path: Path) -> None:
    command = Command("echo", ("echo", "{release}", "{other}", "$HOME", "a{release}", "; rm -rf /"))
    assert run(command, tmp_path, release="/x y").said == "/x y {other} $HOME a{release} ; rm -rf /"
    told = run(
        python("import os; print(os.environ['AIRLIFT_RELEASE'], 'SECRET' in os.environ)"),
        tmp_path,
        release="r",
    )
    assert told.said == "r False"


@NAMESPACES
def test_a_command_reaches_no_network(tmp_path: Path) -> None:
    """THREATS, rules: an acceptance command that opens a socket."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        text = f"import socket; socket.create_connection(('127.0.0.1', {port}), 2)"
        assert subprocess.run([sys.executable, "-c", text], check=False).returncode == 0
        outcome = run(python(text), tmp_path)
    assert not outcome.passes
    assert OFFLINE in outcome.enforced


@NAMESPACES
def test_a_command_reaches_no_service_of_the_machine(tmp_path: Path) -> None:
    """Sockets that have a path are in no network: a read-only folder does not keep a command from them."""
    if not os.access(SERVICES, os.W_OK):
        pytest.skip(f"this user may put no socket into {SERVICES}")
    place = SERVICES / f"airlift-{os.getpid()}"
    text = f"import socket; socket.socket(socket.AF_UNIX).connect({str(place)!r})"
    try:
        with socket.socket(socket.AF_UNIX) as server:
            server.bind(str(place))
            server.listen()
            assert subprocess.run([sys.executable, "-c", text], check=False).returncode == 0
            assert not run(python(text), tmp_path).passes
    finally:
        place.unlink()


@NAMESPACES
def test_a_command_writes_nowhere_but_in_its_scratch(tmp_path: Path) -> None:
    """THREATS, rules: an acceptance command that writes into the enclave."""
    (tmp_path / "release").mkdir()
    text = (
        "import os, sys\n"
        "open(os.path.join(os.environ['TMPDIR'], 'own'), 'w').write('fine')\n"
        "for place in (os.environ['AIRLIFT_RELEASE'], '.', '/tmp', '/dev/shm'):\n"
        "    try: open(os.path.join(place, 'airlift-was-here'), 'w')\n"
        "    except OSError as error: print(error.errno)\n"
        "    else: sys.exit(9)\n"
    )
    outcome = run(python(text), tmp_path, release=str(tmp_path / "release"))
    assert outcome.passes, outcome
    assert READ_ONLY in outcome.enforced
    assert list(tmp_path.rglob("*")) == [tmp_path / "release"]


@NAMESPACES
def test_a_command_gets_no_privileges_back(tmp_path: Path) -> None:
    outcome = run(Command("mount", ("mount", "-o", "remount,rw,bind", "/")), tmp_path)
    assert not outcome.passes


def test_a_command_that_never_ends_is_ended_with_its_children(tmp_path: Path) -> None:
    """THREATS, rules: an acceptance command that never ends, or forks for ever."""
    text = (
        "import os, time\n"
        "for _ in range(3):\n"
        "    if os.fork() == 0:\n"
        "        time.sleep(4321)\n"
        "print('forked', flush=True)\n"
        "time.sleep(4321)\n"
    )
    started = time.monotonic()
    outcome = run(python(text, timeout=1), tmp_path)
    assert time.monotonic() - started < 10
    assert (outcome.exit, outcome.passes, outcome.said) == (None, False, "forked")
    assert (
        "4321" not in subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True).stdout
    )


def test_a_daemon_does_not_hold_a_command_up(tmp_path: Path) -> None:
    started = time.monotonic()
    outcome = run(Command("daemon", ("sh", "-c", "sleep 4322 & echo gone")), tmp_path)
    assert time.monotonic() - started < 10
    assert (outcome.passes, outcome.said) == (True, "gone")
    assert (
        "4322" not in subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True).stdout
    )


def test_memory_is_bounded(tmp_path: Path) -> None:
    outcome = run(python("x = bytearray(1 << 30)", memory=512 << 20), tmp_path)
    assert not outcome.passes
    assert "MemoryError" in outcome.said


def test_what_it_says_is_bounded_and_cleaned(tmp_path: Path) -> None:
    outcome = run(python("print('a' * 10_000_000 + '\\x1b[2J\\u202ez')"), tmp_path)
    assert outcome.passes
    assert len(outcome.said) <= 2 * SHOWN_BYTES
    assert outcome.said.endswith("\\x1b[2J\\u202ez")


def test_what_cannot_be_run_has_failed(tmp_path: Path) -> None:
    for outcome in (
        run(Command("absent", ("/no/such/command",)), tmp_path),
        run_plainly(Command("absent", ("/no/such/command",)), tmp_path, {}),
        run_plainly(Command("late", ("sleep", "4323"), timeout=1), tmp_path, {}),
    ):
        assert not outcome.passes


def test_a_killed_command_has_failed(tmp_path: Path) -> None:
    assert not run_plainly(python("import os; os.kill(os.getpid(), 9)"), tmp_path, {}).passes


def test_without_namespaces_the_limits_remain_and_it_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(confine, "has_namespaces", lambda: False)
    outcome = run(python("print('on')"), tmp_path)
    assert (outcome.passes, outcome.said) == (True, "on")
    assert OFFLINE not in outcome.enforced
    assert not run(python("x = bytearray(1 << 30)", memory=512 << 20), tmp_path).passes


def test_what_judges_without_a_command_passes_without_objections() -> None:
    found = ask("gate", lambda: ())
    assert (found.name, found.exit, found.passes, found.said, found.enforced) == ("gate", 0, True, "", ())
    assert found.expected == "no objections"


def test_objections_are_told_cleaned_and_in_part() -> None:
    found = ask("gate", lambda: (f"a\x1b[2J{number}" for number in range(99)))
    assert (found.exit, found.passes, found.expected) == (1, False, "no objections")
    assert found.verdict == "a\\x1b[2J0, and 98 more"
    assert found.said.count("\n") == SHOWN_OBJECTIONS - 1
    assert ask("gate", lambda: ["only"]).verdict == "only"


def test_an_outcome_is_shown_whole_and_attested_in_part(tmp_path: Path) -> None:
    found = run(python("print('secret'); raise SystemExit(5)"), tmp_path)
    assert found.expected == "exit 0"
    assert {**found.shown(), "seconds": 0, "enforced": []} == {
        "name": "probe", "passes": False, "exit": 5, "seconds": 0, "enforced": [], "said": "secret",
    }  # fmt: skip
    assert found.annotations().keys() == {"exit", "seconds", "enforced"}
