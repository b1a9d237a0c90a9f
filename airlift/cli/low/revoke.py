"""``airlift low revoke``: what must not be activated any more, anywhere."""

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import typer

from airlift.cli.frame import app, options
from airlift.cli.frame.command import Answer, command
from airlift.cli.frame.output import Page, to_data
from airlift.cli.frame.places import OnDepot
from airlift.cli.frame.session import Run
from airlift.errors import UsageError

if TYPE_CHECKING:
    from airlift.low.authority.revoke import RevokeResult

APART = {"revoked", "lifted", "differences", "changes", "hints", "warnings"}


class Type(StrEnum):
    """Why in a word, as :data:`airlift.bundle.revocations.TYPES`."""

    vulnerability = "vulnerability"
    compromise = "compromise"
    malfunction = "malfunction"
    superseded = "superseded"
    legal = "legal"
    other = "other"


@dataclass(frozen=True, slots=True, kw_only=True)
class Why:
    """Why something is revoked."""

    reason: Annotated[str, typer.Option(metavar="TEXT", help="Why; enclaves show it to their people.")]
    type: Annotated[Type, typer.Option("--type", help="Why in a word.")] = Type.vulnerability


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """What is done to the list, and to a change that is pending."""

    lift: Annotated[
        bool, typer.Option("--lift", help="Take it off the list; root's members must sign that, too.")
    ] = False
    with_pending: Annotated[
        bool,
        typer.Option("--with-pending", help="Add it to a pending change, whose signatures are dropped."),
    ] = False
    replace: options.Replace = False


@command(
    app.low,
    "revoke",
    "airlift low revoke guard@2.0 --reason 'passes prompts in base64' --key release-carol.key",
    "airlift low revoke assistant@2026.11.0 --reason 'another license' --type legal --key release-carol.key",
    "airlift low revoke scanner.pub --reason 'laptop stolen' --type compromise --with-pending",
    "airlift low revoke guard@2.0 --lift --reason 'another guard was meant' --key release-carol.key --key alice.key",
)
def revoke(
    run: Run,
    subjects: Annotated[
        list[str],
        typer.Argument(
            metavar="SUBJECT",
            help="A release or component (name@version), a digest, a .pub file or key id; release:, component:, "
            "file: or key: in front says which.",
        ),
    ],
    *,
    why: Why,
    key: options.Key,
    way: Way,
    on: OnDepot,
) -> Answer:
    """Revoke a release, a component, the content of a file, or a key: no enclave that learns of it activates it.

    Enclaves learn of it with the next bundle or renewal. It is signed by the release authority, with --key or later
    with `airlift low sign`, and published at its threshold.
    """
    from airlift.low.authority import revoke as revoking
    from airlift.trust.tuf.proposal import Beside

    if way.replace and way.with_pending:
        raise UsageError(
            "a pending change is either replaced or added to", expected="--replace or --with-pending"
        )
    beside = Beside.join if way.with_pending else Beside.of(replace=way.replace)
    result = revoking.revoke(
        on.open(),
        revoking.Asked(subjects, why.reason, why.type.value, way.lift, beside),
        signers=on.passphrases.signers(run, key),
        now=run.now,
        dry_run=on.dry_run,
    )
    _tell(run, result)
    data = {**to_data(result), "dry_run": on.dry_run}
    return Answer(data, lambda page: _render(page, data))


def _tell(run: Run, result: "RevokeResult") -> None:
    """Say what should be looked at, and what comes next."""
    for warning in result.warnings:
        run.warn(warning)
    if result.already and not result.changes:
        run.say("nothing of this is new")
    for bundle in result.outstanding:
        run.warn(f"bundle {bundle} is outstanding and brings what is revoked")
    for hint in result.hints:
        run.say(f"then: {hint}")


def _render(page: Page, data: dict[str, Any]) -> None:
    lines = [line for item in data["changes"] for line in item["differences"]] or data["differences"]
    page.lines(lines)
    if lines:
        page.line()
    for title in ("revoked", "lifted"):
        if data[title]:
            page.line(title, style="bold")
            page.records(data[title])
            page.line()
    page.facts({key: value for key, value in data.items() if key not in APART})
