"""``airlift status``, which is also what ``airlift`` alone does: it reads, tells, and never fails (SPEC 14-13)."""

import os
import shlex
from collections.abc import Callable, Iterable
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Any

from airlift.cli.frame import app, options
from airlift.cli.frame.command import Answer, command
from airlift.cli.frame.output import Page
from airlift.cli.frame.session import Run
from airlift.errors import AirliftError
from airlift.points import BAD, WARN, Point

LOW, HIGH = "low", "high"
_FIRST = {
    LOW: "to send: `airlift keys generate NAME --out keys`, then `airlift low init`",
    HIGH: "to receive: `airlift high init --root root.json --name NAME --ledger-key ledger.key`",
}


@command(app.root, "status", "airlift status", "airlift status --format json")
def status(
    run: Run, *, depot: options.Depot = options.DEPOT, enclave: options.Enclave = options.ENCLAVE
) -> Answer:
    """Show where you stand and what comes next: the depot and the enclave that are here. `airlift` alone does it.

    Nothing is changed. The exit code is 0 even if something is damaged: `points` say so.
    """
    places = {LOW: _named(depot), HIGH: _named(enclave)}
    found = {
        LOW: _points(depot, lambda: _low(depot, run.now)),
        HIGH: _points(enclave, lambda: _high(enclave, run.now)),
    }
    here = {side: points for side, points in found.items() if points is not None}
    if not here:
        absent = {LOW: f"there is no depot at {depot}", HIGH: f"there is no enclave at {enclave}"}
        here = {side: (Point(WARN, absent[side], _FIRST[side]),) for side in (LOW, HIGH)}
    data = {
        "depot": places[LOW] if found[LOW] is not None else None,
        "enclave": places[HIGH] if found[HIGH] is not None else None,
        "points": [{"side": side, **asdict(point)} for side, points in here.items() for point in points],
    }
    return Answer(data, lambda page: _render(page, here, places))


def _low(depot: Path, now: datetime) -> Iterable[Point]:
    from airlift.low.advise import advise
    from airlift.low.depot.depot import open_depot

    return advise(open_depot(depot), now, _at("--depot", depot, options.DEPOT))


def _high(enclave: Path, now: datetime) -> Iterable[Point]:
    from airlift.high.enclave.enclave import open_enclave
    from airlift.high.record.advise import advise

    return advise(open_enclave(enclave), now, _at("--enclave", enclave, options.ENCLAVE))


def _points(folder: Path, look: Callable[[], Iterable[Point]]) -> tuple[Point, ...] | None:
    """Return the points of what lies in a folder, what keeps it from being read among them; None: nothing does."""
    if not os.path.lexists(folder):
        return None
    try:
        return tuple(look())
    except AirliftError as error:
        found = f" ({error.found})" if error.found else ""
        return (Point(BAD, f"{error.message}{found}", error.hint),)
    except OSError as error:
        return (Point(BAD, f"{error.filename or folder}: {os.strerror(error.errno or 0)}", "airlift doctor"),)


def _named(folder: Path) -> str:
    return str(folder)


def _at(option: str, folder: Path, usual: Path) -> str:
    """Return how commands name a folder: not at all where they find it by themselves."""
    own = str(folder) == os.environ.get(f"AIRLIFT_{option.removeprefix('--').upper()}", str(usual))
    return "" if own else f" {option} {shlex.quote(str(folder))}"


def _render(page: Page, here: dict[str, tuple[Point, ...]], places: dict[str, str]) -> None:
    for number, (side, points) in enumerate(here.items()):
        if number:
            page.line()
        page.line(f"{side} side: {places[side]}", style="bold")
        page.facts(row for point in points for row in _rows(point))


def _rows(point: Point) -> list[tuple[str, Any]]:
    return [(point.state, point.what), *([("", f"next: {point.next}")] if point.next else [])]
