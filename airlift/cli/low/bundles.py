"""``airlift low``: pack a release into volumes, check, renew and withdraw bundles."""

from pathlib import Path
from typing import Annotated, Any

import typer

from airlift.cli.frame import app, options
from airlift.cli.frame.command import Answer, answer, command
from airlift.cli.frame.output import Page, marking, size, to_data
from airlift.cli.frame.places import OnDepot
from airlift.cli.frame.session import Run
from airlift.cli.low.bundle_options import (
    Apart,
    BundlerKey,
    For,
    ForMedium,
    SignedOutput,
    What,
    bundle_request,
)

KNOWN_BY = {
    "receipt": "a signed receipt says that it is held",
    "operator": "by the operator's word",
    "assumption": "assumed: a bundle that brings it is outstanding, and has to be imported first",
    "none": "nothing is known to be held",
}
"""How it is known that an enclave holds the baseline, in words (SPEC L1.5)."""


@command(
    app.low,
    "bundle",
    "airlift low bundle assistant@2026.11.1 --for alpha --output out --bundler-key bundler.key --volume-size dvd",
    "airlift low bundle assistant@2026.11.1 --from assistant@2026.11.0 --output out --bundler-key bundler.key",
    "airlift low bundle assistant@2026.11.1 --output out --bundler-key bundler.key --volume-size dvd --parity 2",
    "airlift low bundle assistant@2026.11.1 --for alpha --for bravo --output out --bundler-key bundler.key",
    "airlift low bundle assistant@2026.11.1 --for alpha --shard 3/8 --output /shared",
    "airlift low bundle assistant@2026.11.1 --for alpha --cluster tls://head:8786 --shards 64 --output /shared",
    "airlift low bundle assistant@2026.11.1 --for alpha --join /shared --output out --bundler-key bundler.key",
)
def bundle(
    run: Run,
    release: Annotated[str, typer.Argument(metavar="RELEASE", help="name@version, or its digest.")],
    *,
    to: Apart,
    what: What,
    on: OnDepot,
) -> Answer:
    """Pack what an enclave lacks of a published release into volumes, one folder each.

    Say with --from which release it holds. With --for alone it is the newest one that this enclave has acknowledged,
    as its receipt or a typed code said; without one, the bundle is complete. Of a component in variants the one goes
    along that --variant chooses, or what the enclave is enrolled with; without a choice all of them.

    With --for given again, one bundle serves several enclaves: what more than one of them lacks goes along once.

    Several processes can code it, one part each, with --shard and the same other options, but without a key. What
    they write is held against the plan, and decoded again, by the one that joins it.
    """
    from airlift.cli.low import sharding
    from airlift.low.bundle.make_bundle import make_bundle

    sharding.check_together(to, what)
    key = "" if to.part or to.cluster else sharding.bundler_key(to)
    request = bundle_request(release, to, what, on)
    if to.part is not None:
        return sharding.code_part(run, request, to, on)
    if to.cluster is not None:
        return sharding.code_on_cluster(run, request, to, what, on)
    destination, asked = request.destination, request.destination.redundancy
    result = make_bundle(
        on.open(),
        request,
        signer=on.passphrases.signer(run, key),
        now=run.now,
        dry_run=on.dry_run,
        progress=run.progress,
    )
    if destination.enclave is not None:
        _say_baseline(run, destination.enclave, result.baseline, result.baseline_known_by)
    for portion in result.portions:
        _say_baseline(run, portion.enclave, portion.baseline, portion.baseline_known_by)
    if asked is not None and result.volumes and result.parity_chunks:
        run.say(_promise(asked.volumes, asked.percent, len(result.volumes)))
    return _bundled(result, dry_run=on.dry_run)


def _say_baseline(run: Run, enclave: str, baseline: str | None, known_by: str | None) -> None:
    run.say(f"baseline for {enclave}: {baseline or 'none'} ({KNOWN_BY[known_by or 'none']})")


def _promise(lost: int, percent: int, count: int) -> str:
    """Return what parity is good for, in words."""
    if lost:
        return f"any {lost} of the {count} volumes may be lost or damaged: the others complete the import"
    return f"about {percent} % of the chunks of each volume may be damaged: the import rebuilds them"


