"""Metrics of models: what evaluations by known keys state of one component (SPEC 15.2, 15.3)."""

import json
from collections.abc import Iterator

from airlift.bundle.component.component import Component
from airlift.bundle.release import Release
from airlift.evidence.facts import Facts


def metrics(facts: Facts, release: Release, item: Component) -> list[tuple[str, str]]:
    """Return name and value of each metric of evaluations of the release that name the component."""
    return [
        metric
        for attested in facts.about(release.digest)
        if attested.kind == "evaluation"
        and attested.keys
        and attested.predicate.get("component") == item.name
        for metric in _flat(attested.predicate.get("metrics"))
    ]


def _flat(stated: object, name: str = "") -> Iterator[tuple[str, str]]:
    """Yield name and value; members of members are named ``outer.inner``, values are text or JSON."""
    if isinstance(stated, dict):
        for key, value in sorted(stated.items()):
            yield from _flat(value, f"{name}.{key}" if name else key)
    elif name:
        yield name, stated if isinstance(stated, str) else json.dumps(stated)
