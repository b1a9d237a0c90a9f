"""Adds up how many inputs the targets were fed, prints it, and keeps it in the document after ``make fuzz``."""

import os
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support import counted

PROPERTY = "fuzzed"
CORPUS = Path(__file__).parent / "corpus"
"""Has a file for every target of tests.fuzz.test_parsers."""
Recorder = Callable[[str, str, str], None]
"""Takes the name of a target, what its process said, and an expression that finds inputs and refusals in it."""


@pytest.fixture
def count(record_property: Callable[[str, object], None]) -> Recorder:
    """Return what records how many inputs a target was fed, and how many it refused."""

    def record(name: str, said: str, expression: str) -> None:
        found = re.search(expression, said)
        assert found is not None, said
        record_property(PROPERTY, [name, int(found[1]), int(found[2])])

    return record


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print what was fed, and keep it in the document if a time was given, and no target failed or was left out."""
    stats = terminalreporter.stats
    found = [
        value
        for report in stats.get("passed", ())
        for key, value in report.user_properties
        if key == PROPERTY
    ]
    if not found or "FUZZ_SECONDS" not in os.environ:
        return
    rows = [[name, f"{fed:,}", f"{refused:,}"] for name, fed, refused in sorted(found)]
    total = f"{sum(fed for _, fed, _ in found):,}", f"{sum(refused for *_, refused in found):,}"
    lines = counted.table(["target", "inputs", "refused"], [*rows, ["**all**", *total]])
    terminalreporter.write_sep("=", "fuzzed")
    terminalreporter.write("\n".join([*lines, ""]))
    everything = {name for name, *_ in found} >= {path.stem for path in CORPUS.glob("*.json")}
    if everything and not stats.get("failed") and not stats.get("error"):
        counted.keep("make fuzz", lines)
