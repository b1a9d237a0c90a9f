"""Questions to the ledger: pure functions over its entries (SPEC 9.9).

Entries are in the order of the ledger. Their times are what the enclave's clock said; they may run backwards.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from airlift.ledger.entry import Entry
from airlift.ledger.state import State, fold, release_of
from airlift.ledger.terms import label, matches

__all__ = ["Activation", "State", "activations", "active_at", "fold", "history", "installed", "where"]

SWITCHES = ("activate-commit", "rollback-commit")


@dataclass(frozen=True, slots=True)
class Activation:
    """A release was active from entry ``since`` until entry ``until`` (None: it still is)."""

    release: str
    since: Entry
    until: Entry | None


def installed(entries: Iterable[Entry]) -> tuple[str, ...]:
    """Return the digests of the releases that are installed, in the order of their imports."""
    return fold(entries).installed


def activations(entries: Iterable[Entry]) -> Iterator[Activation]:
    """Yield, in order, every period in which one release was active."""
    current: Entry | None = None
    for entry in entries:
        if entry.type in SWITCHES:
            if current is not None:
                yield Activation(release_of(current), current, entry)
            current = entry
    if current is not None:
        yield Activation(release_of(current), current, None)


def active_at(entries: Iterable[Entry], time: str) -> Activation | None:
    """Return what was active at ``time`` (RFC 3339, UTC, whole seconds): the last switch that says no later time."""
    found = None
    for period in activations(entries):
        if period.since.time <= time:
            found = period
    return found


def history(
    entries: Iterable[Entry], *, since: str | None = None, component: str | None = None
) -> Iterator[Entry]:
    """Yield the entries since that time; with ``component`` (name or digest), of releases that have it."""
    releases: set[str] = set()
    for entry in entries:
        if component is not None:
            own = names_component(entry, component)
            if own and entry.release is not None:
                releases.add(entry.release)
            if not own and entry.release not in releases:
                continue
        if since is None or entry.time >= since:
            yield entry


def where(entries: Iterable[Entry], text: str) -> Iterator[Entry]:
    """Yield every entry that mentions ``text``: a whole string, ``name@version``, or 8 or more hex digits."""
    return (entry for entry in entries if matches(entry, text))


def names_component(entry: Entry, component: str) -> bool:
    """Say whether an entry lists a component of that name, ``name@version`` or digest among its own."""
    listed = entry.detail.get("components")
    items = [item for item in listed if isinstance(item, dict)] if isinstance(listed, list) else []
    if any(component in {item.get("name"), item.get("digest"), label(item)} for item in items):
        return True
    return entry.detail.get("component") == component
