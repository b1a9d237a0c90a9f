"""Files of shards, for the fuzz targets: read as a join reads them, most with the digest that they must have."""

import atexit
import hashlib
import random
import tempfile
from collections.abc import Iterator
from pathlib import Path

from airlift.codec import Coded
from airlift.low.bundle.sharding import shard_format
from airlift.low.bundle.sharding.division import Run, Share
from airlift.low.bundle.sharding.shard_file import Place, read_shard
from airlift.low.bundle.sharding.shard_format import DIGEST_BYTES, Head
from airlift.tensors.element import Element
from airlift.tensors.matching.segment import Segment, Source
from tests.fuzz.mutate import Case, Parts

PLAN, SHARE = "5a" * 64, Share(2, 3)
BLOCKS = (
    (0, Segment(0, 4096, Element.BF16, 64, None)),
    (0, Segment(4096, 12288, Element.BF16, 64, Source(3, 0, 8192))),
    (1, Segment(0, 100, Element.BYTES, 0, Source(4, 8, 308))),
    (7, Segment(1 << 40, (1 << 40) + 8192, Element.F32, 0, Source(0, 0, 8192), factors=(Source(1, 0, 64),))),
)
CODED = (
    (Coded(0, bytes(4096)), Coded(1, b""), Coded(2, b"payload"), Coded(5, b"factors and more")),
    (Coded(4, b"ulp"), Coded(4, b"difference"), Coded(0, bytes(100)), Coded(8, b"")),
)
_FOLDER = tempfile.TemporaryDirectory(prefix="airlift-fuzz-")
atexit.register(_FOLDER.cleanup)


def format_shard(coded: tuple[Coded, ...]) -> bytes:
    """Return a shard of the blocks, without the digest that it ends with."""
    head = shard_format.format_head(Head(PLAN, SHARE, len(BLOCKS)))
    payloads = [item.payload for item in coded]
    pairs = zip(BLOCKS, coded, strict=True)
    rows = [shard_format.format_row(file, block, item) for (file, block), item in pairs]
    return b"".join([head, *payloads, *rows])


def parse(parts: Parts, random_: random.Random) -> None:
    """Read a shard as a join does; what is accepted is written back to the same bytes."""
    (data,) = parts
    end = hashlib.sha512(data).digest() if random_.random() < 0.9 else bytes(DIGEST_BYTES)
    place = Place(Path(_FOLDER.name), PLAN, SHARE)
    place.folder.mkdir(exist_ok=True)
    place.path.write_bytes(data + end)
    found = list(read_shard(place, Run(10, 10 + len(BLOCKS), 0), BLOCKS))
    assert tuple((file, block) for file, block, _ in found) == BLOCKS
    assert all(len(coded.payload) <= block.length for _, block, coded in found)
    assert format_shard(tuple(coded for _, _, coded in found)) == data


def cases() -> Iterator[Case]:
    """Yield good shards."""
    for coded in CODED:
        yield Case(parse, (format_shard(coded),))
