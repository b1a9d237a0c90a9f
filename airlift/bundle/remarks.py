"""What people must be told of components beside their names: markings, waivers, and what was left out (SPEC 5.1-14).

And of what was trained inside an enclave: where, and with which data (SPEC 5.1-16, 5.1-17).

The same words wherever a release is shown. Pure; text of others is passed on as it is, and escaped where it is shown.
"""

from collections.abc import Iterator, Sequence
from typing import Any

from airlift.bundle import patterns
from airlift.bundle.component import source as sources
from airlift.bundle.component.component import Component
from airlift.bundle.component.variant import told
from airlift.bundle.component.waiver import Waiver
from airlift.bundle.patterns import LeftOut
from airlift.bundle.release import Release

SHOWN = 8
"""How many files a remark names; the manifest has more."""


def of_release(release: Release | None) -> tuple[str, ...]:
    """Return the remarks on every component of a release, each led by its name; nothing if there is no release.

    Variants that it is without are among them (SPEC 5.7-7).
    """
    if release is None:
        return ()
    said = [(component, remark) for component in release.components for remark in of_component(component)]
    return (*(f"{component.name}: {remark}" for component, remark in said), *omitted(release))


def omitted(release: Release | None) -> tuple[str, ...]:
    """Return the variants that a release is without, each led by its name (SPEC 5.7-7)."""
    return tuple(f"{item.name}: left out, {item.variant}" for item in (release.omitted if release else ()))


def of_component(component: Component) -> Iterator[str]:
    """Yield what is to be told of a component: its labels, marking and waivers, and what of its source it lacks."""
    if component.variant is not None:
        yield str(component.variant)
    if component.marking is not None:
        yield f"marking {component.marking}"
    for waived in component.accept:
        yield of_waiver(waived)
    yield from made(component)
    yield from lacks(component)


def made(component: Component) -> Iterator[str]:
    """Yield where in enclaves a component was made, and with which data; nothing of what a low side gathered."""
    if sources.is_inside(component.source):
        yield "; ".join(sources.told(step) for step in sources.chain(component.source))
    if component.data:
        yield f"made with data {names([str(item) for item in component.data])}"


def lacks(component: Component) -> Iterator[str]:
    """Yield what a component lacks of its source, and of what its vendor signed, if it lacks anything."""
    left = left_out(component)
    if left is not None:
        yield f"left out of its source by {_rule(component)}: {_files(left)}"
    partly = coverage(component)
    if partly is not None:
        yield partly


def of_waiver(waived: Waiver) -> str:
    """Return a waiver in one line: what it lets through, where, and why."""
    return f"waiver for {waived.what} in {names(waived.files)}: {waived.reason}"


def left_out(component: Component) -> LeftOut | None:
    """Return what the patterns of a component's source left out, if they left out anything."""
    stated = sources.first(component.source).get("left_out")
    return None if stated is None else LeftOut(stated["count"], tuple(stated["names"]))


def coverage(component: Component) -> str | None:
    """Return how much of what its vendor signed a component holds; None if it holds all, or nobody signed."""
    stated = component.vendor_signature
    if stated is None or stated.left_out is None:
        return None
    held = stated.listed - stated.left_out.count
    return f"vendor signature covers {held} of {stated.listed} files: left out {_listed(stated.left_out)}"


def summary(component: Component) -> dict[str, Any]:
    """Return a component as results show it: keys that say nothing of it are left out."""
    found: dict[str, Any] = {
        "name": component.name,
        "kind": component.kind,
        "version": component.version,
        "digest": component.digest,
    }
    if component.variant is not None:
        found["variant"] = component.variant.to_json()
    if component.marking is not None:
        found["marking"] = component.marking.to_json()
    if component.accept:
        found["waivers"] = [waived.to_json() for waived in component.accept]
    if component.data:
        found["data"] = [item.to_json() for item in component.data]
    if sources.is_inside(component.source):
        found["source"] = component.source
    left = left_out(component)
    if left is not None:
        found["left_out"] = left.to_json()
    partly = coverage(component)
    if partly is not None:
        found["vendor_signature"] = partly
    return found


def summaries(release: Release | None) -> tuple[dict[str, Any], ...]:
    """Return :func:`summary` of every component of a release; nothing if there is no release."""
    return tuple(summary(component) for component in (release.components if release else ()))


def tag(component: Component) -> str:
    """Return in a few words a component's labels, its own marking and what is waived in it; empty if it has none."""
    said = [] if component.variant is None else [told(component.variant.labels)]
    said += [] if component.marking is None else [str(component.marking)]
    said += [f"accepts {waived.what}" for waived in component.accept]
    return f" ({', '.join(said)})" if said else ""


def names(paths: Sequence[str]) -> str:
    """Return the first SHOWN of these paths, and how many more there are."""
    return _some(paths, len(paths))


def _files(left: LeftOut) -> str:
    return f"{left.count} {'file' if left.count == 1 else 'files'}, {_listed(left)}"


def _listed(left: LeftOut) -> str:
    return _some(left.names, left.count)


def _some(paths: Sequence[str], count: int) -> str:
    more = count - min(SHOWN, len(paths))
    return ", ".join(paths[:SHOWN]) + (f" and {more} more" if more else "")


def _rule(component: Component) -> str:
    """Return the patterns of a source as they were written."""
    chosen = patterns.of_source(sources.first(component.source))
    said = [("include", chosen.include), ("exclude", chosen.exclude)]
    return " and ".join(f"{word} {', '.join(globs)}" for word, globs in said if globs)
