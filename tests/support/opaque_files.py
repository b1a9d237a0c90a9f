"""Opaque files in memory: matched, realigned, and coded block by block as a bundle would."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from airlift import codec
from airlift.tensors.matching.match import FileSpans, match
from airlift.tensors.matching.moved_bytes import realign
from airlift.tensors.matching.segment import Segment, blocks, merge
from airlift.tensors.span import tile

TABLE_BYTES = 47
"""A block with a source, in the table of its chunk."""

Files = Mapping[str, bytes]
"""Files of one component by path, or by ``component/path``."""


@dataclass(slots=True)
class Pair:
    """Target and base files, and how many bytes of them were read."""

    target: Files
    base: Files
    read: dict[str, int] = field(default_factory=lambda: {"target": 0, "base": 0})

    def segments(self) -> list[list[Segment]]:
        """Return the segments of each target file, in the order of the files."""
        files, bases = self._files(), len(self.base)
        found = realign(files, bases, match(files, bases, self._bytes), self._bytes)
        return [merge(parts) for parts in found]

    def plain(self) -> list[list[Segment]]:
        """Return the segments without realignment."""
        return match(self._files(), len(self.base), self._bytes)

    def cost(self, segments: Sequence[Sequence[Segment]], limit: int) -> int:
        """Code every block of at most ``limit`` bytes, check that it comes back, and return what all of them cost.

        Neighbouring copies count as one, as in a bundle.
        """
        total = 0
        for data, parts in zip(self.target.values(), segments, strict=True):
            assert [part.start for part in parts] == [0, *(part.end for part in parts[:-1])]
            assert parts[-1].end == len(data)
            copied = -1
            for block in (block for part in parts for block in blocks(part, limit)):
                payload, equal = self._code(data, block)
                shift = block.source.start - block.start if block.source else 0
                total += 0 if equal and shift == copied else TABLE_BYTES + payload
                copied = shift if equal else -1
        return total

    def _code(self, data: bytes, block: Segment) -> tuple[int, bool]:
        target, sources = data[block.start : block.end], []
        if block.source is not None:
            base = self._data(block.source.file)
            assert 0 <= block.source.start < block.source.end <= len(base)
            sources.append(base[block.source.start : block.source.end])
        coded = codec.encode(target, sources, block.element)
        assert codec.decode(coded.codec, coded.payload, sources, len(target), block.element) == target
        return len(coded.payload), codec.names()[coded.codec] == "equal"

    def _files(self) -> list[FileSpans]:
        return [*_spans(self.base), *_spans(self.target)]

    def _bytes(self, number: int, start: int, end: int) -> bytes:
        data = self._data(number)
        assert 0 <= start <= end <= len(data)
        self.read["base" if number < len(self.base) else "target"] += end - start
        return data[start:end]

    def _data(self, number: int) -> bytes:
        return [*self.base.values(), *self.target.values()][number]


def _spans(files: Files) -> list[FileSpans]:
    found = []
    for name, data in files.items():
        component, _, path = name.rpartition("/")
        found.append(FileSpans(path, component or "base", len(data), tile((), len(data))))
    return found
