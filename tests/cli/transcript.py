"""Runs the real command in a process of its own, and reads what it says."""

import contextlib
import io
import json
import os
import pty
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from airlift.cli.main import main

COMMAND = (sys.executable, "-m", "airlift")
TIMEOUT = 120  # seconds


@dataclass(frozen=True)
class Transcript:
    """What a command said and how it ended."""

    arguments: tuple[str, ...]
    code: int
    out: str
    err: str

    def expect(self, code: int) -> "Transcript":
        """Return the transcript after checking exit code, and that no error shows the program's inside."""
        assert self.code == code, f"{self}"
        assert "Traceback" not in self.out + self.err, f"{self}"
        if code and self.out.startswith("{"):
            assert self.document["error"]["exit"] == code
        return self

    @property
    def document(self) -> dict[str, Any]:
        """The JSON answer: one line, one object."""
        assert self.out.count("\n") == 1, f"{self}"
        document: dict[str, Any] = json.loads(self.out)
        assert set(document) == {"airlift", "command", "ok", "data"} | (
            set() if document["ok"] else {"error"}
        )
        assert document["airlift"] == 1
        return document

    @property
    def data(self) -> dict[str, Any]:
        """What scripts rely on."""
        data: dict[str, Any] = self.document["data"]
        return data

    @property
    def error(self) -> dict[str, Any]:
        """The error of the JSON answer."""
        error: dict[str, Any] = self.document["error"]
        assert set(error) == {"code", "exit", "message", "expected", "found", "hint"}
        return error

    def __str__(self) -> str:
        return f"airlift {' '.join(self.arguments)} -> {self.code}\n{self.out}\n{self.err}"


def airlift(
    *arguments: str | Path,
    cwd: Path,
    environment: Mapping[str, str] | None = None,
    stdin: str = "",
    wrapper: tuple[str, ...] = (),
) -> Transcript:
    """Run ``airlift`` with these arguments in folder ``cwd``; ``wrapper`` goes before the command line."""
    inherited = {
        k: v for k, v in os.environ.items() if not k.startswith(("AIRLIFT_", "FORCE_COLOR", "TERMINAL_"))
    }
    done = subprocess.run(
        [*wrapper, *COMMAND, *map(str, arguments)],
        cwd=cwd,
        env={**inherited, "COLUMNS": "100", **(environment or {})},
        input=stdin,
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
        check=False,
    )
    return Transcript(tuple(map(str, arguments)), done.returncode, done.stdout, done.stderr)


def inside(*arguments: str | Path, cwd: Path) -> Transcript:
    """Run the same entry point in this process: for preparations and sweeps that would take long otherwise."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.chdir(cwd), contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = main(list(map(str, arguments)))
    return Transcript(tuple(map(str, arguments)), code, out.getvalue(), err.getvalue())


def on_a_terminal(
    arguments: list[str], cwd: Path, dialogue: tuple[tuple[str, str], ...] = (), **environment: str
) -> tuple[int, str]:
    """Run the command on a pseudo-terminal; ``dialogue`` is (question to wait for, what to type).

    Returns its exit code and everything it wrote.
    """
    pid, terminal = pty.fork()
    if pid == 0:  # pragma: no cover - replaced at once
        os.chdir(cwd)
        os.execve(COMMAND[0], [*COMMAND, *arguments], {**os.environ, "TERM": "xterm", **environment})  # noqa: S606
    said, seen = b"", 0
    while part := _read(terminal):
        said += part
        if dialogue and dialogue[0][0].encode() in said[seen:]:
            time.sleep(0.2)  # getpass throws away what was typed before it asked
            os.write(terminal, f"{dialogue[0][1]}\n".encode())
            dialogue, seen = dialogue[1:], len(said)
    os.close(terminal)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), said.decode()


def _read(terminal: int) -> bytes:
    try:
        return os.read(terminal, 4096)
    except OSError:  # the other end is closed
        return b""


def tree(folder: Path) -> dict[str, tuple[int, int]]:
    """Map every path below ``folder`` to its mode and size, to see that nothing changed."""
    return {
        str(path.relative_to(folder)): (path.lstat().st_mode, path.lstat().st_size if path.is_file() else 0)
        for path in sorted(folder.rglob("*"))
    }
