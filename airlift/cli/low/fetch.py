"""``airlift low fetch``: bring a model to the low side, pinned."""

import dataclasses
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from airlift.cli.frame import app, options
from airlift.cli.frame.command import Answer, answer, command
from airlift.cli.frame.output import Page, size
from airlift.cli.frame.places import AtDepot
from airlift.cli.frame.session import Run
from airlift.errors import UsageError

if TYPE_CHECKING:
    from airlift.low.release.hub.fetch import Fetched, Plan
    from airlift.low.sources.foresee import Coming
    from airlift.low.sources.plan import Wanted


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Files:
    """Which files are fetched."""

    include: Annotated[
        list[str],
        typer.Option(
            metavar="GLOB",
            default_factory=list,
            show_default=False,
            help="Only files that fit. May be repeated.",
        ),
    ]
    exclude: Annotated[
        list[str],
        typer.Option(
            metavar="GLOB",
            default_factory=list,
            show_default=False,
            help="No files that fit. May be repeated.",
        ),
    ]


@dataclass(frozen=True, slots=True, kw_only=True)
class OfHub:
    """What is said of a hub alone."""

    revision: Annotated[
        str | None, typer.Option(metavar="COMMIT", help="Of a hub: the whole commit, 40 hex digits.")
    ] = None
    cache: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Of a hub: the cache to fetch into; the usual one by default."),
    ] = None
    dry_run: options.DryRun = False


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
    files: Files,
    hub: OfHub,
    pinned: Pinned,
    at: AtDepot,
) -> Answer:
    """Bring a model here, pinned: from a Hugging Face endpoint (HF_ENDPOINT) into the local cache, or from a URL.

    What comes from a URL, a bucket or a registry is kept in the depot until a release takes it. What broke off is
    taken up again by the same command. A token is taken from HF_TOKEN, and goes nowhere else.
    """
    from airlift.low.sources import asked
    from airlift.low.sources.plan import bare_url

    if asked.is_address(repo):
        if hub.revision is not None or hub.cache is not None:
            address = bare_url(repo)
            raise UsageError(
                "--revision and --cache are for a repository of a hub",
                found=address,
                hint=f"leave them out; an address is pinned by itself, or --digest: airlift low fetch {address}",
            )
        given = {
            key: str(value) if isinstance(value, Path | Form) else value for key, value in _given(pinned)
        }
        wanted = {**given, "include": files.include, "exclude": files.exclude}
        source = asked.as_source(repo, wanted)
        with asked.by_options():
            return _foresee_address(source, at) if hub.dry_run else _fetch_address(run, source, at)
    _check_commit(repo, hub, pinned)
    return _fetch_commit(run, repo, files, hub)


def _check_commit(repo: str, hub: OfHub, pinned: Pinned) -> None:
    """Check that a repository of a hub is pinned by a commit, and by nothing else."""
    if hub.revision is None:
        raise UsageError(
            f"{repo} is not pinned",
            expected="--revision COMMIT; or a URL, with https://, s3://, gs://, az:// or oci://",
            hint="name the whole commit: --revision, 40 hex digits",
        )
    if pinned != Pinned():
        raise UsageError(
            "a repository of a hub is pinned by --revision alone",
            found=", ".join(f"--{name.replace('_', '-')}" for name, value in _given(pinned) if value),
            hint=f"leave that out: airlift low fetch {repo[:80]} --revision {hub.revision}",
        )


def _fetch_commit(run: Run, repo: str, files: Files, hub: OfHub) -> Answer:
    """Fetch a commit of a hub into the local cache."""
    from airlift.low.release.hub.fetch import Wanted, fetch_commit, plan_fetch

    wanted = Wanted(repo, hub.revision or "", files.include, files.exclude)
    if hub.dry_run:
        plan = plan_fetch(wanted, hub.cache, run.progress)
        return answer(plan, lambda page: _show_plan(page, plan))
    result = fetch_commit(wanted, hub.cache, run.progress)
    run.say(f"a manifest for it: airlift low draft {result.folder}")
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


def _foresee_address(source: dict[str, Any], at: AtDepot) -> Answer:
    """Say what would be fetched: each file with its address, what pins it, its length and where it would lie."""
    from airlift.bundle.component.source import at_endpoint
    from airlift.low.sources.foresee import foresee

    found = foresee(at.open(), source, Path())
    known = sum(item.bytes or 0 for item in found.coming)
    to_come = sum(item.to_come or 0 for item in found.coming)
    data = {
        "source": dict(found.stated),
        "files": [_shown(item) for item in found.coming],
        "bytes": known,
        "to_come": to_come,
        "skipped": list(found.skipped),
        "left_out": list(found.left_out),
    }

    def render(page: Page) -> None:
        page.facts(
            {
                "source": at_endpoint(dict(found.stated)),
                "bytes": _at_least(known, found.coming),
                "to come": _at_least(to_come, found.coming),
                "into": str(at.depot / "fetched"),
            }
        )
        page.line()
        page.table(
            ["file", "bytes", "here", "pinned by"],
            [
                (
                    item.wanted.path,
                    "?" if item.bytes is None else size(item.bytes),
                    size(item.kept),
                    _pinned_by(item.wanted),
                )
                for item in found.coming
            ],
        )

    return Answer(data, render)


def _at_least(count: int, coming: "Sequence[Coming]") -> str:
    """Return a sum of bytes; it is more if the length of a file is not told."""
    return size(count) + (" and more" if any(item.bytes is None for item in coming) else "")


def _shown(item: "Coming") -> dict[str, Any]:
    wanted = item.wanted
    return {
        "path": wanted.path,
        "address": wanted.url,
        "digest": None if wanted.pin is None else str(wanted.pin),
        "version": wanted.version,
        "bytes": item.bytes,
        "kept": item.kept,
        "file": str(item.file),
    }


def _pinned_by(wanted: "Wanted") -> str:
    """Return what pins a file: its digest, or the version of an object."""
    return str(wanted.pin) if wanted.pin is not None else f"version {wanted.version}"
