"""``airlift high``: look at volumes, plan, verify, import."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import typer

from airlift.cli.frame import app, options
from airlift.cli.frame.command import Answer, command
from airlift.cli.frame.output import Page, marking, size, to_data
from airlift.cli.frame.passphrase import load_signers
from airlift.cli.frame.places import AtEnclave, OnEnclave, operator
from airlift.cli.frame.session import Run
from airlift.errors import UsageError

if TYPE_CHECKING:
    from airlift.high.importing.import_bundle import ImportResult

SHOWN_MISSING = 20
MAX_WORKERS = 16
"""By default: more than can be under way at a time (SPEC 7.3-9) have nothing to do, and each holds memory."""


@command(app.high, "inspect", "airlift high inspect /media/disc1 /media/disc2")
def inspect(run: Run, volumes: options.Volumes) -> Answer:
    """Show what volumes claim to be: no trust is needed, nothing is proven, nothing changes."""
    from airlift.high.verification.inspect import inspect_volumes

    result = inspect_volumes(volumes)
    data = to_data(result)
    run.warn_passed_over(result.passed_over)
    if result.repairable:
        run.say(f"{len(result.repairable)} chunks are not here, and parity would give them back")
    run.say("nothing of this is verified: it is what the medium says of itself")
    return Answer(data, lambda page: _render(page, data))


@command(app.high, "plan", "airlift high plan /media/disc1 /media/disc2")
def plan(run: Run, volumes: options.Volumes, *, at: AtEnclave) -> Answer:
    """Show what an import would install and activate, and all that policy has against it; nothing changes."""
    from airlift.high.importing.preview import plan_import

    return _planned(run, plan_import(at.open(), volumes, run.now))


@command(app.high, "verify", "airlift high verify /media/disc1 /media/disc2")
def verify(run: Run, volumes: options.Volumes, *, at: AtEnclave) -> Answer:
    """Prove everything that can be proven without changing state: signatures, inventory, and every chunk's digest."""
    from airlift.high.importing.preview import prove_bundle

    result = prove_bundle(at.open(), volumes, run.now, progress=run.progress)
    run.warn_passed_over(result.passed_over)
    run.warn_damaged(result.damaged_volumes)
    data = to_data(result)
    return Answer(data, lambda page: _render(page, data))


@dataclass(frozen=True, slots=True, kw_only=True)
class Importing:
    """How a bundle is imported."""

    key: options.Key
    activate: Annotated[bool, typer.Option("--activate", help="Make the release the active one as well.")] = (
        False
    )
    insecure_expired: Annotated[
        bool,
        typer.Option("--insecure-expired", help="Accept expired metadata: two people, a reason, the ledger."),
    ] = False
    reason: Annotated[str | None, typer.Option(metavar="R", help="Why, for the ledger.")] = None
    workers: options.Workers = None


@command(
    app.high,
    "import",
    "airlift high import /media/disc1 /media/disc2 --activate",
    "airlift high import /media/disc --insecure-expired --reason flood --key ada.key --key bo.key",
)
def import_volumes(run: Run, volumes: options.Volumes, *, how: Importing, on: OnEnclave) -> Answer:
    """Verify a bundle, rebuild and install its release, and perhaps activate it: all of it or nothing.

    Volumes come in any order and may come in several runs: what was verified is kept.
    """
    from airlift.high.governance.consent import Consent
    from airlift.high.importing.import_bundle import import_bundle
    from airlift.high.importing.preview import plan_import

    opened, expired = on.open(), how.insecure_expired
    if not expired and (how.reason is not None or how.key):
        raise UsageError(
            "--reason and --key belong to --insecure-expired",
            hint="leave them out: `airlift high import VOLUME...`",
        )
    if on.dry_run:
        planned = plan_import(opened, volumes, run.now, expired_allowed=expired, activate=how.activate)
        return _planned(run, planned, dry_run=True)
    ask = on.passphrases.source(run)
    acting = operator(run, opened.ledger_key, ask)
    emergency = Consent(how.reason or "", load_signers(how.key, ask)) if expired else None
    if emergency is not None:
        run.warn("expired metadata is accepted; the reason and both signatures go into the ledger")
    result = import_bundle(
        opened,
        volumes,
        operator=acting,
        activate=how.activate,
        emergency=emergency,
        progress=run.progress,
        workers=options.threads(how.workers, MAX_WORKERS),
    )
    run.warn_passed_over(result.passed_over)
    run.warn_damaged(result.damaged_volumes)
    _tell_recovered(run, result.recovered)
    _tell_digest(run, result)
    if result.already:
        run.say("this bundle was imported before")
    data = {**to_data(result), "dry_run": False}
    run.warn_enforced(data["enforced"])
    run.warn_left_behind(result.left_behind)
    return Answer(data, lambda page: _render(page, data))


