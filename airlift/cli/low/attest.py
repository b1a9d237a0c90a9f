"""``airlift low attest`` and ``scan``: claims about a release that go along with its bundles."""

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from airlift.cli.frame import app, options
from airlift.cli.frame.command import Answer, answer, command
from airlift.cli.frame.output import Page, to_data
from airlift.cli.frame.places import OnDepot
from airlift.cli.frame.session import Run
from airlift.errors import UsageError
from airlift.shown import clean

if TYPE_CHECKING:
    from airlift.commands.run import Outcome


class Kind(StrEnum):
    """What is claimed."""

    scan = "scan"
    approval = "approval"
    evaluation = "evaluation"
    custody = "custody"


@dataclass(frozen=True, slots=True, kw_only=True)
class Claimed:
    """What is claimed, and in which format."""

    kind: Annotated[Kind | None, typer.Option("--type", help="What is claimed.")] = None
    predicate: Annotated[
        Path | None,
        typer.Option(metavar="FILE.json", help='The claim: a JSON object with "verdict": "pass" or "fail".'),
    ] = None
    predicate_type: Annotated[
        str | None,
        typer.Option(
            metavar="URI",
            help="The claim's format: a test-result, svr or vulns of in-toto, or a verification summary of SLSA. "
            "Without it, airlift's own.",
        ),
    ] = None


@command(
    app.low,
    "attest",
    "airlift low attest assistant@2026.11.1 --type scan --predicate scan.json --key scanner.key",
    "airlift low attest assistant@2026.11.1 --type scan --predicate-type https://in-toto.io/attestation/vulns/v0.2 "
    "--predicate report.json --key scanner.key",
    "airlift low attest assistant@2026.11.1 --import evaluation.intoto.json",
)
def attest(
    run: Run,
    release: Annotated[str, typer.Argument(metavar="RELEASE", help="name@version, or its digest.")],
    *,
    claimed: Claimed,
    key: options.Key,
    import_: Annotated[
        Path | None,
        typer.Option("--import", metavar="FILE", help="Take in an attestation that was signed elsewhere."),
    ] = None,
    on: OnDepot,
) -> Answer:
    """Sign a claim about a release (an in-toto statement in a DSSE envelope), or take in one signed elsewhere.

    It goes along with every bundle of the release that is made from now on. Whose word counts is for the enclave's
    policy to say.
    """
    from airlift.low.release import attest as attesting

    opened = on.open()
    if import_ is not None:
        if claimed != Claimed() or key:
            raise UsageError(
                "--import takes an attestation as it is",
                hint="leave out --type, --predicate, --predicate-type and --key",
            )
        result = attesting.import_attestation(opened, release, import_, now=run.now, dry_run=on.dry_run)
    elif claimed.kind is None or claimed.predicate is None or len(key) != 1:
        raise UsageError(
            "something is missing to attest",
            expected="--type, --predicate and one --key; or --import FILE",
            hint=f"sign it: `airlift low attest {release} --type scan --predicate FILE.json --key KEY`",
        )
    else:
        (signer,) = on.passphrases.signers(run, key)
        claim = attesting.Claim(str(claimed.kind), claimed.predicate, claimed.predicate_type)
        result = attesting.attest(opened, release, claim, signer=signer, now=run.now, dry_run=on.dry_run)
    if not result.passes and result.kind != "provenance":
        run.say("this attestation does not speak for the release: it counts towards no quorum")
    return answer(result, dry_run=on.dry_run)


@command(
    app.low,
    "scan",
    "airlift low scan assistant@2026.11.1 --key scanner.key",
    "airlift low scan assistant@2026.11.1 --key scanner.key --dry-run",
)
def scan(
    run: Run,
    release: Annotated[str, typer.Argument(metavar="RELEASE", help="name@version, or its digest.")],
    *,
    key: options.Key,
    on: OnDepot,
) -> Answer:
    """Let airlift's gate and the scanners of the depot's policy look at a release, and sign what they say.

    Scanners run offline and in bounds on the files of the release (`{release}`); exit status 0 passes. One
    attestation of type scan says how each of them ended. A release that one of them does not pass is exit 6, and that
    is attested as well.
    """
    from airlift.low.release.scan import scan as scan_release

    if len(key) != 1:
        raise UsageError(
            "a scan is signed by one key",
            expected="one --key",
            found=str(len(key)),
            hint=f"`airlift low scan {release} --key KEY`",
        )
    (signer,) = on.passphrases.signers(run, key)
    result = scan_release(
        on.open(), release, signer=signer, now=run.now, dry_run=on.dry_run, tell=lambda said: _tell(run, said)
    )
    data = {**to_data(result), "dry_run": on.dry_run}

    def render(page: Page) -> None:
        page.facts({name: data[name] for name in ("release", "digest", "passes", "attestation", "dry_run")})
        page.line()
        page.records(
            [{name: item[name] for name in ("name", "passes", "exit", "seconds")} for item in data["scans"]]
        )

    return Answer(data, render)


def _tell(run: Run, said: "Outcome") -> None:
    run.say(f"{said.name}: {'passes it' if said.passes else f'does not pass it ({clean(said.verdict)})'}")
