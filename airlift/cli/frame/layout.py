"""How a table fits a terminal: columns side by side, texts folded at words, the rest below each row (SPEC 14-9).

Pure: cells in, lines out; whoever draws them decides on styles.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from airlift.cli.frame.output import MARK
from airlift.cli.frame.plain import GAP, columns

BRIEF = 32  # digits of a digest that there is no room for
ROOM = 24  # columns that a text must have beside others, or it stands below
INDENT = "    "
NOTHING = "-"
_DIGITS = re.compile(r"(?<![0-9A-Za-z])[0-9a-f]{48,}(?![0-9A-Za-z])")

Piece = tuple[str, int | None]
"""A piece of a line, and the column that it is of: None for labels and for what lies between."""


@dataclass(frozen=True, slots=True)
class Arranged:
    """The columns of a table that stand side by side, with their widths, and those that stand below each row."""

    across: tuple[tuple[int, int], ...]
    below: tuple[int, ...]


def widest(texts: Iterable[str]) -> int:
    """Return how many columns of a terminal the widest of some texts takes."""
    return max(map(columns, texts), default=0)


def is_too_wide(rows: Sequence[Sequence[str]], width: int) -> bool:
    """Say whether rows have no room in ``width`` columns as they are."""
    return sum(map(widest, zip(*rows, strict=True))) + len(GAP) * (len(rows[0]) - 1) > width


def brief(text: str) -> str:
    """Return a text with every digest in it cut to BRIEF digits and a MARK."""
    return _DIGITS.sub(lambda found: f"{found[0][:BRIEF]}{MARK}", text)


def arrange(rows: Sequence[Sequence[str]], width: int) -> Arranged:
    """Return how the columns of ``rows``, the headers among them, fit ``width`` columns of a terminal.

    The first column never leaves its place. Of the others the widest text goes below first, then what stands last.
    """
    cells = list(zip(*rows, strict=True))
    across, below = list(range(len(cells))), list[int]()
    while (widths := _widths([cells[at] for at in across], width)) is None:
        below.append(_least_needed(cells, across))
        across.remove(below[-1])
    return Arranged(tuple(zip(across, widths, strict=True)), tuple(sorted(below)))


def across(row: Sequence[str], placed: Arranged) -> Iterator[list[Piece]]:
    """Yield the lines of what stands side by side of a row."""
    folded = [(at, size, fold(row[at], size)) for at, size in placed.across]
    for number in range(max((len(parts) for _, _, parts in folded), default=1)):
        line = list[Piece]()
        for at, size, parts in folded:
            part = parts[number] if number < len(parts) else ""
            line += [(GAP, None)] if line else []
            line += [(part, at), (" " * (size - columns(part)), None)]
        yield line


def below(headers: Sequence[str], row: Sequence[str], placed: Arranged, width: int) -> Iterator[list[Piece]]:
    """Yield the lines of what stands below a row, each under its header; nothing is said of what is empty."""
    labels = widest(headers[at] for at in placed.below)
    for at in (at for at in placed.below if row[at] != NOTHING):
        label = f"{INDENT}{headers[at]}{' ' * (labels - columns(headers[at]))}{GAP}"
        for number, part in enumerate(fold(row[at], max(width - columns(label), 1))):
            yield [(" " * columns(label) if number else label, None), (part, at)]


def fold(text: str, width: int) -> list[str]:
    """Return a text in lines of about the same length, at most ``width`` columns, so that no word is left alone."""
    if columns(text) <= width:
        return [text]
    least = _fill(text, width)
    longest = max(map(columns, text.split(" ")))
    low, high = min(longest, width), width
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if len(_fill(text, middle)) <= len(least) else (middle + 1, high)
    return _fill(text, low)


def _widths(cells: Sequence[Sequence[str]], width: int) -> tuple[int, ...] | None:
    """Return the widths of columns that fit side by side, or None if they do not."""
    natural = [widest(column) for column in cells]
    left = width - len(GAP) * (len(cells) - 1)
    if sum(natural) <= left:
        return tuple(natural)
    if len(cells) == 1:
        return (left,)
    texts = [at for at, column in enumerate(cells) if natural[at] > ROOM and _is_text(column)]
    left -= sum(size for at, size in enumerate(natural) if at not in texts)
    for at in sorted(texts, key=natural.__getitem__):
        share = left // sum(1 for other in texts if natural[other] >= natural[at]) if left > 0 else 0
        if share < ROOM:
            return None
        natural[at] = min(natural[at], share)
        left -= natural[at]
    return tuple(natural) if left >= 0 else None


def _least_needed(cells: Sequence[Sequence[str]], across: Sequence[int]) -> int:
    texts = [at for at in across[1:] if _is_text(cells[at])]
    if not texts:
        return across[-1]
    return max(texts, key=lambda at: widest(cells[at]))


def _is_text(column: Sequence[str]) -> bool:
    return any(" " in cell for cell in column[1:])


def _fill(text: str, width: int) -> list[str]:
    """Return a text in lines that are as full as can be; a word that is longer than a line is broken."""
    found, line = list[str](), ""
    for word in text.split(" "):
        longer = f"{line} {word}" if line else word
        if columns(longer) <= width:
            line = longer
            continue
        found += [line] if line else []
        *whole, line = _broken(word, width)
        found += whole
    return [*found, line]


def _broken(word: str, width: int) -> list[str]:
    parts, part = list[str](), ""
    for letter in word:
        if part and columns(part + letter) > width:
            parts.append(part)
            part = ""
        part += letter
    return [*parts, part]
