"""Copies: what is known at a marking is not registered below it under another name (SPEC 8.6-5). Pure."""

from collections import defaultdict
from collections.abc import Iterable, Sequence

from airlift.bundle.component.component import Component
from airlift.bundle.fields import Marking
from airlift.bundle.release import Release
from airlift.errors import MarkingError
from airlift.high.registering.join import covers


def check_copies(new: Iterable[Component], known: Iterable[Release], levels: Sequence[str]) -> None:
    """Check that each file of what joins is new, or is marked as one of the ``known`` components that have it.

    An empty file says nothing. ``levels`` are low to high.

    Raises:
        MarkingError: a component is marked below all that have one of its files.
    """
    mine = tuple(new)
    wanted = {entry.sha512 for item in mine for entry in item.files if entry.size}
    there: defaultdict[str, dict[Marking, str]] = defaultdict(dict)
    for release in known:
        for other in release.components:
            for entry in other.files:
                if entry.sha512 in wanted:
                    there[entry.sha512].setdefault(other.marking or release.marking, other.name)
    for item in mine:
        for entry in item.files:
            _check_file(item, entry.path, there.get(entry.sha512, {}), levels)


def _check_file(item: Component, path: str, found: dict[Marking, str], levels: Sequence[str]) -> None:
    marking = item.marking
    if not found or marking is None or any(covers(marking, other, levels) for other in found):
        return
    least, name = next(iter(found.items()))
    raise MarkingError(
        f"{path} of component {item.name} is a file of component {name}, which is marked above it",
        expected=f"at least {least}",
        found=str(marking),
        hint=f"name {name} under `parents`, raise `marking`, or leave the file out (`exclude`)",
    )
