"""Names that documents give to things: the same facts give the same names (SPEC 15)."""

import json
from typing import Any
from uuid import NAMESPACE_URL, UUID, uuid5

from airlift.bundle.release import Component
from airlift.evidence.facts import Facts

WEIGHTS = ("model", "adapter", "guard")
"""The kinds of component that are machine-learning models."""

SPDX_LICENCES = frozenset(
    {
        "0BSD", "AFL-3.0", "AGPL-3.0-only", "AGPL-3.0-or-later", "Apache-2.0", "Artistic-2.0", "BSD-2-Clause",
        "BSD-3-Clause", "BSL-1.0", "CC-BY-4.0", "CC-BY-NC-4.0", "CC-BY-NC-SA-4.0", "CC-BY-SA-4.0", "CC0-1.0",
        "ECL-2.0", "EPL-2.0", "EUPL-1.2", "GPL-2.0-only", "GPL-2.0-or-later", "GPL-3.0-only", "GPL-3.0-or-later",
        "ISC", "LGPL-2.1-only", "LGPL-3.0-only", "LGPL-3.0-or-later", "MIT", "MPL-2.0", "MS-PL", "OFL-1.1",
        "PostgreSQL", "Python-2.0", "Unlicense", "WTFPL", "Zlib",
    }
)  # fmt: skip
"""The identifiers of the SPDX list that models and data commonly carry; another text is given as a name."""


def identifier(facts: Facts, *parts: str) -> UUID:
    """Return the UUID (version 5) of a thing in these facts; it changes with the ledger's root."""
    return uuid5(NAMESPACE_URL, ":".join(("urn:airlift", facts.enclave, facts.ledger.root.hex(), *parts)))


def purl(component: Component) -> str | None:
    """Return the address of a component's source as a package URL, if it came from a hub at a commit."""
    source = component.source
    if source.get("kind") != "hub":
        return None
    return f"pkg:huggingface/{source['repo']}@{source['revision']}"


def dump(document: Any) -> bytes:
    """Return a document as indented JSON with a newline at its end."""
    return (json.dumps(document, indent=2, ensure_ascii=True) + "\n").encode()
