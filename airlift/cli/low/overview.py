"""``airlift low``: how the depot stands, what it holds, what was done."""

from typing import Any

from airlift.cli.frame import app
from airlift.cli.frame.command import Answer, command
from airlift.cli.frame.output import DIGITS, MARK, Page, amount, grouped, size, to_data
from airlift.cli.frame.places import AtDepot
from airlift.cli.frame.session import Run

LEAST_DIGITS = 64
"""What has as many hex digits and nothing else is a digest."""


@command(app.low, "status", "airlift low status")
def status(run: Run, *, at: AtDepot) -> Answer:
    """Show authorities and expiries, what waits for signatures, what is revoked, and what should be looked at."""
    from airlift.low.status import status as depot_status

    data = to_data(depot_status(at.open(), run.now))

    def render(page: Page) -> None:
        fingerprint = grouped(data["fingerprint"]) if data["fingerprint"] else None
        plain = ("depot", "sequence", "releases", "outstanding", "enclaves")
        page.facts(
            {
                "fingerprint": fingerprint,
                **{key: data[key] for key in plain},
                "free": size(data["free_bytes"]),
            }
        )
        page.line()
        page.records(data["roles"])
        if data["revocations"]:
            page.line()
            page.line("revoked", style="bold")
            page.records(_revocations(data))
        for change in data["pending"]:
            page.line()
            page.line(
                f"pending: {change['role']}, {change['signatures']} of {change['threshold']} signatures; "
                f"may sign: {', '.join(change['may_sign']) or 'nobody'}",
                style="yellow",
            )
            for line in change["differences"]:
                page.line(f"  {line}")
        for warning in data["warnings"]:
            page.line(f"warning: {warning}", style="yellow")

    return Answer(data, render)


@command(app.low, "list", "airlift low list")
def list_(run: Run, *, at: AtDepot) -> Answer:
    """Show releases, bundles that may still be imported, enclaves, and what is revoked; oldest first."""
    from airlift.low.listing import listing

    del run
    data = to_data(listing(at.open()))

    def render(page: Page) -> None:
        releases = [
            {**{key: item[key] for key in item if key != "remarks"}, "bytes": amount(item["bytes"])}
            for item in data["releases"]
        ]
        bundles = [_bundle(item) for item in data["bundles"]]
        held = [_enclave(item) for item in data["enclaves"]]
        for title, items in (("releases", releases), ("bundles", bundles), ("enclaves", held)):
            page.line(title, style="bold")
            page.records(items)
            for item in data["releases"] if title == "releases" else ():
                page.lines(f"{item['release']}, {remark}" for remark in item["remarks"])
            page.line("" if items else "none")
        page.line("revoked", style="bold")
        page.records(_revocations(data))
        page.line("" if data["revocations"] else "none")

    return Answer(data, render)


def _revocations(data: dict[str, Any]) -> list[dict[str, Any]]:
    """Return what is revoked as people read it: what and why first."""
    keys = ("kind", "names", "type", "reason", "serial", "digest")
    return [
        {**{key: item[key] for key in keys}, "names": item["names"] or f"{item['digest'][:DIGITS]}{MARK}"}
        for item in data["revocations"]
    ]


def _bundle(item: dict[str, Any]) -> dict[str, Any]:
    """Return what people want to know of a bundle: all enclaves that it is for in one place."""
    shown = {key: value for key, value in item.items() if key != "enclaves"}
    return {
        **shown,
        "enclave": item["enclaves"] or item["enclave"],
        "chunk_bytes": amount(item["chunk_bytes"]),
    }


def _enclave(item: dict[str, Any]) -> dict[str, Any]:
    """Return what people want to know of an enclave: what it holds, since when, how known, what is under way."""
    return {
        "enclave": item["enclave"],
        "holds": item["holds"],
        "newest": item["acknowledged"],
        "since": item["since"],
        "known_by": item["known_by"],
        "outstanding": item["outstanding"],
        "fingerprint": item["fingerprint"],
    }


@command(app.low, "log", "airlift low log")
def log(run: Run, *, at: AtDepot) -> Answer:
    """Show what was done to the depot, oldest first."""
    from airlift.low.depot.events import read_events

    del run
    events = to_data(read_events(at.open()))

    def render(page: Page) -> None:
        page.table(
            ["time", "event", "detail"],
            [[event["time"], event["event"], _told(event["detail"], whole=page.whole)] for event in events],
        )

    return Answer({"events": events}, render)


def _told(detail: dict[str, Any], *, whole: bool) -> dict[str, Any]:
    """Return what an event says as people read it: without digests, unless they are asked for, and what is empty."""
    if whole:
        return detail
    said = {key.replace("_", " "): value for key, value in detail.items() if value not in (None, "", [])}
    return {key: value for key, value in said.items() if not _is_digest(value)}


def _is_digest(value: Any) -> bool:
    return len(str(value)) >= LEAST_DIGITS and set(str(value)) <= set("0123456789abcdef")
