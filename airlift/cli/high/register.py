"""``airlift high register``: what was trained in the enclave joins a held release."""

from pathlib import Path
from typing import Annotated

import typer

from airlift.cli.frame import app
from airlift.cli.frame.command import Answer, answer, command
from airlift.cli.frame.output import Page, size, to_data
from airlift.cli.frame.places import OnEnclave
from airlift.cli.frame.session import Run


@command(
    app.high,
    "register",
    "airlift high register tuned.yaml --dry-run",
    "airlift high register tuned.yaml",
)
def register(
    run: Run,
    manifest: Annotated[
        Path, typer.Argument(metavar="MANIFEST", help="A registration (YAML); see docs/registering.md.")
    ],
    *,
    on: OnEnclave,
) -> Answer:
    """Make a release of a held one and of models or adapters that were trained here, with their parents and data.

    Nothing is activated: that asks policy, as for every release.
    """
    from airlift.high.registering.register import register as register_manifest

    opened, acting = on.enter(run)
    result = register_manifest(opened, manifest, operator=acting, dry_run=on.dry_run, progress=run.progress)
    for text in result.warnings:
        run.warn(text)
    for path in result.unrecognised:
        run.warn(f"{path}: the gate does not know what this is")
    if not on.dry_run and not result.already:
        run.say(f"registered; to run it: airlift high activate {result.release}")
    data = to_data(result)

    def render(page: Page) -> None:
        marking = "//".join([data["marking"]["level"], *data["marking"]["caveats"]])
        page.facts(
            {
                "release": data["release"],
                "made from": data["base"],
                "marking": marking,
                "new": size(data["new_bytes"]),
                "already": data["already"],
            }
        )
        page.line()
        page.table(
            ["trained inside", "kind", "version", "marking"],
            [(c["name"], c["kind"], c["version"], c["marking"]) for c in data["components"]],
        )
        for item in data["requires"]:
            page.line(f"{item['component']} needs {item['needs']} {item['version']}")

    return answer(result, render, dry_run=on.dry_run)
