"""Debian's docker-registry on loopback, and skopeo to push to it."""

import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

CONFIG = """\
version: 0.1
log: {{level: error, accesslog: {{disabled: true}}}}
storage: {{filesystem: {{rootdirectory: {folder}/held}}}}
http: {{addr: "127.0.0.1:{port}"}}
"""
SECONDS = 20


@contextmanager
def serving(program: str, folder: Path) -> Iterator[str]:
    """Give host and port of a registry that is empty at first."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    (folder / "registry.yml").write_text(CONFIG.format(folder=folder, port=port))
    with (
        (folder / "registry.log").open("w") as log,
        subprocess.Popen([program, "serve", folder / "registry.yml"], stdout=log, stderr=log) as process,
    ):
        try:
            _await(process, port)
            yield f"127.0.0.1:{port}"
        finally:
            process.terminate()


def _await(process: subprocess.Popen[bytes], port: int) -> None:
    deadline = time.monotonic() + SECONDS
    while True:
        with socket.socket() as tried:
            if not tried.connect_ex(("127.0.0.1", port)):
                return
        assert process.poll() is None, "the registry ended"
        assert time.monotonic() < deadline, "the registry does not answer"
        time.sleep(0.05)


def skopeo(program: str, *arguments: str | Path) -> bytes:
    """Run skopeo, which takes any signature and asks the registry without TLS; return what it prints."""
    done = subprocess.run([program, "--insecure-policy", *arguments], capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout
