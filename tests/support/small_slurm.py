"""Slurm on this machine alone: one controller and one node, on loopback, with a key and folders of their own."""

import os
import secrets
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.conftest import find_tool, lacking

PATIENCE = 60.0
CONFIGURATION = """\
ClusterName=airlift
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={controller}
SlurmdPort={node}
SlurmUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
MpiDefault=none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
SlurmdParameters=config_overrides
ReturnToService=2
SchedulerParameters=sched_interval=1
NodeName={host} NodeAddr=127.0.0.1 CPUs=16 RealMemory=64000 State=UNKNOWN
PartitionName=all Nodes=ALL Default=YES MaxTime=INFINITE State=UP
"""


@contextmanager
def small_slurm(folder: Path) -> Iterator[dict[str, str]]:
    """Run Slurm with its files in ``folder``; give the environment in which its commands reach it."""
    programs = [find_tool(name) for name in ("munged", "slurmctld", "slurmd")]
    if os.geteuid() != 0:
        lacking("slurmd has to be root")
    munged, controller, node = programs
    _write(folder)
    environment = {**os.environ, "SLURM_CONF": str(folder / "slurm.conf")}
    words = [
        [munged, "--foreground", "--force", *(f"--{name}={folder}/munge.{end}" for name, end in _MUNGE)],
        [controller, "-D"],
        [node, "-D"],
    ]
    started: list[subprocess.Popen[bytes]] = []
    try:
        for number, command in enumerate(words):
            with (folder / f"{number}.log").open("wb") as log:
                started.append(subprocess.Popen(command, env=environment, stdout=log, stderr=log))
            _wait((folder / "munge.socket").exists)
        _wait(lambda: b"idle" in _said(environment))
        yield environment
    finally:
        for one in reversed(started):
            one.send_signal(signal.SIGTERM)
            one.wait(PATIENCE)


_MUNGE = (
    ("key-file", "key"),
    ("socket", "socket"),
    ("pid-file", "pid"),
    ("log-file", "log"),
    ("seed-file", "seed"),
)


def _write(folder: Path) -> None:
    for name in ("state", "spool"):
        (folder / name).mkdir(parents=True)
    folder.chmod(0o755)
    (folder / "munge.key").write_bytes(secrets.token_bytes(1024))
    (folder / "munge.key").chmod(0o600)
    host = socket.gethostname().partition(".")[0]
    controller, node = _free_port(), _free_port()
    text = CONFIGURATION.format(host=host, folder=folder, controller=controller, node=node)
    (folder / "slurm.conf").write_text(text)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _said(environment: dict[str, str]) -> bytes:
    done = subprocess.run(
        [find_tool("sinfo"), "--noheader", "--format=%T"], env=environment, capture_output=True, check=False
    )
    return done.stdout


def _wait(ready: Callable[[], bool]) -> None:
    end = time.monotonic() + PATIENCE
    while not ready():
        assert time.monotonic() < end, "Slurm does not come up"
        time.sleep(0.2)
