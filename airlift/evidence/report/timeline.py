"""A timeline of what came in, was rejected, registered, activated, rolled back or withdrawn, in order (SPEC 15.6).

Places are by order and not by time: the order is what the ledger proves, times are what a clock said.
"""

from collections.abc import Mapping, Sequence

from airlift.bundle.release import Release
from airlift.evidence.report.markup import Markup, tag, text
from airlift.ledger.entries.activations import ActivateCommit, RollbackCommit, WithdrawCommit
from airlift.ledger.entries.imports import ImportCommit, ImportReject
from airlift.ledger.entries.kinds import ENDS, SWITCHES
from airlift.ledger.entries.registration import Registration
from airlift.ledger.entry import Entry
from airlift.shown import clean

SHOWN = 24
LANES = {
    ImportCommit.TYPE: "imported",
    ImportReject.TYPE: "rejected",
    Registration.TYPE: "registered",
    ActivateCommit.TYPE: "activated",
    RollbackCommit.TYPE: "rolled back",
    WithdrawCommit.TYPE: "withdrawn",
}
_NAMES = tuple(LANES)
LEFT, STEP, TOP, LANE, RIGHT = 92, 44, 20, 30, 20


def events(entries: Sequence[Entry]) -> list[Entry]:
    """Return the newest entries that a timeline shows, in order."""
    return [entry for entry in entries if entry.type in LANES][-SHOWN:]


def draw(entries: Sequence[Entry], releases: Mapping[str, Release]) -> Markup:
    """Return the picture of the events among ``entries``: a lane for each type, and what was active below."""
    shown = events(entries)
    width = LEFT + STEP * max(len(shown), 12) + RIGHT
    below = TOP + LANE * len(LANES)
    lanes = [
        tag("text", text(label), x=2, y=TOP + LANE * number + 19)
        for number, label in enumerate(LANES.values())
    ] + [
        tag("line", x1=LEFT - 10, x2=width - 2, y1=TOP + LANE * n + 15, y2=TOP + LANE * n + 15, class_="lane")
        for n in range(len(LANES))
    ]
    return tag(
        "svg",
        tag(
            "title",
            text("Timeline of imports, rejects, registrations, activations, roll backs and withdrawals"),
            id="time-t",
        ),
        tag(
            "desc",
            text("In the order of the ledger, oldest at the left. The table below says the same."),
            id="time-d",
        ),
        *lanes,
        *(_mark(number, entry) for number, entry in enumerate(shown)),
        tag("text", text("active"), x=2, y=below + 19),
        *_spans(shown, releases, width, below),
        viewBox=f"0 0 {width} {below + 46}",
        width=width,
        height=below + 46,
        role="img",
        aria_labelledby="time-t time-d",
        class_="timeline",
    )


def _mark(number: int, entry: Entry) -> Markup:
    x, y = LEFT + STEP * number + 10, TOP + LANE * _NAMES.index(entry.type) + 15
    shapes = {
        ImportCommit.TYPE: tag("circle", cx=x, cy=y, r=7),
        ImportReject.TYPE: tag(
            "path", d=f"M{x - 6} {y - 6} L{x + 6} {y + 6} M{x - 6} {y + 6} L{x + 6} {y - 6}"
        ),
        Registration.TYPE: tag("path", d=f"M{x} {y - 8} L{x + 8} {y} L{x} {y + 8} L{x - 8} {y} Z"),
        ActivateCommit.TYPE: tag("path", d=f"M{x} {y - 8} L{x + 8} {y + 6} L{x - 8} {y + 6} Z"),
        RollbackCommit.TYPE: tag("path", d=f"M{x} {y + 8} L{x + 8} {y - 6} L{x - 8} {y - 6} Z"),
        WithdrawCommit.TYPE: tag("rect", x=x - 6, y=y - 6, width=12, height=12),
    }
    label = tag("text", text(entry.index), x=x, y=TOP - 7, class_="index", text_anchor="middle")
    about = tag("title", text(f"entry {entry.index}, {entry.time}: {LANES[entry.type]}"))
    return tag("g", about, shapes[entry.type], label, class_=f"mark {entry.type}")


def _spans(shown: Sequence[Entry], releases: Mapping[str, Release], width: int, top: int) -> list[Markup]:
    """Return a bar for each period in which one release was active."""
    ends = [(n, e) for n, e in enumerate(shown) if e.type in ENDS]
    found = []
    for place, (number, entry) in enumerate(ends):
        if entry.type not in SWITCHES:
            continue
        end = ends[place + 1][0] if place + 1 < len(ends) else None
        x = LEFT + STEP * number + 10
        until = width - RIGHT if end is None else LEFT + STEP * end + 8
        release = releases.get(entry.release or "")
        name = release.label if release else "unknown"
        bar = tag("rect", x=x, y=top + 6, width=max(until - x, 4), height=20, rx=3)
        fits = max((until - x - 8) // 7, 0)
        label = tag("text", text(_cut(name, fits)), x=x + 5, y=top + 20)
        found.append(
            tag("g", tag("title", text(f"{name}, from entry {entry.index}")), bar, label, class_="span")
        )
    return found


def _cut(name: str, fits: int) -> str:
    shown = clean(name)
    if len(shown) <= fits:
        return shown
    return f"{shown[: fits - 1]}\u2026" if fits > 2 else ""
