"""Portions of a bundle for several enclaves (6.2-8, 6.2-9)."""

from collections import Counter
from typing import Any

from tests.second.documents import fields
from tests.second.errors import demand

LISTS = ("bases", "files", "chunks")


def check(value: dict[str, Any]) -> None:
    """Hold the portions of a manifest whose lists were parsed.

    Raises:
        Refused: ``malformed``.
    """
    bare = value["enclave"] is None and value["baseline"] is None and "variants" not in value
    demand(bare and value["target"], "portions, and something of what is theirs beside them")
    names = []
    seen: dict[str, set[int]] = {name: set() for name in LISTS}
    for portion in fields.items(value["portions"], 64, 2):
        fields.members(portion, "enclave baseline bases files chunks", "variants")
        names.append(fields.matching(portion["enclave"], fields.ENCLAVE))
        if portion["baseline"] is not None:
            fields.named(portion["baseline"])
        for name in LISTS:
            seen[name] |= set(_numbers(portion[name], len(value[name])))
        if "variants" in portion:
            for name in fields.items(portion["variants"], 1024, 1):
                fields.matching(name, fields.NAME)
            fields.ascending(portion["variants"])
    fields.ascending(names)
    demand(not {"any", "several"} & set(names), "an enclave that has no such name")
    for name in LISTS:
        demand(len(seen[name]) == len(value[name]), f"{name} that are nobody's")
    sizes = {(file["sha512"], file["size"]) for file in value["files"]}
    demand(len({digest for digest, _ in sizes}) == len(sizes), "a digest with two sizes")
    for one in every(value):
        counted = Counter(file["sha512"] for file in one["files"])
        demand(max(counted.values(), default=1) == 1, "a digest twice in a portion")


def _numbers(ranges: Any, count: int) -> list[int]:
    """Return what is in ranges; each begins beyond the end of the one before."""
    found: list[int] = []
    least = 0
    for pair in fields.items(ranges, 1 << 20):
        demand(isinstance(pair, list) and len(pair) == 2, "a range that is no pair")
        first = fields.integer(pair[0], least, count)
        end = fields.integer(pair[1], first + 1, count)
        found += range(first, end)
        least = end + 1
    return found


def every(value: dict[str, Any]) -> list[dict[str, Any]]:
    """Return a manifest as each enclave sees it: one, if it has no portions."""
    if "portions" not in value:
        return [value]
    return [_view(value, portion) for portion in value["portions"]]


def own(value: dict[str, Any], enclave: str) -> dict[str, Any]:
    """Return a manifest as an enclave sees it, which it is for; ``numbers`` are the places in the lists of all."""
    if "portions" not in value:
        return value
    return next(one for one in every(value) if one["enclave"] == enclave)


def _view(value: dict[str, Any], portion: dict[str, Any]) -> dict[str, Any]:
    numbers = {name: _numbers(portion[name], len(value[name])) for name in LISTS}
    lists = {name: [value[name][number] for number in numbers[name]] for name in LISTS}
    more = {"variants": portion["variants"]} if "variants" in portion else {}
    ends = {"enclave": portion["enclave"], "baseline": portion["baseline"], "numbers": numbers}
    return {name: value[name] for name in value if name != "portions"} | ends | lists | more
