"""``airlift high``: switch between releases, look at them, check them and remove old ones."""

from pathlib import Path
from typing import Annotated, Any

import typer

from airlift.cli.frame import app, options
from airlift.cli.frame.command import Answer, answer, command
from airlift.cli.frame.output import DIGITS, MARK, Page, size, to_data
from airlift.cli.frame.passphrase import load_signers
from airlift.cli.frame.places import AtEnclave, OnEnclave, operator
from airlift.cli.frame.session import Run
from airlift.cli.high.import_ import MAX_WORKERS
from airlift.errors import UsageError


@command(
    app.high,
    "activate",
    "airlift high activate assistant@2026.11.1",
    "airlift high activate assistant@2026.11.1 --insecure-stale --reason flood --key ada.key --key bo.key",
)
def activate(
    run: Run,
    release: Annotated[str, typer.Argument(metavar="RELEASE", help="name@version, or its digest.")],
    *,
    insecure_stale: Annotated[
        bool,
        typer.Option("--insecure-stale", help="Accept old knowledge: two people, a reason, the ledger."),
    ] = False,
    reason: Annotated[str | None, typer.Option(metavar="R", help="Why, for the ledger.")] = None,
    key: options.Key,
    on: OnEnclave,
) -> Answer:
    """Make an installed release the active one, as a whole and at once, if policy allows it."""
    from airlift.high.activation.activate import activate as activate_release
    from airlift.high.governance.consent import Consent

    if not insecure_stale and (reason is not None or key):
        raise UsageError(
            "--reason and --key belong to --insecure-stale",
            hint=f"leave them out: `airlift high activate {release}`",
        )
    opened, ask = on.open(), on.passphrases.source(run)
    acting = operator(run, opened.ledger_key, ask)
    stale = Consent(reason or "", load_signers(key, ask)) if insecure_stale else None
    result = activate_release(opened, release, operator=acting, stale=stale, dry_run=on.dry_run)
    run.warn_left_behind(result.left_behind)
    return answer(result, dry_run=on.dry_run)


@command(
    app.high, "rollback", "airlift high rollback", "airlift high rollback --to assistant@2026.11.0 --yes"
)
def rollback(
    run: Run,
    *,
    to: Annotated[
        str | None, typer.Option(metavar="RELEASE", help="The release before the current one by default.")
    ] = None,
    yes: options.Yes = False,
    on: OnEnclave,
) -> Answer:
    """Return to the release that was active before, or to a named one; policy is asked again."""
    from airlift.high.activation.activate import roll_back

    opened, acting = on.enter(run)
    planned = roll_back(opened, to, operator=acting, dry_run=True)
    run.warn_left_behind(planned.left_behind)
    if on.dry_run or planned.already:
        return answer(planned, dry_run=on.dry_run)
    run.confirm(f"roll back from {planned.previous or 'nothing'} to {planned.active}?", yes=yes)
    return answer(roll_back(opened, to, operator=acting), dry_run=False)


@command(app.high, "status", "airlift high status", "airlift high status --format json")
def status(run: Run, *, at: AtEnclave) -> Answer:
    """Show what is active, installed and trusted, and what should be looked at."""
    from airlift.high.enclave.status import enclave_status

    data = to_data(enclave_status(at.open(), run.now))

    def render(page: Page) -> None:
        plain = {key: data[key] for key in ("enclave", "active", "previous", "installed")}
        plain |= {"registered": data["registered"]} if data["registered"] else {}
        page.facts(
            {**plain, "ledger": f"{data['ledger']['size']} entries", "ledger root": data["ledger"]["root"]}
        )
        page.line()
        page.table(
            ["role", "version", "expires"],
            [(n, r["version"], r["expires"]) for n, r in data["trust"].items()],
        )
        _show_staged(page, data["staged"])
        for item in data["relay"]:
            name = item["bundle"] or _cut(item["manifest"])
            page.line(f"kept to be handed on: {name}, {item['volumes']} volumes, {size(item['bytes'])}")
        for item in data["exports"]:
            state = "in step" if item["in_step"] else "OUT OF STEP"
            page.line(f"served as {item['layout']}: {item['output']} ({state})")
        if data["floors"] or data["revocations"]:
            page.line()
            page.facts({"floors": [f"{name} {version}" for name, version in data["floors"].items()]})
            for item in data["revocations"]:
                what = item["name"] or _cut(item["digest"])
                page.line(f"revoked: {item['kind']} {what} ({item['type']}): {item['reason']}")
        for warning in data["warnings"]:
            page.line(f"warning: {warning}", style="yellow")

    return Answer(data, render)


def _cut(digest: str) -> str:
    """Return a digest of what has no name here."""
    return f"{digest[:DIGITS]}{MARK}"


def _show_staged(page: Page, staged: list[dict[str, Any]]) -> None:
    """Write what is staged: where each bundle stands, and what is to be done next."""
    for item in staged:
        page.line()
        page.line(f"staged: {item['bundle'] or _cut(item['manifest'])}", style="bold")
        seen = [f"volume {known['volume']} of {known['volumes']}" for known in item["seen"]]
        total = "" if item["chunks_total"] is None else f" of {item['chunks_total']}"
        page.facts(
            {
                **{key: item[key] for key in ("target", "baseline", "since")},
                "chunks": f"{item['chunks_present']}{total}",
                "bytes": size(item["bytes"]),
                "reserved": size(item["reserved"]),
                "volumes_seen": seen,
                "wanted": [wanted["name"] for wanted in item["wanted"]],
                "outlook": f"{item['outlook']}: {item['reason']}",
                "next": item["next"],
            }
        )


