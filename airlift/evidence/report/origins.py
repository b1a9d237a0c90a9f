"""What the report draws of a release: where its components come from, and what brought it (SPEC 15.6)."""

from collections.abc import Iterable, Sequence
from pathlib import PurePosixPath

from airlift.bundle.component import source as sources
from airlift.bundle.component.component import Component
from airlift.bundle.component.parent import Parent
from airlift.bundle.release import Release
from airlift.bundle.remarks import coverage
from airlift.evidence import controls
from airlift.evidence.facts import Facts
from airlift.evidence.names import purl
from airlift.evidence.report import graph
from airlift.evidence.report.graph import Box, Line
from airlift.evidence.report.markup import NOTHING, Markup, join, table, tag, text

SHOWN_COMPONENTS, SHOWN_BUNDLES = 14, 6
_FETCHED = {sources.HTTPS: "web server", sources.BUCKET: "bucket", sources.OCI: "registry"}
HEADINGS = ("made from", "component", "release", "came in with", "delta from")


def draw(found: Facts) -> Markup:
    """Return the lineage of the active release as a picture and as a table."""
    release = found.active_release
    if release is None:
        return tag("p", text("No release is active, so there is nothing to draw."), class_="none")
    shown = release.components[:SHOWN_COMPONENTS]
    boxes, lines = [*_component_boxes(shown)], [*_component_lines(shown)]
    boxes.append(_release_box(found, release))
    lines += [Line(f"c:{c.name}", "r", "part of") for c in shown]
    for box, line in _bundle_boxes(found, release):
        boxes.append(box)
        lines.append(line)
    left = len(release.components) - len(shown)
    note = f"{left} further components are not drawn; the table below has all." if left else ""
    lineage = graph.draw(boxes, lines, HEADINGS, f"Lineage of {release.label}", _told(release))
    drawn = tag("div", lineage, class_="scroll", tabindex="0", role="region", aria_label="Lineage, drawn")
    return join([drawn, tag("p", text(note), class_="none") if note else NOTHING, _origins(release)])


def _component_boxes(shown: Sequence[Component]) -> Iterable[Box]:
    drawn = {f"c:{component.name}" for component in shown}
    for component in shown:
        yield Box(
            f"c:{component.name}", 1, "component", component.name, (f"{component.kind} {component.version}",)
        )
        yield Box(f"s:{component.name}", 0, "source", *_source(component))
        for parent in component.parents:
            name = _parent(parent, shown)
            if name not in drawn:
                drawn.add(name)
                yield Box(name, 0, "base", f"{parent.name} {parent.version}", ("parent component",))


def _component_lines(shown: Sequence[Component]) -> Iterable[Line]:
    for component in shown:
        yield Line(f"s:{component.name}", f"c:{component.name}", "gathered from")
        for parent in component.parents:
            yield Line(_parent(parent, shown), f"c:{component.name}", parent.relation)


def _parent(parent: Parent, shown: Sequence[Component]) -> str:
    """Return the box of a parent: that of a component if it is one, by name and digest; else one of its own."""
    for component in shown:
        if (component.name, component.digest) == (parent.name, parent.digest):
            return f"c:{component.name}"
    return f"p:{parent.name}@{parent.version} {parent.digest}"


def _source(component: Component) -> tuple[str, tuple[str, ...]]:
    """Return title and lines of the box of a component's source."""
    whole = "signed by its vendor" if coverage(component) is None else "signed by its vendor, in part"
    vendor = (whole,) if component.vendor_signature else ()
    if component.source.get("kind") == "hub":
        return str(component.source["repo"]), (f"commit {component.source['revision'][:12]}", *vendor)
    if sources.is_inside(component.source):
        steps = tuple(sources.told(step) for step in sources.chain(component.source))
        return f"enclave {component.source['enclave']}", (*steps[:2], *vendor)
    if sources.is_fetched(component.source):
        return sources.address(component.source), (_FETCHED[component.source["kind"]], *vendor)
    return PurePosixPath(str(component.source.get("path"))).name or "/", ("path on the low side", *vendor)


def _place(component: Component) -> str:
    """Return a component's source in a line: of what came through enclaves, all of them."""
    if sources.is_inside(component.source):
        return "; ".join(sources.told(step) for step in sources.chain(component.source))
    if sources.is_fetched(component.source):
        return sources.at_endpoint(component.source)
    return purl(component) or f"path {component.source.get('path')}"


def _release_box(found: Facts, release: Release) -> Box:
    holders = tuple(
        f"signed by {holder}" for _, holder in controls.signers(found, release.digest, "targets")[:4]
    )
    votes = found.votes(release.digest, "approval")
    signed = [s for item in found.about(release.digest) for s in item.signers if s.verified]
    approvers = sorted({s.holder for s in signed if votes.get(s.key_id)})
    return Box(
        "r", 2, "release", release.label, (*holders, *(f"approved by {name}" for name in approvers[:4]))
    )


def _bundle_boxes(found: Facts, release: Release) -> Iterable[tuple[Box, Line]]:
    for sha512 in found.carriers(release.digest)[-SHOWN_BUNDLES:]:
        bundle = found.bundles[sha512]
        name = f"b:{sha512}"
        size = sum(chunk.size for chunk in bundle.chunks)
        holders = [h for _, h in controls.signers(found, release.digest, "bundler", sha512)][:1]
        lines = (f"{size:,} bytes of chunks", *(f"made by {holder}" for holder in holders))
        yield Box(name, 3, "bundle", f"bundle {bundle.id}", lines), Line("r", name, "carried by")
        if bundle.baseline is not None:
            base = f"{name}:base"
            yield (
                Box(base, 4, "base", bundle.baseline.label, ("baseline, held before",)),
                Line(name, base, "delta from"),
            )


def _told(release: Release) -> str:
    return (
        f"{len(release.components)} components lead to release {release.label}; each comes from its source and its "
        "parents; the release came in with the bundles at the right. The table below says the same."
    )


def _origins(release: Release) -> Markup:
    rows = []
    for component in release.components:
        made = "; ".join(
            [
                *(f"{p.relation} {p.name} {p.version}" for p in component.parents),
                *(f"with data {item}" for item in component.data),
            ]
        )
        source = _place(component)
        vendor = component.vendor_signature
        shown = f"{vendor.method}, SHA-512 {vendor.sha512[:16]}" if vendor else "-"
        partly = coverage(component)
        shown += f"; {partly}" if partly else ""
        rows.append([text(component.name), text(source), text(made or "-"), text(shown)])
    return table(
        "Where each component comes from", ["component", "source", "made from", "vendor's signature"], rows
    )
