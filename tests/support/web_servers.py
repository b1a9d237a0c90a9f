"""Real web servers with the configurations that ship, and what lies between them and a client, all on loopback."""

import os
import re
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from tests.arch.tree import ROOT

EXAMPLES = ROOT / "examples" / "serving"
SERVERS = ("nginx", "caddy")
START_SECONDS = 20


def free_port() -> int:
    """Return a port of loopback that was free just now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextmanager
def serving(name: str, program: str, root: Path, folder: Path) -> Iterator[str]:
    """Start nginx or caddy on ``root`` by the example that ships, but for place, name and port; give its address."""
    folder.mkdir()
    port = free_port()
    command = {"nginx": _nginx, "caddy": _caddy}[name](program, root, folder, port)
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, env={**os.environ, "HOME": str(folder)})
    try:
        _await(port, process, folder / "log")
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(timeout=START_SECONDS)


def _nginx(program: str, root: Path, folder: Path, port: int) -> list[str]:
    site = (EXAMPLES / "nginx-hf-mirror.conf").read_text()
    site = site.replace("listen 80;", f"listen 127.0.0.1:{port};").replace("hub.example;", "127.0.0.1;")
    kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    kept = "".join(f"{kind}_temp_path {folder}/{kind};\n" for kind in kinds)
    as_root = "user root;\n" if os.geteuid() == 0 else ""
    (folder / "nginx.conf").write_text(
        f"{as_root}daemon off;\nworker_processes 2;\npid {folder}/pid;\nerror_log {folder}/error.log notice;\n"
        f"events {{}}\nhttp {{\naccess_log {folder}/access.log;\n{kept}{_placed(site, root)}\n}}\n"
    )
    return [program, "-c", str(folder / "nginx.conf"), "-e", str(folder / "error.log")]


def _caddy(program: str, root: Path, folder: Path, port: int) -> list[str]:
    site = (EXAMPLES / "Caddyfile").read_text().replace("http://hub.example:80", f"http://127.0.0.1:{port}")
    (folder / "Caddyfile").write_text("{\n\tadmin off\n\tauto_https off\n}\n" + _placed(site, root))
    return [program, "run", "--config", str(folder / "Caddyfile"), "--adapter", "caddyfile"]


def _placed(site: str, root: Path) -> str:
    placed, count = re.subn(r"/srv/hub\b", str(root), site)
    assert count >= 2
    return placed


def _await(port: int, process: "subprocess.Popen[bytes]", log: Path) -> None:
    end = time.monotonic() + START_SECONDS
    while time.monotonic() < end:
        assert process.poll() is None, log.read_text()
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return
        time.sleep(0.05)
    raise AssertionError(f"nothing listens: {log.read_text()}")


@dataclass
class Cutting:
    """What lies between: it cuts the first answers that are longer than ``after`` bytes, and keeps what was asked.

    ``times`` is how many are cut yet, ``cut`` is called after each; ``asked`` are the heads of all requests.
    """

    after: int
    times: int = 1
    cut: Callable[[], object] = lambda: None
    asked: list[str] = field(default_factory=list)


@contextmanager
def between(address: str, cutting: Cutting) -> Iterator[str]:
    """Stand between a client and the server at ``address``; give the address that the client uses."""
    port = int(address.rpartition(":")[2])
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.settimeout(0.2)
        ended = threading.Event()

        def accept() -> None:
            while not ended.is_set():
                with suppress(TimeoutError):
                    client, _ = listening.accept()
                    client.settimeout(None)
                    threading.Thread(target=_carry, args=(client, port, cutting), daemon=True).start()

        thread = threading.Thread(target=accept)
        thread.start()
        try:
            yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        finally:
            ended.set()
            thread.join()


def _carry(client: socket.socket, port: int, cutting: Cutting) -> None:
    with client, socket.create_connection(("127.0.0.1", port)) as server:

        def back() -> None:
            with suppress(OSError):
                while data := server.recv(1 << 16):
                    client.sendall(data)
                    _count(len(data))
                client.shutdown(socket.SHUT_RDWR)

        sent = 0

        def _count(length: int) -> None:
            nonlocal sent
            sent += length
            if sent > cutting.after and cutting.times:
                cutting.times -= 1
                cutting.cut()
                client.shutdown(socket.SHUT_RDWR)
                raise ConnectionAbortedError

        thread = threading.Thread(target=back, daemon=True)
        thread.start()
        with suppress(OSError):
            while data := client.recv(1 << 16):
                cutting.asked.append(data.decode("latin-1"))
                sent = 0
                server.sendall(data)
        with suppress(OSError):
            server.shutdown(socket.SHUT_RDWR)
        thread.join()
