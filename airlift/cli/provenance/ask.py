"""``airlift provenance``: ask the record."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import typer

from airlift.cli.frame import app
from airlift.cli.frame.command import Answer, command
from airlift.cli.frame.output import MARK, Page, to_data
from airlift.cli.frame.places import AtEnclave
from airlift.cli.frame.session import Format, Run
from airlift.errors import UsageError
from airlift.ledger.entries.kinds import TYPES

if TYPE_CHECKING:
    from airlift.high.enclave.enclave import Enclave
    from airlift.high.record.questions import Grounds

SHOWN_DIGITS = 16
LIMIT, PERIODS = 200, 10

Subject = Annotated[
    str,
    typer.Argument(metavar="SUBJECT", help="A release, a component, name@version, a bundle, or a digest."),
]
Limit = Annotated[
    int, typer.Option("--limit", metavar="N", min=0, help="The newest N; 0 for all.", show_default=True)
]
Since = Annotated[str | None, typer.Option(metavar="T", help="From this time on; UTC.")]
Until = Annotated[str | None, typer.Option(metavar="T", help="Up to this time; UTC.")]
Type = StrEnum("Type", {name: name for name in TYPES})  # type: ignore[misc] # one word for each type of entry
Types = Annotated[
    list[Type],
    typer.Option(
        "--type", metavar="TYPE", default_factory=list, show_default=False,
        help=f"Only entries of this type: {', '.join(TYPES)}. May be repeated.",
    ),
]  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked(AtEnclave):
    """The enclave whose record is asked, and whether the answer is to be proven."""

    prove: Annotated[
        bool,
        typer.Option(
            "--prove", help="Add what lets `airlift-verify` check the answer alone (--format json)."
        ),
    ] = False


@command(app.provenance, "show", "airlift provenance show assistant@2026.11.1")
def show(run: Run, subject: Subject, *, of: Asked) -> Answer:
    """Show one thing and what it comes from directly."""
    return _lineage(run, of, subject, deep=False)


@command(
    app.provenance,
    "trace",
    "airlift provenance trace guard@2.1",
    "airlift provenance trace guard@2.1 --prove --format json > answer.json",
)
def trace(run: Run, subject: Subject, *, of: Asked) -> Answer:
    """Show the whole lineage: files, sources, bases, deltas, bundles, signers, attestations, ledger entries."""
    return _lineage(run, of, subject, deep=True)


@command(app.provenance, "at", "airlift provenance at 2026-03-03T12:00:00Z")
def at(
    run: Run,
    time: Annotated[str, typer.Argument(metavar="TIME", help="2026-03-03, or 2026-03-03T12:00:00Z; UTC.")],
    *,
    of: Asked,
) -> Answer:
    """Show what was active then."""
    from airlift.high.record import questions

    opened = of.open()
    then = moment(time)
    if then > run.now:
        run.warn(f"{time} is later than the clock here: what will be active then is not known")
    found = questions.active_at(opened, then)
    (period,) = to_data(found.periods)
    data = {"time": time, **period}

    def render(page: Page) -> None:
        shown = ("time", "release", "digest") if page.whole else ("time", "release")
        page.facts({**{key: data[key] for key in shown}, **_span(data)})
        page.line()
        page.records(data["components"])

    return _answer(run, opened, Answer(data, render), found.grounds, prove=of.prove)


@command(app.provenance, "during", "airlift provenance during guard@2.0")
def during(
    run: Run,
    component: Annotated[
        str, typer.Argument(metavar="COMPONENT", help="A component: its name, name@version, or its digest.")
    ],
    *,
    limit: Limit = PERIODS,
    of: Asked,
) -> Answer:
    """Show everything that ran while a component was active: each period, and all that was active in it."""
    from airlift.high.record import questions

    opened = of.open()
    found = questions.active_during(opened, component, limit)
    data = {"component": component, "periods": to_data(found.periods), "more": found.more}
    _tell_more(run, more=found.more)

    def render(page: Page) -> None:
        for number, period in enumerate(data["periods"]):
            if number:
                page.line()
            page.facts({"release": period["release"], **_span(period)})
            page.records(period["components"])
        if not data["periods"]:
            page.line("no release with it was ever active")

    return _answer(run, opened, Answer(data, render), found.grounds, prove=of.prove)


@command(
    app.provenance,
    "history",
    "airlift provenance history",
    "airlift provenance history --since 2026-03-01 --component guard --type import-commit",
)
def history(
    run: Run,
    *,
    since: Since = None,
    until: Until = None,
    type_: Types,
    component: Annotated[str | None, typer.Option(metavar="C", help="Entries about one component.")] = None,
    limit: Limit = LIMIT,
    of: Asked,
) -> Answer:
    """Show what happened, entry by entry, oldest first."""
    from airlift.high.record import questions

    opened = of.open()
    found = questions.history(
        opened,
        since=moment(since) if since is not None else None,
        until=moment(until) if until is not None else None,
        types=[str(item) for item in type_],
        component=component,
        limit=limit,
    )
    data = {"entries": to_data(found.entries), "more": found.more}
    _tell_more(run, more=found.more)
    table = _table(data, questions.names_of(opened, found.entries))
    return _answer(run, opened, Answer(data, table), found.grounds, prove=of.prove)


@command(
    app.provenance,
    "where",
    "airlift provenance where guard@2.0",
    "airlift provenance where 'Build machine' --type import-commit",
)
def where(
    run: Run,
    subject: Annotated[
        str,
        typer.Argument(
            metavar="SUBJECT",
            help="A digest or 8 of its digits, a key id, a holder, a component, a release, a bundle.",
        ),
    ],
    *,
    type_: Types,
    limit: Limit = LIMIT,
    of: Asked,
) -> Answer:
    """Show every entry that mentions something; for a key or its holder, that is all that came in through it."""
    from airlift.high.record import questions

    opened = of.open()
    found = questions.mentions(opened, subject, types=[str(item) for item in type_], limit=limit)
    brought = questions.brought_in(found.entries)
    data = {"entries": to_data(found.entries), "more": found.more, **to_data(brought)}
    _tell_more(run, more=found.more)
    table = _table(data, questions.names_of(opened, found.entries))

    def render(page: Page) -> None:
        table(page)
        if brought.bundles:
            page.line()
            page.facts({f"{key} that came in": value for key, value in to_data(brought).items()})

    return _answer(run, opened, Answer(data, render), found.grounds, prove=of.prove)


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


# -- answers -------------------------------------------------------------------------------------------------------


def _answer(run: Run, enclave: "Enclave", answer: Answer, grounds: "Grounds", *, prove: bool) -> Answer:
    """Return an answer, with its proof if it was asked for."""
    if not prove:
        return answer
    if run.format is not Format.json:
        raise UsageError(
            "a proof goes into a JSON answer",
            hint="say `--prove --format json > answer.json`, then `airlift-verify answer.json`",
        )

    from airlift.high.record.questions import prove_answer

    return Answer({**answer.data, "proof": prove_answer(enclave, grounds)}, answer.render)


def _tell_more(run: Run, *, more: bool) -> None:
    if more:
        run.say("there are more before these: --limit N shows the newest N, --limit 0 all")


def _table(data: dict[str, Any], names: dict[str, str]) -> Callable[[Page], None]:
    """Return what shows entries: releases by name, and where no name is known, or they are asked for, by digest."""
    keys = ["index", "time", "type", "actor", "bundle"]

    def render(page: Page) -> None:
        rows = []
        for entry in data["entries"]:
            digest = entry["release"]
            shown = None if digest is None else names.get(digest, f"{digest[:SHOWN_DIGITS]}{MARK}")
            rows.append([*(entry[key] for key in keys), shown, *([digest] if page.whole else [])])
        page.table(["#", *keys[1:], "release", *(["digest"] if page.whole else [])], rows)

    return render


def _span(data: dict[str, Any]) -> dict[str, str | None]:
    return {
        key: f"{entry['time']}, entry {entry['index']}, by {entry['actor']}" if entry else None
        for key, entry in (("since", data["since"]), ("until", data["until"]))
    }


def _lineage(run: Run, of: Asked, subject: str, *, deep: bool) -> Answer:
    from airlift.high.record import questions

    opened = of.open()
    found = questions.trace(opened, subject)
    nodes: list[dict[str, Any]] = to_data(found.nodes)
    if not deep:
        nodes = [{**n, "parents": [{**parent, "parents": []} for parent in n["parents"]]} for n in nodes]
    if found.omitted:
        run.say(f"{found.omitted} imports between the first and the last ones are left out")

    def render(page: Page) -> None:
        for node in nodes:
            page.tree(_label(node, above=None), _branches(node))

    data = {"node": nodes[0], "nodes": nodes, "omitted": found.omitted}
    return _answer(run, opened, Answer(data, render), found.grounds, prove=of.prove)


def _branches(node: dict[str, Any]) -> list[tuple[str, list[Any]]]:
    return [(_label(parent, above=node), _branches(parent)) for parent in node["parents"]]


def _label(node: dict[str, Any], *, above: dict[str, Any] | None) -> str:
    name = (
        node["name"] if node["kind"] in {"entry", "volume", "licence"} else f"{node['kind']} {node['name']}"
    )
    if node["version"] and node["kind"] == "delta":
        name += f", {node['version']} bytes"
    elif node["version"] and node["kind"] != "bundle":
        name += f" {node['version']}"
    digest = f" ({node['digest'][:SHOWN_DIGITS]}{MARK})" if node["digest"] else ""
    return f"{name}{digest}" if above is None else f"{node['relation']}: {name}{digest}"