@command(
    app.high, "discard", "airlift high discard alpha-3 --dry-run", "airlift high discard 0123456789ab --yes"
)
def discard(
    run: Run,
    bundle: Annotated[
        str, typer.Argument(metavar="BUNDLE", help="Its id, or 12 or more hex digits of its digest.")
    ],
    *,
    yes: options.Yes = False,
    on: OnEnclave,
) -> Answer:
    """Free what an import that will not be completed has staged: its chunks, files and reserved room."""
    from airlift.high.enclave.discard import discard as discard_staged

    opened, acting = on.enter(run)
    result = discard_staged(opened, bundle, operator=acting, dry_run=True)
    if not on.dry_run:
        name = result.bundle or _cut(result.manifest)
        run.confirm(f"discard {result.chunks} chunks of {name}, {size(result.bytes)}?", yes=yes)
        result = discard_staged(opened, result.manifest, operator=acting)
    data = {**to_data(result), "dry_run": on.dry_run}
    sizes = {key: size(data[key]) for key in ("bytes", "reserved")}
    return Answer(data, lambda page: page.facts({**data, **sizes}))


@command(app.high, "list", "airlift high list")
def list_(run: Run, *, at: AtEnclave) -> Answer:
    """Show the installed releases and their components, oldest import first."""
    from airlift.high.enclave.status import list_releases

    del run
    releases: list[dict[str, Any]] = to_data(list_releases(at.open()))

    def render(page: Page) -> None:
        for number, item in enumerate(releases):
            if number:
                page.line()
            state = "active" if item["active"] else "previous" if item["previous"] else "installed"
            page.line(f"{item['release']} ({state})", style="bold")
            page.components(item["components"], item["remarks"])

    return Answer({"releases": releases}, render)


@command(app.high, "check", "airlift high check", "airlift high check --repair-from /media/disc1")
def check(
    run: Run,
    *,
    repair_from: Annotated[
        list[Path],
        typer.Option(
            metavar="VOLUME", default_factory=list, show_default=False,
            help="Volumes of an imported bundle, to rebuild what is damaged. May be repeated.",
        ),
    ],
    workers: options.Workers = None,
    on: OnEnclave,
) -> Answer:  # fmt: skip
    """Verify all content at rest again; with --repair-from also rebuild what is damaged."""
    threads = options.threads(workers, MAX_WORKERS)
    if not repair_from:
        from airlift.high.enclave.check_content import check_content

        return _checked(to_data(check_content(on.open(), run.progress, threads)))
    from airlift.high.importing.repair import repair

    opened, acting = on.enter(run)
    result = repair(
        opened, repair_from, operator=acting, progress=run.progress, workers=threads, dry_run=on.dry_run
    )
    run.warn_passed_over(result.passed_over)
    run.warn_damaged(result.damaged_volumes)
    return _checked({**to_data(result), "dry_run": on.dry_run})


def _checked(data: dict[str, Any]) -> Answer:
    hidden = {"passed_over", "damaged_volumes"}
    hidden |= {key for key in ("repaired_chunks", "pieces") if not data[key]}
    shown = {key: value for key, value in data.items() if key not in hidden}
    if data["pieces"]:
        shown["pieces"] = [
            f"bytes {start} to {end} of {item['sha512'][:DIGITS]}"
            for item in data["pieces"]
            for start, end in item["ranges"]
        ]
    return Answer(data, lambda page: page.facts({**shown, "bytes": size(data["bytes"])}))


@command(app.high, "gc", "airlift high gc --dry-run", "airlift high gc --keep 3 --yes")
def gc(
    run: Run,
    *,
    keep: Annotated[
        int | None,
        typer.Option(metavar="N", help="How many of the newest releases stay; policy's number by default."),
    ] = None,
    yes: options.Yes = False,
    on: OnEnclave,
) -> Answer:
    """Remove releases that are no longer kept for roll back: the only command that deletes what was imported.

    Staged work that cannot be completed goes too; `airlift high discard` frees the rest of it.
    """
    from airlift.high.enclave.gc import collect_garbage

    opened, acting = on.enter(run)
    result = collect_garbage(opened, keep, operator=acting, dry_run=True)
    if not on.dry_run and (result.removed or result.files or result.staged):
        names = ", ".join(result.removed) or "no release"
        staged = f", and what is staged of {', '.join(result.staged)}" if result.staged else ""
        run.confirm(f"remove {names}, and {result.files} files of {size(result.bytes)}{staged}?", yes=yes)
        result = collect_garbage(opened, keep, operator=acting)
    data = {**to_data(result), "dry_run": on.dry_run}
    sizes = {key: size(data[key]) for key in ("bytes", "staged_bytes")}
    return Answer(data, lambda page: page.facts({**data, **sizes}))
