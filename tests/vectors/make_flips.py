"""Writes flips.json: the offsets of good documents, lists and chunks at which no flipped bit may be accepted.

By kind: the length of the case named ``good`` of bundle/, and regions (first offset, offset after the last) of bytes
of which each of the eight bits, flipped by itself, must be refused by whoever parses it. Elsewhere a flip may say
something else that can be said, a name or a digest: that is for signatures and digests to find.
Run it with ``python -m tests.vectors.make_flips``.
"""

import json
from collections.abc import Callable, Iterator
from itertools import groupby
from pathlib import Path
from typing import Any

from airlift.bundle import chunk, manifest, release, revocations, volume
from airlift.errors import AirliftError
from tests.support.bundle_values import BUNDLE
from tests.vectors.make_bundle import MAKERS

PATH = Path(__file__).parent / "flips.json"
PARSERS: dict[str, Callable[[bytes], Any]] = {
    "release": release.parse,
    "bundle": manifest.parse,
    "revocations": revocations.parse,
    "volume": volume.parse_index,
    "sums": volume.parse_sums,
    "chunk": lambda data: chunk.parse(data, BUNDLE),
}


def good(kind: str) -> bytes:
    """Return the good case of a kind."""
    return next(data for name, data, _ in MAKERS[kind]() if name == "good")


def refused(kind: str, data: bytes, offset: int, bit: int) -> bool:
    """Say whether a parser refuses the bytes with one bit flipped."""
    changed = bytearray(data)
    changed[offset] ^= 1 << bit
    try:
        PARSERS[kind](bytes(changed))
    except AirliftError:
        return True
    return False


def regions(kind: str) -> Iterator[tuple[int, int]]:
    """Yield the regions of the good case in which no flip is accepted."""
    data = good(kind)
    found = (all(refused(kind, data, offset, bit) for bit in range(8)) for offset in range(len(data)))
    for bad, run in groupby(enumerate(found), key=lambda item: item[1]):
        offsets = [offset for offset, _ in run]
        if bad:
            yield offsets[0], offsets[-1] + 1


def made() -> str:
    """Return the text of the file."""
    found = {kind: {"length": len(good(kind)), "refused": list(regions(kind))} for kind in PARSERS}
    lines = (f"{json.dumps(kind)}: {json.dumps(item)}" for kind, item in found.items())
    return "{\n" + ",\n".join(lines) + "\n}\n"


if __name__ == "__main__":
    PATH.write_text(made(), "ascii")
