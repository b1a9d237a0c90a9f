"""OSCAL assessment results: the record's evidence for controls of SP 800-53 (SPEC 15.5; NIST OSCAL 1.1.3).

A finding says ``satisfied`` if all evidence that the mapping lists is there, and nothing more: it is material for an
assessor, who decides.
"""

import hashlib
import json
import re
from collections.abc import Iterable, Iterator
from typing import Any

from airlift.bundle.component.component import Component
from airlift.bundle.remarks import of_component, omitted
from airlift.evidence import controls
from airlift.evidence.controls import Evidence, Judged
from airlift.evidence.facts import Facts
from airlift.evidence.names import WEIGHTS, dump, identifier
from airlift.ledger import tree
from airlift.ledger.entry import format as format_entry

VERSION = "1.1.3"
NAMESPACE = "urn:airlift:ns:oscal"
"""Whose property names these are that OSCAL does not define: airlift's (docs/exports.md says what they mean)."""
REMARK = (
    "Decided only by whether the evidence that the mapping lists is in the record. It is material for an assessor, "
    "not an assessment."
)
_SPECIAL = re.compile(r"[\\`*_{}\[\]<>&~^#!|]")


def format(facts: Facts) -> bytes:  # noqa: A001 - each format of this room has one function of this name
    """Return assessment results with one observation for each evidence and one finding for each control."""
    judged, names = controls.judge(facts), _Names(facts)
    seen = {item.name: item for control in judged for item in control.evidence}
    result: dict[str, Any] = {
        "uuid": names("result"),
        "title": f"Evidence in the record of enclave {facts.enclave}",
        "description": REMARK,
        "start": facts.generated,
        "end": facts.generated,
        "local-definitions": {"components": [*_components(facts, names)]},
        "reviewed-controls": {
            "description": f"As mapped: {facts.controls.get('catalog', 'no catalog')}.",
            "control-selections": [{"include-controls": [{"control-id": c.id} for c in judged]}],
        },
        "observations": [_observation(facts, names, item) for item in seen.values()],
        "findings": [_finding(names, item) for item in judged],
    }
    return dump(
        {"assessment-results": {**_head(facts, names), "results": [result], **_back_matter(facts, names)}}
    )


class _Names:
    """Gives the things of one document their identifiers, which depend on the mapping of controls too."""

    def __init__(self, facts: Facts) -> None:
        self.facts = facts
        self.mapping = hashlib.sha512(json.dumps(facts.controls, sort_keys=True).encode()).hexdigest()

    def __call__(self, *parts: str) -> str:
        return str(identifier(self.facts, "oscal", self.mapping, *parts))


def _prop(name: str, value: str) -> dict[str, str]:
    return {"name": name, "ns": NAMESPACE, "value": value}


def _head(facts: Facts, names: _Names) -> dict[str, Any]:
    party = names("party")
    return {
        "uuid": names("document"),
        "metadata": {
            "title": f"airlift: assessment results of enclave {facts.enclave}",
            "last-modified": facts.generated,
            "version": str(facts.ledger.size),
            "oscal-version": VERSION,
            "props": [{"name": "marking", "value": str(facts.marking)}],
            "roles": [{"id": "tool", "title": "What gathered the evidence"}],
            "parties": [{"uuid": party, "type": "organization", "name": f"airlift {facts.version}"}],
            "responsible-parties": [{"role-id": "tool", "party-uuids": [party]}],
        },
        "import-ap": {"href": f"#{names('plan')}", "remarks": "No plan was imported."},
    }


def _components(facts: Facts, names: _Names) -> Iterator[dict[str, Any]]:
    """Yield what observations are about: the ledger, the active release, and its components."""
    yield _component(
        names(controls.LEDGER),
        "service",
        f"Ledger {facts.ledger.origin}",
        f"The append-only record of enclave {facts.enclave}.",
        [_prop("key-fingerprint", facts.ledger.fingerprint)],
    )
    release = facts.active_release
    if release is None:
        return
    digest = [_prop("digest-sha512", release.digest)]
    yield _component(
        names(controls.RELEASE), "software", f"Release {release.label}", "The active release.", digest
    ) | _told(omitted(release))
    for item in release.components:
        yield _component(
            names("component", item.name),
            "software",
            f"{item.name} {item.version}",
            f"A component of kind {item.kind} of release {release.label}.",
            [_prop("kind", item.kind), _prop("digest-sha512", item.digest), *_stated(item)],
        ) | _remarks(item)


