"""What a person waived of the gate's objections to a component, and which files that lets through (SPEC 5.1-11)."""

from collections.abc import Mapping, Sequence
from typing import Any

from airlift.bundle.component.waiver import Waiver
from airlift.errors import ManifestError
from airlift.intake.gate.verdict import Objection


def accepted_in(item: Mapping[str, Any]) -> frozenset[str]:
    """Return the kinds of objections that an authored component accepts."""
    return frozenset(str(waived["what"]) for waived in item.get("accept", ()))


def find_waivers(item: Mapping[str, Any], met: Sequence[Objection]) -> tuple[Waiver, ...]:
    """Return the waivers of an authored component, sorted by kind; ``met`` are the objections that were made.

    Raises:
        ManifestError: it waives something twice, or what nothing in it needs.
    """
    authored = sorted(item.get("accept", ()), key=lambda waived: str(waived["what"]))
    kinds = [waived["what"] for waived in authored]
    if len(set(kinds)) < len(kinds):
        raise ManifestError(f"component {item['name']}: it accepts one thing twice", found=", ".join(kinds))
    found = []
    for waived in authored:
        files = sorted({objection.path for objection in met if objection.what == waived["what"]})
        if not files:
            raise ManifestError(
                f"component {item['name']}: nothing in it needs the waiver for {waived['what']}",
                hint=f"remove the line of `accept` with `what: {waived['what']}`",
            )
        found.append(Waiver(waived["what"], waived["reason"], tuple(files)))
    return tuple(found)
