"""Results for people and for scripts: the JSON envelope, tables, and the cleaning of text that others wrote.

Names, notes and paths may come from a manifest or a medium, so nothing reaches a terminal before :func:`clean` made
it printable.
"""

import dataclasses
import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from enum import Enum
from pathlib import PurePath
from typing import TYPE_CHECKING, Any, TextIO

from airlift.cli.frame.plain import Plain
from airlift.shown import clean

if TYPE_CHECKING:
    from airlift.cli.frame.terminal import Terminal

ENVELOPE = 1
LISTED = 20
MARK = "..."
"""Says that something was cut; whole it is in the JSON answer, and with ``--verbose``."""

DIGITS = 32  # of a digest that stands for a name that is not known; JSON has all of them
DIGESTS = {"digest", "fingerprint"}
"""Keys of records that nobody reads: shown with ``--verbose``, and in JSON (SPEC 14-10)."""

COMPONENT_KEYS = ("name", "kind", "version", "digest")
BLOCK = 8  # digits of a fingerprint that a person reads in one go


def to_data(value: Any) -> Any:
    """Return ``value`` as plain JSON types: dataclasses as objects, paths and times as text, bytes as hex."""
    if hasattr(value, "to_json"):
        return to_data(value.to_json())
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name.rstrip("_"): to_data(getattr(value, f.name)) for f in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {str(key): to_data(item) for key, item in value.items()}
    if isinstance(value, Iterable) and not isinstance(value, str | bytes):
        return [to_data(item) for item in (sorted(value) if isinstance(value, set | frozenset) else value)]
    return _scalar(value)


def _scalar(value: Any) -> Any:
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, datetime):
        from airlift.bundle.fields import format_time

        return format_time(value)
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, PurePath):
        return str(value)
    return value


def envelope(command: str, data: Mapping[str, Any], error: Mapping[str, Any] | None = None) -> str:
    """Return the JSON answer of a command as one line of ASCII (CLI contract, "Habits")."""
    document: dict[str, Any] = {"airlift": ENVELOPE, "command": command, "ok": error is None}
    if error is not None:
        document["error"] = dict(error)
    document["data"] = to_data(data)
    return json.dumps(document, ensure_ascii=True)


def size(count: int | None) -> str:
    """Return a number of bytes as people read it: ``1.5 GB (1500000000)``."""
    if count is None:
        return "-"
    scaled, unit = float(count), "bytes"
    for larger in ("kB", "MB", "GB", "TB"):
        if scaled < 1000:
            break
        scaled, unit = scaled / 1000, larger
    return f"{count} bytes" if unit == "bytes" else f"{scaled:.1f} {unit} ({count})"


def amount(count: int) -> str:
    """Return a number of bytes as a table shows it: ``1.5 GB``; JSON has all digits."""
    return size(count).partition(" (")[0]


def grouped(fingerprint: str) -> str:
    """Return a fingerprint in blocks of BLOCK digits, to be read aloud."""
    return " ".join(fingerprint[i : i + BLOCK] for i in range(0, len(fingerprint), BLOCK))


def marking(document: Mapping[str, Any]) -> str:
    """Return a marking as people write it: ``SECRET//NOFORN``."""
    return "//".join([document["level"], *document["caveats"]])


def cell(value: Any) -> str:
    """Return a JSON value as the text of one table cell."""
    if value is None or value in ([], {}):
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, Mapping):
        return ", ".join(f"{clean(key)} {cell(item)}" for key, item in value.items())
    if isinstance(value, list):
        return ", ".join(cell(item) for item in value)
    return clean(value)


class Page:
    """The answer for people: facts, tables, trees and lines, drawn on a terminal and plain everywhere else."""

    __slots__ = ("_sheet", "whole")

    def __init__(self, stream: TextIO, *, whole: bool = False) -> None:
        self.whole = whole
        """Whether digests are asked for, beside the names of what they are of (`--verbose`)."""
        self._sheet = _sheet(stream, whole=whole)

    def line(self, text: str = "", style: str = "") -> None:
        """Write one line."""
        self._sheet.line(clean(text), style)

    def lines(self, texts: Iterable[str]) -> None:
        """Write each text on a line of its own."""
        for text in texts:
            self.line(text)

    def components(self, items: Sequence[Mapping[str, Any]], remarks: Iterable[str]) -> None:
        """Write components as a table of what each has, and below it what else is to be told of them."""
        self.records([{key: item[key] for key in COMPONENT_KEYS} for item in items])
        self.lines(remarks)

    def facts(self, rows: Mapping[str, Any] | Iterable[tuple[str, Any]]) -> None:
        """Write labels and their values, one pair a line."""
        pairs = list(rows.items() if isinstance(rows, Mapping) else rows)
        said = [
            pair for pair in _addressed(pairs) if pair != ("dry_run", False)
        ]  # only a dry run needs saying
        self._sheet.grid([(clean(label).replace("_", " "), cell(value)) for label, value in said])

    def table(self, headers: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
        """Write a table with a line of headers; the cells of a row match them."""
        self._sheet.table(
            [header.replace("_", " ") for header in headers], [[cell(value) for value in row] for row in rows]
        )

    def tree(self, label: str, branches: Iterable[Any]) -> None:
        """Write a tree; a branch is a pair of its label and its own branches."""
        self._sheet.tree(clean(label), _cleaned(branches))

    def records(self, items: Sequence[Mapping[str, Any]]) -> None:
        """Write objects of the same shape as a table under their own keys; digests only if they are asked for."""
        if items:
            keys = [key for key in items[0] if self.whole or key not in DIGESTS]
            self.table(keys, [[item[key] for key in keys] for item in items])

    def show(self, data: Mapping[str, Any]) -> None:
        """Write any answer: plain values as facts, then each list of objects as a table under its name."""
        tables = {key: value for key, value in data.items() if _is_records(value)}
        self.facts((key, value) for key, value in data.items() if key not in tables)
        for key, value in tables.items():
            self.line()
            self.line(key.replace("_", " "), style="bold")
            self.records(value)


def _sheet(stream: TextIO, *, whole: bool) -> "Terminal | Plain":
    if not stream.isatty():
        return Plain(stream)
    from airlift.cli.frame import terminal

    return terminal.Terminal(stream, whole=whole)


def _addressed(pairs: list[tuple[str, Any]]) -> list[tuple[str, Any]]:
    """Return pairs with the enclaves that a bundle is for in one place, whether it is one, any, or several."""
    known = dict(pairs)
    if not {"enclave", "enclaves"} <= known.keys():
        return pairs
    several: dict[str, Any] = {"enclave": known["enclaves"]} if known["enclaves"] else {}
    return [(label, several.get(label, value)) for label, value in pairs if label != "enclaves"]


def _cleaned(branches: Iterable[Any]) -> list[tuple[str, list[Any]]]:
    return [(clean(label), _cleaned(below)) for label, below in branches]


def _is_records(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(item, Mapping) for item in value)
