"""``airlift low``: pack a release into volumes, check, renew and withdraw bundles."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from airlift.cli.frame import app, options
from airlift.cli.frame.command import Answer, answer, command
from airlift.cli.frame.output import Page, marking, size, to_data
from airlift.cli.frame.session import Run
from airlift.cli.low import costs

MAX_WORKERS = 8


class Effort(StrEnum):
    """How much time coding may take."""

    normal = "normal"
    high = "high"


BundlerKey = Annotated[str, typer.Option(metavar="KEY", help="The bundler's private key.")]
From = Annotated[
    str | None, typer.Option("--from", metavar="RELEASE|none", help="The baseline that the enclave holds.")
]
For = Annotated[
    str | None, typer.Option("--for", metavar="ENCLAVE", help="Address it: no other enclave imports it.")
]
Check = Annotated[bool, typer.Option("--check/--no-check", help="Decode every block again before it ships.")]
HowMuch = Annotated[
    Effort,
    typer.Option(
        "--effort",
        help="high: a merge of low rank becomes about an eighth smaller in twice the time, a fine-tune does not. "
        "Importing takes as long.",
    ),
]
Explain = Annotated[
    bool,
    typer.Option(
        "--explain", help="Show what takes the bytes; with --dry-run too, which then codes everything."
    ),
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
    from_: From = None,
    for_: For = None,
    volume_size: options.VolumeSize = None,
    max_file_size: options.MaxFileSize = None,
    workers: options.Workers = None,
    check: Check = True,
    effort: HowMuch = Effort.normal,
    explain: Explain = False,
    depot: options.Depot = options.DEPOT,
    passphrase_file: options.PassphraseFile = None,
    passphrase_fd: options.PassphraseFd = None,
    dry_run: options.DryRun = False,
) -> Answer:
    """Pack what an enclave lacks of a published release into volumes, one folder each.

    Say with --from which release it holds; without it the bundle is complete.
    """
    from airlift.codec import Effort as CodecEffort
    from airlift.low.bundle.job import BundleRequest, Coding, Destination
    from airlift.low.bundle.make_bundle import make_bundle
    from airlift.low.depot.depot import open_depot
    from airlift.trust.keys.load import load_signer

    result = make_bundle(
        open_depot(depot),
        BundleRequest(
            release,
            Destination(output, for_, options.medium(volume_size, max_file_size)),
            from_,
            Coding(options.threads(workers, MAX_WORKERS), check, CodecEffort[effort.name.upper()]),
            explain,
        ),
        signer=load_signer(bundler_key, options.passphrase(run, passphrase_file, passphrase_fd)),
        now=run.now,
        dry_run=dry_run,
        progress=run.progress,
    )
    if for_ is not None and from_ is None:
        run.say(f"baseline for {for_}: {result.baseline or 'none'} (known by: {result.baseline_known_by})")
    return _bundled(result, dry_run=dry_run)


@command(
    app.low,
    "renew",
    "airlift low renew --output out --bundler-key bundler.key",
    "airlift low renew --for alpha --output out --bundler-key bundler.key",
)
def renew(
    run: Run,
    *,
    output: options.Output,
    bundler_key: BundlerKey,
    for_: For = None,
    volume_size: options.VolumeSize = None,
    max_file_size: options.MaxFileSize = None,
    depot: options.Depot = options.DEPOT,
    passphrase_file: options.PassphraseFile = None,
    passphrase_fd: options.PassphraseFd = None,
    dry_run: options.DryRun = False,
) -> Answer:
    """Write a bundle without chunks: fresh metadata, roots and revocations."""
    from airlift.low.bundle.job import Destination
    from airlift.low.bundle.renew import renew as make_renewal
    from airlift.low.depot.depot import open_depot
    from airlift.trust.keys.load import load_signer

    result = make_renewal(
        open_depot(depot),
        Destination(output, for_, options.medium(volume_size, max_file_size)),
        signer=load_signer(bundler_key, options.passphrase(run, passphrase_file, passphrase_fd)),
        now=run.now,
        dry_run=dry_run,
    )
    return _bundled(result, dry_run=dry_run)


@command(app.low, "withdraw", "airlift low withdraw alpha-7 --bundler-key bundler.key")
def withdraw(
    run: Run,
    bundle: Annotated[str, typer.Argument(metavar="BUNDLE", help="Its id, for example alpha-7.")],
    *,
    bundler_key: BundlerKey,
    depot: options.Depot = options.DEPOT,
    passphrase_file: options.PassphraseFile = None,
    passphrase_fd: options.PassphraseFd = None,
    dry_run: options.DryRun = False,
) -> Answer:
    """Take a bundle off the list of those that may still be imported.

    Enclaves learn of it with the next bundle or renewal.
    """
    from airlift.low.bundle.withdraw import withdraw as withdraw_bundle
    from airlift.low.depot.depot import open_depot
    from airlift.trust.keys.load import load_signer

    signer = load_signer(bundler_key, options.passphrase(run, passphrase_file, passphrase_fd))
    result = withdraw_bundle(open_depot(depot), bundle, signer=signer, now=run.now, dry_run=dry_run)
    return answer({**to_data(result), "dry_run": dry_run})


@command(app.low, "check", "airlift low check /media/disc1 /media/disc2")
def check(
    run: Run,
    volumes: options.Volumes,
    *,
    depot: Annotated[
        Path | None,
        typer.Option(
            envvar="AIRLIFT_DEPOT", metavar="DIR", help="Also ask whether this depot published the bundle."
        ),
    ] = None,
) -> Answer:
    """Read again what was written or burnt, before it leaves: every byte against its digest."""
    from airlift.low.bundle.check_volumes import check_volumes
    from airlift.low.depot.depot import open_depot

    opened = open_depot(depot) if depot is not None else None
    result = check_volumes(volumes, depot=opened, progress=run.progress)
    if result.missing:
        run.warn(f"{len(result.missing)} chunks lie on volumes that were not given")
    data = to_data(result)

    def render(page: Page) -> None:
        page.facts({**data, "volumes": len(data["volumes"]), "missing": f"{len(data['missing'])} chunks"})

    return Answer(data, render)


def _bundled(result: Any, *, dry_run: bool) -> Answer:
    data = {**to_data(result), "dry_run": dry_run}
    if data["explain"] is None:
        del data["explain"]
    return Answer(data, lambda page: _render(page, data))


def _render(page: Page, data: dict[str, Any]) -> None:
    apart = {"volumes", "components", "marking", "codecs", "explain"}
    facts = {key: value for key, value in data.items() if key not in apart}
    for key in ("chunk_bytes", "target_bytes"):
        facts[key] = size(data[key])
    facts["marking"] = marking(data["marking"])
    page.facts(facts)
    for key in ("components", "volumes"):
        if data[key]:
            page.line()
            page.records(data[key])
    if "explain" in data:
        costs.render(page, data["explain"])
    elif data["codecs"]:
        page.line()
        page.table(["codec", "target bytes"], list(data["codecs"].items()))