def _tell_recovered(run: Run, steps: tuple[str, ...]) -> None:
    for step in steps:
        run.say(f"recovered from an interrupted command: {step}")


def _tell_digest(run: Run, result: "ImportResult") -> None:
    from airlift.high.enclave.expected import NOT_CNSA
    from airlift.ledger.entries.imports import SHA256

    if result.file_digest == SHA256:
        run.warn(f"policy: {NOT_CNSA}")


def _planned(run: Run, result: "ImportResult", **more: Any) -> Answer:
    run.warn_passed_over(result.passed_over)
    run.warn_damaged(result.damaged_volumes)
    _tell_digest(run, result)
    run.warn_left_behind(result.left_behind)
    for objection in result.objections:
        run.warn(f"policy would refuse it: {objection['message']} ({objection['code']})")
    data = {**to_data(result), **more}
    return Answer(data, lambda page: _render(page, data))


def _show_plan(page: Page, plan: dict[str, Any], rules: list[dict[str, Any]]) -> None:
    """Write what an import would change and take, and what each rule says."""
    page.line()
    page.line("plan", style="bold")
    sizes = {key: size(plan[key]) for key in ("needed", "free")}
    page.facts({**plan, **sizes, "seconds": f"about {plan['seconds']}"})
    page.line()
    page.line("rules", style="bold")
    page.table(
        ["rule", "about", "expected", "found", "met"],
        [
            [item[key] for key in ("rule", "subject", "expected", "found")] + ["yes" if item["met"] else "NO"]
            for item in rules
        ],
    )


def _render(page: Page, data: dict[str, Any]) -> None:
    hidden = {
        "components",
        "remarks",
        "volumes",
        "objections",
        "missing",
        "recovered",
        "verified",
        "passed_over",
        "repaired",
        "repairable",
        "damaged_volumes",
        "enforced",
        "rules",
        "plan",
        "left_behind",
    }
    if "verified" in data:  # inspect knows nothing of any enclave
        hidden |= {"installed", "activated", "already"}
    if data.get("file_digest") is None:  # nothing was rebuilt, or would be
        hidden |= {"file_digest"}
    facts = {key: value for key, value in data.items() if key not in hidden}
    facts["marking"] = marking(facts["marking"])
    for key in {"bytes_built", "chunk_bytes", "parity_bytes"} & facts.keys():
        facts[key] = size(facts[key])
    if not facts.get("parity_chunks"):
        facts = {key: value for key, value in facts.items() if not key.startswith("parity")}
    missing = data["missing"]
    by_parity = {key: f"{len(data[key])} chunks" for key in ("repaired", "repairable") if data.get(key)}
    page.facts({**facts, "missing": f"{len(missing)} chunks" if missing else "nothing", **by_parity})
    for name in ("components", "volumes", "objections"):
        if data.get(name):
            page.line()
            page.line(name, style="bold")
            if name == "components":
                page.components(data[name], data["remarks"])
            else:
                page.records(data[name])
    if data.get("plan"):
        _show_plan(page, data["plan"], data["rules"])
    for digest in missing[:SHOWN_MISSING]:
        page.line(f"missing chunk {digest}")
    if len(missing) > SHOWN_MISSING:
        page.line(f"and {len(missing) - SHOWN_MISSING} more")
