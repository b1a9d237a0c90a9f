"""Servers of others, started by tests on this machine, with a wait until they answer; and a relay that cuts."""

import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

PATIENCE = 60.0


def free_port() -> int:
    """Return a port that nobody uses at the moment."""
    with socket.socket() as tried:
        tried.bind(("127.0.0.1", 0))
        return int(tried.getsockname()[1])


@contextmanager
def running(
    command: Sequence[str | Path],
    log: Path,
    answers: Callable[[], bool],
    env: Mapping[str, str] | None = None,
) -> Iterator[None]:
    """Run a server until the end of the body, which begins when it answers."""
    with log.open("wb") as out:
        process = subprocess.Popen(
            [str(word) for word in command],
            stdout=out,
            stderr=out,
            stdin=subprocess.DEVNULL,
            env=env,
            cwd=log.parent,
        )
        try:
            end = time.monotonic() + PATIENCE
            while not answers():
                assert process.poll() is None, log.read_text(errors="replace")[-2000:]
                assert time.monotonic() < end, log.read_text(errors="replace")[-2000:]
                time.sleep(0.1)
            yield
        finally:
            process.terminate()
            try:
                process.wait(2)  # what it holds is not needed any more
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait(20)


def listens(port: int) -> bool:
    """Say whether somebody takes connections at a port of this machine."""
    with suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
        return True
    return False


@contextmanager
def cutting(port: int, cuts: list[int]) -> Iterator[int]:
    """Give the port of a relay to another one; of each connection it hands back as many bytes as ``cuts`` says next.

    When these are used up, all of them.
    """
    listener, ends = socket.create_server(("127.0.0.1", 0)), list[socket.socket]()

    def pump(source: socket.socket, target: socket.socket, left: int | None) -> None:
        with suppress(OSError):
            while data := source.recv(65536 if left is None else min(left, 65536)):
                target.sendall(data)
                left = None if left is None else left - len(data)
                if left == 0:
                    break
        _hang_up(source, target)

    def accept() -> None:
        with suppress(OSError):
            while True:
                client, _ = listener.accept()
                server = socket.create_connection(("127.0.0.1", port), 5)
                ends.extend((client, server))
                left = cuts.pop(0) if cuts else None
                threading.Thread(target=pump, args=(client, server, None), daemon=True).start()
                threading.Thread(target=pump, args=(server, client, left), daemon=True).start()

    thread = threading.Thread(target=accept, daemon=True)
    thread.start()
    try:
        yield int(listener.getsockname()[1])
    finally:
        _hang_up(listener)
        listener.close()
        thread.join(5)
        _hang_up(*ends)
        for end in ends:
            end.close()


def _hang_up(*ends: socket.socket) -> None:
    for end in ends:
        with suppress(OSError):
            end.shutdown(socket.SHUT_RDWR)
