"""A real dask cluster on loopback, with TLS: a scheduler, and workers that are each a group of processes."""

import json
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.conftest import find_file
from tests.support.web_server import Certificates, certificates

PATIENCE = 90.0
LOCAL = ("--host", "127.0.0.1", "--no-dashboard")


@dataclass
class DaskCluster:
    """A scheduler at ``address``, and workers by number."""

    python: Path
    folder: Path
    address: str
    made: Certificates
    workers: list["subprocess.Popen[bytes]"] = field(default_factory=list)

    def words(self) -> tuple[str, ...]:
        """Return the options of a command that asks it."""
        made = self.made
        return (
            *("--cluster", self.address, "--cluster-ca", str(made.authority)),
            *("--cluster-cert", str(made.certificate), "--cluster-key", str(made.key)),
        )

    def add_worker(self) -> None:
        """Start one more worker, in a group of its own."""
        words = ("worker", self.address, *LOCAL, "--nthreads", "1", "--no-nanny", "--memory-limit", "0")
        self.workers.append(_start(self, words, f"worker-{len(self.workers)}"))

    def kill(self, number: int) -> None:
        """End a worker, and what it runs, as a machine that loses power."""
        os.killpg(self.workers[number].pid, signal.SIGKILL)
        self.workers[number].wait()


def cluster_python() -> Path:
    """Return a Python with airlift and distributed; without one the test does not run."""
    return find_file("AIRLIFT_CLUSTER_PYTHON", "a Python with airlift and distributed")


@contextmanager
def dask_cluster(folder: Path, workers: int = 2) -> Iterator[DaskCluster]:
    """Run a scheduler and some workers; all are gone afterwards."""
    python = cluster_python()
    folder.mkdir()
    cluster = DaskCluster(python, folder, "", certificates(folder))
    told = folder / "scheduler.json"
    words = ("scheduler", *LOCAL, "--protocol", "tls", "--port", "0", "--scheduler-file", str(told))
    scheduler = _start(cluster, words, "scheduler")
    try:
        _wait(told, scheduler)
        cluster.address = json.loads(told.read_text())["address"]
        for _ in range(workers):
            cluster.add_worker()
        yield cluster
    finally:
        for one in (*cluster.workers, scheduler):
            if one.poll() is None:
                os.killpg(one.pid, signal.SIGKILL)
            one.wait()


def _start(cluster: DaskCluster, words: tuple[str, ...], name: str) -> "subprocess.Popen[bytes]":
    made = cluster.made
    tls = ("--tls-ca-file", made.authority, "--tls-cert", made.certificate, "--tls-key", made.key)
    with (cluster.folder / f"{name}.log").open("wb") as log:
        return subprocess.Popen(
            [cluster.python, "-m", "dask", *words, *tls],
            cwd=cluster.folder,
            env={**os.environ, "DASK_TEMPORARY_DIRECTORY": str(cluster.folder)},
            stdout=log,
            stderr=log,
            start_new_session=True,
        )


def _wait(told: Path, scheduler: "subprocess.Popen[bytes]") -> None:
    end = time.monotonic() + PATIENCE
    while not told.exists() or not told.read_text().endswith("}"):
        assert scheduler.poll() is None, "the scheduler ended"
        assert time.monotonic() < end, "the scheduler does not come up"
        time.sleep(0.2)
