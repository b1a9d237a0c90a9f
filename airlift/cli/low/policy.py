"""``airlift low policy``: what a release must carry before it is bundled."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from airlift.cli.frame import app, options
from airlift.cli.frame.command import Answer, command
from airlift.cli.frame.output import Page, to_data
from airlift.cli.frame.places import AtDepot
from airlift.cli.frame.session import Run

if TYPE_CHECKING:
    from airlift.low.depot.policy import DepotPolicy


@command(app.depot_policy, "show", "airlift low policy show")
def show(run: Run, *, at: AtDepot) -> Answer:
    """Show the depot's policy, if it has one."""
    from airlift.low.depot import policy

    held = policy.load(at.open())
    if held is None:
        run.say("the depot has no policy: every published release may be bundled")
        return Answer({"digest": None, "policy": None, "keys": {}, "scanners": [], "text": None}, _nothing)
    return _policy(held)


@command(app.depot_policy, "set", "airlift low policy set depot-policy.yaml")
def set_(
    run: Run,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The policy; its keys lie beside it.")],
    *,
    at: AtDepot,
    dry_run: options.DryRun = False,
) -> Answer:
    """Say what a release must carry before it is bundled, which roles bar each other, and what `low scan` runs."""
    from airlift.low.depot.policy import set_policy

    return _policy(set_policy(at.open(), file, now=run.now, dry_run=dry_run), dry_run=dry_run)


def _policy(held: "DepotPolicy", **more: Any) -> Answer:
    data = {
        "digest": held.digest,
        "policy": to_data(held.demands),
        "keys": {name: key.fingerprint for name, key in held.keys.items()},
        "scanners": [to_data(command) for command in held.scanners],
        "text": held.text,
        **more,
    }

    def render(page: Page) -> None:
        scanners = [command.name for command in held.scanners]
        page.facts({"digest": held.digest, "keys": sorted(data["keys"]), "scanners": scanners, **more})
        page.line()
        for line in held.text.splitlines():
            page.line(line)

    return Answer(data, render)


def _nothing(page: Page) -> None:
    page.facts({"policy": None})
