"""What a run counted, kept in docs/RELIABILITY.md between the marks of the command that counted it."""

import re
from collections.abc import Iterable, Sequence
from pathlib import Path

RELIABILITY = Path(__file__).parents[2] / "docs" / "RELIABILITY.md"


def keep(command: str, lines: Iterable[str]) -> None:
    """Write these lines into the document, in place of what the command (``make crash``) counted before."""
    RELIABILITY.write_text(put_between_marks(RELIABILITY.read_text(), command, lines))


def put_between_marks(text: str, command: str, lines: Iterable[str]) -> str:
    """Return a document with these lines between the marks of a command."""
    begin, end = marks(command)
    return re.sub(f"{begin}.*{end}", lambda _: "\n".join([begin, "", *lines, "", end]), text, flags=re.DOTALL)


def marks(command: str) -> tuple[str, str]:
    """Return what stands before and after what a command counted."""
    return f"<!-- counted by {command}: begin -->", f"<!-- counted by {command}: end -->"


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """Return the lines of a table in Markdown, numbers to the right."""
    rule = ["---", *("---:" for _ in head[1:])]
    return [f"| {' | '.join(row)} |" for row in (head, rule, *rows)]
