"""Names that documents give to things: the same facts give the same names (SPEC 15)."""

import hashlib
import json
from typing import Any
from urllib.parse import quote
from uuid import NAMESPACE_URL, UUID, uuid5

from packaging.licenses import InvalidLicenseExpression, canonicalize_license_expression

from airlift.bundle.component import source as sources
from airlift.bundle.component.component import Component
from airlift.evidence.facts import Facts

WEIGHTS = ("model", "adapter", "guard")
"""The kinds of component that are machine-learning models."""

MAX_EXPRESSION = 256
"""Up to how many characters of a licence are read as an expression."""


def identifier(facts: Facts, *parts: str) -> UUID:
    """Return the UUID (version 5) of a thing in a document of these facts; ``parts`` say of which document, and what.

    Whatever documents of an enclave may differ by is in it, so no two give one identifier to different things.
    """
    kept = facts.ledger
    given = [facts.enclave, facts.generated, facts.version, hashlib.sha512(kept.checkpoint).hexdigest(),
             list(kept.witnesses), *parts]  # fmt: skip
    return uuid5(NAMESPACE_URL, f"urn:airlift:{json.dumps(given)}")


def licence(text: str) -> str | None:
    """Return a licence as an SPDX expression of listed licences, properly spelt; None if it is none."""
    if len(text) > MAX_EXPRESSION:
        return None
    try:
        found = canonicalize_license_expression(text)
    except InvalidLicenseExpression:
        return None
    return None if "LicenseRef-" in found else str(found)


def purl(component: Component) -> str | None:
    """Return the address of a component's source as a package URL, if it came from a hub or a registry."""
    source = component.source
    if source.get("kind") == sources.OCI:
        place, _, digest = str(source["reference"]).partition("@")
        return f"pkg:oci/{place.rpartition('/')[2]}@{quote(digest, '')}?repository_url={quote(place, '/')}"
    if source.get("kind") != "hub":
        return None
    return f"pkg:huggingface/{source['repo']}@{source['revision']}"


def location(component: Component) -> str | None:
    """Return where a component was fetched from: a package URL, or the URL of a server or bucket."""
    if component.source.get("kind") in {sources.HTTPS, sources.BUCKET}:
        return sources.address(component.source)
    return purl(component)


def dump(document: Any) -> bytes:
    """Return a document as indented JSON with a newline at its end."""
    return (json.dumps(document, indent=2, ensure_ascii=True) + "\n").encode()
