"""``airlift low``: gather a release, and collect its signatures."""

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from airlift.cli.frame import app, options
from airlift.cli.frame.command import Answer, answer, command
from airlift.cli.frame.output import Page, size, to_data
from airlift.cli.frame.places import AtDepot, OnDepot
from airlift.cli.frame.session import Run
from airlift.errors import UsageError

if TYPE_CHECKING:
    from airlift.low.depot.depot import Depot
    from airlift.low.release.hub.fetch import Fetched, Plan


@command(
    app.low,
    "draft",
    "airlift low draft models/base models/guard",
    "airlift low draft models/base --output release.yaml",
)
def draft(
    run: Run,
    folders: Annotated[list[Path], typer.Argument(metavar="FOLDER", help="One component each.")],
    *,
    output: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write it to a new file; else it is shown.")
    ] = None,
    depot: Annotated[
        Path,
        typer.Option(
            envvar="AIRLIFT_DEPOT",
            metavar="DIR",
            help="Propose versions by what it published, if it is there.",
        ),
    ] = options.DEPOT,
) -> Answer:
    """Write a release manifest for what lies in folders, with what the gate will object to.

    What nobody but you can know is FILL-IN. Paths lead from FILE, or from here.
    """
    from airlift.low.depot.depot import MARKER, open_depot
    from airlift.low.drafting.draft import draft as draft_manifest

    opened = open_depot(depot) if (depot / MARKER).exists() else None
    result = draft_manifest(folders, depot=opened, output=output, progress=run.progress)
    if output is not None:
        for item in result.components:
            for text in item.objections:
                run.warn(f"{item.name}: {text}")
        run.say(f"complete {output}, then: airlift low release {output}")

    def render(page: Page) -> None:
        if output is not None:
            page.records(
                [
                    {key: to_data(item)[key] for key in ("name", "kind", "version")}
                    for item in result.components
                ]
            )
            return
        for line in result.manifest.splitlines():
            page.line(line)

    return answer(result, render)


@command(app.low, "outdated", "airlift low outdated")
def outdated(run: Run, *, at: AtDepot) -> Answer:
    """Compare the hub sources of the newest published release with the newest commits of their branch."""
    from airlift.low.release.outdated import find_outdated

    result = find_outdated(at.open(), run.progress)
    data = to_data(result)
    for item, source in zip(data["sources"], result.sources, strict=True):
        item["outdated"] = source.outdated
        if source.newest is None:
            run.warn(f"{source.component}: the hub has no branch {source.branch} of {source.repo} any more")
    if not result.sources:
        run.say(f"no component of {result.release} came from a hub")
    return Answer(data, lambda page: page.records(data["sources"]))


class Form(StrEnum):
    """What becomes of an image of a registry."""

    files = "files"
    layout = "layout"


@dataclass(frozen=True, slots=True, kw_only=True)
class Pinned:
    """What pins a source that is an address, and how it is asked."""

    digest: Annotated[
        str | None, typer.Option(metavar="DIGEST", help="Of the one file: sha256: or sha512: and hex digits.")
    ] = None
    digests: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="A list by sha256sum or sha512sum; the URL ends with / then."),
    ] = None
    version: Annotated[
        str | None, typer.Option(metavar="ID", help="The version of an object in a bucket.")
    ] = None
    path: Annotated[
        str | None,
        typer.Option(metavar="PATH", help="What the one file is called; as the URL ends unless given."),
    ] = None
    form: Annotated[
        Form | None, typer.Option(help="What becomes of an image: its titled files, or an OCI layout.")
    ] = None
    endpoint: Annotated[
        str | None, typer.Option(metavar="URL", help="Of the bucket; as the environment says unless given.")
    ] = None
    plain_http: Annotated[
        bool, typer.Option("--plain-http", help="Ask a server without TLS that is not on this machine.")
    ] = False


