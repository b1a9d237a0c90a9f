"""What a component was made from (SPEC 5.1-5)."""

from dataclasses import dataclass
from typing import Any

from airlift import strict
from airlift.bundle import fields
from airlift.bundle.fields import COMPONENT_NAME, VERSION
from airlift.errors import MalformedError

RELATIONS = ("adapter-of", "derived-from", "merged-from", "quantised-from", "tuned-from")


@dataclass(frozen=True, slots=True, order=True)
class Parent:
    """What a component was made from: ``digest`` is that component's (SHA-512, hex), "" if nobody knew it."""

    relation: str
    name: str
    version: str
    digest: str = ""

    def to_json(self) -> dict[str, Any]:
        """Return the document form."""
        return {
            "relation": self.relation,
            "name": self.name,
            "version": self.version,
            "digest": self.digest or None,
        }


def from_json(document: Any) -> Parent:
    """Parse a parent.

    Raises:
        MalformedError: an unknown or missing key, an unknown relation, or a wrong value.
    """
    what = "release manifest: parent"
    strict.only(document, frozenset({"relation", "name", "version", "digest"}), what)
    parent = Parent(
        relation=strict.member(document, "relation", str, what),
        name=fields.name(document, "name", what, COMPONENT_NAME),
        version=fields.name(document, "version", what, VERSION),
        digest="" if document.get("digest", "") is None else fields.digest(document, "digest", what),
    )
    if parent.relation not in RELATIONS:
        raise MalformedError(
            f"{what} has an unknown relation",
            expected=", ".join(RELATIONS),
            found=ascii(parent.relation[:40]),
        )
    return parent
