"""``airlift high floor``: no activation below a version, not even by roll back."""

from typing import Annotated

import typer

from airlift.cli.frame import app, options
from airlift.cli.frame.command import Answer, answer, command
from airlift.cli.frame.passphrase import load_signers
from airlift.cli.frame.places import OnEnclave, operator
from airlift.cli.frame.session import Run

NONE = "none"


@command(
    app.high,
    "floor",
    "airlift high floor guard 2.1 --reason 'jailbreak of 2.0'",
    "airlift high floor kind:guard 2.0 --reason 'before the red team'",
    "airlift high floor guard none --reason 'renumbered' --key issm.key --key owner.key",
)
def floor(
    run: Run,
    name: Annotated[str, typer.Argument(metavar="NAME", help="A component's name, or kind:KIND.")],
    version: Annotated[str, typer.Argument(metavar="VERSION", help="The least one; `none` ends the floor.")],
    *,
    reason: Annotated[str, typer.Option(metavar="R", help="Why, for the ledger.")],
    key: options.Key,
    on: OnEnclave,
) -> Answer:
    """Set a floor below which nothing is activated; to lower or end one takes two approvers (--key twice)."""
    from airlift.high.governance.floor import FloorRequest, set_floor

    opened, ask = on.open(), on.passphrases.source(run)
    acting = operator(run, opened.ledger_key, ask)
    request = FloorRequest(name, None if version == NONE else version, reason, load_signers(key, ask))
    return answer(set_floor(opened, request, operator=acting, dry_run=on.dry_run), dry_run=on.dry_run)
