"""Tensors that may hold the same numbers in another element: by name, by number of numbers, by a pattern. Pure.

Files of one model name a tensor alike, but for what libraries put in front; converters to GGUF have names of their
own. What no name finds, a pattern may: of each pair of neighbours, which is the larger, is the same in all elements,
but where both became one number. Whether one tensor was made from another shows in the numbers; nothing here decides.

Source: gguf 0.19, ``gguf/tensor_mapping.py`` (names); compressed-tensors 0.20, DeepSeek-V3's ``weight_scale_inv`` and
transformers 5 (names and shapes of scales).
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from math import prod

import numpy as np
from numpy.typing import NDArray

from airlift.tensors.element import Element
from airlift.tensors.matching.hint import PACKED, numbers
from airlift.tensors.span import TensorSpan

PATTERN_NUMBERS = 256
LEAST_KNOWN = 32
LEAST_AGREED = 0.95
BLOCK = 128
PACKED_NAME = "_packed"
MODEL = re.compile(r"(?:base_model\.)?(?:model\.)*(?:(?:bert|roberta|transformer|language_model)\.)?")
LAYER = re.compile(r"blk\.(\d+)\.(.+)\.(weight|bias)")

_WIDTHS = {Element.F64: 64, Element.F32: 32, Element.F16: 17, Element.BF16: 16}
"""The floats that others are made from; what has more exact numbers comes first."""
_TOP = {
    "token_embd": ("embed_tokens", "embeddings.word_embeddings"),
    "position_embd": ("embeddings.position_embeddings",),
    "token_types": ("embeddings.token_type_embeddings",),
    "token_embd_norm": ("embeddings.LayerNorm",),
    "output_norm": ("norm",),
    "output": ("lm_head",),
}
_IN_LAYER = {
    "attn_norm": ("input_layernorm",),
    "attn_q": ("self_attn.q_proj", "attention.self.query"),
    "attn_k": ("self_attn.k_proj", "attention.self.key"),
    "attn_v": ("self_attn.v_proj", "attention.self.value"),
    "attn_q_norm": ("self_attn.q_norm",),
    "attn_k_norm": ("self_attn.k_norm",),
    "attn_output": ("self_attn.o_proj", "attention.output.dense"),
    "attn_output_norm": ("attention.output.LayerNorm",),
    "ffn_norm": ("post_attention_layernorm",),
    "ffn_gate": ("mlp.gate_proj",),
    "ffn_up": ("mlp.up_proj", "intermediate.dense"),
    "ffn_down": ("mlp.down_proj", "output.dense"),
    "layer_output_norm": ("output.LayerNorm",),
}
_SCALES = ("{0}_scale", "{0}_scale_inv", "{0}_scales", "{0}_scales_inv", "{0}.scale", "{1}.scale", "{1}.scale_weight",
           "{1}.SCB")  # fmt: skip


@dataclass(frozen=True, slots=True)
class Place:
    """A tensor of file number ``file``."""

    file: int
    span: TensorSpan

    @property
    def packed(self) -> bool:
        """Whether it is one of packed numbers."""
        return is_packed(self.span)

    @property
    def held(self) -> int:
        """How many numbers an element has."""
        return PACKED if self.packed else numbers(self.span.element)

    @property
    def count(self) -> int:
        """How many numbers it has."""
        return prod(self.span.shape) * self.held


def is_float(span: TensorSpan) -> bool:
    """Return whether others may be made from a tensor: it is one of floats."""
    return span.element in _WIDTHS and not span.opaque


def is_packed(span: TensorSpan) -> bool:
    """Return whether a tensor is one of words of several small numbers each, as compressed-tensors names them."""
    return span.element is Element.I32 and span.name.endswith(PACKED_NAME)


def width(spans: Iterable[TensorSpan]) -> float:
    """Return how many bits a number of a file has, 0 without tensors; float16 counts a little more than bfloat16."""
    bits = count = 0
    for span in spans:
        if span.opaque or span.element is Element.BYTES:
            continue
        some = prod(span.shape) * numbers(span.element)
        bits += some * _WIDTHS[span.element] if span.element in _WIDTHS else 8 * span.length
        count += some
    return bits / count if count else 0.0


def keys(name: str) -> Iterator[str]:
    """Yield what a tensor's name may be compared by: without prefixes, and as the model that became GGUF has it."""
    name = MODEL.sub("", name, count=1).removesuffix(PACKED_NAME)
    yield name
    layer = LAYER.fullmatch(name)
    if layer is not None:
        number, part, kind = layer.groups()
        for known in _IN_LAYER.get(part, ()):
            yield f"{'layers' if '_proj' in known or 'norm' in known else 'encoder.layer'}.{number}.{known}.{kind}"
        return
    part, _, kind = name.rpartition(".")
    for known in _TOP.get(part, ()):
        yield f"{known}.{kind}"


