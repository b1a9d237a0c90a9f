"""``airlift provenance changes``: what a release changed, down to its tensors."""

from typing import Annotated, Any

import typer

from airlift.cli.frame import app
from airlift.cli.frame.command import Answer, command
from airlift.cli.frame.output import Page, size, to_data
from airlift.cli.frame.places import AtEnclave
from airlift.cli.frame.session import Run


@command(
    app.provenance,
    "changes",
    "airlift provenance changes assistant@2026.11.1",
    "airlift provenance changes assistant@2026.11.1 --from assistant@2026.11.0 --tensors",
)
def changes(
    run: Run,
    release: Annotated[str, typer.Argument(metavar="RELEASE", help="name@version, or its digest.")],
    *,
    from_: Annotated[
        str | None,
        typer.Option("--from", metavar="RELEASE", help="Against this one; its baseline by default."),
    ] = None,
    tensors: Annotated[
        bool, typer.Option("--tensors", help="Compare the content of both, tensor by tensor.")
    ] = False,
    component: Annotated[str | None, typer.Option(metavar="C", help="One component only.")] = None,
    largest: Annotated[
        int, typer.Option(metavar="N", min=1, help="How many tensors the table shows; JSON has all.")
    ] = 20,
    at: AtEnclave,
) -> Answer:
    """Show what a release changed, by component and file; with --tensors how many numbers, and by how much."""
    from airlift.high.record import changes as looking

    found = looking.find_changes(
        at.open(),
        release,
        from_=from_,
        tensors=tensors,
        component=component,
        progress=run.progress,
    )
    data = to_data(found)
    for name in data["not_held"]:
        run.warn(f"the earlier content of {name} is no longer held: its tensors are not compared")
    return Answer(data, lambda page: _render(page, data, largest))


def _render(page: Page, data: dict[str, Any], largest: int) -> None:
    page.facts({"release": data["release"], "against": f"{data['against'] or 'nothing'} ({data['why']})"})
    page.line()
    page.table(["component", "change", "before", "after"],
               [[c["name"], c["change"], c["before"], c["after"]] for c in data["components"]])  # fmt: skip
    rows = [(c["name"], f) for c in data["components"] for f in c["files"]]
    if rows:
        page.line()
        page.table(
            ["file", "change", "before", "after"],
            [[f"{name}/{f['path']}", f["change"] + (f" from {f['was']}" if f["was"] else ""),
              size(f["size_before"]), size(f["size_after"])] for name, f in rows],
        )  # fmt: skip
    if data["tensors"] is not None:
        _tensors(page, data, largest)


def _tensors(page: Page, data: dict[str, Any], largest: int) -> None:
    found = data["tensors"]
    page.line()
    page.line(f"{len(found)} of {data['tensors_compared']} tensors in changed files differ")
    if found:
        page.table(
            ["tensor", "type", "change", "elements", "changed", "share", "largest", "ulps"],
            [_row(item) for item in found[:largest]],
        )
    if len(found) > largest:
        page.line(f"and {len(found) - largest} more; --largest N shows them, `--format json` all")


def _row(item: dict[str, Any]) -> list[Any]:
    gap = "-" if item["absolute"] is None else f"{item['absolute']:.3g}"
    share = f"{item['share']:.2%}" if item["change"] == "changed" else "-"
    return [f"{item['component']}: {item['name']}", item["element"], item["change"], item["elements"],
            item["changed"], share, gap, item["ulps"]]  # fmt: skip
