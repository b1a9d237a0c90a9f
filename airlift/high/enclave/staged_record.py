"""The record of what was staged: since when, under which metadata, and what the volumes seen claim (SPEC 7.8-3).

It is made of claims of media and decides nothing: it helps people to find the volumes that are missing.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

from airlift import strict
from airlift.bundle import fields, volume
from airlift.bundle.manifest import Bundle
from airlift.errors import MalformedError

MAX_BYTES = 16 << 20
MAX_SEEN = 256
MAX_RANGES = 1 << 16
_KEYS = frozenset({"since", "timestamp", "expires", "volumes"})
_WHAT = "record of what was staged"

Range = tuple[int, int]
"""Indices ``[first, end)`` into a manifest's chunks."""


@dataclass(frozen=True, slots=True)
class SeenVolume:
    """A volume that was seen: its number, of how many, and the chunks that it lists."""

    volume: int
    volumes: int
    chunks: tuple[Range, ...]


@dataclass(frozen=True, slots=True)
class Record:
    """What is remembered of a staged bundle; ``timestamp`` is a version, ``expires`` the earliest but root's."""

    since: str
    timestamp: int
    expires: str
    volumes: tuple[SeenVolume, ...] = ()


@dataclass(frozen=True, slots=True)
class Wanted:
    """A volume on which missing chunks should be; ``chunks`` counts them, None if it is one of several.

    ``seen`` says that it was seen, and lists them.
    """

    volume: int
    volumes: int
    name: str
    seen: bool
    chunks: int | None


def format(record: Record) -> bytes:  # noqa: A001 - the pair of parse, as everywhere
    """Return the bytes of the record."""
    return strict.format(
        {
            "airlift": fields.FORMAT,
            "type": "staged",
            "since": record.since,
            "timestamp": record.timestamp,
            "expires": record.expires,
            "volumes": [
                {
                    "volume": seen.volume,
                    "volumes": seen.volumes,
                    "chunks": [list(pair) for pair in seen.chunks],
                }
                for seen in record.volumes
            ],
        }
    )


def parse(data: bytes) -> Record:
    """Parse a record.

    Raises:
        FormatTooNewError: made by a newer airlift.
        MalformedError: it breaks SPEC 7.8-3.
    """
    document = fields.check_header(strict.parse(data, limit=MAX_BYTES, what=_WHAT), "staged", _KEYS, _WHAT)
    listed = strict.member(document, "volumes", list, _WHAT)
    if len(listed) > MAX_SEEN:
        raise MalformedError(f"{_WHAT} names too many volumes", expected=f"at most {MAX_SEEN}")
    return Record(
        since=fields.time(document, "since", _WHAT),
        timestamp=fields.count(document, "timestamp", _WHAT),
        expires=fields.time(document, "expires", _WHAT),
        volumes=tuple(_parse_seen(item) for item in listed),
    )


def _parse_seen(item: Any) -> SeenVolume:
    strict.only(item, frozenset({"volume", "volumes", "chunks"}), _WHAT)
    volumes = fields.count(item, "volumes", _WHAT, least=1, most=volume.MAX_VOLUMES)
    pairs = strict.member(item, "chunks", list, _WHAT)
    flat = [0, *(edge for pair in pairs for edge in _parse_range(pair))]
    if any(later < earlier for earlier, later in pairwise(flat)):
        raise MalformedError(f"{_WHAT}: its ranges are not in order")
    return SeenVolume(
        fields.count(item, "volume", _WHAT, least=1, most=volumes), volumes, tuple((a, b) for a, b in pairs)
    )


def _parse_range(pair: Any) -> Range:
    if type(pair) is not list or len(pair) != 2 or not all(type(edge) is int for edge in pair):
        raise MalformedError(f"{_WHAT}: a range is not a pair of indices")
    return pair[0], pair[1]


def ranges(indices: Iterable[int]) -> tuple[Range, ...]:
    """Return ascending indices as ranges."""
    found: list[list[int]] = []
    for index in indices:
        if found and found[-1][1] == index:
            found[-1][1] = index + 1
        else:
            found.append([index, index + 1])
    return tuple((first, end) for first, end in found)


def remember(record: Record, seen: Iterable[SeenVolume]) -> Record:
    """Return the record with further volumes, each once, as far as there is room for them (SPEC 7.8-3)."""
    known = dict.fromkeys(record.volumes)
    count = sum(len(item.chunks) for item in known)
    for item in seen:
        room = len(known) < MAX_SEEN and count + len(item.chunks) <= MAX_RANGES
        if item not in known and room:
            known[item] = None
            count += len(item.chunks)
    return replace(record, volumes=tuple(known))


# -- where missing chunks are --------------------------------------------------------------------------------------


def wanted(bundle: Bundle, seen: Collection[SeenVolume], missing: Collection[int]) -> tuple[Wanted, ...]:
    """Return the volumes on which missing chunks should be: those that list them, and those not seen yet."""
    left, found = set(missing), []
    for item in seen:
        here = {
            index for first, end in item.chunks for index in range(first, min(end, len(bundle.chunks)))
        } & left
        if here:
            found.append(_wanted(bundle, item.volume, item.volumes, seen=True, chunks=len(here)))
        left -= here
    unseen = list(_unseen(seen)) if left else []
    count = len(left) if len(unseen) == 1 else None
    found += [_wanted(bundle, number, total, seen=False, chunks=count) for number, total in unseen]
    return tuple(found)


def _wanted(bundle: Bundle, number: int, total: int, *, seen: bool, chunks: int | None) -> Wanted:
    return Wanted(number, total, volume.folder_name(bundle, number, total), seen, chunks)


def _unseen(seen: Collection[SeenVolume]) -> Iterator[tuple[int, int]]:
    """Yield number and total of the volumes of each cut of which one was seen, but not these."""
    numbers: Mapping[int, set[int]] = {item.volumes: set() for item in seen}
    for item in seen:
        numbers[item.volumes].add(item.volume)
    for total in sorted(numbers):
        yield from ((number, total) for number in range(1, total + 1) if number not in numbers[total])


def spell(volumes: Collection[Wanted | SeenVolume], last: str = "and") -> str:
    """Return volumes as people say them: ``volumes 1, 3 and 4 of 5``."""
    texts = []
    for total in sorted({item.volumes for item in volumes}):
        numbers = sorted({item.volume for item in volumes if item.volumes == total})
        *most, end = map(str, numbers)
        listed = f"{', '.join(most)} {last} {end}" if most else end
        texts.append(f"volume{'s' if most and last == 'and' else ''} {listed} of {total}")
    return f", {last} ".join(texts) or "no volume"