# -- scales --------------------------------------------------------------------------------------------------------


def scale_names(name: str) -> Iterator[str]:
    """Yield the names that the scales of a quantised tensor may have, in the same model."""
    name = name.removesuffix(PACKED_NAME)
    module = name.removesuffix(".weight")
    yield from dict.fromkeys(form.format(name, module) for form in _SCALES)


def grouped(shape: Sequence[int], scales: Sequence[int]) -> tuple[int, int] | None:
    """Return the (rows, columns) of a group, 0: all of them; None if the scales have no shape that fits.

    One scale is for all; as many as rows, each for a row; a grid, for blocks of 128 x 128 or what divides evenly.
    """
    if not shape:
        return None
    columns, rows = shape[-1], prod(shape[:-1])
    count = prod(scales)
    if count == 1:
        return 0, 0
    if count == rows:
        return 1, 0
    if len(scales) < 2 or scales[-1] < 1:
        return None
    down, across = prod(scales[:-1]), scales[-1]
    for side in (BLOCK, _even(columns, across)):
        for height in (BLOCK, _even(rows, down)):
            if side and height and -(-columns // side) == across and -(-rows // height) == down:
                return height, side if side < columns else 0
    return None


def _even(length: int, count: int) -> int:
    return length // count if count and not length % count else 0


# -- patterns ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Pattern:
    """Of pairs of neighbouring numbers: whether the first is ``less``, and whether that is ``known``.

    Of several tensors each has a row.
    """

    less: NDArray[np.bool_]
    known: NDArray[np.bool_]


def pattern_bytes(span: TensorSpan) -> int:
    """Return how many bytes from the start of a tensor its pattern needs."""
    row = (span.shape[-1] if span.shape else 1) * span.element.size
    wanted = PATTERN_NUMBERS // numbers(span.element) * span.element.size
    return min(row if len(span.shape) > 1 else span.length, wanted)


def pattern(data: bytes, element: Element) -> Pattern:
    """Return the pattern of the first numbers of a tensor."""
    values = np.zeros(PATTERN_NUMBERS, np.int64)
    some = _ordered(data, element)[:PATTERN_NUMBERS]
    values[: len(some) // 2 * 2] = some[: len(some) // 2 * 2]
    return Pattern(values[0::2] < values[1::2], values[0::2] != values[1::2])


def stack(patterns: Sequence[Pattern]) -> Pattern:
    """Return the patterns of several tensors (at least one) together."""
    return Pattern(np.stack([one.less for one in patterns]), np.stack([one.known for one in patterns]))


def agreeing(one: Pattern, others: Pattern) -> list[int]:
    """Return the numbers of those of several patterns that agree with one, the best first."""
    known = others.known & one.known
    agreed, count = np.sum((others.less == one.less) & known, axis=1), known.sum(axis=1)
    fits = (count >= LEAST_KNOWN) & (agreed >= LEAST_AGREED * count)
    return [int(number) for number in np.argsort(-agreed, kind="stable") if fits[number]]


def _ordered(data: bytes, element: Element) -> NDArray[np.int64]:
    """Return integers in the order of the numbers, of records within each."""
    if element is Element.Q8_0:
        return _records(data, 34)[:, 2:].view(np.int8).astype(np.int64).reshape(-1)
    if element is Element.Q4_0:
        rows = _records(data, 18)
        packed = np.concatenate([rows[:, 2:] & 15, rows[:, 2:] >> 4], axis=1).astype(np.int64)
        return np.where(rows[:, 1:2] & 0x80, -packed, packed).reshape(-1)
    if element is Element.I8:
        return np.frombuffer(data, np.int8).astype(np.int64)
    bits = np.frombuffer(data, f"<i{element.size}").astype(np.int64)
    most = (1 << (8 * element.size - 1)) - 1
    return np.where(bits < 0, ~(bits & most), bits)


def _records(data: bytes, size: int) -> NDArray[np.uint8]:
    return np.frombuffer(data, np.uint8, len(data) // size * size).reshape(-1, size)


def by_count(places: Iterable[Place]) -> dict[int, dict[Element, list[Place]]]:
    """Return tensors by how many numbers they have, and of which element."""
    found: dict[int, dict[Element, list[Place]]] = {}
    for place in places:
        found.setdefault(place.count, {}).setdefault(place.span.element, []).append(place)
    return found


def by_key(places: Iterable[Place]) -> dict[str, list[Place]]:
    """Return tensors by what their names are compared by."""
    found: dict[str, list[Place]] = {}
    for place in places:
        for key in keys(place.span.name):
            found.setdefault(key, []).append(place)
    return found
