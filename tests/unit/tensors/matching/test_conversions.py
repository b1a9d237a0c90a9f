"""Tensors that may hold the same numbers: names, orders of files, shapes of scales, and patterns."""

import numpy as np
import pytest

from airlift.tensors.element import Element
from airlift.tensors.matching import conversions
from airlift.tensors.matching.conversions import Place
from airlift.tensors.matching.match import FileSpans
from airlift.tensors.matching.order import beside, order
from airlift.tensors.span import TensorSpan, opaque
from tests.support import quantisers
from tests.support.quantisers import floats, model

BF16, F32 = Element.BF16, Element.F32


def tensor(name: str, element: Element, *shape: int) -> TensorSpan:
    count = int(np.prod(shape))
    return TensorSpan(name, element, shape, 0, count * element.size)


def file(*spans: TensorSpan) -> FileSpans:
    return FileSpans("model", "base", 1 << 20, spans)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("model.layers.3.mlp.up_proj.weight", "layers.3.mlp.up_proj.weight"),
        ("model.layers.3.self_attn.q_proj.weight", "blk.3.attn_q.weight"),
        ("model.layers.12.input_layernorm.weight", "blk.12.attn_norm.weight"),
        ("model.embed_tokens.weight", "token_embd.weight"),
        ("lm_head.weight", "output.weight"),
        ("model.norm.weight", "output_norm.weight"),
        ("bert.encoder.layer.0.attention.self.query.bias", "blk.0.attn_q.bias"),
        ("encoder.layer.0.output.LayerNorm.weight", "blk.0.layer_output_norm.weight"),
        ("embeddings.LayerNorm.bias", "token_embd_norm.bias"),
    ],
)
def test_names_of_one_tensor_in_two_files(one: str, other: str) -> None:
    assert set(conversions.keys(one)) & set(conversions.keys(other))


def test_names_of_different_tensors() -> None:
    one = set(conversions.keys("model.layers.1.self_attn.q_proj.weight"))
    for other in ("blk.2.attn_q.weight", "blk.1.attn_k.weight", "blk.1.attn_q.bias", "blk.1.other.weight"):
        assert not one & set(conversions.keys(other))


def test_wide_files_are_read_before_narrow_ones_and_adapters_before_all() -> None:
    files = [
        file(tensor("w", Element.Q8_0, 8, 2), tensor("n", F32, 32)),
        file(opaque(0, 99)),
        file(tensor("w", BF16, 8, 64)),
        file(tensor("h.q.lora_A", BF16, 2, 16), tensor("h.q.lora_B", F32, 16, 2)),
        file(tensor("w", F32, 8, 64)),
        file(tensor("w", Element.F16, 8, 64)),
        file(tensor("w", BF16, 8, 64), tensor("b", Element.I8, 64)),
        file(tensor("x.lora_A", BF16, 2, 16), tensor("x.lora_B", BF16, 16, 2)),
    ]
    assert order(files) == [3, 7, 4, 5, 2, 6, 0, 1]


@pytest.mark.parametrize(
    ("shape", "scales", "group"),
    [
        ((256, 384), (1,), (0, 0)),
        ((256, 384), (), (0, 0)),
        ((256, 384), (256, 1), (1, 0)),
        ((256, 384), (256,), (1, 0)),
        ((256, 384), (2, 3), (128, 128)),
        ((300, 400), (3, 4), (128, 128)),
        ((300, 420), (3, 3), (128, 140)),
        ((300, 410), (3, 4), (128, 128)),
        ((256, 384), (256, 3), (1, 128)),
        ((4, 128, 384), (4, 1, 3), (128, 128)),
        ((256, 384), (7,), None),
        ((256, 384), (5, 5), None),
        ((), (2, 2), None),
    ],
)
def test_the_shape_of_scales_tells_the_groups(
    shape: tuple[int, ...], scales: tuple[int, ...], group: tuple[int, int] | None
) -> None:
    assert conversions.grouped(shape, scales) == group


def test_scales_have_names_of_many_kinds() -> None:
    names = set(conversions.scale_names("h.0.q.weight"))
    assert {"h.0.q.weight_scale", "h.0.q.weight_scale_inv", "h.0.q.scale_weight", "h.0.q.SCB"} <= names


# -- patterns ------------------------------------------------------------------------------------------------------

MODEL = model(4, 256)
VALUES = floats(MODEL)
FORMS = [
    (BF16, MODEL.tobytes()),
    (F32, VALUES.tobytes()),
    (Element.F16, VALUES.astype("<f2").tobytes()),
    (Element.F64, VALUES.astype("<f8").tobytes()),
    (Element.F8_E4M3, quantisers.compressed_tensors(MODEL)[0]),
    (Element.I8, quantisers.compressed_tensors(MODEL, Element.I8)[0]),
    (Element.Q8_0, quantisers.q8_0(VALUES)),
    (Element.Q4_0, quantisers.q4_0(VALUES)),
]


@pytest.mark.parametrize(("element", "data"), FORMS)
def test_a_pattern_is_the_same_in_all_elements(element: Element, data: bytes) -> None:
    span = TensorSpan("w", element, (4, 256 // (32 if element.record else 1)), 0, len(data))
    found = conversions.pattern(data[: conversions.pattern_bytes(span)], element)
    others = [conversions.pattern(model(4, 256, seed).tobytes()[:512], BF16) for seed in range(2, 30)]
    own = conversions.pattern(MODEL.tobytes()[:512], BF16)
    assert conversions.agreeing(found, conversions.stack([*others, own])) == [len(others)]
    assert conversions.agreeing(found, conversions.stack(others)) == []


def test_a_pattern_of_few_numbers_says_nothing() -> None:
    some = conversions.pattern(MODEL.tobytes()[:40], BF16)
    whole = conversions.pattern(MODEL.tobytes()[:512], BF16)
    assert conversions.agreeing(some, conversions.stack([some])) == []
    assert conversions.agreeing(whole, conversions.stack([some])) == []


def test_tensors_by_count_and_by_key() -> None:
    places = [
        Place(0, tensor("model.a.weight", BF16, 4, 64)),
        Place(1, tensor("a.weight", Element.Q8_0, 4, 2)),
    ]
    assert conversions.by_count(places) == {256: {BF16: places[:1], Element.Q8_0: places[1:]}}
    assert conversions.by_key(places)["a.weight"] == places
    assert conversions.is_float(places[0].span)
    assert not conversions.is_float(places[1].span)


def test_what_lies_beside_a_model_is_neither_its_shards_nor_what_comes_later() -> None:
    files = [
        FileSpans(path, component, size, ())
        for component, path, size in (
            ("a", "m-1.safetensors", 1),
            ("a", "m-1.safetensors", 10),
            ("a", "m-2.safetensors", 100),
            ("b", "m-2.safetensors", 1000),
            ("a", "m-3.safetensors", 10_000),
        )
    ]
    assert beside(files, 1) == [0, 1, 1, 111, 1001]
