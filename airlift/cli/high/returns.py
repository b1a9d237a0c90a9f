"""``airlift high receipt`` and ``request``: what goes back to the low side, as a signed file or a code for paper."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from airlift.cli.frame import app
from airlift.cli.frame.command import Answer, command
from airlift.cli.frame.output import Page, marking, size, to_data
from airlift.cli.frame.places import KeyedEnclave
from airlift.cli.frame.session import Run

OWN = ("receipt", "request", "code", "sheet")
"""What is shown by itself, below the facts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Form:
    """In which form something goes back."""

    code: Annotated[
        bool,
        typer.Option("--code", help="A sheet to be typed from instead of a signed file; it needs no key."),
    ] = False
    output: Annotated[Path | None, typer.Option(metavar="FILE", help="A new file; shown without it.")] = None


@command(
    app.high,
    "receipt",
    "airlift high receipt --output receipt.json",
    "airlift high receipt --code --output receipt.txt",
)
def receipt(run: Run, *, form: Form, at: KeyedEnclave) -> Answer:
    """State what this enclave holds, signed with the ledger's key: for the low side, and to be kept elsewhere.

    It carries the ledger's newest checkpoint, which a record that was rewritten or restored from a copy contradicts.
    `airlift-verify` checks it.
    """
    from airlift.high.record.receipt import issue_receipt, print_receipt

    if form.code:
        return _answer(run, print_receipt(at.open(), now=run.now, output=form.output), form)
    opened, acting = at.enter(run)
    return _answer(run, issue_receipt(opened, operator=acting, output=form.output), form)


@command(
    app.high,
    "request",
    "airlift high request alpha-7 --output request.json",
    "airlift high request /media/disc1 /media/disc2 --code --output request.txt",
)
def request(
    run: Run,
    wanted: Annotated[
        list[str],
        typer.Argument(
            metavar="BUNDLE|VOLUME...",
            help="Its id or digest, if some of it is staged, or the volumes of it that are at hand; or both.",
        ),
    ],
    *,
    form: Form,
    at: KeyedEnclave,
) -> Answer:
    """State which chunks of a bundle are missing or damaged, signed with the ledger's key: only these are sent again.

    What is staged counts as there. Every copy is read and digested; nothing is changed.
    """
    from airlift.high.record.request import find_lack, issue_request, print_request

    named, volumes = _split(wanted)
    opened, acting = (at.open(), None) if form.code else at.enter(run)
    lack = find_lack(opened, named, volumes, run.now, run.progress)
    run.warn_passed_over(lack.passed_over)
    if acting is None:
        return _answer(run, print_request(opened, lack, now=run.now, output=form.output), form)
    return _answer(run, issue_request(opened, lack, operator=acting, output=form.output), form)


def _split(wanted: list[str]) -> tuple[str | None, list[Path]]:
    """Return the name of a bundle and the volumes: what is no path, if it comes first, is a name."""
    first, *rest = wanted
    if Path(first).exists() or "/" in first:
        return None, [Path(path) for path in wanted]
    return first, [Path(path) for path in rest]


def _answer(run: Run, result: Any, form: Form) -> Answer:
    data = to_data(result)

    def render(page: Page) -> None:
        if form.code and form.output is None:
            page.lines(data["sheet"].splitlines())
            return
        facts = {key: value for key, value in data.items() if key not in {*OWN, "indices", "passed_over"}}
        facts["marking"] = marking(data["marking"])
        if "missing" in data:
            facts["missing"] = f"{len(data['missing'])} chunks"
            facts["missing_bytes"] = size(data["missing_bytes"])
        page.facts(facts)
        if form.output is None:
            run.out.write(f"\n{data['request' if 'missing' in data else 'receipt']}\n")

    return Answer(data, render)
