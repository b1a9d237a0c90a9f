"""A real registry on loopback, started for a test: Debian's docker-registry."""

import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

CONFIG = """\
version: 0.1
log: {{level: error}}
storage: {{filesystem: {{rootdirectory: {folder}}}}}
http: {{addr: 127.0.0.1:{port}}}
"""
SECONDS = 20


def free_port() -> int:
    """Return a port on loopback that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def registry(program: str, folder: Path) -> Iterator[str]:
    """Run a registry that keeps its blobs in ``folder``, and give its address."""
    port = free_port()
    config = folder / "registry.yml"
    config.write_text(CONFIG.format(folder=folder / "blobs", port=port))
    with (
        (folder / "log").open("wb") as log,
        subprocess.Popen([program, "serve", str(config)], stdout=log, stderr=log) as running,
    ):
        try:
            _wait(running, port, folder / "log")
            yield f"127.0.0.1:{port}"
        finally:
            running.terminate()


def _wait(running: subprocess.Popen[bytes], port: int, log: Path) -> None:
    until = time.monotonic() + SECONDS
    while time.monotonic() < until and running.poll() is None:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            time.sleep(0.05)
        else:
            return
    raise AssertionError(log.read_text())
