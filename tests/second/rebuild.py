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
from tests.second.documents import release
from tests.second.errors import Refused, demand

PIECE = 4 << 20


@dataclass(frozen=True, slots=True)
class Content:
    """Bytes that are wanted: what they are called, how many there are, and the digest that decides [7.3-5].

    Attributes:
        pieces: The SHA-512 of its pieces, if these decide [7.3-8].
    """

    sha512: str
    size: int
    algorithm: str
    digest: str
    pieces: tuple[str, ...] = ()


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
            _verify(place.files[number], place.contents[number], place, number, {})
    used: dict[tuple[int, int], list[Source]] = {}
    for data in chunks:
        for block in chunk.parse(data, context):
            tiling.add(block)
            _counted(block)
            if block.file in place.held:
                continue
            reads = [source for source in block.sources if not source.own]
            for number in _parts(place.contents[block.file], block.start, block.start + block.length):
                used.setdefault((block.file, number), []).extend(reads)
            try:
                _write(block, place)
            except Refused as refused:
                if refused.code == "malformed":
                    _name_damaged(reads, place)
                raise
            if block.start + block.length == sizes[block.file]:
                _verify(place.files[block.file], place.contents[block.file], place, block.file, used)
    tiling.finish()


def has_digest(path: Path, content: Content) -> bool:
    """Tell whether a file has the digest, or those of its pieces, that decide."""
    parts = _parts(content, 0, content.size)
    return path.stat().st_size == content.size and all(_is_right(path, content, n) for n in parts)


def _parts(content: Content, start: int, end: int) -> range:
    """Return the numbers of the parts with a digest of their own that a range of bytes lies in."""
    if not content.pieces:
        return range(1)
    return range(start // release.PIECE, (max(end, 1) - 1) // release.PIECE + 1)


def _is_right(path: Path, content: Content, number: int) -> bool:
    with path.open("rb") as file:
        if not content.pieces:
            return hashlib.file_digest(file, content.algorithm).hexdigest() == content.digest
        file.seek(number * release.PIECE)
        return hashlib.sha512(file.read(release.PIECE)).hexdigest() == content.pieces[number]


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


def _verify(
    path: Path, content: Content, place: Place, file: int, used: dict[tuple[int, int], list[Source]]
) -> None:
    """Hold a file against its digests; blame a base that the wrong part was made of [7.3-10]."""
    for number in _parts(content, 0, content.size):
        if not _is_right(path, content, number):
            _name_damaged(used.get((file, number), []), place)
            raise Refused("digest-mismatch", "a file without its signed digest")


def _name_damaged(used: list[Source], place: Place) -> None:
    """Blame a damaged base rather than the medium [7.3-2]."""
    for source in used:
        content, path = place.base_contents[source.index], place.bases[source.index]
        parts = _parts(content, source.start, source.start + source.length)
        sound = path.stat().st_size == content.size and all(_is_right(path, content, n) for n in parts)
        demand(sound, "a base that is damaged", "baseline-damaged")