def _stated(item: Component) -> list[dict[str, str]]:
    """Return the marking of a component as a property, and what is waived in it."""
    marked = [] if item.marking is None else [_prop("marking", str(item.marking))]
    return [*marked, *(_prop("waiver", waived.what) for waived in item.accept)]


def _remarks(item: Component) -> dict[str, str]:
    return _told(of_component(item))


def _told(remarks: Iterable[str]) -> dict[str, str]:
    told = "\n\n".join(map(_text, remarks))
    return {"remarks": told} if told else {}


def _text(told: str) -> str:
    """Return text that may hold words of others for a field that is read as Markdown: one line, without markup.

    Source: OSCAL 1.1.3, markup-multiline; CommonMark 0.31, 2.4 (backslash escapes).
    """
    return _SPECIAL.sub(r"\\\g<0>", told.replace("\n", " "))


def _component(
    uuid: str, kind: str, title: str, description: str, props: list[dict[str, str]]
) -> dict[str, Any]:
    return {
        "uuid": uuid,
        "type": kind,
        "title": title,
        "description": description,
        "props": props,
        "status": {"state": "operational"},
    }


def _subjects(facts: Facts, names: _Names, about: str) -> list[dict[str, str]]:
    """Return what an observation is about; that nothing is active is an observation about the ledger."""
    release = facts.active_release
    if release is None or about == controls.LEDGER:
        found = [names(controls.LEDGER)]
    elif about == controls.RELEASE:
        found = [names(controls.RELEASE)]
    else:
        every = about == controls.COMPONENTS
        found = [names("component", c.name) for c in release.components if every or c.kind in WEIGHTS]
    return [{"subject-uuid": uuid, "type": "component"} for uuid in found or [names(controls.RELEASE)]]


def _observation(facts: Facts, names: _Names, item: Evidence) -> dict[str, Any]:
    href = f"#{names('resource', 'ledger')}"
    whole = {"href": href, "description": f"ledger {facts.ledger.origin}, {facts.ledger.size} entries"}
    entries = [
        {
            "href": href,
            "description": f"entry {entry.index} of ledger {facts.ledger.origin}",
            "props": [
                _prop("entry-index", str(entry.index)),
                _prop("entry-leaf-sha384", tree.leaf_digest(format_entry(entry)).hex()),
            ],
        }
        for entry in item.entries
    ]
    return {
        "uuid": names("observation", item.name),
        "title": item.name,
        "description": _text(item.text),
        "props": [_prop("found", "yes" if item.found else "no")],
        "methods": ["EXAMINE"],
        "types": ["control-objective"],
        "subjects": _subjects(facts, names, item.subject),
        "relevant-evidence": entries or [whole],
        "collected": facts.generated,
    }


def _finding(names: _Names, item: Judged) -> dict[str, Any]:
    state = {"state": "satisfied" if item.satisfied else "not-satisfied"}
    related = [{"observation-uuid": names("observation", evidence.name)} for evidence in item.evidence]
    return {
        "uuid": names("finding", item.id),
        "title": f"{item.id.upper()} {item.title}",
        "description": item.claim,
        "target": {"type": "objective-id", "target-id": f"{item.id}_obj", "status": state, "remarks": REMARK},
        "related-observations": related,
    }


def _back_matter(facts: Facts, names: _Names) -> dict[str, Any]:
    resources = [
        {
            "uuid": names("resource", "ledger"),
            "title": f"Ledger {facts.ledger.origin}",
            "description": "Export it with `airlift provenance export --as ledger`; `airlift-verify` checks it.",
            "props": [
                _prop("size", str(facts.ledger.size)),
                _prop("root-sha384", facts.ledger.root.hex()),
                _prop("key-fingerprint", facts.ledger.fingerprint),
            ],
        },
        {
            "uuid": names("plan"),
            "title": "Assessment plan",
            "description": "None: the evidence was gathered without one.",
        },
    ]
    return {"back-matter": {"resources": resources}}