@command(
    app.low,
    "fetch",
    "airlift low fetch org/name --revision 0123456789abcdef0123456789abcdef01234567 --include *.safetensors",
    "airlift low fetch https://models.example/base.safetensors --digest sha256:9f86d08...",
    "airlift low fetch s3://models/base/ --digests SHA256SUMS",
    "airlift low fetch oci://registry.example/org/base@sha256:9f86d08...",
)
def fetch(
    run: Run,
    repo: Annotated[
        str,
        typer.Argument(
            metavar="REPO|URL",
            help="Of a hub, for example org/name; or https://, s3://, gs://, az://, oci://.",
        ),
    ],
    *,
    revision: Annotated[
        str | None, typer.Option(metavar="COMMIT", help="Of a hub: the whole commit, 40 hex digits.")
    ] = None,
    include: Annotated[
        list[str],
        typer.Option(
            metavar="GLOB",
            default_factory=list,
            show_default=False,
            help="Only files that fit. May be repeated.",
        ),
    ],
    exclude: Annotated[
        list[str],
        typer.Option(
            metavar="GLOB",
            default_factory=list,
            show_default=False,
            help="No files that fit. May be repeated.",
        ),
    ],
    cache: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Of a hub: the cache to fetch into; the usual one by default."),
    ] = None,
    pinned: Pinned,
    at: AtDepot,
    dry_run: options.DryRun = False,
) -> Answer:
    """Bring a model here, pinned: from a Hugging Face endpoint (HF_ENDPOINT) into the local cache, or from a URL.

    What comes from a URL, a bucket or a registry is kept in the depot until a release takes it. What broke off is
    taken up again by the same command. A token is taken from HF_TOKEN, and goes nowhere else.
    """
    from airlift.low.sources import asked

    if asked.is_address(repo):
        if dry_run:
            raise UsageError("--dry-run is for a repository of a hub", found=repo[:80])
        if revision is not None or cache is not None:
            raise UsageError("--revision and --cache are for a repository of a hub", found=repo[:80])
        given = {
            key: str(value) if isinstance(value, Path | Form) else value for key, value in _given(pinned)
        }
        options = {**given, "include": include, "exclude": exclude}
        return _fetch_address(run, asked.as_source(repo, options), at)
    if revision is None:
        raise UsageError(
            f"{repo} is not pinned",
            expected="--revision COMMIT; or a URL, with https://, s3://, gs://, az:// or oci://",
            hint="name the whole commit: --revision, 40 hex digits",
        )
    if pinned != Pinned():
        raise UsageError("a repository of a hub is pinned by --revision alone", found=repo[:80])
    from airlift.low.release.hub.fetch import Wanted, fetch_commit, plan_fetch

    wanted = Wanted(repo, revision, include, exclude)
    if dry_run:
        plan = plan_fetch(wanted, cache, run.progress)
        return answer(plan, lambda page: _show_plan(page, plan))
    result = fetch_commit(wanted, cache, run.progress)
    return answer(result, lambda page: _show_fetched(page, result))


def _show_fetched(page: Page, found: "Fetched") -> None:
    page.facts(
        {
            "repo": found.repo,
            "revision": found.revision,
            "bytes": size(found.bytes),
            "came in": size(found.came),
        }
    )
    page.line()
    page.table(["file", "path"], [(name, str(path)) for name, path in found.paths.items()])


def _show_plan(page: Page, plan: "Plan") -> None:
    page.facts(
        {
            "repo": plan.repo,
            "revision": plan.revision,
            "bytes": size(plan.bytes),
            "to come": size(plan.to_come),
        }
    )
    page.line()
    page.table(["file", "bytes"], [(name, size(count)) for name, count in plan.sizes.items()])


def _given(pinned: Pinned) -> Iterator[tuple[str, Any]]:
    """Yield the name and value of every option that pins."""
    yield from ((one.name, getattr(pinned, one.name)) for one in dataclasses.fields(pinned))


