"""Pairs of factors by name, and the tensors that they may have moved."""

import pytest

from airlift.tensors.element import Element
from airlift.tensors.matching.adapters import find_adapters, pairs
from airlift.tensors.span import TensorSpan, opaque


def tensor(name: str, *shape: int, element: Element = Element.F32) -> TensorSpan:
    return TensorSpan(name, element, shape, 0, 4)


def pair(a: str, b: str) -> list[TensorSpan]:
    return [opaque(0, 4), tensor(b, 32, 2), tensor(a, 2, 16)]


@pytest.mark.parametrize(
    ("a", "b"),
    [
        ("base_model.model.h.0.qkv.lora_A.weight", "base_model.model.h.0.qkv.lora_B.weight"),
        (
            "base_model.model.model.h.0.qkv.lora_A.default.weight",
            "base_model.model.model.h.0.qkv.lora_B.default.weight",
        ),
        ("h.0.qkv.lora_A", "h.0.qkv.lora_B"),
        ("model.h.0.qkv.lora_embedding_A", "model.h.0.qkv.lora_embedding_B"),
        (
            "base_model.model.h.0.qkv.lora_embedding_A.default",
            "base_model.model.h.0.qkv.lora_embedding_B.default",
        ),
    ],
)
@pytest.mark.parametrize("name", ["h.0.qkv.weight", "model.h.0.qkv.weight", "h.0.qkv"])
def test_names_of_factors_lead_to_tensors(a: str, b: str, name: str) -> None:
    known = pairs([(3, pair(a, b))])
    (found,) = find_adapters(tensor(name, 32, 16, element=Element.BF16), known)
    assert (found.pair.module, found.pair.rank, found.transposed) == ("h.0.qkv", 2, False)
    assert (found.pair.a.file, found.pair.a.span.name, found.pair.b.span.name) == (3, a, b)


def test_shapes_decide_which_way() -> None:
    known = pairs(
        [(0, pair("x.lora_A", "x.lora_B")), (1, [tensor("x.lora_A", 4, 32), tensor("x.lora_B", 32, 4)])]
    )
    assert [item.transposed for item in find_adapters(tensor("x.weight", 32, 16), known)] == [False]
    assert [item.transposed for item in find_adapters(tensor("x.weight", 16, 32), known)] == [True]
    square = find_adapters(tensor("x.weight", 32, 32), known)
    assert [(item.pair.a.file, item.transposed) for item in square] == [(1, False), (1, True)]


@pytest.mark.parametrize(
    "spans",
    [
        [tensor("x.lora_A", 2, 16)],
        [tensor("x.lora_B", 32, 2)],
        [tensor("x.lora_A", 2, 16), tensor("y.lora_B", 32, 2)],
        [tensor("x.lora_A", 3, 16), tensor("x.lora_B", 32, 2)],
        [tensor("x.lora_A", 2, 16, element=Element.I8), tensor("x.lora_B", 32, 2)],
        [tensor("x.lora_A", 2, 16, 1), tensor("x.lora_B", 32, 2)],
        [tensor("x.lora_magnitude_vector", 32), tensor("lora_A", 2, 16), tensor("lora_B", 32, 2)],
    ],
)
def test_halves_and_other_kinds_are_no_pairs(spans: list[TensorSpan]) -> None:
    assert pairs([(0, spans)]) == {}


def test_vectors_and_integers_are_not_moved() -> None:
    known = pairs([(0, pair("x.lora_A", "x.lora_B"))])
    assert not list(find_adapters(tensor("x.weight", 32), known))
    assert not list(find_adapters(tensor("x.weight", 32, 16, element=Element.I8), known))
    assert not list(find_adapters(tensor("y.weight", 32, 16), known))
