"""The bundle manifest (6.2)."""

from typing import Any

from tests.second import strict
from tests.second.documents import fields
from tests.second.errors import demand

LIMIT = 64 << 20
CHUNK = 64 << 20


def parse(data: bytes) -> dict[str, Any]:
    """Parse a bundle manifest.

    Raises:
        Refused: ``malformed``, or ``format-too-new``.
    """
    value = strict.document(data, "bundle", LIMIT, newest=2)
    lists = "bases files chunks"
    fields.members(value, f"airlift type sequence issued enclave marking target baseline {lists} revocations")
    fields.integer(value["sequence"], 1, fields.SEQUENCE_LIMIT)
    fields.time(value["issued"])
    if value["enclave"] is not None:
        demand(fields.matching(value["enclave"], fields.ENCLAVE) != "any", "an enclave named any")
    fields.marking(value["marking"])
    for end in ("target", "baseline"):
        if value[end] is not None:
            fields.named(value[end])
    fields.digest(value["revocations"])
    _contents(value["bases"], 0, 2**53 - 1)
    _contents(value["files"], 0, 2**53 - 1)
    _contents(value["chunks"], 1, CHUNK)
    _consistent(value)
    return value


def identity(value: dict[str, Any]) -> str:
    """Return the id of a bundle [6.2-1]."""
    return f"{value['enclave'] or 'any'}-{value['sequence']}"


def _contents(value: Any, least: int, most: int) -> None:
    for content in fields.items(value, 1 << 20):
        fields.members(content, "sha512 size")
        fields.digest(content["sha512"])
        fields.integer(content["size"], least, most)
    demand(len({content["sha512"] for content in value}) == len(value), "a digest twice [6.2-3]")


def _consistent(value: dict[str, Any]) -> None:
    brings = value["bases"] or value["files"] or value["chunks"]
    rebuilt = sum(file["size"] for file in value["files"])
    demand(bool(value["chunks"]) == bool(rebuilt), "chunks exactly if there are bytes to rebuild [6.2-3]")
    demand(value["baseline"] or not value["bases"], "bases without a baseline [6.2-3]")
    demand(value["target"] or not brings, "lists without a target [6.2-3]")
    if value["target"] and value["baseline"] and value["target"]["digest"] == value["baseline"]["digest"]:
        demand(value["target"] == value["baseline"] and not brings, "a baseline that is the target [6.2-4]")
