"""``airlift low``: gather a release, and collect its signatures."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from airlift.cli.frame import app, options
from airlift.cli.frame.command import Answer, answer, command
from airlift.cli.frame.output import Page, size, to_data
from airlift.cli.frame.places import AtDepot, OnDepot
from airlift.cli.frame.session import Run

if TYPE_CHECKING:
    from airlift.low.depot.depot import Depot


@command(
    app.low,
    "draft",
    "airlift low draft models/base models/guard",
    "airlift low draft models/base --output release.yaml",
)
def draft(
    run: Run,
    folders: Annotated[list[Path], typer.Argument(metavar="FOLDER", help="One component each.")],
    *,
    output: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write it to a new file; else it is shown.")
    ] = None,
    depot: Annotated[
        Path,
        typer.Option(
            envvar="AIRLIFT_DEPOT",
            metavar="DIR",
            help="Propose versions by what it published, if it is there.",
        ),
    ] = options.DEPOT,
) -> Answer:
    """Write a release manifest for what lies in folders, with what the gate will object to.

    What nobody but you can know is FILL-IN. Paths lead from FILE, or from here.
    """
    from airlift.low.depot.depot import MARKER, open_depot
    from airlift.low.drafting.draft import draft as draft_manifest

    opened = open_depot(depot) if (depot / MARKER).exists() else None
    result = draft_manifest(folders, depot=opened, output=output, progress=run.progress)
    if output is not None:
        for item in result.components:
            for text in item.objections:
                run.warn(f"{item.name}: {text}")
        run.say(f"complete {output}, then: airlift low release {output}")

    def render(page: Page) -> None:
        if output is not None:
            page.records(
                [
                    {key: to_data(item)[key] for key in ("name", "kind", "version")}
                    for item in result.components
                ]
            )
            return
        for line in result.manifest.splitlines():
            page.line(line)

    return answer(result, render)


@command(app.low, "outdated", "airlift low outdated")
def outdated(run: Run, *, at: AtDepot) -> Answer:
    """Compare the hub sources of the newest published release with the newest commits of their branch."""
    from airlift.low.release.outdated import find_outdated

    result = find_outdated(at.open(), run.progress)
    data = to_data(result)
    for item, source in zip(data["sources"], result.sources, strict=True):
        item["outdated"] = source.outdated
        if source.newest is None:
            run.warn(f"{source.component}: the hub has no branch {source.branch} of {source.repo} any more")
    if not result.sources:
        run.say(f"no component of {result.release} came from a hub")
    return Answer(data, lambda page: page.records(data["sources"]))


@command(app.low, "release", "airlift low release release.yaml --key release-carol.key")
def release(
    run: Run,
    manifest: Annotated[
        Path, typer.Argument(metavar="MANIFEST.yaml", help="The release as a person wrote it.")
    ],
    *,
    key: options.Key,
    replace: options.Replace = False,
    on: OnDepot,
) -> Answer:
    """Gather a release, check and digest every file, and propose it to the release authority.

    Signed at once with the keys that are given; published when the threshold is met.
    """
    from airlift.low.release.make_release import make_release

    result = make_release(
        on.open(),
        manifest,
        signers=on.passphrases.signers(run, key),
        now=run.now,
        dry_run=on.dry_run,
        replace=replace,
        progress=run.progress,
    )
    for warning in result.warnings:
        run.warn(warning)
    data = {**to_data(result), "dry_run": on.dry_run}
    return Answer(data, lambda page: _render(page, data))


@command(
    app.low,
    "sign",
    "airlift low sign assistant@2026.11.1 --key release-dave.key",
    "airlift low sign root --export root-change.json",
    "airlift low sign --import root-change.json --export signed.json --key alice.key",
)
def sign(
    run: Run,
    what: Annotated[
        str | None,
        typer.Argument(metavar="RELEASE|root", help="What to sign; everything pending by default."),
    ] = None,
    *,
    key: options.Key,
    export: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Write the pending change to a file, for a signer elsewhere."),
    ] = None,
    import_: Annotated[
        Path | None, typer.Option("--import", metavar="FILE", help="Take signatures from such a file.")
    ] = None,
    on: OnDepot,
) -> Answer:
    """Show what a pending change does, check it again, and add signatures.

    Below the threshold the exit code is 0 and `published` is false. Without a depot, --import FILE --export FILE
    signs a change that was exported elsewhere.
    """
    from airlift.low.authority.sign import Transfer
    from airlift.low.authority.sign import sign as sign_change

    result = sign_change(
        _depot_if_any(on, alone=import_ is not None and export is not None),
        what,
        signers=on.passphrases.signers(run, key),
        transfer=Transfer(import_, export),
        now=run.now,
        dry_run=on.dry_run,
        progress=run.progress,
    )
    data = {**to_data(result), "dry_run": on.dry_run}
    return Answer(data, lambda page: _render(page, data))


def _depot_if_any(on: OnDepot, *, alone: bool) -> "Depot | None":
    """Return the depot, or None where a signer works on an exported change alone."""
    from airlift.low.depot.depot import MARKER

    return None if alone and not (on.depot / MARKER).exists() else on.open()


def _render(page: Page, data: dict[str, Any]) -> None:
    lines = [
        *data.get("differences", ()),
        *(line for item in data.get("changes", ()) for line in item["differences"]),
    ]
    for line in lines:
        page.line(line)
    if lines:
        page.line()
    facts = {
        key: value
        for key, value in data.items()
        if key not in {"differences", "changes", "bytes", "new_bytes", "warnings"}
    }
    for key in ("bytes", "new_bytes"):
        if key in data:
            facts[key] = size(data[key])
    page.facts(facts)
