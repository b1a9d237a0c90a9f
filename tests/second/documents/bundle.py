"""The bundle manifest (6.2)."""

from typing import Any

from tests.second import strict
from tests.second.documents import fields, portions
from tests.second.errors import demand

LIMIT = 64 << 20
CHUNK = 64 << 20
STRIPE = 256 << 20
PARITY = 64
MEMBERS = 255


def parse(data: bytes) -> dict[str, Any]:
    """Parse a bundle manifest.

    Raises:
        Refused: ``malformed``, or ``format-too-new``.
    """
    value = strict.document(data, "bundle", LIMIT, newest=2)
    lists = "bases files chunks"
    several = "portions" in value
    fields.members(
        value,
        f"airlift type sequence issued enclave marking target baseline {lists} revocations",
        "parity variants portions" if value["airlift"] == 2 else "",
    )
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
    _contents(value["files"], 0, 2**53 - 1, distinct=not several)
    _contents(value["chunks"], 1, CHUNK)
    if several:
        portions.check(value)
    for one in portions.every(value):
        _consistent(one)
    if "parity" in value:
        _parity(value)
    if "variants" in value:
        for name in fields.items(value["variants"], 1024, 1):
            fields.matching(name, fields.NAME)
        fields.ascending(value["variants"])
        demand(value["target"], "variants without a target")
    return value


def identity(value: dict[str, Any]) -> str:
    """Return the id of a bundle [6.2-1]."""
    addressee = value["enclave"] or ("several" if "portions" in value else "any")
    return f"{addressee}-{value['sequence']}"


def all_chunks(value: dict[str, Any]) -> list[dict[str, Any]]:
    """Return all chunks, parity after data; a digest may stand there twice, then with one size [6.7-3]."""
    stripes = value.get("parity", {"stripes": []})["stripes"]
    return [*value["chunks"], *(chunk for stripe in stripes for chunk in stripe["parity"])]


def _parity(value: dict[str, Any]) -> None:
    """Hold stripes: every data chunk in exactly one, members in number and size [6.7-1] [6.7-2]."""
    chunks = value["chunks"]
    stripes = fields.items(fields.members(value["parity"], "stripes")["stripes"], 1 << 20, 1)
    for stripe in stripes:
        fields.members(stripe, "data parity")
        data = fields.items(stripe["data"], MEMBERS - 1, 1)
        parity = fields.items(stripe["parity"], min(PARITY, MEMBERS - len(data)), 1)
        for index in data:
            fields.integer(index, 0, len(chunks) - 1)
        size = max(chunks[index]["size"] for index in data)
        for chunk in parity:
            _content(chunk, size, size)
        demand((len(data) + len(parity)) * size <= STRIPE, "a stripe that is too large [6.7-2]")
    spread = [index for stripe in stripes for index in stripe["data"]]
    demand(sorted(spread) == list(range(len(chunks))), "data chunks that are not in exactly one stripe")
    listed = all_chunks(value)
    sizes = {chunk["sha512"]: chunk["size"] for chunk in listed}
    demand(
        all(sizes[chunk["sha512"]] == chunk["size"] for chunk in listed), "a digest with two sizes [6.7-3]"
    )


def _content(content: Any, least: int, most: int) -> None:
    fields.members(content, "sha512 size")
    fields.digest(content["sha512"])
    fields.integer(content["size"], least, most)


def _contents(value: Any, least: int, most: int, *, distinct: bool = True) -> None:
    for content in fields.items(value, 1 << 20):
        _content(content, least, most)
    once = len({content["sha512"] for content in value}) == len(value)
    demand(once or not distinct, "a digest twice [6.2-3]")


def _consistent(value: dict[str, Any]) -> None:
    brings = value["bases"] or value["files"] or value["chunks"]
    rebuilt = sum(file["size"] for file in value["files"])
    demand(bool(value["chunks"]) == bool(rebuilt), "chunks exactly if there are bytes to rebuild [6.2-3]")
    demand(value["baseline"] or not value["bases"], "bases without a baseline [6.2-3]")
    demand(value["target"] or not brings, "lists without a target [6.2-3]")
    if value["target"] and value["baseline"] and value["target"]["digest"] == value["baseline"]["digest"]:
        demand(value["target"] == value["baseline"], "a baseline that is the target by another name [6.2-4]")
