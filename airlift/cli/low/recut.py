"""``airlift low recut``: write a finished bundle again, to another medium or in part."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from airlift.cli.frame import app, options
from airlift.cli.frame.command import Answer, command
from airlift.cli.frame.output import Page, marking, size, to_data
from airlift.cli.frame.places import AtDepot
from airlift.cli.frame.session import Run
from airlift.cli.low.bundle_options import MAX_WORKERS, ForMedium
from airlift.cli.low.returns import read


@dataclass(frozen=True, slots=True, kw_only=True)
class Target(ForMedium):
    """Where volumes are written to, and for what medium."""

    output: Annotated[Path, typer.Option("--output", metavar="DIR", help="Receives one folder per volume.")]


@dataclass(frozen=True, slots=True, kw_only=True)
class Chunks:
    """Which chunks go out, and where they come from."""

    asked: Annotated[
        list[str],
        typer.Option(
            "--request",
            metavar="FILE|CODE",
            default_factory=list,
            show_default=False,
            help="Only what an enclave asks for: a signed file, lines of a code (one each time), or - to type it.",
        ),
    ]
    volumes: Annotated[
        list[Path],
        typer.Option(
            "--volumes",
            metavar="DIR",
            default_factory=list,
            show_default=False,
            help="Where volumes of it are, beside where it was written. May be repeated.",
        ),
    ]
    workers: options.Workers = None


@command(
    app.low,
    "recut",
    "airlift low recut alpha-7 --volume-size dvd --output out",
    "airlift low recut alpha-7 --volumes /media/copy --max-file-size fat32 --output out",
    "airlift low recut alpha-7 --request request.json --output out",
    "airlift low recut alpha-7 --request - --output out",
)
def recut(
    run: Run,
    bundle: Annotated[
        str,
        typer.Argument(metavar="BUNDLE", help="Its id, for example alpha-7, or the folder of its volumes."),
    ],
    *,
    to: Target,
    chunks: Chunks,
    at: AtDepot,
    dry_run: options.DryRun = False,
) -> Answer:
    """Write the volumes of a finished bundle again, for another medium. No key is needed: nothing is signed.

    With --request only the chunks that an enclave lacks. Chunks are taken from volumes at hand, or coded again from
    the depot. Volumes of both cuts may be mixed.
    """
    from airlift.low.bundle import recut as recutting
    from airlift.low.returns.read_request import read_request

    opened = at.open()
    request = recutting.RecutRequest(
        bundle,
        to.output,
        to.medium(),
        recutting.Asked(*read_request(opened, read(run, chunks.asked))) if chunks.asked else None,
        tuple(chunks.volumes),
        options.threads(chunks.workers, MAX_WORKERS),
    )
    result = recutting.recut(opened, request, now=run.now, dry_run=dry_run, progress=run.progress)
    for line in result.unusable:
        run.warn(line)
    if not result.of_first_cut:
        run.warn(
            "these volumes carry newer metadata than those of the first cut: do not give volumes of both in one "
            "command; import one after the other, what was verified is kept"
        )
    data = {**to_data(result), "dry_run": dry_run}
    return Answer(data, lambda page: _render(page, data))


def _render(page: Page, data: dict[str, Any]) -> None:
    apart = {"volumes", "unusable", "chunks_total", "digest"}
    facts = {key: value for key, value in data.items() if key not in apart}
    facts["chunks"] = f"{data['chunks']} of {data['chunks_total']}"
    facts["chunk_bytes"] = size(data["chunk_bytes"])
    facts["marking"] = marking(data["marking"])
    page.facts(facts)
    if data["volumes"]:
        page.line()
        page.records(data["volumes"])
