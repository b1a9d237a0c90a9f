"""Scan: airlift's gate and the depot's scanners look at a release, and what they say is attested (SPEC L3.9)."""

import hashlib
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from airlift import __version__, strict
from airlift.bundle.fields import format_time
from airlift.bundle.release import Release
from airlift.commands.confine import has_namespaces
from airlift.commands.run import Outcome, ask, run_confined
from airlift.errors import AcceptanceError, DigestError, UncheckedError
from airlift.intake.examine import examine_release
from airlift.low.depot import policy
from airlift.low.depot.depot import Depot
from airlift.low.depot.digest_cache import TARGET_AGE, open_digest_cache
from airlift.low.release.attest import keep
from airlift.low.release.lay_out import laid_out
from airlift.policy.document import CONTENT, SCAN, Command
from airlift.progress import announce
from airlift.trust.keys.public import Signer
from airlift.trust.statements import predicates, statement
from airlift.trust.statements.statement import Attestation


@dataclass(frozen=True, slots=True)
class ScanResult:
    """What every scanner said of a release, and the attestation (SHA-512) of it: None in a dry run."""

    release: str
    digest: str
    passes: bool
    scans: tuple[dict[str, object], ...]
    attestation: str | None
    signers: tuple[str, ...]


def scan(
    depot: Depot,
    release: str,
    *,
    signer: Signer,
    now: datetime,
    dry_run: bool = False,
    tell: Callable[[Outcome], None] = lambda _outcome: None,
) -> ScanResult:
    """Let airlift's gate and every scanner of the depot's policy look at a release, and attest their verdict.

    ``tell`` is called with what each of them says as soon as it is known. A dry run attests nothing.

    Raises:
        NotHeldError: the depot does not know the release.
        UncheckedError: a scanner is not installed or was ended, or a file cannot be read: nothing is attested.
        DigestError: a file of the release has changed: nothing is attested.
        AcceptanceError: a scanner found something; that is attested.
        UsageError: the release has too many attestations.
    """
    made = depot.load_release(release)
    held = policy.load(depot)
    scanners = held.scanners if held else ()
    _check_installed(depot, scanners)
    _check_contents(depot, made, now)
    with laid_out(depot, made, shared=has_namespaces()) as tree:
        outcomes = []
        for outcome in _look(depot, made, tree, scanners):
            tell(outcome)
            outcomes.append(outcome)
    _check_ended(outcomes)
    passes = all(outcome.passes for outcome in outcomes)
    attested = _attest(made, outcomes, scanners, signer, now)
    kept = keep(depot, made.label, made.digest, attested, now, dry_run=dry_run)
    result = ScanResult(
        made.label,
        made.digest,
        passes,
        tuple(outcome.shown() for outcome in outcomes),
        None if dry_run else kept.attestation,
        kept.signers,
    )
    if not passes:
        raise _refusal(result, outcomes)
    return result


def _look(depot: Depot, release: Release, tree: Path, scanners: Sequence[Command]) -> Iterator[Outcome]:
    yield ask(policy.GATE, lambda: map(str, examine_release(release, tree)))
    for command in scanners:
        yield run_confined(command, depot.folder, {"release": str(tree)})


def _check_installed(depot: Depot, scanners: Sequence[Command]) -> None:
    """Check that every scanner is there: what cannot be run has found nothing, and passes nothing."""
    for command in scanners:
        program = command.argv[0]
        if shutil.which(str(depot.folder / program) if "/" in program else program) is None:
            raise UncheckedError(
                f"the scanner {command.name} is not installed",
                expected=f"a program {program}",
                hint="install it, or correct `scanners` and set it again: `airlift low policy set FILE`",
            )


def _check_ended(outcomes: Sequence[Outcome]) -> None:
    """Check that every scanner came to its end, unless another one found something: that is told all the same."""
    ended = [outcome for outcome in outcomes if outcome.exit is None]
    if ended and all(outcome.passes or outcome.exit is None for outcome in outcomes):
        raise UncheckedError(
            f"the scanner {ended[0].name} {ended[0].verdict}; nothing is attested",
            expected="an end by itself",
            found=f"{ended[0].seconds} seconds",
            hint="give it more time (`timeout`) under `scanners`, and set that: `airlift low policy set FILE`",
            data={"scans": [outcome.shown() for outcome in outcomes]},
        )


def _check_contents(depot: Depot, release: Release, now: datetime) -> None:
    """Check that what is looked at is what the release states, unless it was digested not long ago (SPEC L4.12)."""
    cache = open_digest_cache(depot, now)
    announce("checking")
    for sha512 in release.contents():
        fresh = cache.is_fresh(sha512, TARGET_AGE)
        if not fresh and depot.content.verified_stamp(sha512, lambda _count: None) is None:
            raise DigestError(
                f"content of {release.label} in the depot has changed or is missing",
                expected=f"SHA-512 {sha512[:16]}...",
                hint=depot.repair_hint(sha512),
            )


# -- what is attested ----------------------------------------------------------------------------------------------


def _attest(
    release: Release, outcomes: Sequence[Outcome], scanners: Sequence[Command], signer: Signer, now: datetime
) -> Attestation:
    digests = [_digest({"gate": CONTENT, "airlift": __version__}), *map(_digest_command, scanners)]
    predicate = {
        "verdict": "pass" if all(outcome.passes for outcome in outcomes) else "fail",
        "time": format_time(now),
        "configuration": [
            {"name": outcome.name, "digest": {"sha512": digest}, "annotations": outcome.annotations()}
            for outcome, digest in zip(outcomes, digests, strict=True)
        ],
    }
    return statement.attest([(release.label, release.digest)], predicates.own_type(SCAN), predicate, signer)


def _digest_command(command: Command) -> str:
    words = {"command": list(command.argv), "name": command.name}
    bounds = {"timeout": command.timeout, "memory": command.memory, "processes": command.processes}
    return _digest({**words, **bounds})


def _digest(document: dict[str, Any]) -> str:
    return hashlib.sha512(strict.format(document)).hexdigest()


def _refusal(result: ScanResult, outcomes: Sequence[Outcome]) -> AcceptanceError:
    failed = [outcome for outcome in outcomes if not outcome.passes]
    recorded = "that is attested" if result.attestation else "nothing is attested"
    return AcceptanceError(
        f"release {result.release} does not pass {', '.join(outcome.name for outcome in failed)}; {recorded}",
        expected=failed[0].expected,
        found=failed[0].verdict,
        hint="see what it says with --format json --dry-run; then release other files, under another version",
        data={
            "release": result.release,
            "digest": result.digest,
            "passes": result.passes,
            "scans": list(result.scans),
            "attestation": result.attestation,
            "signers": list(result.signers),
        },
    )
