"""``airlift low attest``: claims about a release that go along with its bundles."""

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from airlift.cli.frame import app, options
from airlift.cli.frame.command import Answer, answer, command
from airlift.cli.frame.places import OnDepot
from airlift.cli.frame.session import Run
from airlift.errors import UsageError


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
            "something is missing to attest", expected="--type, --predicate and one --key; or --import FILE"
        )
    else:
        (signer,) = on.passphrases.signers(run, key)
        claim = attesting.Claim(str(claimed.kind), claimed.predicate, claimed.predicate_type)
        result = attesting.attest(opened, release, claim, signer=signer, now=run.now, dry_run=on.dry_run)
    if not result.passes and result.kind != "provenance":
        run.say("this attestation does not speak for the release: it counts towards no quorum")
    return answer(result, dry_run=on.dry_run)
