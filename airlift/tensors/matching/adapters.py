"""Adapters (LoRA) among the files at hand, and the tensors that they may have been merged into. Names and shapes.

A pair of ``lora_A`` (rank, inputs) and ``lora_B`` (outputs, rank) moves the weight of its module by a multiple of
``B @ A``, or of its transpose if the weight is stored as (inputs, outputs) or is an embedding. Names follow PEFT::

    base_model.model.h.0.qkv.lora_A.weight    base_model.model.h.0.qkv.lora_A.default.weight    h.0.qkv.lora_A

Whether an adapter explains a tensor, and with which scale, shows in the numbers; nothing here decides it.

Source: PEFT 0.17, ``peft/utils/save_and_load.py`` and ``peft/tuners/lora/layer.py`` (names, ``fan_in_fan_out``).
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from airlift.tensors.element import Element
from airlift.tensors.span import TensorSpan

FACTOR = re.compile(r"(?P<module>.+)\.lora_(?:embedding_)?(?P<side>[AB])(?:\.[^.]+)??(?:\.weight)?")
PREFIX = "base_model.model."
MODEL = "model."
WEIGHT = ".weight"
FLOATS = (Element.BF16, Element.F16, Element.F32)


@dataclass(frozen=True, slots=True)
class Factor:
    """A tensor of file number ``file``."""

    file: int
    span: TensorSpan


@dataclass(frozen=True, slots=True)
class Pair:
    """Both factors of a module: ``a`` of shape (rank, inputs), ``b`` of shape (outputs, rank)."""

    module: str
    a: Factor
    b: Factor

    @property
    def rank(self) -> int:
        """The rank."""
        return self.a.span.shape[0]


@dataclass(frozen=True, slots=True)
class Candidate:
    """A pair that has the shape of a tensor: as ``b @ a``, or ``transposed``."""

    pair: Pair
    transposed: bool


def pairs(files: Iterable[tuple[int, Iterable[TensorSpan]]]) -> dict[str, list[Pair]]:
    """Return all pairs in these files by the name of their module, in the order of the files."""
    found: dict[str, list[Pair]] = {}
    for number, spans in files:
        sides: dict[tuple[str, str], TensorSpan] = {}
        for span in spans:
            name = FACTOR.fullmatch(span.name)
            if name is not None and len(span.shape) == 2 and span.element in FLOATS:
                sides.setdefault((_module(name["module"]), name["side"]), span)
        for (module, side), a in sides.items():
            b = sides.get((module, "B"))
            if side == "A" and b is not None and 0 < a.shape[0] == b.shape[1]:
                found.setdefault(module, []).append(Pair(module, Factor(number, a), Factor(number, b)))
    return found


def find_adapters(span: TensorSpan, known: Mapping[str, Sequence[Pair]]) -> Iterator[Candidate]:
    """Yield the pairs that may have moved a tensor, by its name and its shape; of a square one both ways."""
    if len(span.shape) != 2 or span.element not in FLOATS:
        return
    for pair in known.get(_module(span.name.removesuffix(WEIGHT)), ()):
        shape = pair.b.span.shape[0], pair.a.span.shape[1]
        if span.shape == shape:
            yield Candidate(pair, transposed=False)
        if span.shape == shape[::-1]:
            yield Candidate(pair, transposed=True)


def _module(name: str) -> str:
    """Return the name of a module without what libraries put in front of it."""
    name = name.removeprefix(PREFIX)
    while name.startswith(MODEL):
        name = name.removeprefix(MODEL)
    return name
