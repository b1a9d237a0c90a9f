"""Every threat in docs/RELIABILITY.md has tests, and every test that the document names is there."""

import ast
import re
from collections.abc import Iterator
from functools import cache

import pytest

from tests.arch.tree import ROOT

NAMED = re.compile(r"(tests/[\w./-]+\.py)::(\w+)")
FILES = re.compile(r"tests/[\w/]+(?:\.\w+)?")
LEAST = 90
"""No fewer threats than when the table was made."""


def text() -> str:
    """Return the document."""
    return (ROOT / "docs" / "RELIABILITY.md").read_text()


def threats(document: str) -> dict[str, list[tuple[str, str]]]:
    """Return {threat: [(file, test), ...]} of the tables in the section on threats."""
    section = document.partition("\n## Threats\n")[2].partition("\n## ")[0]
    rows = [line.strip("| ").split(" | ") for line in section.splitlines() if line.startswith("| ")]
    return {row[0]: NAMED.findall(row[-1]) for row in rows if row[0] != "threat"}


@cache
def names_in(path: str) -> frozenset[str]:
    """Return the names of the tests in a file, none if it is not there."""
    place = ROOT / path
    if not place.is_file():
        return frozenset()
    return frozenset(
        node.name for node in ast.parse(place.read_text()).body if isinstance(node, ast.FunctionDef)
    )


def faults(document: str) -> Iterator[str]:
    """Yield threats without a test, and tests that are not there."""
    for threat, named in threats(document).items():
        if not named:
            yield f"no test: {threat}"
        for path, name in named:
            if not name.startswith("test_") or name not in names_in(path):
                yield f"not there: {path}::{name}"


def test_every_threat_has_tests_that_are_there() -> None:
    found = threats(text())
    assert len(found) >= LEAST
    assert list(faults(text())) == []


def test_files_that_are_named_are_there() -> None:
    assert [path for path in FILES.findall(text()) if not (ROOT / path).exists()] == []


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        ("| a | b | `tests/arch/test_reliability.py::test_bad_tables` |", []),
        ("| a | b | none |", ["no test: a"]),
        (
            "| a | b | `tests/arch/test_reliability.py::test_nothing` |",
            ["not there: tests/arch/test_reliability.py::test_nothing"],
        ),
        (
            "| a | b | `tests/arch/test_nowhere.py::test_x` |",
            ["not there: tests/arch/test_nowhere.py::test_x"],
        ),
        (
            "| a | b | `tests/arch/test_reliability.py::text` |",
            ["not there: tests/arch/test_reliability.py::text"],
        ),
    ],
)
def test_bad_tables(row: str, expected: list[str]) -> None:
    document = (
        f"# R\n\n## Threats\n\n| threat | what | tests |\n|---|---|---|\n{row}\n\n## Next\n\n| x | y | z |\n"
    )
    assert list(faults(document)) == expected
