"""What the report says of the ledger, and how its reader verifies the page against it (SPEC 15.6)."""

import json

from airlift.evidence.facts import Facts
from airlift.evidence.report.markup import Markup, digest, join, labelled, tag, text

PIECE = 1000


def ledger(found: Facts) -> Markup:
    """Return what the record was: its size, root, key, witnesses and newest checkpoint."""
    kept = found.ledger
    rows = [
        ("origin", text(kept.origin)),
        ("entries", text(kept.size)),
        ("root (SHA-384)", digest(kept.root.hex())),
        ("key", join([text(kept.scheme), Markup(", fingerprint "), digest(kept.fingerprint)])),
        ("witnesses", text(", ".join(kept.witnesses) or "none whose key was given")),
        *([("claimed, not verified", text(", ".join(kept.claimed)))] if kept.claimed else []),
    ]
    note = Markup("\n".join(_whole(line) for line in kept.checkpoint.decode().split("\n")))
    return join([labelled(rows), tag("h3", text("Newest checkpoint")), tag("pre", note, class_="note")])


def _whole(line: str) -> Markup:
    """Return a line of any length, none of it cut off."""
    return join(text(line[start : start + PIECE]) for start in range(0, len(line), PIECE))


def instructions(found: Facts) -> Markup:
    """Return how a reader checks the page against the ledger, and what it states in a form for machines."""
    commands = (
        f"airlift provenance export --as ledger --output ledger.jsonl    # in enclave {found.enclave}",
        f"airlift-verify ledger.jsonl --public-key ledger.pub --origin {found.ledger.origin}",
        "airlift provenance report --output again.html    # in the enclave, with the same --witness and --controls",
    )
    steps = (
        "Export the ledger; take its public key from elsewhere than the enclave. Its fingerprint stands above.",
        "Verify the export. It covers at least as many entries as this page says; if as many, with the same root.",
        "Hold it against a checkpoint kept elsewhere (--checkpoint): only that shows a history signed anew.",
        "What this page says of a release or bundle stands in the export, or in a manifest that it names by digest.",
    )
    active = found.active_release
    stated = {
        "enclave": found.enclave,
        "generated": found.generated,
        "ledger": {"origin": found.ledger.origin, "size": found.ledger.size, "root": found.ledger.root.hex(),
                   "key": found.ledger.fingerprint},
        "active": {"release": active.label, "digest": active.digest} if active else None,
        "policy": found.policy_digest,
    }  # fmt: skip
    lines = json.dumps(stated, indent=1, sort_keys=True).split("\n")
    return join(
        [
            tag("ol", *(tag("li", text(step)) for step in steps)),
            tag("pre", Markup("\n".join(text(command) for command in commands))),
            tag("h3", text("What this page states, for machines")),
            tag("pre", Markup("\n".join(text(line) for line in lines)), id="stated"),
        ]
    )
