"""The chunk and its table of blocks (6.3), in both spellings."""

import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tests.second.codecs import frame
from tests.second.errors import Refused, demand

BLOCKS = 65_536
SOURCES = 4
BLOCK = 16 << 20
SOURCE = 32 << 20
OWN = 1 << 31
"""The bit of ``base`` that says that the source is a file of the same bundle [6.3-5]."""

EQUAL = 1

_BLOCK = struct.Struct("<IBBBBQQI")
_SOURCE = struct.Struct("<IQQ")


@dataclass(frozen=True, slots=True)
class Source:
    """Bytes ``[start, start + length)`` of a base or, if ``own``, of a file of the bundle."""

    own: bool
    index: int
    start: int
    length: int


@dataclass(frozen=True, slots=True)
class Block:
    """Bytes ``[start, start + length)`` of a file, and what they are coded with."""

    file: int
    codec: int
    element: int
    start: int
    length: int
    sources: tuple[Source, ...]
    payload: bytes

    @property
    def copies(self) -> bool:
        """Whether this is a copy of any length [6.3-3]."""
        return self.codec == EQUAL and not self.payload and [s.length for s in self.sources] == [self.length]


@dataclass(frozen=True, slots=True)
class Context:
    """What a table is held against: the format of the manifest, and the sizes of its files and bases.

    Attributes:
        numbers: Which files and bases these are of all that the bundle has, if they are a portion (6.2-9).
    """

    format: int
    files: Sequence[int]
    bases: Sequence[int]
    numbers: Mapping[str, Sequence[int]] | None = None

    def file(self, number: int) -> int:
        """Return the place of a file among the own ones, by its number in the bundle."""
        return self._place("files", number)

    def base(self, number: int) -> int:
        """Return the place of a base among the own ones, by its number in the bundle."""
        return self._place("bases", number)

    def _place(self, name: str, number: int) -> int:
        if self.numbers is None:
            return number
        demand(number in self.numbers[name], "something of another portion, or nothing [6.2-9]")
        return self.numbers[name].index(number)


def parse(data: bytes, context: Context) -> list[Block]:
    """Parse a chunk whose digest is known to be signed.

    Raises:
        Refused: ``malformed``.
    """
    demand(len(data) >= 16, "shorter than its header")
    if data[:8] == b"ALCHUNK1":
        count, zero = struct.unpack_from("<II", data, 8)
        demand(zero == 0, "a word that is not zero")
        demand(1 <= count <= BLOCKS, f"{count} blocks")
        return _parse_table(data[16:], count, None, context)
    demand(data[:8] == b"ALCHUNK2" and context.format >= 2, "no chunk of this format")
    demand(len(data) >= 20, "shorter than its header")
    count, table, packed = struct.unpack_from("<III", data, 8)
    demand(1 <= count <= BLOCKS and _BLOCK.size * count <= table <= 108 * count, "a table of another length")
    demand(20 + packed <= len(data), "a frame that is not there")
    return _parse_table(frame.unpack(data[20 : 20 + packed], table), count, data[20 + packed :], context)


def _parse_table(data: bytes, count: int, apart: bytes | None, context: Context) -> list[Block]:
    """Parse ``count`` blocks; payloads follow the table in ``data``, or stand in ``apart``."""
    heads: list[tuple[Block, int]] = []
    at = 0
    for _ in range(count):
        demand(at + _BLOCK.size <= len(data), "a table that is cut")
        file, codec, element, sources, zero, start, length, size = _BLOCK.unpack_from(data, at)
        at += _BLOCK.size
        demand(zero == 0 and sources <= SOURCES, "a byte that is not zero, or too many sources")
        demand(at + sources * _SOURCE.size <= len(data), "a table that is cut")
        ranges = tuple(
            Source(bool(base & OWN), (context.file if base & OWN else context.base)(base & ~OWN), first, span)
            for base, first, span in (
                _SOURCE.unpack_from(data, at + i * _SOURCE.size) for i in range(sources)
            )
        )
        at += sources * _SOURCE.size
        heads.append((Block(context.file(file), codec, element, start, length, ranges, b""), size))
    if apart is not None:
        demand(at == len(data), "a table that does not fill its frame")
        data, at = apart, 0
    return _with_payloads(heads, data, at, context)


def _with_payloads(heads: list[tuple[Block, int]], data: bytes, at: int, context: Context) -> list[Block]:
    demand(at + sum(size for _, size in heads) == len(data), "payloads do not fill the chunk exactly")
    blocks = []
    for head, size in heads:
        block = Block(
            head.file, head.codec, head.element, head.start, head.length, head.sources, data[at : at + size]
        )
        at += size
        _check(block, context)
        blocks.append(block)
    return blocks


def _check(block: Block, context: Context) -> None:
    demand(block.file < len(context.files), "a file that is not there [6.3-2]")
    _inside(block.start, block.length, context.files[block.file])
    for source in block.sources:
        sizes = context.files if source.own else context.bases
        demand(source.index < len(sizes), "a base that is not there [6.3-2]")
        demand(not source.own or source.index < block.file, "a file that does not come before [6.3-5]")
        _inside(source.start, source.length, sizes[source.index])
    if not _may_be_long(block):
        demand(block.length <= BLOCK, "a block that is too long [6.3-3]")
        demand(sum(source.length for source in block.sources) <= SOURCE, "sources that are too long [6.3-3]")


def _may_be_long(block: Block) -> bool:
    return not block.payload and [source.length for source in block.sources] == [block.length]


def _inside(start: int, length: int, size: int) -> None:
    demand(length >= 1 and start + length <= size, "a range that is empty, or not inside [6.3-2]")


class Tiling:
    """Holds that blocks tile all files once, in ascending order [6.3-4]."""

    def __init__(self, sizes: Sequence[int]) -> None:
        self._sizes = sizes
        self._file = 0
        self._at = 0

    def add(self, block: Block) -> None:
        """Take the next block.

        Raises:
            Refused: ``malformed``.
        """
        self._pass_over()
        if (block.file, block.start) != (self._file, self._at):
            raise Refused("malformed", "blocks that do not tile the files")
        self._at += block.length

    def finish(self) -> None:
        """Hold that nothing is missing."""
        self._pass_over()
        demand(self._file == len(self._sizes), "files that no block fills")

    def _pass_over(self) -> None:
        while self._file < len(self._sizes) and self._at == self._sizes[self._file]:
            self._file, self._at = self._file + 1, 0
