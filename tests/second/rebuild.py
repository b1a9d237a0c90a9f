"""Chunks to files (7.3): each is decoded, written, and kept only with its signed digest."""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.second import chunk
from tests.second.chunk import Block, Context, Source, Tiling
from tests.second.codecs import decoding
from tests.second.codecs.elements import element
from tests.second.errors import Refused, demand

PIECE = 4 << 20


@dataclass(frozen=True, slots=True)
class Content:
    """Bytes that are wanted: what they are called, how many there are, and the digest that decides [7.3-5]."""

    sha512: str
    size: int
    algorithm: str
    digest: str


@dataclass(frozen=True, slots=True)
class Place:
    """Where things are: bases that the enclave holds, files of the bundle, each in the order of the manifest.

    Attributes:
        held: The files that the enclave holds already: they are read, and never written [6.3-6].
    """

    bases: Sequence[Path]
    base_contents: Sequence[Content]
    files: Sequence[Path]
    contents: Sequence[Content]
    held: frozenset[int]


def rebuild(chunks: Iterator[bytes], manifest: dict[str, Any], place: Place) -> None:
    """Rebuild all files of a bundle.

    Args:
        chunks: Their verified bytes, in the manifest's order.
        manifest: The bundle manifest.
        place: Where to read and where to write.

    Raises:
        Refused: ``malformed``, ``digest-mismatch``, ``format-too-new``, or ``baseline-damaged``.
    """
    sizes = [content["size"] for content in manifest["files"]]
    context = Context(
        manifest["airlift"], sizes, [base["size"] for base in manifest["bases"]], manifest.get("numbers")
    )
    tiling = Tiling(sizes)
    for number, size in enumerate(sizes):
        if size == 0 and number not in place.held:
            place.files[number].write_bytes(b"")
            _verify(place.files[number], place.contents[number])
    used: set[int] = set()
    try:
        for data in chunks:
            for block in chunk.parse(data, context):
                tiling.add(block)
                _counted(block)
                if block.file in place.held:
                    continue
                used |= {source.index for source in block.sources if not source.own}
                _write(block, place)
                if block.start + block.length == sizes[block.file]:
                    _verify(place.files[block.file], place.contents[block.file])
        tiling.finish()
    except Refused as refused:
        if refused.code in ("malformed", "digest-mismatch"):
            _name_damaged(used, place)
        raise


def has_digest(path: Path, content: Content) -> bool:
    """Tell whether a file has the digest that decides."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, content.algorithm).hexdigest() == content.digest


def _counted(block: Block) -> None:
    """Hold that a block names as many sources as its codec takes [6.3-7]."""
    if block.codec not in decoding.TAKES:
        raise Refused("format-too-new", f"codec {block.codec}")
    least, most = decoding.TAKES[block.codec]
    demand(least <= len(block.sources) <= most, "more or fewer sources than the codec takes")


def _write(block: Block, place: Place) -> None:
    path = place.files[block.file]
    with path.open("r+b" if block.start else "wb") as file:
        file.seek(block.start)
        if block.copies:
            element(block.element)
            for piece in _pieces(block.sources[0], place):
                file.write(piece)
        else:
            demand(block.length <= chunk.BLOCK, "a block that is too long")
            sources = [b"".join(_pieces(source, place)) for source in block.sources]
            file.write(decoding.decode(block.codec, block.element, block.length, sources, block.payload))


def _pieces(source: Source, place: Place) -> Iterator[bytes]:
    path = (place.files if source.own else place.bases)[source.index]
    left = source.length
    with path.open("rb") as file:
        file.seek(source.start)
        while left:
            piece = file.read(min(left, PIECE))
            if not piece:
                raise Refused("baseline-damaged", "a base that is shorter than it was")
            left -= len(piece)
            yield piece


def _verify(path: Path, content: Content) -> None:
    demand(has_digest(path, content), "a file without its signed digest", "digest-mismatch")


def _name_damaged(used: set[int], place: Place) -> None:
    """Blame a damaged base rather than the medium [7.3-2]."""
    for index in sorted(used):
        sound = has_digest(place.bases[index], place.base_contents[index])
        demand(sound, "a base that is damaged", "baseline-damaged")
