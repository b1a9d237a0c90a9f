"""What a page of docs shows below its commands, held against what came, but for digests, codes and times."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from tests.arch.tree import ROOT
from tests.support.pages import MARK

LEFT_OUT = "..."
STEP = re.compile(r"^```sh\n(.*?)^```\n(?:\n```text\n(.*?)^```$)?", re.MULTILINE | re.DOTALL)
CHANGING = (
    (re.compile(r"\b[0-9a-f]{8}(?: [0-9a-f]{8})+\b"), "DIGEST"),
    (re.compile(r"\b[0-9a-f]{16,}(?:\.\.\.)?"), "DIGEST"),
    (re.compile(r"-c[0-9a-f]{8}\b"), "-cDIGEST"),
    (re.compile(r"(?<= )[0-9A-Za-z+/]{64}$", re.MULTILINE), "DIGEST"),
    (re.compile(r"\b[0-9A-Z]{4}(?: [0-9A-Z]{2,4})+\b"), "CODE"),
    (re.compile(r"\b\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ"), "TIME"),
)
PROGRESS = re.compile(r"[a-z]+: \d+(?: %|:\d\d).*")
"""What a terminal shows as a bar that goes away (`gathering: 0 %`, `planning: 0:00`)."""


@dataclass(frozen=True)
class Step:
    """Commands of a page, and what it says they show; ``shown`` is empty where it shows nothing."""

    commands: str
    shown: str


def steps(page: str) -> list[Step]:
    """Return the steps of a page (``docs/guide-low.md``), in order."""
    return [Step(*found) for found in STEP.findall((ROOT / page).read_text())]


def parts(said: str) -> list[str]:
    """Return what each step said, of what :func:`pages.run` returned."""
    return re.split(rf"{MARK}\S+ \S+\n", said)[:-1]


def lines(text: str) -> list[str]:
    """Return the lines of a text, without what changes from run to run, and without the width of columns."""
    for pattern, name in CHANGING:
        text = pattern.sub(name, text)
    plain = (re.sub(r"\s+", " ", line).strip() for line in text.splitlines())
    return [line for line in plain if line and not PROGRESS.fullmatch(line)]


def runs(shown: list[str]) -> Iterator[list[str]]:
    """Yield the runs of lines between those that were left out; the first and the last may be empty."""
    run: list[str] = []
    for line in shown:
        if line == LEFT_OUT:
            yield run
            run = []
        else:
            run.append(line)
    yield run


def same(run: list[str], there: list[str]) -> bool:
    """Say whether lines came as they are shown; three points at the end of one stand for the rest of it."""
    return len(run) == len(there) and all(
        line == came or (line.endswith(f" {LEFT_OUT}") and came.startswith(line.removesuffix(LEFT_OUT)))
        for line, came in zip(run, there, strict=True)
    )


def differs(shown: str, said: str) -> str:
    """Return the run of lines that did not come where the page shows it; empty if all did.

    A line of three points stands for any number of lines. All others have to come, in order, side by side.
    """
    there = lines(said)
    first, *others = runs(lines(shown))
    if not others:
        return "" if same(first, there) else "\n".join(first)
    if not same(first, there[: len(first)]):
        return "\n".join(first)
    place = len(first)
    *between, last = others
    for run in between:
        found = next((n for n in range(place, len(there)) if same(run, there[n : n + len(run)])), None)
        if run and found is None:
            return "\n".join(run)
        place = (place if found is None else found) + len(run)
    if last and not same(last, there[max(place, len(there) - len(last)) :]):
        return "\n".join(last)
    return ""
