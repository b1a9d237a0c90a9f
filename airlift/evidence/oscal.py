"""OSCAL assessment results: the record's evidence for controls of SP 800-53 (SPEC 15.5; NIST OSCAL 1.1.3).

A finding says ``satisfied`` if all evidence that the mapping lists is there, and nothing more: it is material for an
assessor, who decides.
"""

from typing import Any

from airlift.evidence import controls
from airlift.evidence.controls import Evidence, Judged
from airlift.evidence.facts import Facts
from airlift.evidence.names import dump, identifier

VERSION = "1.1.3"
REMARK = (
    "Decided only by whether the evidence that the mapping lists is in the record. It is material for an assessor, "
    "not an assessment."
)


def format(facts: Facts) -> bytes:  # noqa: A001 - each format of this room has one function of this name
    """Return assessment results with one observation for each evidence and one finding for each control."""
    judged = controls.judge(facts)
    seen = {item.name: item for control in judged for item in control.evidence}
    result: dict[str, Any] = {
        "uuid": str(identifier(facts, "oscal", "result")),
        "title": f"Evidence in the record of enclave {facts.enclave}",
        "description": REMARK,
        "start": facts.generated,
        "end": facts.generated,
        "reviewed-controls": {
            "control-selections": [{"include-controls": [{"control-id": c.id} for c in judged]}]
        },
        "observations": [_observation(facts, item) for item in seen.values()],
        "findings": [_finding(facts, item) for item in judged],
    }
    return dump({"assessment-results": {**_head(facts), "results": [result], **_back_matter(facts)}})


def _head(facts: Facts) -> dict[str, Any]:
    party = str(identifier(facts, "oscal", "party"))
    return {
        "uuid": str(identifier(facts, "oscal")),
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
        "import-ap": {"href": f"#{identifier(facts, 'oscal', 'plan')}", "remarks": "No plan was imported."},
    }


def _observation(facts: Facts, item: Evidence) -> dict[str, Any]:
    ledger = {
        "href": f"#{identifier(facts, 'oscal', 'ledger')}",
        "description": f"ledger {facts.ledger.origin}, {facts.ledger.size} entries",
    }
    entries = [
        {**ledger, "description": f"entry {index} of ledger {facts.ledger.origin}"} for index in item.entries
    ]
    return {
        "uuid": str(identifier(facts, "oscal", "observation", item.name)),
        "title": item.name,
        "description": item.text,
        "props": [{"name": "found", "value": "yes" if item.found else "no"}],
        "methods": ["EXAMINE"],
        "types": ["control-objective"],
        "relevant-evidence": entries or [ledger],
        "collected": facts.generated,
    }


def _finding(facts: Facts, item: Judged) -> dict[str, Any]:
    state = {"state": "satisfied" if item.satisfied else "not-satisfied"}
    related = [
        {"observation-uuid": str(identifier(facts, "oscal", "observation", evidence.name))}
        for evidence in item.evidence
    ]
    return {
        "uuid": str(identifier(facts, "oscal", "finding", item.id)),
        "title": f"{item.id.upper()} {item.title}",
        "description": item.claim,
        "target": {"type": "objective-id", "target-id": f"{item.id}_obj", "status": state, "remarks": REMARK},
        "related-observations": related,
    }


def _back_matter(facts: Facts) -> dict[str, Any]:
    resources = [
        {
            "uuid": str(identifier(facts, "oscal", "ledger")),
            "title": f"Ledger {facts.ledger.origin}",
            "description": "Export it with `airlift provenance export --as ledger`; `airlift-verify` checks it.",
            "props": [
                {"name": "size", "value": str(facts.ledger.size)},
                {"name": "root-sha384", "value": facts.ledger.root.hex()},
                {"name": "key-fingerprint", "value": facts.ledger.fingerprint},
            ],
        },
        {
            "uuid": str(identifier(facts, "oscal", "plan")),
            "title": "Assessment plan",
            "description": "None: the evidence was gathered without one.",
        },
    ]
    return {"back-matter": {"resources": resources}}
