"""``airlift low``: pack a release into volumes."""

import os
from typing import Annotated, Any

import typer

from airlift.cli import app, options
from airlift.cli.command import Answer, command
from airlift.cli.output import Page, size, to_data
from airlift.cli.session import Run
from airlift.low.bundle import bundle as make_bundle
from airlift.low.depot import open_depot
from airlift.trust.keys import load_signer

MAX_WORKERS = 8

BundlerKey = Annotated[str, typer.Option(metavar="KEY", help="The bundler's private key.")]
Workers = Annotated[
    int | None,
    typer.Option(metavar="N", min=1, help="Threads that code blocks; one per processor by default."),
]


@command(
    app.low,
    "bundle",
    "airlift low bundle assistant@2026.11.1 --for alpha --output out --bundler-key bundler.key --volume-size dvd",
    "airlift low bundle assistant@2026.11.1 --from assistant@2026.11.0 --output out --bundler-key bundler.key",
)
def bundle(
    run: Run,
    release: Annotated[str, typer.Argument(metavar="RELEASE", help="name@version, or its digest.")],
    *,
    output: options.Output,
    bundler_key: BundlerKey,
    from_: Annotated[
        str | None,
        typer.Option("--from", metavar="RELEASE|none", help="The baseline that the enclave holds."),
    ] = None,
    for_: Annotated[
        str | None,
        typer.Option("--for", metavar="ENCLAVE", help="Address the bundle: no other enclave imports it."),
    ] = None,
    volume_size: options.VolumeSize = None,
    max_file_size: options.MaxFileSize = None,
    workers: Workers = None,
    check: Annotated[
        bool, typer.Option("--check/--no-check", help="Decode every block again before it ships.")
    ] = True,
    depot: options.Depot = options.DEPOT,
    passphrase_file: options.PassphraseFile = None,
    passphrase_fd: options.PassphraseFd = None,
    dry_run: options.DryRun = False,
) -> Answer:
    """Pack what an enclave lacks of a published release into volumes, one folder each.

    With --for and without --from, the baseline is the newest release that the enclave has acknowledged; without both
    it is none, and the bundle is complete.
    """
    result = make_bundle(
        open_depot(depot),
        release,
        from_=from_,
        for_=for_,
        output=output,
        signer=load_signer(bundler_key, options.passphrase(run, passphrase_file, passphrase_fd)),
        medium=options.medium(volume_size, max_file_size),
        workers=workers or min(os.cpu_count() or 1, MAX_WORKERS),
        check=check,
        now=run.now,
        dry_run=dry_run,
        progress=run.progress,
    )
    if for_ is not None and from_ is None:
        run.say(f"baseline for {for_}: {result.baseline or 'none'} (known by: {result.baseline_known_by})")
    return bundled(result, dry_run=dry_run)


def bundled(result: Any, *, dry_run: bool) -> Answer:
    """Return the answer for a bundle that was made."""
    data = {**to_data(result), "dry_run": dry_run}
    return Answer(data, lambda page: _render(page, data))


def _render(page: Page, data: dict[str, Any]) -> None:
    facts = {
        key: value for key, value in data.items() if key not in {"volumes", "components", "marking", "codecs"}
    }
    for key in ("chunk_bytes", "target_bytes"):
        facts[key] = size(data[key])
    facts["marking"] = "//".join([data["marking"]["level"], *data["marking"]["caveats"]])
    page.facts(facts)
    for key in ("components", "volumes"):
        if data[key]:
            page.line()
            page.records(data[key])
    if data["codecs"]:
        page.line()
        page.table(["codec", "target bytes"], list(data["codecs"].items()))
