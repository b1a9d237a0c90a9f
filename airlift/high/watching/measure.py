"""Measure what is watched, in the text format that node exporters collect from files (SPEC 7.13-10). Pure.

The format: prometheus.io, "Exposition formats", text-based format.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from airlift.high.watching.sights import Kind, Known, Listing, Memory

Values = Mapping[tuple[tuple[str, str], ...], float]
"""The values of one metric by its labels."""


@dataclass(frozen=True, slots=True)
class EnclaveFacts:
    """What the ledger says: the active release, the entries, and when the newest bundle was issued (seconds)."""

    active: str | None = None
    entries: int = 0
    newest_issued: float | None = None


@dataclass(slots=True)
class Counts:
    """What was counted since the command began."""

    looks: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)
    quarantined: int = 0
    passed_over: int = 0
    activated: int = 0


def render(
    counts: Counts, listing: Listing, memory: Memory, facts: EnclaveFacts, moments: tuple[float, float]
) -> bytes:
    """Return the file; ``moments`` are when the command began and when it last looked (seconds since 1970)."""
    states = Counter(map(_state, memory.known.values()))
    waiting = Counter(tried.kind.value for tried in memory.tried.values())
    by_state = _labelled("state", states, ("arriving", "whole", "done", "bad"))
    by_why = _labelled("why", waiting, _WAITING)
    by_outcome = _labelled("outcome", counts.outcomes, _OUTCOMES)
    metrics: tuple[tuple[str, str, str, float | Values], ...] = (
        ("airlift_watch_start_time_seconds", "gauge", "When the command began.", moments[0]),
        ("airlift_watch_last_look_time_seconds", "gauge", "When it last looked at the folder.", moments[1]),
        ("airlift_watch_looks_total", "counter", "Looks at the drop folder.", counts.looks),
        ("airlift_watch_volumes", "gauge", "Volumes in the drop folder.", by_state),
        ("airlift_watch_waiting_bundles", "gauge", "Bundles that were tried and wait.", by_why),
        ("airlift_watch_strays", "gauge", "Other things in the drop folder.", listing.strays),
        ("airlift_watch_left_out", "gauge", "Volumes beyond the bounds, not looked at.", listing.left_out),
        ("airlift_watch_imports_total", "counter", "Imports that were tried.", by_outcome),
        ("airlift_watch_activations_total", "counter", "Releases that became active.", counts.activated),
        ("airlift_watch_quarantined_total", "counter", "Bad volumes that were moved.", counts.quarantined),
        ("airlift_watch_passed_over_total", "counter", "Bad volumes that stay.", counts.passed_over),
        ("airlift_ledger_entries", "gauge", "Entries of the ledger.", facts.entries),
    )
    lines = [text for metric in metrics for text in _metric(*metric)]
    if facts.active is not None:
        active: Values = {(("release", facts.active),): 1}
        lines += _metric("airlift_active_release_info", "gauge", "The active release.", active)
    if facts.newest_issued is not None:
        lines += _metric(
            "airlift_newest_bundle_issued_time_seconds", "gauge", "When the newest imported bundle was issued.",
            facts.newest_issued,
        )  # fmt: skip
    return "".join(f"{text}\n" for text in lines).encode()


_OUTCOMES = tuple(kind.value for kind in Kind)
_WAITING = tuple(kind.value for kind in Kind if kind is not Kind.imported)


def _state(known: Known) -> str:
    if known.verdict is not None:
        return known.verdict.value
    return "whole" if known.claim and known.claim.whole else "arriving"


def _labelled(label: str, found: Mapping[str, int], names: Sequence[str]) -> Values:
    return {((label, name),): found.get(name, 0) for name in names}


def _metric(name: str, kind: str, text: str, value: float | Values) -> Iterator[str]:
    yield f"# HELP {name} {text}"
    yield f"# TYPE {name} {kind}"
    values = value if isinstance(value, Mapping) else {(): value}
    for labels, number in values.items():
        shown = ",".join(f'{label}="{_escaped(said)}"' for label, said in labels)
        yield f"{name}{{{shown}}} {_number(number)}" if shown else f"{name} {_number(number)}"


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def _number(value: float) -> str:
    return str(int(value)) if value == int(value) else f"{value:.3f}"
