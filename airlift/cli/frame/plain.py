"""Answers where no terminal looks, in a pipe or a file: the words and columns that rich would write, without rich.

Loading rich takes longer than most commands work (docs/decisions/011-a-fast-start.md). A test holds the two
against each other.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, TextIO

GAP = "  "


class Plain:
    """Writes aligned text; every text that it is given is on one line and printable."""

    __slots__ = ("stream",)

    def __init__(self, stream: TextIO) -> None:
        self.stream = stream

    def line(self, text: str, style: str) -> None:
        """Write one line; styles are for terminals."""
        del style
        self._write([text])

    def grid(self, rows: Sequence[tuple[str, str]]) -> None:
        """Write pairs of a label and its value, an empty line if there are none."""
        self._write(_aligned(rows) if rows else [""])

    def table(self, headers: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        """Write a table with a line of headers."""
        self._write(_aligned([headers, *rows]) if headers else [""])

    def tree(self, label: str, branches: Iterable[Any]) -> None:
        """Write a tree; a branch is a pair of its label and its own branches."""
        self._write([label, *_below(branches, "")])

    def _write(self, lines: Iterable[str]) -> None:
        self.stream.write("".join(f"{line.rstrip()}\n" for line in lines))


def _aligned(rows: Sequence[Sequence[str]]) -> Iterator[str]:
    widths = [max(map(columns, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        yield GAP.join(text + " " * (width - columns(text)) for text, width in zip(row, widths, strict=True))


def _below(branches: Iterable[Any], before: str) -> Iterator[str]:
    branches = list(branches)
    for number, (label, below) in enumerate(branches, 1):
        fork, trunk = ("└── ", "    ") if number == len(branches) else ("├── ", "│   ")
        yield f"{before}{fork}{label}"
        yield from _below(below, before + trunk)


def columns(text: str) -> int:
    """Return how many columns of a terminal a text takes."""
    if text.isascii():
        return len(text)
    from rich.cells import cell_len

    return cell_len(text)
