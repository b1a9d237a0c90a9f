"""``airlift low emergency``: from a hole in what runs to one set of volumes for every enclave."""

import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from airlift.cli.frame import app, options
from airlift.cli.frame.command import Answer, command
from airlift.cli.frame.output import Page, size, to_data
from airlift.cli.frame.places import OnDepot
from airlift.cli.frame.session import Run
from airlift.cli.low.bundle_options import MAX_WORKERS, ForMedium, Parity, SignedOutput
from airlift.cli.low.bundles import KNOWN_BY
from airlift.cli.low.revoke import Why

if TYPE_CHECKING:
    from airlift.low.emergency.respond import EmergencyResult

CHOSEN = {
    "common": "every enclave holds the baseline",
    "complete": "no baseline is known to be held by all: a complete bundle is the smallest that serves them",
    "apart": "no baseline is known to be held by all: deltas from what each holds are smaller than a complete bundle",
}
"""Why it was cut so, in words (SPEC L4.16)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Concerned:
    """What the hot fix mends, and who needs it."""

    revoke: Annotated[
        list[str],
        typer.Option(
            "--revoke", metavar="SUBJECT", help="What it mends, as `low revoke` has it. May be repeated."
        ),
    ]
    for_: Annotated[
        list[str], typer.Option("--for", metavar="ENCLAVE", help="An enrolled enclave. May be repeated.")
    ]


@dataclass(frozen=True, slots=True, kw_only=True)
class Cut:
    """Where volumes go, what they are written on, and how."""

    to: SignedOutput
    volumes: ForMedium
    parity: Parity = None
    workers: options.Workers = None


@command(
    app.low,
    "emergency",
    "airlift low emergency fix.yaml --revoke guard@2.1 --reason 'passes prompts in base64' --for alpha --for bravo "
    "--key release-carol.key --key release-dave.key --output out --bundler-key bundler.key",
)
def emergency(
    run: Run,
    manifest: Annotated[
        Path, typer.Argument(metavar="MANIFEST.yaml", help="The hot fix, as for `low release`.")
    ],
    *,
    concerned: Concerned,
    why: Why,
    key: options.Key,
    cut: Cut,
    on: OnDepot,
) -> Answer:
    """Release a hot fix, revoke what it mends, and cut one smallest set of volumes for all enclaves that need it.

    Release and revocation are signed together. If signatures are missing, nothing is cut: collect them with
    `airlift low sign`, and give the same command again. It starts from what all enclaves acknowledged, if there is
    such a release.
    """
    from airlift.bundle.parity import layout
    from airlift.low.bundle import job
    from airlift.low.emergency.respond import Emergency, respond

    asked = None if cut.parity is None else layout.parse(cut.parity)
    result = respond(
        on.open(),
        Emergency(
            manifest,
            concerned.revoke,
            concerned.for_,
            why.reason,
            job.Destination(cut.to.output, None, cut.volumes.medium(), asked),
            why.type.value,
            job.Coding(options.threads(cut.workers, MAX_WORKERS)),
        ),
        bundler=on.passphrases.signer(run, cut.to.bundler_key),
        now=run.now,
        signers=on.passphrases.signers(run, key),
        dry_run=on.dry_run,
        progress=run.progress,
    )
    hints = () if result.published else _next(result.release, _again(manifest, concerned, why, cut), on)
    _tell(run, result, hints)
    data = {**to_data(result), "hints": hints, "dry_run": on.dry_run}
    return Answer(data, lambda page: _render(page, data))


def _again(manifest: Path, concerned: Concerned, why: Why, cut: Cut) -> list[str]:
    """Return the words of the same command, which needs no key of a signer any more."""
    pairs = [
        *(("--revoke", subject) for subject in concerned.revoke),
        *(("--for", enclave) for enclave in concerned.for_),
        ("--reason", why.reason),
        ("--type", why.type.value),
        ("--output", cut.to.output),
        ("--bundler-key", cut.to.bundler_key),
        ("--volume-size", cut.volumes.volume_size),
        ("--max-file-size", cut.volumes.max_file_size),
        ("--parity", cut.parity),
    ]
    given = [str(word) for name, value in pairs if value is not None for word in (name, value)]
    return ["emergency", str(manifest), *given]


def _next(release: str, again: list[str], on: OnDepot) -> tuple[str, ...]:
    """Return the commands that collect the signatures that are missing, and go on then."""
    at = [] if on.depot == options.DEPOT else ["--depot", str(on.depot)]
    words = (["sign", release, *at, "--key", "KEY"], [*again, *at])
    return tuple(shlex.join(["airlift", "low", *one]) for one in words)


def _tell(run: Run, result: "EmergencyResult", hints: tuple[str, ...]) -> None:
    """Say what should be looked at, why it was cut so, and what comes next."""
    for warning in result.warnings:
        run.warn(warning)
    for bundle in result.outstanding:
        run.warn(f"bundle {bundle} is outstanding and brings what is revoked")
    if result.chosen is not None:
        run.say(CHOSEN[result.chosen])
    for one in result.bundles:
        for name, known_by in one.baseline_known_by.items():
            run.say(f"baseline for {name}: {one.baseline or 'none'} ({KNOWN_BY[known_by]})")
    if hints:
        missing = result.threshold - result.signatures
        run.say(f"{missing} of {result.threshold} signatures are missing: nothing was cut")
    for hint in hints:
        run.say(f"then: {hint}")


def _render(page: Page, data: dict[str, Any]) -> None:
    page.lines(data["differences"])
    if data["differences"]:
        page.line()
    facts = ("release", "digest", "published", "signatures", "threshold", "chosen", "dry_run")
    page.facts({key: data[key] for key in facts})
    for title in ("revoked", "bundles"):
        if data[title]:
            page.line()
            page.line(title, style="bold")
            page.records([_shown(one) for one in data[title]])


def _shown(one: dict[str, Any]) -> dict[str, Any]:
    """Return a record as people read it: of a bundle the names of its volumes, and its bytes in words."""
    if "volumes" not in one:
        return one
    serves, names = ", ".join(one["baseline_known_by"]), [Path(item["path"]).name for item in one["volumes"]]
    shown = {key: value for key, value in one.items() if key != "baseline_known_by"}
    return {**shown, "serves": serves, "volumes": ", ".join(names), "chunk_bytes": size(one["chunk_bytes"])}