@command(
    app.low,
    "renew",
    "airlift low renew --output out --bundler-key bundler.key",
    "airlift low renew --for alpha --output out --bundler-key bundler.key",
)
def renew(
    run: Run,
    *,
    to: SignedOutput,
    for_: For = None,
    volumes: ForMedium,
    on: OnDepot,
) -> Answer:
    """Write a bundle without chunks: fresh metadata, roots and revocations."""
    from airlift.low.bundle.job import Destination
    from airlift.low.bundle.renew import renew as make_renewal

    result = make_renewal(
        on.open(),
        Destination(to.output, for_, volumes.medium()),
        signer=on.passphrases.signer(run, to.bundler_key),
        now=run.now,
        dry_run=on.dry_run,
    )
    return _bundled(result, dry_run=on.dry_run)


@command(app.low, "withdraw", "airlift low withdraw alpha-7 --bundler-key bundler.key")
def withdraw(
    run: Run,
    bundle: Annotated[str, typer.Argument(metavar="BUNDLE", help="Its id, for example alpha-7.")],
    *,
    bundler_key: BundlerKey,
    on: OnDepot,
) -> Answer:
    """Take a bundle off the list of those that may still be imported.

    Enclaves learn of it with the next bundle or renewal.
    """
    from airlift.low.bundle.withdraw import withdraw as withdraw_bundle

    signer = on.passphrases.signer(run, bundler_key)
    result = withdraw_bundle(on.open(), bundle, signer=signer, now=run.now, dry_run=on.dry_run)
    return answer(result, dry_run=on.dry_run)


@command(app.low, "check", "airlift low check /media/disc1 /media/disc2")
def check(
    run: Run,
    volumes: options.Volumes,
    *,
    depot: Annotated[
        Path | None,
        typer.Option(
            envvar="AIRLIFT_DEPOT", metavar="DIR", help="Also ask whether this depot published the bundle."
        ),
    ] = None,
) -> Answer:
    """Read again what was written or burnt, before it leaves: every byte against its digest."""
    from airlift.low.bundle.check_volumes import check_volumes
    from airlift.low.depot.depot import open_depot

    opened = open_depot(depot) if depot is not None else None
    result = check_volumes(volumes, depot=opened, progress=run.progress)
    if result.missing or result.missing_parity:
        count = len({*result.missing, *result.missing_parity})
        run.warn(f"{count} chunks lie on volumes that were not given")
    run.warn_passed_over(result.passed_over)
    data = to_data(result)

    def render(page: Page) -> None:
        apart = {"remarks", "passed_over", "missing_parity"}
        facts = {key: value for key, value in data.items() if key not in apart}
        page.facts({**facts, "volumes": len(data["volumes"]), "missing": f"{len(data['missing'])} chunks"})
        page.lines(data["remarks"])

    return Answer(data, render)


def _bundled(result: Any, *, dry_run: bool) -> Answer:
    data = {**to_data(result), "dry_run": dry_run}
    if data["explain"] is None:
        del data["explain"]
    if not data["portions"]:
        del data["portions"]
    return Answer(data, lambda page: _render(page, data))


def _shown(portion: dict[str, Any]) -> dict[str, Any]:
    """Return what one of several enclaves takes, as people read it."""
    sizes = {
        key: size(portion[key])
        for key in ("target_bytes", "chunk_bytes", "own_bytes")
        if portion[key] is not None
    }
    return {**portion, "baseline": portion["baseline"] or "none", **sizes}


def _render(page: Page, data: dict[str, Any]) -> None:
    apart = {"volumes", "components", "remarks", "marking", "codecs", "explain", "portions"}
    facts = {key: value for key, value in data.items() if key not in apart}
    for key in ("chunk_bytes", "target_bytes", "parity_bytes"):
        facts[key] = size(data[key])
    if data["parity"] is None:
        facts = {key: value for key, value in facts.items() if not key.startswith("parity")}
    for key in ("variants", "left_out"):
        if not facts[key]:
            del facts[key]
    facts["marking"] = marking(data["marking"])
    if "portions" in data:
        facts = {key: value for key, value in facts.items() if not key.startswith("baseline")}
        facts["enclave"] = ", ".join(one["enclave"] for one in data["portions"])
    page.facts(facts)
    if "portions" in data:
        page.line()
        page.records([_shown(one) for one in data["portions"]])
    for key in ("components", "volumes"):
        if data[key]:
            page.line()
            page.records(data[key])
            page.lines(data["remarks"] if key == "components" else ())
    if "explain" in data:
        from airlift.cli.low import cost_tables

        cost_tables.render(page, data["explain"])
    elif data["codecs"]:
        page.line()
        page.table(["codec", "target bytes"], list(data["codecs"].items()))