def _fetch_address(run: Run, source: dict[str, Any], at: AtDepot) -> Answer:
    """Fetch what an address has into the depot; show each file with its digest, as a manifest pins it."""
    from airlift.bundle.component.source import at_endpoint
    from airlift.low.sources.fetch import fetch as fetch_source

    result = fetch_source(at.open(), source, Path(), run.progress)
    found = [
        {"path": path, "bytes": item.size, "digest": f"sha256:{item.sha256}", "file": str(result.paths[path])}
        for path, item in result.digested.items()
    ]
    data = {
        "source": dict(result.stated),
        "files": found,
        "bytes": result.bytes,
        "skipped": list(result.skipped),
        "left_out": list(result.left_out),
    }

    def render(page: Page) -> None:
        page.facts({"source": at_endpoint(dict(result.stated)), "bytes": size(result.bytes)})
        page.line()
        page.table(
            ["file", "bytes", "digest"],
            [(path, size(item.size), f"sha256:{item.sha256}") for path, item in result.digested.items()],
        )

    return Answer(data, render)


@command(app.low, "release", "airlift low release release.yaml --key release-carol.key")
def release(
    run: Run,
    manifest: Annotated[
        Path, typer.Argument(metavar="MANIFEST.yaml", help="The release as a person wrote it.")
    ],
    *,
    key: options.Key,
    replace: options.Replace = False,
    on: OnDepot,
) -> Answer:
    """Gather a release, check and digest every file, and propose it to the release authority.

    Signed at once with the keys that are given; published when the threshold is met.
    """
    from airlift.low.release.make_release import make_release

    result = make_release(
        on.open(),
        manifest,
        signers=on.passphrases.signers(run, key),
        now=run.now,
        dry_run=on.dry_run,
        replace=replace,
        progress=run.progress,
    )
    for warning in result.warnings:
        run.warn(warning)
    data = {**to_data(result), "dry_run": on.dry_run}
    return Answer(data, lambda page: _render(page, data))


@command(
    app.low,
    "sign",
    "airlift low sign assistant@2026.11.1 --key release-dave.key",
    "airlift low sign root --export root-change.json",
    "airlift low sign --import root-change.json --export signed.json --key alice.key",
)
def sign(
    run: Run,
    what: Annotated[
        str | None,
        typer.Argument(metavar="RELEASE|root", help="What to sign; everything pending by default."),
    ] = None,
    *,
    key: options.Key,
    export: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Write the pending change to a file, for a signer elsewhere."),
    ] = None,
    import_: Annotated[
        Path | None, typer.Option("--import", metavar="FILE", help="Take signatures from such a file.")
    ] = None,
    on: OnDepot,
) -> Answer:
    """Show what a pending change does, check it again, and add signatures.

    Below the threshold the exit code is 0 and `published` is false. Without a depot, --import FILE --export FILE
    signs a change that was exported elsewhere.
    """
    from airlift.low.authority.sign import Transfer
    from airlift.low.authority.sign import sign as sign_change

    result = sign_change(
        _depot_if_any(on, alone=import_ is not None and export is not None),
        what,
        signers=on.passphrases.signers(run, key),
        transfer=Transfer(import_, export),
        now=run.now,
        dry_run=on.dry_run,
        progress=run.progress,
    )
    data = {**to_data(result), "dry_run": on.dry_run}
    return Answer(data, lambda page: _render(page, data))


def _depot_if_any(on: OnDepot, *, alone: bool) -> "Depot | None":
    """Return the depot, or None where a signer works on an exported change alone."""
    from airlift.low.depot.depot import MARKER

    return None if alone and not (on.depot / MARKER).exists() else on.open()


def _render(page: Page, data: dict[str, Any]) -> None:
    lines = [
        *data.get("differences", ()),
        *(line for item in data.get("changes", ()) for line in item["differences"]),
    ]
    for line in lines:
        page.line(line)
    if lines:
        page.line()
    facts = {
        key: value
        for key, value in data.items()
        if key not in {"differences", "changes", "bytes", "new_bytes", "warnings"}
    }
    for key in ("bytes", "new_bytes"):
        if key in data:
            facts[key] = size(data[key])
    page.facts(facts)
