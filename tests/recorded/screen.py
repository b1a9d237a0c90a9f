"""What a terminal shows after a program has written to it: lines of styled pieces.

Pure, and only as much of a terminal as rich uses: colours, a line that is erased, the cursor some lines up.
"""

import re
from collections.abc import Iterator

Piece = tuple[str, str]
"""A text and its style: a value of STYLES, or nothing."""

Line = tuple[Piece, ...]

STYLES = {"1": "bold", "2": "dim", "31": "red", "32": "green", "33": "yellow", "36": "cyan"}
_TOKEN = re.compile(r"\x1b\[([0-9;?]*)([A-Za-z])|(\r|\n)|([^\x1b\r\n]+)|(.)", re.DOTALL)


class Screen:
    """The lines so far, and where the next text goes."""

    def __init__(self) -> None:
        self.rows: list[list[Piece]] = [[]]
        self._row = 0
        self._returned = False
        self._style = ""

    def write(self, written: str) -> None:
        """Take what a program wrote.

        Raises:
            ValueError: it is more than this terminal knows, such as text over other text.
        """
        for code, final, motion, text, other in _TOKEN.findall(written):
            if other:
                raise ValueError(f"not known: {other!r}")
            if final:
                self._control(code, final)
            elif motion:
                self._move(motion)
            else:
                self._put(text)

    def _put(self, text: str) -> None:
        if self._returned and self.rows[self._row]:
            raise ValueError(f"written over other text: {text!r}")
        self._returned = False
        self.rows[self._row].append((text, self._style))

    def _move(self, motion: str) -> None:
        self._returned = True
        if motion == "\n":
            self._row += 1
            self.rows += [[]] if self._row == len(self.rows) else []

    def _control(self, code: str, final: str) -> None:
        if final == "m":
            self._style = next((STYLES[part] for part in code.split(";") if part in STYLES), "")
        elif final == "K":
            self.rows[self._row] = []
        elif final == "A":
            self._row -= int(code or "1")
        elif (code, final) not in {("?25", "l"), ("?25", "h")}:
            raise ValueError(f"not known: {code}{final}")


def lines(written: str) -> list[Line]:
    """Return the lines that are left at the end, however long."""
    screen = Screen()
    screen.write(written)
    whole = [tuple(row) for row in screen.rows]
    while whole and not text(whole[-1]).strip():
        whole.pop()
    return whole


def text(line: Line) -> str:
    """Return the words of a line without their styles."""
    return "".join(part for part, _ in line)


def broken(line: Line, columns: int) -> Iterator[Line]:
    """Yield a line as a terminal shows it: what is longer than ``columns`` goes on below."""
    letters = [(letter, style) for part, style in line for letter in part]
    for start in range(0, max(len(letters), 1), columns):
        yield tuple(_joined(letters[start : start + columns]))


def _joined(letters: list[Piece]) -> Iterator[Piece]:
    part, style = "", ""
    for letter, its in letters:
        if its != style and part:
            yield part, style
            part = ""
        part, style = part + letter, its
    if part.rstrip():
        yield part.rstrip(), style
