"""``airlift low``: the depot, its roles, and the enclaves it knows."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from airlift.cli.frame import app, options
from airlift.cli.frame.command import Answer, answer, command
from airlift.cli.frame.output import Page, grouped, to_data
from airlift.cli.frame.session import Run
from airlift.errors import UsageError

MAX_DAYS = 36_500

Members = Annotated[
    list[str],
    typer.Option(
        metavar="KEY", help="A member: .pub, or a private key that also signs now. May be repeated."
    ),
]
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


@command(
    app.low,
    "init",
    "airlift low init --root-key alice.pub --root-key bob.key --root-threshold 2 "
    "--release-key carol.key --release-threshold 1 --bundler-key bundler.key",
)
def init(
    run: Run,
    *,
    root_key: Members,
    root_threshold: Annotated[int, typer.Option(metavar="N", help="How many of them must sign.")],
    release_key: Members,
    release_threshold: Annotated[int, typer.Option(metavar="N", help="How many of them must sign.")],
    bundler_key: Annotated[str, typer.Option(metavar="KEY", help="The build machine's key.")],
    expires: Expires,
    depot: options.Depot = options.DEPOT,
    passphrase_file: options.PassphraseFile = None,
    passphrase_fd: options.PassphraseFd = None,
    dry_run: options.DryRun = False,
) -> Answer:
    """Make a depot: its root of trust, its release authority, its bundler.

    Prints the fingerprint of root.json, which the high side compares out of band. Members who gave only a public key
    sign later with `airlift low sign`.
    """
    from airlift.low.authority.init import Authorities
    from airlift.low.authority.init import init as make_depot
    from airlift.low.authority.members import NamedRole

    result = make_depot(
        depot,
        Authorities(
            NamedRole(root_key, root_threshold),
            NamedRole(release_key, release_threshold),
            bundler_key,
            _days(expires),
        ),
        passphrase=options.passphrase(run, passphrase_file, passphrase_fd),
        now=run.now,
        dry_run=dry_run,
    )
    if result.pending:
        run.say(
            f"signatures are missing for: {', '.join(result.pending)}; collect them with `airlift low sign`"
        )

    def render(page: Page) -> None:
        fingerprint = grouped(result.fingerprint) if result.fingerprint else None
        page.facts({"depot": str(result.depot), "root": str(result.root), "fingerprint": fingerprint})

    return Answer({**to_data(result), "dry_run": dry_run}, render)


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
    add: Annotated[
        list[str], typer.Option(metavar="KEY", default_factory=list, show_default=False, help="A new member.")
    ],
    remove: Annotated[
        list[str],
        typer.Option(
            metavar="KEY", default_factory=list, show_default=False,
            help="A .pub file, a holder, or the first digits of a key id.",
        ),
    ],
    key: options.Key,
    threshold: Annotated[int | None, typer.Option(metavar="N", help="How many members must sign.")] = None,
    depot: options.Depot = options.DEPOT,
    replace: options.Replace = False,
    passphrase_file: options.PassphraseFile = None,
    passphrase_fd: options.PassphraseFd = None,
    dry_run: options.DryRun = False,
) -> Answer:  # fmt: skip
    """Change who may sign as root, release authority or bundler.

    The bundler is listed by root and release authority, so both sign its rotation.
    """
    from airlift.low.authority.rotate import Rotation
    from airlift.low.authority.rotate import rotate as rotate_role
    from airlift.low.depot.depot import open_depot

    ask = options.passphrase(run, passphrase_file, passphrase_fd)
    result = rotate_role(
        open_depot(depot),
        Rotation(role.value, add, remove, threshold),
        signers=options.signers(key, ask),
        now=run.now,
        replace=replace,
        dry_run=dry_run,
        passphrase=ask,
    )
    return answer(result)


@command(app.low, "enrol", "airlift low enrol alpha --ledger-key alpha-ledger.pub")
def enrol(
    run: Run,
    enclave: Annotated[str, typer.Argument(metavar="ENCLAVE", help="Its name.")],
    *,
    ledger_key: Annotated[Path, typer.Option(metavar="PUB", help="The public key of its ledger.")],
    depot: options.Depot = options.DEPOT,
    dry_run: options.DryRun = False,
) -> Answer:
    """Keep an enclave's name and the public key of its ledger, and show them in `low status` and `low list`."""
    from airlift.low.depot.depot import open_depot
    from airlift.low.returns.register import register

    return answer(register(open_depot(depot), enclave, ledger_key=ledger_key, now=run.now, dry_run=dry_run))


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
