"""``airlift high watch`` in processes of its own: its streams, signals, metrics, and its unit for systemd."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from airlift.high.watching import tell
from tests.arch.tree import ROOT
from tests.cli.conftest import World
from tests.cli.transcript import COMMAND, airlift
from tests.conftest import lacking
from tests.support.watching import file_by_file

JSON = ("--format", "json")
QUICK = ("--interval", "0.05", "--settle", "0.3")
UNIT = ROOT / "examples/systemd/airlift-watch.service"
SECONDS = 60


def drop(world: World, *bundles: str) -> Path:
    """Return a drop folder in which the volumes of bundles lie."""
    folder = world.folder / "drop"
    folder.mkdir(exist_ok=True)
    for bundle in bundles:
        for volume in world.volumes(bundle):
            shutil.copytree(volume, folder / volume.name)
    return folder


def events(said: str) -> list[dict[str, object]]:
    """Return the events on stdout; each has all keys, in their order."""
    found = [json.loads(line) for line in said.splitlines()]
    assert all(tuple(event) == tell.KEYS for event in found if "command" not in event)
    return [event for event in found if "command" not in event]


def active(world: World) -> object:
    return world.quick("high", "status", *JSON).expect(0).data["active"]


@contextmanager
def running(world: World, *words: str, **more: str) -> Iterator["subprocess.Popen[str]"]:
    """Run the watcher beside the test; it is ended afterwards, if it still runs."""
    process = subprocess.Popen(
        [*COMMAND, "high", "watch", "drop", *QUICK, *words],
        cwd=world.folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, **more},
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def until(process: "subprocess.Popen[str]", event: str) -> list[dict[str, object]]:
    """Read events until one of this name came."""
    seen = []
    assert process.stdout is not None
    for line in process.stdout:
        seen += events(line)
        if seen[-1]["event"] == event:
            return seen
    raise AssertionError(f"no {event} in {seen}")


def test_events_on_stdout_words_on_stderr_and_the_answer_last(world: World) -> None:
    drop(world, "alpha-1")
    said = world.run("high", "watch", "drop", "--once", "--activate", *QUICK).expect(0)
    names = [event["event"] for event in events(said.out)]
    arrived = ["arrived"] * len(world.volumes("alpha-1"))
    assert names == ["started", *arrived, "imported", "activated", "stopped"]
    assert "imported alpha-1 demo@1" in said.err
    assert active(world) == "demo@1"
    again = world.run("high", "watch", "drop", "--once", "--activate", "--quiet", *QUICK, *JSON).expect(0)
    assert again.err == ""
    *lines, answer = again.out.splitlines()
    assert "repeated" in [event["event"] for event in events("\n".join(lines))]
    document = json.loads(answer)
    assert document["command"] == "high watch"
    assert set(document["data"]) == {
        "looks", "imported", "activated", "quarantined", "passed_over", "waiting", "dry_run",
    }  # fmt: skip


def test_once_ends_with_the_code_of_what_was_not_imported(world: World) -> None:
    folder = drop(world, "alpha-1")
    first, *_, last = sorted(folder.iterdir())
    last.rename(world.folder / "elsewhere")
    said = world.run("high", "watch", "drop", "--once", *QUICK)
    assert said.code == 4, said.err
    assert "error: not everything was imported: " in said.err
    world.quick("high", "discard", "alpha-1", "--yes").expect(
        0
    )  # else what is staged makes up for the damage
    chunk = next((first / "chunks").iterdir())
    chunk.chmod(0o644)
    chunk.write_bytes(b"x" * chunk.stat().st_size)
    said = world.run("high", "watch", "drop", "--once", *QUICK, *JSON)
    assert said.code == 3, said.err
    data = json.loads(said.out.splitlines()[-1])["data"]
    assert data["quarantined"] == [first.name]
    (reason,) = (world.folder / "drop-quarantine").glob("*/reason.json")
    assert json.loads(reason.read_text())["name"] == first.name


def test_a_dry_run_tells_and_changes_nothing(world: World) -> None:
    drop(world, "alpha-1", "beta-3")
    said = world.quick("high", "watch", "drop", "--dry-run", "--activate", *JSON).expect(0)
    told = [(item["bundle"], item["code"], item["exit"]) for item in said.data["foreseen"]]
    assert told == [("alpha-1", "ready", 0), ("beta-3", "wrong-enclave", 6)]
    assert not (world.folder / "drop-quarantine").exists()
    assert world.quick("high", "status", *JSON).data["installed"] == []


def test_sigterm_ends_it_at_once_and_cleanly(world: World) -> None:
    drop(world)
    with running(world, "--interval", "600") as process:
        until(process, "started")
        begun = time.monotonic()
        process.send_signal(signal.SIGTERM)
        out, err = process.communicate(timeout=SECONDS)
        assert process.returncode == 0, err
        assert time.monotonic() - begun < 3
        assert [event["event"] for event in events(out)] == ["stopped"]
        assert "Traceback" not in err


def test_sigterm_in_the_middle_of_an_import_leaves_what_the_next_run_finishes(world: World) -> None:
    drop(world, "alpha-1")
    for delay in (0.0, 0.05, 0.15, 0.3):
        with running(world, "--activate") as process:
            until(process, "arrived")
            time.sleep(delay)
            process.send_signal(signal.SIGTERM)
            assert process.wait(timeout=SECONDS) == 0
    world.run("high", "watch", "drop", "--once", "--activate", *QUICK).expect(0)
    assert active(world) == "demo@1"
    world.quick("high", "check").expect(0)


def test_the_enclave_is_free_while_it_waits(world: World) -> None:
    drop(world)
    with running(world) as process:
        until(process, "started")
        world.quick("high", "import", *world.volumes("alpha-1")).expect(0)
        world.quick("high", "discard", "alpha-9").expect(5)


def test_an_enclave_that_is_in_use_is_waited_for(world: World) -> None:
    import fcntl

    drop(world, "alpha-1")
    with (world.folder / "enclave/lock").open("a") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        with running(world, "--activate") as process:
            assert until(process, "later")[-1]["code"] == "busy"
            fcntl.flock(held, fcntl.LOCK_UN)
            until(process, "activated")


def test_killed_at_any_moment_while_files_arrive(world: World) -> None:
    """SIGKILL again and again; each run goes on with what the folder and the enclave hold."""
    folder = drop(world)
    arrivals = [
        arrival
        for bundle in ("alpha-1", "alpha-2")
        for volume in world.volumes(bundle)
        for arrival in file_by_file(volume, folder / volume.name)
    ]
    arrivals.reverse()
    kills = 14
    for number in range(kills):
        share = len(arrivals) // max(1, kills // 2 - number) if number < kills // 2 else len(arrivals)
        with running(world, "--activate", "--settle", "0") as process:
            for _ in range(min(share, len(arrivals))):
                arrivals.pop()()
            time.sleep(0.35 + 0.11 * (number % 7))
            process.send_signal(signal.SIGKILL)
            process.wait(timeout=SECONDS)
    assert not arrivals
    world.run("high", "watch", "drop", "--once", "--activate", *QUICK).expect(0)
    assert active(world) == "demo@2"
    world.quick("high", "check").expect(0)
    world.quick("provenance", "verify").expect(0)
    assert not list((world.folder / "drop-quarantine").iterdir())
    entries = world.quick("provenance", "history", *JSON).expect(0).data["entries"]
    commits = [entry["bundle"] for entry in entries if entry["type"] == "import-commit"]
    assert commits == ["alpha-1", "alpha-2"]


def test_metrics_are_what_prometheus_reads(world: World, require_tool: Callable[[str], str]) -> None:
    promtool = require_tool("promtool")
    drop(world, "alpha-1", "beta-3")
    place = world.folder / "metrics/airlift.prom"
    place.parent.mkdir()
    world.run("high", "watch", "drop", "--once", "--activate", "--metrics", "metrics/airlift.prom", *QUICK)
    text = place.read_text()
    checked = subprocess.run(
        [promtool, "check", "metrics"], input=text, capture_output=True, text=True, check=False
    )
    assert (checked.returncode, checked.stdout, checked.stderr) == (0, "", "")
    values = dict(line.rsplit(" ", 1) for line in text.splitlines() if not line.startswith("#"))
    assert values['airlift_active_release_info{release="demo@1"}'] == "1"
    assert values['airlift_watch_volumes{state="done"}'] == str(len(world.volumes("alpha-1")))
    assert values['airlift_watch_waiting_bundles{why="held"}'] == "1"
    assert values['airlift_watch_imports_total{outcome="imported"}'] == "1"
    assert {name.partition("{")[0] for name in values} <= set(re.findall(r"# TYPE (\S+)", text))
    assert [path.name for path in place.parent.iterdir()] == [place.name]
    assert place.stat().st_mode & 0o777 == 0o644


def test_metrics_that_cannot_be_written_stop_nothing(world: World) -> None:
    drop(world, "alpha-1")
    said = world.run("high", "watch", "drop", "--once", "--metrics", "none/airlift.prom", *QUICK).expect(0)
    assert [event["event"] for event in events(said.out)].count("unwritten") == 1


def test_a_hundred_thousand_files_of_nobody(world: World) -> None:
    folder = drop(world, "alpha-1")
    for number in range(100_000):
        os.mknod(folder / f"{number}.tmp")
    wrapper = ("/usr/bin/env", "python3", "-c", MEASURED)
    said = airlift("high", "watch", "drop", "--once", "--activate", *QUICK, cwd=world.folder, wrapper=wrapper)
    assert said.code == 0, said.err
    assert active(world) == "demo@1"
    assert len(events(said.out)) == 4 + len(world.volumes("alpha-1"))
    assert int(said.err.splitlines()[-1]) < 400_000, "kB of memory"


MEASURED = """
import resource, subprocess, sys
code = subprocess.call(sys.argv[1:])
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss, file=sys.stderr)
sys.exit(code)
"""


# -- the unit --------------------------------------------------------------------------------------------------------


def unit(folder: Path) -> Path:
    """Return a copy of the unit whose program is there."""
    copy = folder / UNIT.name
    copy.write_text(UNIT.read_text().replace("/usr/local/bin/airlift", "/bin/true"))
    return copy


def test_systemd_accepts_the_unit(tmp_path: Path, require_tool: Callable[[str], str]) -> None:
    said = subprocess.run(
        [require_tool("systemd-analyze"), "verify", "--man=no", str(unit(tmp_path))],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (said.returncode, said.stderr) == (0, "")


def test_systemd_finds_the_unit_little_exposed(tmp_path: Path, require_tool: Callable[[str], str]) -> None:
    said = subprocess.run(
        [
            *(require_tool("systemd-analyze"), "security", "--offline=yes", "--threshold=10", "--no-pager"),
            str(unit(tmp_path)),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert said.returncode == 0, said.stdout + said.stderr  # more than 1.0 of 10


def test_the_command_of_the_unit_is_one(world: World) -> None:
    """The words of ExecStart, with the folders of this world in the place of the unit's."""
    text = UNIT.read_text().replace("\\\n", " ")
    words = re.findall(r"^ExecStart=\S+ (.*)$", text, re.MULTILINE)[0].split()
    drop(world, "alpha-1")
    here = [word.replace("/srv/airlift/", "") for word in words]
    assert not (world.folder / "metrics").exists()
    (world.folder / "metrics").mkdir()
    said = world.run(*here, "--once", *QUICK).expect(0)
    assert "activated" in said.out
    assert len(list((world.folder / "done").iterdir())) == len(world.volumes("alpha-1"))
    assert (world.folder / "metrics/airlift.prom").exists()


CONFINED = """
import ctypes, os, sys
call = ctypes.CDLL(None, use_errno=True).prctl
NO_NEW_PRIVS, MDWE = 38, 65  # prctl(2)
if call(NO_NEW_PRIVS, 1, 0, 0, 0) or call(MDWE, 1, 0, 0, 0):
    sys.exit(77)
os.execvp(sys.argv[1], sys.argv[1:])
"""


def test_it_works_without_network_and_without_memory_that_is_written_and_run(
    world: World, require_tool: Callable[[str], str]
) -> None:
    """PrivateNetwork, NoNewPrivileges and MemoryDenyWriteExecute of the unit, by the kernel itself."""
    drop(world, "alpha-1", "alpha-2")
    confined = (require_tool("unshare"), "--user", "--map-root-user", "--net", sys.executable, "-c", CONFINED)
    said = world.run("high", "watch", "drop", "--once", "--activate", *QUICK, wrapper=confined)
    if said.code == 77:
        lacking("this kernel cannot deny memory that is written and run (Linux 6.3)")
    assert said.code == 0, said.err
    assert active(world) == "demo@2"
