"""A lineage as a picture: columns of boxes from sources to bundles, and lines between them (SPEC 15.6).

Layout is by column: what a box is decides its column, its place follows that of what it leads to. Coordinates are
SVG user units.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from airlift.evidence.report.markup import Markup, join, tag, text
from airlift.shown import clean

WIDTH, GAP, LINE, PAD, SPACE = 184, 46, 16, 10, 14
LETTERS = 23
"""How many letters fit on a line of a box."""


@dataclass(frozen=True, slots=True)
class Box:
    """One thing: its column, kind (a class of the style sheet), title, and further lines."""

    name: str
    column: int
    kind: str
    title: str
    lines: tuple[str, ...] = ()

    @property
    def height(self) -> int:
        """How high it is drawn."""
        return 2 * PAD + LINE * (1 + len(self.lines))


@dataclass(frozen=True, slots=True)
class Line:
    """A line from one box to another, by their names; ``label`` says what it means."""

    start: str
    end: str
    label: str = ""


@dataclass(frozen=True, slots=True)
class _Placed:
    box: Box
    x: int
    y: int


def draw(
    boxes: Sequence[Box], lines: Sequence[Line], headings: Sequence[str], title: str, description: str
) -> Markup:
    """Return the picture; ``headings`` name the columns from left to right."""
    placed = {item.box.name: item for item in _place(boxes, len(headings))}
    height = max((item.y + item.box.height for item in placed.values()), default=40) + SPACE
    width = len(headings) * (WIDTH + GAP) - GAP + 4
    drawn = [_line(placed[line.start], placed[line.end], line.label) for line in lines
             if line.start in placed and line.end in placed]  # fmt: skip
    heads = [
        tag("text", text(heading), x=2 + number * (WIDTH + GAP), y=12, class_="head")
        for number, heading in enumerate(headings)
    ]
    return tag(
        "svg",
        tag("title", text(title), id="graph-t"),
        tag("desc", text(description), id="graph-d"),
        *heads,
        *drawn,
        *(_box(item) for item in placed.values()),
        viewBox=f"0 0 {width} {height}",
        width=width,
        height=height,
        role="img",
        aria_labelledby="graph-t graph-d",
        class_="graph",
    )


def _place(boxes: Sequence[Box], columns: int) -> Iterable[_Placed]:
    """Yield every box with its place: each column is centred beside the highest one."""
    stacks = [[box for box in boxes if box.column == column] for column in range(columns)]
    heights = [sum(box.height + SPACE for box in stack) for stack in stacks]
    for column, stack in enumerate(stacks):
        y = 26 + (max(heights) - heights[column]) // 2
        for box in stack:
            yield _Placed(box, 2 + column * (WIDTH + GAP), y)
            y += box.height + SPACE


def _box(item: _Placed) -> Markup:
    box = item.box
    whole = " / ".join((box.title, *box.lines))
    rows = [
        tag("text", text(_cut(line)), x=item.x + PAD, y=item.y + PAD + 12 + LINE * number,
            class_="name" if number == 0 else None)
        for number, line in enumerate((box.title, *box.lines))
    ]  # fmt: skip
    frame = tag("rect", x=item.x, y=item.y, width=WIDTH, height=box.height, rx=4)
    return tag("g", tag("title", text(whole)), frame, *rows, class_=f"box {box.kind}")


def _line(start: _Placed, end: _Placed, label: str) -> Markup:
    x1, y1 = start.x + WIDTH, start.y + start.box.height // 2
    x2, y2 = end.x, end.y + end.box.height // 2
    if end.box.column <= start.box.column:  # within a column: around its left side
        x1, x2 = start.x, end.x
        path = f"M{x1} {y1} C{x1 - GAP // 2} {y1} {x2 - GAP // 2} {y2} {x2} {y2}"
    else:
        middle = (x1 + x2) // 2
        path = f"M{x1} {y1} C{middle} {y1} {middle} {y2} {x2} {y2}"
    drawn = (
        tag("path", tag("title", text(label)), d=path, class_="link")
        if label
        else tag("path", d=path, class_="link")
    )
    return join([drawn])


def _cut(line: str) -> str:
    shown = clean(line)
    return shown if len(shown) <= LETTERS else f"{shown[: LETTERS - 1]}\u2026"
