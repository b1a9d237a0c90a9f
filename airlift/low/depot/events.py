"""The depot's log: one JSON object per line for everything that was done, appended and synced (SPEC 11)."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from airlift import files, strict
from airlift.bundle import fields
from airlift.low.depot.depot import Depot

MAX_LINE_BYTES = 1 << 20
MAX_LOG_BYTES = 1 << 30


@dataclass(frozen=True, slots=True)
class Event:
    """One thing that was done: when (UTC, whole seconds), what, and its particulars."""

    time: str
    event: str
    detail: Mapping[str, Any]


def read_events(depot: Depot) -> tuple[Event, ...]:
    """Return every event of the depot, oldest first; a torn last line is left out.

    Raises:
        MalformedError: a line is not an event.
    """
    if not depot.log.exists():
        return ()
    data = files.read_bounded(depot.log, MAX_LOG_BYTES)
    whole = data[: data.rfind(b"\n") + 1]
    return tuple(_parse(line) for line in whole.split(b"\n")[:-1])


def record(depot: Depot, now: datetime, event: str, **detail: Any) -> None:
    """Append an event; the caller holds the depot's lock."""
    line = strict.format({"time": fields.format_time(now), "event": event, "detail": detail})
    files.append_durable(depot.log, line + b"\n")


def _parse(line: bytes) -> Event:
    what = "log.jsonl"
    document = strict.only(
        strict.parse(line, limit=MAX_LINE_BYTES, what=what), frozenset({"time", "event", "detail"}), what
    )
    return Event(
        fields.time(document, "time", what),
        fields.text(document, "event", what),
        strict.member(document, "detail", dict, what),
    )
