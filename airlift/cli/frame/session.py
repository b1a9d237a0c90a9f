"""One run of one command: its clock, its streams, what it says, shows and asks."""

import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Any, TextIO

from airlift.cli.frame import output
from airlift.cli.frame.bars import Bars, Lines
from airlift.errors import AirliftError, UsageError
from airlift.progress import Progress, silent
from airlift.shown import clean


class Format(StrEnum):
    """How the answer is written."""

    table = "table"
    json = "json"


class Verbosity(StrEnum):
    """How much is said beside the answer."""

    quiet = "quiet"
    normal = "normal"
    verbose = "verbose"


@dataclass(slots=True)
class Run:
    """What a command body gets: ``now`` is read once, so that a command judges everything at one instant."""

    now: datetime = field(default_factory=lambda: datetime.now(UTC))
    command: str = ""
    format: Format = Format.table
    verbosity: Verbosity = Verbosity.normal
    show_progress: bool = True
    out: TextIO = field(default_factory=lambda: sys.stdout)
    err: TextIO = field(default_factory=lambda: sys.stderr)
    _bars: Bars | Lines | None = None

    @property
    def interactive(self) -> bool:
        """Whether a person can be asked."""
        return sys.stdin is not None and sys.stdin.isatty() and self.err.isatty()

    @property
    def progress(self) -> Progress:
        """What long work reports to."""
        if self.verbosity is Verbosity.quiet or not self.show_progress:
            return silent
        if self._bars is None:
            self._bars = Bars(self.err, self.command) if self.err.isatty() else Lines(self.err)
        return self._bars

    def pause(self) -> None:
        """Take progress bars away before something else is written."""
        if self._bars is not None:
            self._bars.close()

    def say(self, text: str) -> None:
        """Tell the person something, unless ``--quiet``."""
        if self.verbosity is not Verbosity.quiet:
            self._write(text)

    def detail(self, text: str) -> None:
        """Tell what only ``--verbose`` asks for."""
        if self.verbosity is Verbosity.verbose:
            self._write(text)

    def warn(self, text: str) -> None:
        """Tell what should be looked at; even ``--quiet`` does not silence it."""
        self._write(f"warning: {text}", "yellow")

    def warn_passed_over(self, paths: Iterable[Path]) -> None:
        """Tell what desktops left on media, and that nobody looked into it (SPEC 6.4-8)."""
        left = [str(path) for path in paths]
        for path in left[: output.LISTED]:
            self.warn(f"passed over what a desktop left: {path}")
        if len(left) > output.LISTED:
            self.warn(f"and {len(left) - output.LISTED} more; `--format json` lists them all")

    def warn_damaged(self, volumes: Iterable[Path]) -> None:
        """Tell which volumes are damaged, although the command could do without what is damaged (SPEC 6.7-7)."""
        for path in volumes:
            self.warn(f"{path} lacks chunks, or some are damaged: replace it")

    def warn_enforced(self, enforced: Mapping[str, Any] | None) -> None:
        """Tell what became of an active release that is revoked (SPEC 7.9-3)."""
        if enforced is None:
            return
        became = {
            "report": "and policy lets it run on",
            "withdraw": "and was withdrawn: nothing is active",
        }.get(enforced["action"], f"and gave way to {enforced['active']}")
        for reason in enforced["because"]:
            self.warn(f"the active release {enforced['release']} is revoked {became}: {reason}")
        for place in enforced["unserved"]:
            self.warn(f"the export at {place} could not go along: see to what serves it")

    def warn_left_behind(self, labels: Iterable[str]) -> None:
        """Tell what was trained inside and does not run any more (SPEC 8.6-10)."""
        for label in labels:
            self.warn(
                f"{label} was trained inside, ran until now, and is not part of this release; to bring it along: "
                f'`carry: ["{label}"]` in a registration (`airlift high register MANIFEST`)'
            )

    def confirm(self, question: str, *, yes: bool, flag: str = "--yes") -> None:
        """Return if the person agrees.

        Raises:
            UsageError: there is nobody to ask, or the answer is no; nothing was changed.
        """
        if yes:
            return
        if not self.interactive:
            raise UsageError(
                "this needs a person's consent, and there is no terminal to ask", hint=f"say it with {flag}"
            )
        self.pause()
        self.err.write(f"{clean(question)} [y/N] ")
        self.err.flush()
        if sys.stdin.readline().strip().lower() not in {"y", "yes"}:
            raise UsageError(
                "not confirmed, nothing was changed", hint=f"run the same command again, or say {flag}"
            )

    def error(self, error: AirliftError) -> None:
        """Write an error: JSON on stdout, or text for people on stderr."""
        self.pause()
        if self.format is Format.json:
            self.out.write(output.envelope(self.command, error.data, _described(error)) + "\n")
            return
        self._write(f"error: {error.message}", "red")
        if error.expected is not None:
            self._write(f"  expected: {error.expected}")
        if error.found is not None:
            self._write(f"  found: {error.found}")
        for key, items in error.data.items():
            if isinstance(items, list | tuple):
                self._list(key, [output.cell(output.to_data(item)) for item in items])
        self._write(f"hint: {error.hint}", "cyan")
        self.warn_enforced(error.data.get("enforced"))

    def _list(self, key: str, items: list[str]) -> None:
        for item in items[: output.LISTED]:
            self._write(f"  {key.replace('_', ' ')}: {item}")
        if len(items) > output.LISTED:
            self._write(f"  and {len(items) - output.LISTED} more; `--format json` lists them all")

    def _write(self, text: str, style: str = "") -> None:
        self.pause()
        shown = clean(text)
        if self.err.isatty():
            from airlift.cli.frame import terminal

            terminal.say(self.err, shown, style)
        else:
            self.err.write(f"{shown}\n")


def _described(error: AirliftError) -> dict[str, Any]:
    return {
        "code": error.code,
        "exit": error.exit_code,
        "message": error.message,
        "expected": error.expected,
        "found": error.found,
        "hint": error.hint,
    }
