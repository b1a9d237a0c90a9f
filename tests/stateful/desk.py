"""Runs the real command line in this process, at a time of its own, and reads the JSON that it answers."""

import contextlib
import io
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import typer

from airlift.cli import main as entry_point
from airlift.cli.frame import app
from airlift.cli.frame.session import Run
from airlift.high.watching import watch
from tests.support.depots import NOW


@dataclass(frozen=True, slots=True)
class Said:
    """How a command ended: its exit code, its data, and the code of its error, if it has one."""

    words: tuple[str, ...]
    exit: int
    data: dict[str, Any]
    code: str | None
    message: str

    @property
    def codes(self) -> set[str]:
        """All that stood against it."""
        told = {item["code"] for item in self.data.get("objections") or () if self.exit}
        return told or ({self.code} if self.code else set())

    def __str__(self) -> str:
        return f"airlift {' '.join(self.words)} -> {self.exit} {self.code or ''} {self.message}"


@dataclass(slots=True)
class Desk:
    """Where commands are given; ``now`` is what every clock says, ``tell`` is told what was said."""

    now: datetime = NOW
    tell: Callable[[str], object] = str
    trail: list[Said] = field(default_factory=list)

    def run(self, *words: str | Path) -> Said:
        """Run a command, and note what it said."""
        given = [*map(str, words), "--quiet", "--format", "json"]
        out, err = io.StringIO(), io.StringIO()
        with _clock(self.now), contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            code = entry_point.main(given)
        text = out.getvalue()
        if given[:2] == ["high", "watch"]:  # events, and the answer last
            text = text.splitlines(keepends=True)[-1]
        assert text.count("\n") == 1, f"{given} -> {code}: {text[:500]} {err.getvalue()[:2000]}"
        document = json.loads(text)
        assert document["ok"] == (code == 0)
        error = document.get("error") or {"code": None, "message": "", "exit": 0}
        assert error["exit"] == code
        assert code != 1, f"a bug: {given}: {error['message']}"
        said = Said(tuple(map(str, words)), code, document["data"] or {}, error["code"], error["message"])
        self.trail.append(said)
        self.tell(str(said))
        return said


@contextlib.contextmanager
def _clock(now: datetime) -> Iterator[None]:
    """Let commands begin at ``now``."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(entry_point, "Run", lambda **more: Run(now=now, **more))
        patch.setattr(watch, "Clock", partial(watch.Clock, now=lambda: now))
        yield


def verbs() -> list[str]:
    """Return all commands that there are, as people write them."""
    return sorted(_verbs(typer.main.get_command(app.root)))


def _verbs(command: Any, *above: str) -> Iterator[str]:
    below = getattr(command, "commands", None)
    if below is None:
        yield " ".join(above)
    for name, item in (below or {}).items():
        yield from _verbs(item, *above, name)


@contextlib.contextmanager
def commands() -> Iterator[None]:
    """Declare all commands, once: what is declared is the same for every run."""
    app.declare()
    tree = typer.main.get_command(app.root)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(typer.main, "get_command", lambda _root: tree)
        yield
