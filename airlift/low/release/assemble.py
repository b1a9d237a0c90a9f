"""Assemble what the release manifest states of a component, and of the release as a whole (SPEC 5.1)."""

from collections.abc import Mapping, Sequence
from typing import Any

from airlift.bundle import fields, patterns
from airlift.bundle.component import variant
from airlift.bundle.component.component import Component
from airlift.bundle.fields import Marking
from airlift.bundle.patterns import LeftOut
from airlift.errors import ManifestError
from airlift.intake.collect import Collected, Survey
from airlift.intake.waivers import find_waivers
from airlift.low.release.vendor_signature import CheckedSignature


def assemble_component(
    item: Mapping[str, Any],
    found: Survey,
    collected: Collected,
    signature: CheckedSignature | None,
    fetched: Mapping[str, Any] | None = None,
) -> Component:
    """Return an authored component with what was gathered for it; its parents are found once all are there.

    ``fetched`` is what is stated of an address that its files were fetched from.

    Raises:
        ManifestError: it waives something twice, or what nothing in it needs.
    """
    return Component(
        name=item["name"],
        kind=item["kind"],
        version=item["version"],
        license=item.get("license", ""),
        source=_origin(item["source"], found, fetched),
        files=collected.entries,
        vendor_signature=signature.stated if signature else None,
        accept=find_waivers(item, collected.met),
        marking=Marking.from_authored(item["marking"]) if "marking" in item else None,
        replaces=tuple(sorted(item.get("replaces", ()))),
        variant=variant.authored(item),
    )


def _origin(source: Mapping[str, Any], found: Survey, fetched: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return a source as the release manifest states it; patterns and what they left out only if there are any."""
    chosen, left = patterns.of_source(source), LeftOut.of(found.left_out)
    more = {
        **({"exclude": list(chosen.exclude)} if chosen.exclude else {}),
        **({"left_out": left.to_json()} if left else {}),
    }
    include = {"include": list(chosen.include)} if chosen.include else {}
    if fetched is not None:
        return {**fetched, **include, **more}
    if "path" in source:
        return {"kind": "path", "path": source["path"], **include, **more}
    return {
        "kind": "hub",
        "repo": source["hub"],
        "revision": source["revision"],
        "include": list(chosen.include),
        **more,
    }


def find_marking(document: Mapping[str, Any], components: Sequence[Component]) -> Marking:
    """Return the marking of a release: its own, or else the join of its components' (SPEC 5.1-13).

    Raises:
        ManifestError: its own does not cover a component's; it has none and a component has none either, or the
            components' have no order.
    """
    marked = [component.marking for component in components if component.marking is not None]
    if "marking" in document:
        own = Marking.from_authored(document["marking"])
        _check_covers(own, components)
        return own
    if len(marked) < len(components):
        bare = next(component.name for component in components if component.marking is None)
        raise ManifestError(
            "the release has no marking, and not every component has one",
            expected="'marking' at the top, or in every component",
            found=f"none in component {bare}",
        )
    joined = fields.join(marked)
    if joined is not None and joined.admitted == frozenset():
        raise ManifestError(
            "the markings of the components admit nobody together",
            expected=f"somebody whom every caveat `{fields.ADMITS}...` names",
            found=", ".join(sorted({str(marking) for marking in marked if marking.admitted is not None})),
            hint="release them apart",
        )
    if joined is None:
        raise ManifestError(
            "the markings of the components have no order",
            expected=f"levels among {', '.join(fields.LEVELS)}, or one level for all",
            found=", ".join(sorted({marking.level for marking in marked})),
            hint="give them levels of which one is known to be above the others",
        )
    return joined


def _check_covers(own: Marking, components: Sequence[Component]) -> None:
    for component in components:
        if component.marking is not None and not own.covers(component.marking):
            raise ManifestError(
                f"the marking of component {component.name} is not within the release's",
                expected=f"at most {own}",
                found=str(component.marking),
                hint="raise the release's marking, or leave it out: it is the join of its components' then",
            )
