"""``airlift provenance``: ask the record, and prove it."""

from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from airlift.cli import app, options
from airlift.cli.command import Answer, answer, command
from airlift.cli.keys import grouped
from airlift.cli.output import Page, to_data
from airlift.cli.session import Run
from airlift.errors import UsageError
from airlift.high import provenance
from airlift.high.enclave import open_enclave
from airlift.trust.keys import load_public

SHOWN_DIGITS = 16

Subject = Annotated[
    str,
    typer.Argument(metavar="SUBJECT", help="A release, a component, name@version, a bundle, or a digest."),
]
PublicKeyFile = Annotated[
    Path | None,
    typer.Option(metavar="K", help="The ledger's public key, from somewhere else than the enclave."),
]


class Kind(StrEnum):
    """What the record can be exported as."""

    ledger = "ledger"


@command(app.provenance, "show", "airlift provenance show assistant@2026.11.1")
def show(run: Run, subject: Subject, *, enclave: options.Enclave = options.ENCLAVE) -> Answer:
    """Show one thing and what it comes from directly."""
    del run
    nodes: list[dict[str, Any]] = to_data(provenance.trace(open_enclave(enclave), subject))
    shallow = [
        {**node, "parents": [{**parent, "parents": []} for parent in node["parents"]]} for node in nodes
    ]
    return _lineage(shallow)


@command(app.provenance, "trace", "airlift provenance trace guard@2.1")
def trace(run: Run, subject: Subject, *, enclave: options.Enclave = options.ENCLAVE) -> Answer:
    """Show the whole lineage: files, sources, releases, bundles, baselines, signers, ledger entries."""
    del run
    return _lineage(to_data(provenance.trace(open_enclave(enclave), subject)))


@command(app.provenance, "at", "airlift provenance at 2026-03-03T12:00:00Z")
def at(
    run: Run,
    time: Annotated[str, typer.Argument(metavar="TIME", help="2026-03-03, or 2026-03-03T12:00:00Z; UTC.")],
    *,
    enclave: options.Enclave = options.ENCLAVE,
) -> Answer:
    """Show what was active then."""
    del run
    data = to_data(provenance.at(open_enclave(enclave), moment(time)))

    def render(page: Page) -> None:
        page.facts({**{key: data[key] for key in ("time", "release", "digest")}, **_period(data)})
        page.line()
        page.records(data["components"])

    return Answer(data, render)


@command(
    app.provenance,
    "history",
    "airlift provenance history",
    "airlift provenance history --since 2026-03-01 --component guard",
)
def history(
    run: Run,
    *,
    since: Annotated[str | None, typer.Option(metavar="T", help="Entries from this time on; UTC.")] = None,
    component: Annotated[str | None, typer.Option(metavar="C", help="Entries about one component.")] = None,
    enclave: options.Enclave = options.ENCLAVE,
) -> Answer:
    """Show what happened, entry by entry."""
    del run
    found = provenance.history(
        open_enclave(enclave), since=moment(since) if since is not None else None, component=component
    )
    entries = to_data(found)

    def render(page: Page) -> None:
        headers = ["index", "time", "type", "actor", "bundle", "release"]
        page.table(
            headers, [[*(e[h] for h in headers[:-1]), (e["release"] or "-")[:SHOWN_DIGITS]] for e in entries]
        )

    return Answer({"entries": entries}, render)


@command(
    app.provenance,
    "verify",
    "airlift provenance verify --checkpoint kept.note",
    "airlift provenance verify --ledger ledger.jsonl --public-key ledger.pub",
)
def verify(
    run: Run,
    *,
    ledger: Annotated[
        Path | None, typer.Option(metavar="FILE", help="An exported ledger; no enclave is needed then.")
    ] = None,
    public_key: PublicKeyFile = None,
    checkpoint: Annotated[
        Path | None, typer.Option(metavar="OLD", help="A checkpoint that was kept elsewhere.")
    ] = None,
    enclave: options.Enclave = options.ENCLAVE,
) -> Answer:
    """Prove that the record was not changed: every entry, the tree, every checkpoint's signature."""
    key = load_public(public_key) if public_key is not None else None
    if ledger is not None:
        result = provenance.verify_export(ledger, public_key=key, checkpoint=checkpoint)
    else:
        result = provenance.verify(open_enclave(enclave), public_key=key, checkpoint=checkpoint)
    if key is None:
        run.say(
            "the key is the one that the ledger names for itself; --public-key holds it against another source"
        )
    return answer(result)


@command(app.provenance, "export", "airlift provenance export --as ledger --output ledger.jsonl")
def export(
    run: Run,
    *,
    kind: Annotated[Kind, typer.Option("--as", help="What to export.")],
    output: Annotated[Path, typer.Option(metavar="FILE", help="A new file.")],
    enclave: options.Enclave = options.ENCLAVE,
) -> Answer:
    """Write the record into one file that an assessor verifies with a public key alone."""
    del run, kind
    result = provenance.export_ledger(open_enclave(enclave), output)
    data = to_data(result)
    return Answer(data, lambda page: page.facts({**data, "fingerprint": grouped(result.fingerprint)}))


def moment(text: str) -> datetime:
    """Return the aware UTC time of an ISO 8601 text; without a zone it is UTC.

    Raises:
        UsageError: it is none.
    """
    try:
        found = datetime.fromisoformat(text)
        return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise UsageError(f"not a time: {text!a}", expected="2026-03-03, or 2026-03-03T12:00:00Z") from error


def _period(data: dict[str, Any]) -> dict[str, str | None]:
    return {
        key: f"{entry['time']}, entry {entry['index']}, by {entry['actor']}" if entry else None
        for key, entry in (("since", data["since"]), ("until", data["until"]))
    }


def _lineage(nodes: list[dict[str, Any]]) -> Answer:
    def render(page: Page) -> None:
        for node in nodes:
            page.tree(_label(node, above=None), _branches(node))

    return Answer({"node": nodes[0], "nodes": nodes}, render)


def _branches(node: dict[str, Any]) -> list[tuple[str, list[Any]]]:
    return [(_label(parent, above=node), _branches(parent)) for parent in node["parents"]]


def _label(node: dict[str, Any], *, above: dict[str, Any] | None) -> str:
    name = node["name"] if node["kind"] == "entry" else f"{node['kind']} {node['name']}"
    if node["version"] and node["kind"] != "bundle":
        name += f" {node['version']}"
    digest = f" ({node['digest'][:SHOWN_DIGITS]})" if node["digest"] else ""
    return f"{name}{digest}" if above is None else f"{node['relation']}: {name}{digest}"
