"""``airlift low``: the depot, its roles, and the enclaves it knows."""

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from airlift.bundle.fields import Marking
from airlift.cli.frame import app, options
from airlift.cli.frame.command import Answer, answer, command
from airlift.cli.frame.output import Page, grouped, to_data
from airlift.cli.frame.passphrase import load_signers
from airlift.cli.frame.places import AtDepot, OnDepot
from airlift.cli.frame.session import Run
from airlift.errors import MalformedError, UsageError

MAX_DAYS = 36_500

Keys = Annotated[
    list[str],
    typer.Option(
        metavar="KEY", help="A member: .pub, or a private key that also signs now. May be repeated."
    ),
]
Threshold = Annotated[int, typer.Option(metavar="N", help="How many of them must sign.")]
Expires = Annotated[
    list[str],
    typer.Option(
        "--expires", metavar="ROLE=DAYS", default_factory=list, show_default=False,
        help="How long metadata of a role stays valid. May be repeated.",
    ),
]  # fmt: skip


class Role(StrEnum):
    """The roles whose members can be changed."""

    root = "root"
    release = "release"
    bundler = "bundler"


@dataclass(frozen=True, slots=True, kw_only=True)
class Members:
    """Who signs what in a depot."""

    root_key: Keys
    root_threshold: Threshold
    release_key: Keys
    release_threshold: Threshold
    bundler_key: Annotated[str, typer.Option(metavar="KEY", help="The build machine's key.")]


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """Who comes and who goes, and the keys that agree to it."""

    add: Annotated[
        list[str], typer.Option(metavar="KEY", default_factory=list, show_default=False, help="A new member.")
    ]
    remove: Annotated[
        list[str],
        typer.Option(
            metavar="KEY",
            default_factory=list,
            show_default=False,
            help="A .pub file, a holder, or the first digits of a key id.",
        ),
    ]
    key: options.Key
    threshold: Annotated[int | None, typer.Option(metavar="N", help="How many members must sign.")] = None


@command(
    app.low,
    "init",
    "airlift low init --root-key alice.pub --root-key bob.key --root-threshold 2 "
    "--release-key carol.key --release-threshold 1 --bundler-key bundler.key",
)
def init(run: Run, *, members: Members, expires: Expires, on: OnDepot) -> Answer:
    """Make a depot: its root of trust, its release authority, its bundler.

    Prints the fingerprint of root.json, which the high side compares out of band. Members who gave only a public key
    sign later with `airlift low sign`.
    """
    from airlift.low.authority.init import Authorities
    from airlift.low.authority.init import init as make_depot
    from airlift.low.authority.members import NamedRole

    result = make_depot(
        on.depot,
        Authorities(
            NamedRole(members.root_key, members.root_threshold),
            NamedRole(members.release_key, members.release_threshold),
            members.bundler_key,
            _days(expires),
        ),
        passphrase=on.passphrases.source(run),
        now=run.now,
        dry_run=on.dry_run,
    )
    if result.pending:
        run.say(
            f"signatures are missing for: {', '.join(result.pending)}; collect them with `airlift low sign`"
        )

    def render(page: Page) -> None:
        fingerprint = grouped(result.fingerprint) if result.fingerprint else None
        page.facts({"depot": str(result.depot), "root": str(result.root), "fingerprint": fingerprint})

    return answer(result, render, dry_run=on.dry_run)


@command(
    app.low,
    "rotate",
    "airlift low rotate release --add dave.pub --remove carol --key alice.key --key bob.key",
    "airlift low rotate root --add erin.pub --threshold 2 --key alice.key --key bob.key",
)
def rotate(
    run: Run,
    role: Annotated[Role, typer.Argument(metavar="ROLE", help="root, release or bundler.")],
    *,
    change: Change,
    replace: options.Replace = False,
    on: OnDepot,
) -> Answer:
    """Change who may sign as root, release authority or bundler.

    The bundler is listed by root and release authority, so both sign its rotation.
    """
    from airlift.low.authority.rotate import Rotation
    from airlift.low.authority.rotate import rotate as rotate_role

    ask = on.passphrases.source(run)
    result = rotate_role(
        on.open(),
        Rotation(role.value, change.add, change.remove, change.threshold),
        signers=load_signers(change.key, ask),
        now=run.now,
        replace=replace,
        dry_run=on.dry_run,
        passphrase=ask,
    )
    return answer(result)


@command(
    app.low,
    "enrol",
    "airlift low enrol alpha --ledger-key alpha-ledger.pub",
    "airlift low enrol alpha --ledger-key alpha-ledger.pub --ceiling 'SECRET//NOFORN'",
    "airlift low enrol alpha --ledger-key alpha-ledger.pub --variant base=precision:int4",
)
def enrol(
    run: Run,
    enclave: Annotated[str, typer.Argument(metavar="ENCLAVE", help="Its name.")],
    *,
    ledger_key: Annotated[Path, typer.Option(metavar="PUB", help="The public key of its ledger.")],
    ceiling: Annotated[
        str | None,
        typer.Option(metavar="MARKING", help="What it may hold: no bundle beyond it is made for it."),
    ] = None,
    variant: options.Variants,
    at: AtDepot,
    dry_run: options.DryRun = False,
) -> Answer:
    """Keep an enclave's name and the public key of its ledger: what it signs is believed from then on.

    Take its receipts and requests in with `airlift low returns import`.
    """
    from airlift.low.returns.register import register

    most = _marking(ceiling) if ceiling is not None else None
    result = register(
        at.open(),
        enclave,
        ledger_key=ledger_key,
        now=run.now,
        ceiling=most,
        variants=options.rules(variant),
        dry_run=dry_run,
    )
    data = {**to_data(result), "dry_run": dry_run}
    return Answer(data, lambda page: page.facts({**data, "ceiling": most and str(most)}))


def _marking(written: str) -> Marking:
    """Return the marking that a person wrote: ``LEVEL//CAVEAT//CAVEAT``."""
    try:
        return Marking.from_text(written)
    except MalformedError as error:
        raise UsageError(
            f"not a marking: {written[:80]!a}", expected="LEVEL//CAVEAT//CAVEAT, in printable ASCII"
        ) from error


def _days(pairs: list[str]) -> dict[str, int]:
    """Return {role: days} of ``ROLE=DAYS`` words."""
    found = {}
    for pair in pairs:
        role, _, days = pair.partition("=")
        if not (days.isdecimal() and days.isascii() and 0 < int(days[:9]) <= MAX_DAYS):
            raise UsageError(f"not a role and its days: {pair!a}", expected="ROLE=DAYS, for example root=730")
        if role in found:
            raise UsageError(f"--expires is given twice for {role!a}")
        found[role] = int(days)
    return found
