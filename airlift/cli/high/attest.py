"""``airlift high attest`` and ``approve``: what this side says of a release."""

from pathlib import Path
from typing import Annotated

import typer

from airlift.cli.frame import app
from airlift.cli.frame.command import Answer, answer, command
from airlift.cli.frame.output import Page, to_data
from airlift.cli.frame.passphrase import load_signers
from airlift.cli.frame.places import OnEnclave, operator
from airlift.cli.frame.session import Run


@command(app.high, "attest", "airlift high attest scan.intoto.json custody.intoto.json")
def attest(
    run: Run,
    file: Annotated[
        list[Path], typer.Argument(metavar="FILE", help="Attestations: in-toto statements in DSSE envelopes.")
    ],
    *,
    on: OnEnclave,
) -> Answer:
    """Record attestations about releases or bundles that were imported: scans made on the way, hand-overs.

    Each must be signed by a key that policy or a root names.
    """
    from airlift.high.governance.record_attestations import record_attestations

    opened, acting = on.enter(run)
    result = record_attestations(opened, file, operator=acting, dry_run=on.dry_run)
    data = {**to_data(result), "dry_run": on.dry_run}

    def render(page: Page) -> None:
        page.table(
            ["entry", "kind", "about", "signed by", "passes", "already"],
            [
                [a[k] for k in ("entry", "kind", "subject", "signers", "passes", "already")]
                for a in data["attestations"]
            ],
        )

    return Answer(data, render)


@command(
    app.high,
    "approve",
    "airlift high approve assistant@2026.11.1 --key issm.key --reason 'change board 2026-11'",
    "airlift high approve assistant@2026.11.1 --key issm.key --reject --reason 'failed review'",
)
def approve(
    run: Run,
    release: Annotated[str, typer.Argument(metavar="RELEASE", help="name@version, or its digest.")],
    *,
    key: Annotated[
        str, typer.Option(metavar="KEY", help="The approver's private key: a file, or a pkcs11: URI.")
    ],
    reason: Annotated[str, typer.Option(metavar="TEXT", help="Why; kept with the approval.")] = "",
    reject: Annotated[
        bool,
        typer.Option("--reject", help="Speak against it; this withdraws an earlier approval by the key."),
    ] = False,
    on: OnEnclave,
) -> Answer:
    """Approve an installed release as one of the people whom policy asks for."""
    from airlift.high.governance.approve import approve as approve_release

    opened, ask = on.open(), on.passphrases.source(run)
    acting, (signer,) = operator(run, opened.ledger_key, ask), load_signers([key], ask)
    result = approve_release(
        opened, release, signer=signer, operator=acting, reason=reason, reject=reject, dry_run=on.dry_run
    )
    return answer(result, dry_run=on.dry_run)
