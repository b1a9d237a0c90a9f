"""Questions to the ledger: pure functions over its entries (SPEC 9.9).

Entries are in the order of the ledger. Their times are what the enclave's clock said; they may run backwards.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from airlift.ledger.entries.read import components
from airlift.ledger.entries.registry import SWITCHES
from airlift.ledger.entry import Entry
from airlift.ledger.state import State, fold, release_of
from airlift.ledger.terms import matches

__all__ = ["Activation", "State", "activations", "active_at", "fold", "history", "installed", "where"]


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
    """Say whether an import brought a component of that name, ``name@version`` or digest."""
    return any(component in (item.name, item.label, item.digest) for item in components(entry))
