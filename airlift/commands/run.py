"""Run one command to its end, in bounded time; what it says is kept in part, and never believed (SPEC 7.10)."""

import os
import select
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from airlift.commands.confine import TIME, Bounds, confine
from airlift.policy.document import Command
from airlift.progress import announce
from airlift.shown import clean

SHOWN_BYTES = 2048
"""How much of the end of what a command writes is shown to people; none of it enters the record."""
SHOWN_OBJECTIONS = 20
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_PIECE = 1 << 16
_TICK = 0.05


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a command ended: ``exit`` is None if it was killed, or never began; ``seconds`` is how long it took.

    ``enforced`` are the bounds that held, ``said`` the end of what it wrote, cleaned. ``objections`` are those of
    what judges without a command, None of a command.
    """

    name: str
    exit: int | None
    seconds: float
    enforced: tuple[str, ...]
    said: str
    objections: tuple[str, ...] | None = None

    @property
    def passes(self) -> bool:
        """Whether it ended by itself and accepts."""
        return self.exit == 0

    @property
    def expected(self) -> str:
        """What it takes to pass, for people."""
        return "exit 0" if self.objections is None else "no objections"

    @property
    def verdict(self) -> str:
        """How it ended, for people."""
        if self.objections:
            more = f", and {len(self.objections) - 1} more" if len(self.objections) > 1 else ""
            return f"{self.objections[0]}{more}"
        return (
            "was ended: it took too long, or could not be run" if self.exit is None else f"exit {self.exit}"
        )

    def shown(self) -> dict[str, object]:
        """Return the outcome as answers show it."""
        return {
            "name": self.name,
            "passes": self.passes,
            "exit": self.exit,
            "seconds": self.seconds,
            "enforced": list(self.enforced),
            "said": self.said,
        }

    def annotations(self) -> dict[str, object]:
        """Return what an attestation states of it: nothing of what it wrote."""
        return {"exit": self.exit, "seconds": int(self.seconds), "enforced": list(self.enforced)}


def run_confined(command: Command, folder: Path, words: Mapping[str, str]) -> Outcome:
    """Run a command offline and in bounds, from ``folder``; ``words`` replace what stands in braces in it."""
    bounds = Bounds(command.timeout, command.memory, command.processes)
    with tempfile.TemporaryDirectory(prefix="airlift-") as scratch:
        place = Path(scratch).resolve()
        confined = confine(_filled(command, words), bounds, place)
        return _run(command, confined.argv, folder, words, home=place, enforced=confined.enforced)


def run_plainly(command: Command, folder: Path, words: Mapping[str, str]) -> Outcome:
    """Run a command as the operator, bounded in time only: it is to reach what serves the models."""
    return _run(command, _filled(command, words), folder, words, home=folder, enforced=(TIME,))


def ask(name: str, judge: Callable[[], Iterable[str]]) -> Outcome:
    """Ask what judges without a command, and is bounded by itself; any objection is exit 1.

    Raises:
        AirliftError: whatever ``judge`` raises.
    """
    started = time.monotonic()
    announce(f"asking {name}")
    objections = tuple(clean(text) for text in judge())
    seconds = round(time.monotonic() - started, 1)
    said = "\n".join(objections[:SHOWN_OBJECTIONS])
    return Outcome(name, 1 if objections else 0, seconds, (), said, objections)


def _filled(command: Command, words: Mapping[str, str]) -> tuple[str, ...]:
    """Return a command with its placeholders filled in: whole words only, nothing is ever split or expanded."""
    return tuple(
        words.get(word[1:-1], word) if word[:1] == "{" and word[-1:] == "}" else word for word in command.argv
    )


def _run(
    command: Command,
    argv: tuple[str, ...],
    folder: Path,
    words: Mapping[str, str],
    *,
    home: Path,
    enforced: tuple[str, ...],
) -> Outcome:
    started = time.monotonic()
    announce(f"running {command.name}")
    try:
        process = subprocess.Popen(  # noqa: S603 - the words of a policy that the ledger recorded, no shell
            argv, cwd=folder, env=_environment(words, home), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, start_new_session=True,
        )  # fmt: skip
    except OSError as error:
        return Outcome(command.name, None, 0.0, (), clean(f"{argv[0]}: {os.strerror(error.errno or 0)}"))
    try:
        said, ended = _follow(process, started + command.timeout)
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        code = process.wait()
        if process.stdout is not None:
            process.stdout.close()
    seconds = round(time.monotonic() - started, 1)
    shown = clean(said.decode(errors="replace").strip())
    return Outcome(command.name, code if ended and code >= 0 else None, seconds, enforced, shown)


def _follow(process: subprocess.Popen[bytes], deadline: float) -> tuple[bytes, bool]:
    """Read what a process writes until it ends, or its time is over; return the end of it, and whether it ended."""
    said, stream = b"", process.stdout
    while (left := deadline - time.monotonic()) > 0:
        ready = stream is not None and select.select([stream], [], [], min(left, _TICK))[0]
        piece = os.read(stream.fileno(), _PIECE) if ready and stream is not None else b""
        said = (said + piece)[-SHOWN_BYTES:]
        if not piece and process.poll() is not None:
            return said, True
        if ready and not piece:  # it closed its output, and works on
            time.sleep(min(left, _TICK))
    return said, False


def _environment(words: Mapping[str, str], home: Path) -> dict[str, str]:
    told = {f"AIRLIFT_{name.upper()}": value for name, value in words.items()}
    return {
        "PATH": os.environ.get("PATH", _PATH), "LANG": "C.UTF-8", "HOME": str(home), "TMPDIR": str(home),
        "HF_HUB_OFFLINE": "1", **told,
    }  # fmt: skip
