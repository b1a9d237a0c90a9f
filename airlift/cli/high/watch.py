"""``airlift high watch``: a drop folder behind a diode."""

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from airlift.cli.frame import app, options
from airlift.cli.frame.command import Answer, command
from airlift.cli.frame.output import Page, to_data
from airlift.cli.frame.places import OnEnclave
from airlift.cli.frame.session import Run
from airlift.cli.high.import_ import MAX_WORKERS

if TYPE_CHECKING:
    from airlift.high.watching.attempt import Importer
    from airlift.high.watching.put_aside import Places

GRACE = 5.0
"""Seconds after SIGTERM until the command ends whatever it does: what it cuts off is recovered by the next one."""


class StoppedError(KeyboardInterrupt):
    """SIGTERM came."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Watching:
    """How a folder is watched."""

    activate: Annotated[
        bool, typer.Option("--activate", help="Make releases active as they come in, if policy lets them.")
    ] = False
    once: Annotated[
        bool, typer.Option("--once", help="End when everything has settled and was dealt with.")
    ] = False
    interval: Annotated[
        float, typer.Option(metavar="S", min=0.05, max=86_400, help="Seconds between two looks.")
    ] = 10.0
    settle: Annotated[
        float,
        typer.Option(
            metavar="S",
            min=0,
            max=2_592_000,
            help="Seconds without a change after which nothing more of a volume is expected.",
        ),
    ] = 600.0
    metrics: Annotated[
        Path | None, typer.Option(metavar="FILE.prom", help="Replaced at each look, for a node exporter.")
    ] = None
    move_done: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Move volumes there once they were imported.")
    ] = None
    quarantine: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Bad volumes go there with a reason; <DROP>-quarantine by default."),
    ] = None
    workers: options.Workers = None

    def places(self, drop: Path) -> "Places":
        """Return the folders, absolute."""
        from airlift.high.watching.put_aside import Places

        whole = drop.absolute()
        aside = (self.quarantine or whole.with_name(f"{whole.name}-quarantine")).absolute()
        return Places(whole, aside, self.move_done.absolute() if self.move_done else None)


@command(
    app.high,
    "watch",
    "airlift high watch /srv/airlift/drop --activate --metrics /var/lib/node-exporter/airlift.prom",
    "airlift high watch /srv/airlift/drop --once --settle 60 --move-done /srv/airlift/done",
)
def watch(
    run: Run,
    drop: Annotated[Path, typer.Argument(metavar="DROP", help="The folder that volumes arrive in.")],
    *,
    how: Watching,
    on: OnEnclave,
) -> Answer:
    """Import what arrives in a drop folder: file by file, in any order, slowly; what is bad is put aside.

    Each event is one line of JSON on stdout. The command runs until SIGTERM ends it, unless --once.
    """
    from airlift.high.watching.attempt import Importer

    workers = options.threads(how.workers, MAX_WORKERS)
    if on.dry_run:
        return _foreseen(run, Importer(on.open(), how.activate, workers), how.places(drop))
    opened, acting = on.enter(run)
    importer = Importer(opened, how.activate, workers, run.progress)

    from airlift.high.watching.tell import line
    from airlift.high.watching.watch import WatchRequest, WatchResult
    from airlift.high.watching.watch import watch as watching

    def write(event: dict[str, Any]) -> None:
        run.pause()
        run.out.write(line(event) + "\n")
        run.out.flush()
        _say(run, event)

    request = WatchRequest(how.places(drop), importer, how.interval, how.settle, how.once, how.metrics)
    result = WatchResult()
    with _ends_at_sigterm() as ended:
        watching(request, acting, write=write, stopping=ended.is_set, result=result)
    return Answer({**to_data(result), "dry_run": False}, lambda _page: None)


@contextmanager
def _ends_at_sigterm() -> Iterator[threading.Event]:
    """Let SIGTERM end the body: at once where it waits, and in any case after GRACE."""
    ended = threading.Event()

    def end(_number: int, _frame: object) -> None:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        ended.set()
        timer = threading.Timer(GRACE, os._exit, [0])
        timer.daemon = True
        timer.start()
        raise StoppedError

    before = signal.signal(signal.SIGTERM, end)
    try:
        yield ended
    except StoppedError:
        pass
    finally:
        if not ended.is_set():
            signal.signal(signal.SIGTERM, before)


WARNED = {"quarantined", "passed-over", "held", "crowded", "unreadable", "unwritten", "unmoved", "later"}


def _say(run: Run, event: dict[str, Any]) -> None:
    """Tell a person what happened, in one line."""
    about = [event[key] for key in ("bundle", "release", "name") if event[key]]
    text = " ".join([event["event"], *about])
    text += f": {event['message']}" if event["message"] else ""
    if event["event"] in WARNED:
        run.warn(text)
    else:
        run.say(text)


def _foreseen(run: Run, how: "Importer", places: "Places") -> Answer:
    from airlift.high.watching.foresee import foresee

    found = to_data(foresee(how, places, run.now))
    if not found:
        run.say(f"there is no volume in {places.drop}")

    def render(page: Page) -> None:
        page.records(found)

    return Answer({"foreseen": found, "dry_run": True}, render)
