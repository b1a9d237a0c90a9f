"""``airlift high export`` and ``unfollow``: the layouts that other programs read."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from airlift.cli.frame import app
from airlift.cli.frame.command import Answer, answer, command
from airlift.cli.frame.output import Page, size, to_data
from airlift.cli.frame.places import OnEnclave
from airlift.cli.frame.session import Run
from airlift.errors import UsageError

if TYPE_CHECKING:
    from airlift.layouts.layouts import Choice


@dataclass(frozen=True, slots=True, kw_only=True)
class Serving:
    """How a release is served."""

    layout: Annotated[
        str,
        typer.Option(metavar="LAYOUT", help="The form that the other program reads; see docs/layouts.md."),
    ]
    component: Annotated[
        list[str],
        typer.Option(
            metavar="NAME", default_factory=list, show_default=False, help="Serve only this. May be repeated."
        ),
    ]
    as_: Annotated[
        list[str],
        typer.Option(
            "--as", metavar="COMPONENT=NAME", default_factory=list, show_default=False,
            help="What a component is served as. May be repeated.",
        ),
    ]  # fmt: skip

    def choice(self) -> "Choice":
        """Return what was chosen.

        Raises:
            UsageError: there is no such layout, or a name is none.
        """
        from airlift.layouts.layouts import choose

        found = dict[str, str]()
        for text in self.as_:
            name, equals, served_as = text.partition("=")
            if not equals or not name or name in found:
                raise UsageError(
                    "this names no component",
                    expected="--as COMPONENT=NAME, once for each",
                    found=ascii(text[:80]),
                    hint="see the components: airlift high list",
                )
            found[name] = served_as
        return choose(self.layout, tuple(self.component), found)


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a release is served."""

    output: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Where it is served; nothing may stand there yet.")
    ] = None
    to: Annotated[
        str | None, typer.Option(metavar="s3://BUCKET/PREFIX", help="A bucket that policy names, instead.")
    ] = None
    follow: Annotated[
        bool, typer.Option("--follow", help="Keep it in step with every activation and roll back.")
    ] = False


@command(
    app.high,
    "export",
    "airlift high export active --layout tree --output /srv/models --follow",
    "airlift high export assistant@2026.11.1 --layout tree --output /srv/models --component base",
    "airlift high export active --layout tree --to s3://models/serving",
)
def export(
    run: Run,
    release: Annotated[str, typer.Argument(metavar="RELEASE", help="name@version, its digest, or `active`.")],
    *,
    place: Place,
    serving: Serving,
    on: OnEnclave,
) -> Answer:
    """Serve an installed release in the layout that another program reads, by hard links where that can be."""
    from airlift.high.serving.export import Job
    from airlift.high.serving.export import export as export_release

    if (place.output is None) == (place.to is None):
        raise UsageError(
            "an export needs one place", expected="either --output DIR or --to s3://BUCKET/PREFIX"
        )
    if place.output is None:
        return _upload(run, release, place, serving, on)
    opened, acting = on.enter(run)
    job = Job(release, serving.choice(), place.output, place.follow)
    result = export_release(opened, job, operator=acting, dry_run=on.dry_run, progress=run.progress)
    if result.copied_bytes:
        run.warn(
            f"{size(result.copied_bytes)} {'would be' if on.dry_run else 'were'} copied: "
            "content cannot be linked there, it is another file system"
        )
    data = {**to_data(result), "dry_run": on.dry_run}
    sizes = {key: size(value) for key, value in data.items() if key.endswith("_bytes")}
    shown = {key: value for key, value in data.items() if key != "recovered"}

    def render(page: Page) -> None:
        page.facts({**shown, **sizes})

    return Answer(data, render)


def _upload(run: Run, release: str, place: Place, serving: Serving, on: OnEnclave) -> Answer:
    from airlift.high.serving.upload import UploadJob, upload

    if place.follow:
        raise UsageError(
            "what is in a bucket cannot follow", hint="export it after each activation, without --follow"
        )
    opened, acting = on.enter(run)
    job = UploadJob(release, serving.choice(), place.to or "")
    result = upload(opened, job, operator=acting, dry_run=on.dry_run, progress=run.progress)
    data = {**to_data(result), "dry_run": on.dry_run}
    shown = {**data, "bytes": size(data["bytes"]), "sent_bytes": size(data["sent_bytes"])}
    return Answer(data, lambda page: page.facts({k: v for k, v in shown.items() if k != "recovered"}))


@command(app.high, "unfollow", "airlift high unfollow /srv/models")
def unfollow(
    run: Run,
    output: Annotated[
        Path, typer.Argument(metavar="DIR", help="Where it is served; see `airlift high status`.")
    ],
    *,
    on: OnEnclave,
) -> Answer:
    """Let an export follow no more: what it shows now stays, and is not kept in step."""
    from airlift.high.serving.export import unfollow as end_export

    opened, acting = on.enter(run)
    return answer(end_export(opened, output, operator=acting, dry_run=on.dry_run), dry_run=on.dry_run)
