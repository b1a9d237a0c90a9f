"""The few requests of man(7) that the pages use, and the escapes that let text be nothing but text."""

import re
import textwrap

WIDTH = 78  # of a line of source; the reader's terminal decides how it is shown
_ESCAPES = {"\\": "\\e", "-": "\\-", "'": "\\(aq", "`": "\\(ga", "^": "\\(ha", "~": "\\(ti", '"': "\\(dq"}
_CODE = re.compile(r"`([^`]+)`")
_BEGINS = re.compile(r"^(?=[.'])", re.MULTILINE)


def escape(text: str) -> str:
    """Return ASCII text as it is written within a line.

    Raises:
        ValueError: there are other characters, which old readers may not show.
    """
    if not (text.isascii() and text.isprintable()):
        raise ValueError(f"not printable ASCII: {text!r}")
    return "".join(_ESCAPES.get(letter, letter) for letter in text)


def bold(text: str) -> str:
    """Return text that is typed as it stands."""
    return f"\\fB{escape(text)}\\fR"


def italic(text: str) -> str:
    """Return text that stands for something else."""
    return f"\\fI{escape(text)}\\fR"


def prose(text: str) -> str:
    """Return a paragraph; what stands between backticks is bold."""
    parts = _CODE.split(text)
    marked = "".join(bold(part) if number % 2 else escape(part) for number, part in enumerate(parts))
    return filled(marked)


def filled(marked: str) -> str:
    """Return text that is escaped already in lines of a readable length, none of which can be a request."""
    lines = textwrap.wrap(marked, WIDTH, break_long_words=False, break_on_hyphens=False)
    return "\n".join(_BEGINS.sub(r"\&", line) for line in lines)


def request(name: str, *words: str) -> str:
    """Return a request with its words, each as it stands; a hyphen within them is one."""
    return " ".join([f".{name}", *(f'"{escape(word)}"'.replace("\\-", "-") for word in words)])


def verbatim(lines: list[str]) -> list[str]:
    """Return lines that are shown as they are."""
    return [".EX", *(_BEGINS.sub(r"\&", escape(line)) for line in lines), ".EE"]
