"""Explain a bundle: what each component costs, in which codecs, and which tensors cost the most (SPEC L4.10).

Blocks are counted as they pass, so memory grows with the number of tensors and not with their size.
"""

from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from math import prod

from airlift import codec
from airlift.bundle.chunk import Block
from airlift.codec.payload_sizes import part_sizes
from airlift.low.bundle.planning.coding_plan import Placed
from airlift.tensors.span import TensorSpan

LARGEST = 5
TABLES = "block tables"


@dataclass(frozen=True, slots=True)
class CodecCost:
    """What one codec made of a component: its blocks, the bytes that they rebuild, and those that they take."""

    codec: str
    blocks: int
    target_bytes: int
    coded_bytes: int


@dataclass(frozen=True, slots=True)
class TensorCost:
    """What a tensor takes, or if ``tensor`` is None the bytes of a file that belong to none; ``codec`` took the most.

    ``coded_bytes`` is a share, by length, of blocks that hold several tensors; ``share`` is that of the component.
    """

    path: str
    tensor: str | None
    codec: str
    target_bytes: int
    coded_bytes: int
    share: float
    bits_per_element: float


@dataclass(frozen=True, slots=True)
class ComponentCost:
    """What a component takes: ``coded_bytes`` of chunks rebuild ``target_bytes``, which hold ``elements`` numbers.

    A byte that belongs to no tensor counts as an element. ``parts`` says what ``coded_bytes`` consist of: the block
    tables, and the parts of payloads. ``largest`` are the tensors that take the most.
    """

    component: str
    elements: int
    target_bytes: int
    coded_bytes: int
    ratio: float
    bits_per_element: float
    codecs: tuple[CodecCost, ...]
    parts: dict[str, int]
    largest: tuple[TensorCost, ...]


@dataclass(slots=True)
class _Tally:
    """Sums of one component, or of one tensor (in part, hence floats), by codec."""

    blocks: Counter[str] = field(default_factory=Counter)
    target: Counter[str] = field(default_factory=Counter)
    coded: dict[str, float] = field(default_factory=dict)
    parts: Counter[str] = field(default_factory=Counter)

    def add(self, name: str, target: int, coded: float) -> None:
        self.blocks[name] += 1
        self.target[name] += target
        self.coded[name] = self.coded.get(name, 0) + coded


class Account:
    """Counts the blocks of a bundle. ``spans`` tile the files, number by number."""

    __slots__ = ("_components", "_elements", "_files", "_spans", "_starts", "_tensors")

    def __init__(self, files: Sequence[Placed], spans: Sequence[Sequence[TensorSpan]]) -> None:
        self._files, self._spans = files, spans
        self._starts = [[span.start for span in tiles] for tiles in spans]
        self._elements: Counter[str] = Counter()
        for item, tiles in zip(files, spans, strict=True):
            self._elements[item.component] += sum(map(_elements, tiles))
        self._components: dict[str, _Tally] = {}
        self._tensors: dict[str, dict[tuple[int, str], _Tally]] = {}

    def watch(self, blocks: Iterable[Block]) -> Iterator[Block]:
        """Count blocks on their way."""
        for block in blocks:
            self._count(block)
            yield block

    def _count(self, block: Block) -> None:
        name, coded = codec.names()[block.codec], block.table_bytes + len(block.payload)
        component = self._files[block.file].component
        whole = self._components.setdefault(component, _Tally())
        whole.add(name, block.length, coded)
        whole.parts.update({TABLES: block.table_bytes} | part_sizes(block.codec, block.payload))
        tensors = self._tensors.setdefault(component, {})
        for span, length in self._within(block):
            tally = tensors.setdefault((block.file, span.name), _Tally())
            tally.add(name, length, coded * length / block.length)

    def _within(self, block: Block) -> Iterator[tuple[TensorSpan, int]]:
        """Yield the spans that a block covers, with how many bytes of each."""
        spans, end = self._spans[block.file], block.start + block.length
        number = bisect_right(self._starts[block.file], block.start) - 1
        while number < len(spans) and spans[number].start < end:
            span = spans[number]
            yield span, min(span.end, end) - max(span.start, block.start)
            number += 1

    def summary(self) -> tuple[ComponentCost, ...]:
        """Return what was counted, component by component in the order of their names."""
        return tuple(self._component(name, tally) for name, tally in sorted(self._components.items()))

    def _component(self, name: str, tally: _Tally) -> ComponentCost:
        target, coded = tally.target.total(), round(sum(tally.coded.values()))
        elements = self._elements[name]
        codecs = (
            CodecCost(key, tally.blocks[key], tally.target[key], round(tally.coded[key]))
            for key in sorted(tally.coded, key=lambda key: -tally.coded[key])
        )
        return ComponentCost(
            component=name,
            elements=elements,
            target_bytes=target,
            coded_bytes=coded,
            ratio=round(coded / target, 6),
            bits_per_element=round(8 * coded / elements, 4),
            codecs=tuple(codecs),
            parts=dict(tally.parts.most_common()),
            largest=tuple(self._largest(self._tensors[name], coded)),
        )

    def _largest(self, tensors: Mapping[tuple[int, str], _Tally], whole: int) -> Iterator[TensorCost]:
        costs = [(sum(one.coded.values()), key) for key, one in tensors.items()]
        for coded, (number, name) in sorted(costs, key=lambda item: (-item[0], item[1]))[:LARGEST]:
            tally = tensors[number, name]
            elements = sum(_elements(span) for span in self._spans[number] if span.name == name)
            yield TensorCost(
                path=self._files[number].entry.path,
                tensor=name or None,
                codec=max(tally.coded, key=lambda key: tally.coded[key]),
                target_bytes=tally.target.total(),
                coded_bytes=round(coded),
                share=round(coded / whole, 4),
                bits_per_element=round(8 * coded / elements, 4),
            )


def _elements(span: TensorSpan) -> int:
    return span.length if span.opaque else prod(span.shape)
