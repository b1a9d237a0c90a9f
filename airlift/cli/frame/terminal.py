"""Answers on a terminal: drawn by rich, with styles, folded to the width that there is."""

from collections.abc import Iterable, Sequence
from typing import Any, TextIO

from rich.console import Console
from rich.table import Table
from rich.text import Text
from rich.tree import Tree


class Terminal:
    """Draws answers; rich never sees a plain string that it could take for markup."""

    __slots__ = ("console",)

    def __init__(self, stream: TextIO, width: int | None = None) -> None:
        self.console = Console(file=stream, width=width, markup=False, highlight=False, emoji=False)

    def line(self, text: str, style: str) -> None:
        """Write one line."""
        self.console.print(Text(text, style=style))

    def grid(self, rows: Sequence[tuple[str, str]]) -> None:
        """Write pairs of a label and its value."""
        table = Table.grid(padding=(0, 2, 0, 0))
        table.add_column(no_wrap=True)
        table.add_column(overflow="fold")
        for label, value in rows:
            table.add_row(Text(label, style="dim"), Text(value))
        self.console.print(table)

    def table(self, headers: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        """Write a table with a line of headers."""
        table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
        for header in headers:
            table.add_column(Text(header), overflow="fold")
        for row in rows:
            table.add_row(*map(Text, row))
        self.console.print(table)

    def tree(self, label: str, branches: Iterable[Any]) -> None:
        """Write a tree; a branch is a pair of its label and its own branches."""
        root = Tree(Text(label), guide_style="dim")
        _grow(root, branches)
        self.console.print(root)


def say(stream: TextIO, text: str, style: str) -> None:
    """Write one line that the terminal wraps by itself."""
    console = Console(file=stream, soft_wrap=True, markup=False, highlight=False)
    console.print(Text(text, style=style))


def _grow(tree: Tree, branches: Iterable[Any]) -> None:
    for label, below in branches:
        _grow(tree.add(Text(label)), below)
