"""``airlift low returns``: take in what enclaves send back, as a signed file or typed from paper."""

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from airlift.cli.frame import app, options
from airlift.cli.frame.command import Answer, command
from airlift.cli.frame.output import Page, marking, size, to_data
from airlift.cli.frame.places import AtDepot
from airlift.cli.frame.session import Run

STDIN = "-"
HIDDEN = {"missing", "missing_bytes", "warnings", "marking", "holds"}


@command(
    app.returns,
    "import",
    "airlift low returns import receipt.json",
    "airlift low returns import '1R20 4HMA SW99 SSZP WQAC 7CB3 03ZG 1ZR5' '2000 0RS9 K15H'",
    "airlift low returns import -",
)
def import_(
    run: Run,
    what: Annotated[
        list[str],
        typer.Argument(
            metavar="FILE|CODE...",
            help="A signed file; or the lines of a code, each in quotes or all in a row; or - to type them in.",
        ),
    ],
    *,
    at: AtDepot,
    dry_run: options.DryRun = False,
) -> Answer:
    """Record what an enclave holds, from its receipt; or hold against the bundle what its request asks for.

    A signed file is checked with the key that `airlift low enrol` recorded. A code has no signature: it is your word.
    """
    from airlift.low.returns.import_return import import_return

    opened, data = at.open(), read(run, what)
    result = import_return(opened, data, now=run.now, dry_run=dry_run)
    if result.already:
        run.say("nothing of this is new")
    for warning in result.warnings:
        run.warn(warning)
    if result.counter is not None:
        run.warn(f"the next bundle gets a number above {result.counter}")
    answered = {**to_data(result), "dry_run": dry_run}
    return Answer(answered, lambda page: _render(page, answered))


def read(run: Run, what: list[str]) -> bytes:
    """Return what a FILE|CODE argument stands for: the bytes of the file, of stdin for ``-``, or the code itself.

    Raises:
        UncheckedError: the file cannot be read.
        MalformedError: it is too long.
    """
    from airlift import files
    from airlift.low.returns.recognise import MAX_BYTES

    if what == [STDIN]:
        if sys.stdin.isatty():
            run.say("type the lines of the code, then Ctrl-D on a line of its own")
        return sys.stdin.buffer.read(MAX_BYTES + 1)
    if len(what) == 1 and ("/" in what[0] or "." in what[0] or Path(what[0]).exists()):
        return files.read_bounded(Path(what[0]), MAX_BYTES)
    between = "\n" if any(" " in part or "-" in part for part in what) else " "
    return between.join(what).encode()


def _render(page: Page, data: dict[str, Any]) -> None:
    shown = {key: value for key, value in data.items() if key not in HIDDEN and value is not None}
    if data["marking"] is not None:
        shown["marking"] = marking(data["marking"])
    if data["bundle"] is None:
        shown["holds"] = data["holds"]
    else:
        shown["missing"] = f"{len(data['missing'])} chunks, {size(data['missing_bytes'])}"
    page.facts(shown)
