"""Answers on a terminal: with styles, arranged for the width that there is (SPEC 14-9)."""

from collections.abc import Iterable, Sequence
from typing import Any, TextIO

from rich.console import Console
from rich.text import Text
from rich.tree import Tree

from airlift.cli.frame import layout
from airlift.cli.frame.plain import GAP, columns

STATES = {"state", "status", "met", "passes", "outlook"}
"""Columns and labels whose words are coloured; the word says it all, the colour only repeats it (SPEC 14-11)."""

POINTS = {"ok", "warn", "bad"}
"""Labels that are states themselves."""

COLOURS = {
    **dict.fromkeys(("ok", "active", "published", "passes", "yes", "open"), "green"),
    **dict.fromkeys(("warn", "pending"), "yellow"),
    **dict.fromkeys(("fail", "bad", "dropped", "no", "NO", "withdrawn", "unknown"), "red"),
    **dict.fromkeys(("expired", "too-old", "sequence-used", "baseline-missing"), "red"),
}


class Terminal:
    """Draws answers; rich never sees a plain string that it could take for markup.

    Digests that there is no room for are cut, with a mark; not so if ``whole``.
    """

    __slots__ = ("_whole", "console")

    def __init__(self, stream: TextIO, width: int | None = None, *, whole: bool = False) -> None:
        self.console = Console(file=stream, width=width, markup=False, highlight=False, emoji=False)
        self._whole = whole

    def line(self, text: str, style: str) -> None:
        """Write one line."""
        self.console.print(Text(self._fitted(text, self.console.width), style=style))

    def grid(self, rows: Sequence[tuple[str, str]]) -> None:
        """Write pairs of a label and its value."""
        if not rows:
            self.console.print()
        labels = max((columns(label) for label, _ in rows), default=0)
        room = max(self.console.width - labels - len(GAP), 1)
        for label, value in rows:
            for number, part in enumerate(layout.fold(self._fitted(value, room), room)):
                before = (" " * labels) if number else label + " " * (labels - columns(label))
                self._put(
                    (before, COLOURS.get(label, "dim") if label in POINTS else "dim"),
                    (GAP, ""),
                    (part, _colour(label, part)),
                )

    def table(self, headers: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        """Write a table with a line of headers."""
        if not headers:
            self.console.print()
            return
        width = self.console.width
        if not self._whole and layout.is_too_wide([headers, *rows], width):
            rows = [[layout.brief(cell) for cell in row] for row in rows]
        placed = layout.arrange([headers, *rows], width)
        for line in layout.across(headers, placed):
            self._put(*((text, "bold") for text, _ in line))
        for row in rows:
            for line in (*layout.across(row, placed), *layout.below(headers, row, placed, width)):
                self._put(*((text, "dim" if at is None else _colour(headers[at], text)) for text, at in line))

    def tree(self, label: str, branches: Iterable[Any]) -> None:
        """Write a tree; a branch is a pair of its label and its own branches."""
        root = Tree(Text(label), guide_style="dim")
        _grow(root, branches)
        self.console.print(root)

    def _fitted(self, text: str, room: int) -> str:
        return text if self._whole or columns(text) <= room else layout.brief(text)

    def _put(self, *pieces: tuple[str, str]) -> None:
        line = Text.assemble(*pieces)
        line.rstrip()
        self.console.print(line, no_wrap=True, overflow="ignore", crop=False)


def _colour(label: str, value: str) -> str:
    return COLOURS.get(value.split(" ", maxsplit=1)[0].rstrip(":"), "") if label in STATES else ""


def say(stream: TextIO, text: str, style: str) -> None:
    """Write one line that the terminal wraps by itself."""
    console = Console(file=stream, soft_wrap=True, markup=False, highlight=False)
    console.print(Text(text, style=style))


def _grow(tree: Tree, branches: Iterable[Any]) -> None:
    for label, below in branches:
        _grow(tree.add(Text(label)), below)
