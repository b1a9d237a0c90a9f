"""The counts of a run as a table, printed at its end and kept in docs/RELIABILITY.md."""

from collections.abc import Iterable, Mapping

from tests.support.counted import table

PROPERTY = "crash points"
"""Under which a test records what it tried: a scene, a fault, and how many points."""


def add_up(properties: Iterable[tuple[str, object]]) -> dict[tuple[str, str], int]:
    """Return how many points were tried by scene and fault, from what the tests recorded."""
    found: dict[tuple[str, str], int] = {}
    for key, value in properties:
        if key == PROPERTY and isinstance(value, list):
            name, fault, number = value
            found[name, fault] = found.get((name, fault), 0) + number
    return found


def format_table(
    counts: Mapping[tuple[str, str], int], scenes: Iterable[str], first: Iterable[str] = ()
) -> list[str]:
    """Return the lines of a table in Markdown, with a row of sums; ``first`` are faults to begin with."""
    faults = list(dict.fromkeys([*first, *sorted(fault for _, fault in counts)]))
    tried = [name for name in scenes if any(name == of for of, _ in counts)]
    rows = [[name, *(_shown(counts.get((name, fault))) for fault in faults)] for name in tried]
    sums = [sum(number for (_, of), number in counts.items() if of == fault) for fault in faults]
    return table(["command", *faults], [*rows, ["**all**", *map(_shown, sums)]])


def _shown(number: int | None) -> str:
    return "" if number is None else f"{number:,}"
