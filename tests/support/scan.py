"""The same answers by going through every entry: what :mod:`airlift.ledger.answers.questions` must give."""

from collections.abc import Iterable, Iterator

from airlift.ledger.answers.questions import Activation, lists_component
from airlift.ledger.entries.kinds import ENDS, SWITCHES
from airlift.ledger.entry import Entry
from airlift.ledger.state import release_of
from airlift.ledger.terms import matches


def activations(entries: Iterable[Entry]) -> Iterator[Activation]:
    """Yield, in order, every period in which one release was active."""
    current: Entry | None = None
    for entry in entries:
        if entry.type in ENDS:
            if current is not None:
                yield Activation(release_of(current), current, entry)
            current = entry if entry.type in SWITCHES else None
    if current is not None:
        yield Activation(release_of(current), current, None)


def active_at(entries: Iterable[Entry], time: str) -> Activation | None:
    """Return what was active at ``time`` (RFC 3339, UTC, whole seconds): the last switch that says no later time."""
    said = [entry for entry in entries if entry.type in ENDS and entry.time <= time]
    return next((p for p in activations(entries) if said and p.since == said[-1]), None)


def history(
    entries: Iterable[Entry], *, since: str | None = None, component: str | None = None
) -> Iterator[Entry]:
    """Yield the entries since that time; with ``component`` (name or digest), of releases that have it."""
    releases: set[str] = set()
    for entry in entries:
        if component is not None:
            own = lists_component(entry, component)
            if own and entry.release is not None:
                releases.add(entry.release)
            if not own and entry.release not in releases:
                continue
        if since is None or entry.time >= since:
            yield entry


def where(entries: Iterable[Entry], text: str) -> Iterator[Entry]:
    """Yield every entry that mentions ``text``: a whole string, ``name@version``, or 8 or more hex digits."""
    return (entry for entry in entries if matches(entry, text))
