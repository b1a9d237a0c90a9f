"""How dequantised models are found on the way out, and that they come in again."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from airlift.low.bundle.planning.coding_plan import plan_coding
from airlift.low.bundle.planning.find_grids import find_grids
from airlift.tensors.element import Element
from airlift.tensors.matching.hint import Grid
from airlift.tensors.matching.match import FileSpans
from airlift.tensors.matching.segment import Segment
from airlift.tensors.span import TensorSpan
from tests.support import gguf_files, quantisers
from tests.support.depots import Site
from tests.support.quantisers import brains, floats
from tests.support.weights import safetensors
from tests.unit.low.bundle.planning.test_find_conversions import (
    MODEL,
    Bits,
    bf16,
    crossed,
    few,
    gguf,
    layers,
    projections,
    site,
)

__all__ = ["site"]

Steps = dict[str, tuple[NDArray[np.int8], NDArray[np.float32]]]
GROUPS = {"rows": (1, 0), "columns": (0, 1), "blocks": (128, 128), "of 32": (1, 32)}


def quantised(model: Mapping[str, Bits], group: tuple[int, int] = (1, 0), limit: int = 127) -> Steps:
    """Return the integers and the scales (one for each number) of the matrices of a model."""
    made = {}
    for name, bits in model.items():
        if projections(name):
            values = floats(bits)
            down, across = group[0] or values.shape[0], group[1] or values.shape[1]
            tiles = np.abs(values).reshape(values.shape[0] // down, down, -1, across)
            scales = (tiles.max(axis=(1, 3)) / np.float32(limit)).repeat(down, 0).repeat(across, 1)
            made[name] = np.rint(values / scales).astype(np.int8), scales
    return made


def dequantised(model: Mapping[str, Bits], steps: Steps, dtype: str = "BF16") -> bytes:
    """Return a model whose matrices are integers times scales again."""
    made: dict[str, Any] = {}
    for name, bits in model.items():
        values = steps[name][0] * steps[name][1] if name in steps else floats(bits)
        data = brains(values) if dtype == "BF16" else values.astype("<f2" if dtype == "F16" else "<f4")
        made[name] = (dtype, bits.shape, data.tobytes())
    return safetensors(made)


def matrices(model: Mapping[str, Bits]) -> int:
    return sum(bits.size for name, bits in model.items() if projections(name))


def rest(model: Mapping[str, Bits]) -> int:
    """Return the bytes of what is not quantised."""
    return sum(bits.nbytes for name, bits in model.items() if not projections(name))


@pytest.mark.parametrize("group", GROUPS.values(), ids=GROUPS)
@pytest.mark.parametrize("dtype", ["BF16", "F16", "F32"])
def test_a_dequantised_model_alone(site: Site, tmp_path: Path, group: tuple[int, int], dtype: str) -> None:
    """Of four bits: far less than what its floats take, and no more than five bits a number with its scales."""
    costs = crossed(site, tmp_path, {"m.safetensors": dequantised(MODEL, quantised(MODEL, group, 7), dtype)})
    assert costs["m"] < matrices(MODEL) * 5 / 8 + rest(MODEL) * (2 if dtype == "F32" else 1) + few(10)


@pytest.mark.parametrize("group", GROUPS.values(), ids=GROUPS)
def test_a_dequantised_model_after_what_was_quantised(
    site: Site, tmp_path: Path, group: tuple[int, int]
) -> None:
    base = {"m.safetensors": bf16(MODEL)}
    costs = crossed(site, tmp_path, {"m.safetensors": dequantised(MODEL, quantised(MODEL, group))}, base)
    stored = (
        4 * 256 * 6 + matrices(MODEL) / 100 if group == GROUPS["columns"] else 0
    )  # its blocks are no whole groups
    assert costs["m"] < few(10) + stored


def test_a_dequantised_model_after_an_earlier_one(site: Site, tmp_path: Path) -> None:
    rng = np.random.default_rng(9)
    tuned = {
        name: brains(floats(bits) * (1 + rng.normal(0, 0.001, bits.shape)).astype(np.float32))
        for name, bits in MODEL.items()
    }
    before, after = (dequantised(model, quantised(model)) for model in (MODEL, tuned))
    costs = crossed(site, tmp_path, {"m.safetensors": after}, {"m.safetensors": before})
    assert costs["m"] < matrices(MODEL) / 8 + rest(MODEL) / 2


@pytest.mark.parametrize("dtype", ["BF16", "F32"])
def test_a_dequantised_model_after_its_integers(site: Site, tmp_path: Path, dtype: str) -> None:
    """In another file, under the same names; the scales are coded anew."""
    steps, form = quantised(MODEL), dict[str, Any]()
    for name, bits in MODEL.items():
        whole = steps[name][0] if name in steps else bits
        form[name] = ("I8" if name in steps else "BF16", bits.shape, whole.tobytes())
    files = {"m.safetensors": dequantised(MODEL, steps, dtype)}
    costs = crossed(
        site, tmp_path, files | {"q.safetensors": safetensors(form)}, {"q.safetensors": safetensors(form)}
    )
    assert costs["m"] < few(10) + 5 * 256 * 9


@pytest.mark.parametrize("kind", [gguf_files.Q8_0, gguf_files.Q4_0])
def test_a_dequantised_model_after_its_records(site: Site, tmp_path: Path, kind: int) -> None:
    """As tools write the floats of a GGUF file; rows of queries lie in another order there, so they are left out."""
    model = {name: bits for name, bits in MODEL.items() if "q_proj" not in name}
    made: dict[str, Any] = {}
    for name, bits in model.items():
        made[name] = ("F32", bits.shape, floats(bits).tobytes())
        if bits.ndim == 2:
            made[name] = ("F32", bits.shape, of_records(floats(bits), kind).tobytes())
    base = {"q.gguf": gguf(model, kind)}
    costs = crossed(site, tmp_path, base | {"m.safetensors": safetensors(made)}, base)
    assert costs["m"] < few(8) + 2 * 256 * 3


def of_records(values: NDArray[np.float32], kind: int) -> NDArray[np.float32]:
    if kind == gguf_files.Q8_0:
        parts = np.frombuffer(quantisers.q8_0(values), np.uint8).reshape(-1, 34)
        numbers = parts[:, 2:].view(np.int8)
    else:
        parts = np.frombuffer(quantisers.q4_0(values), np.uint8).reshape(-1, 18)
        numbers = np.concatenate([parts[:, 2:] & 15, parts[:, 2:] >> 4], axis=1).astype(np.int8) - np.int8(8)
    scales = np.ascontiguousarray(parts[:, :2]).view("<f2").astype(np.float32)
    found: NDArray[np.float32] = (numbers * scales).astype(np.float32).reshape(values.shape)
    return found


def eights(model: Mapping[str, Bits]) -> tuple[bytes, bytes]:
    """Return a model in eight-bit floats with scales for blocks, and the floats that they stand for."""
    form, made = dict[str, Any](), dict[str, Any]()
    for name, bits in model.items():
        form[name] = made[name] = ("BF16", bits.shape, bits.tobytes())
        if projections(name):
            data, scales = quantisers.blocks(bits)
            table = np.array([quantisers._value(code, Element.F8_E4M3) for code in range(127)] + [0], float)
            codes = np.frombuffer(data, np.uint8).reshape(bits.shape)
            values = np.where(codes & 128, -table[codes & 127], table[codes & 127]).astype(np.float32)
            by = np.frombuffer(scales, "<f4").reshape(bits.shape[0] // 128, -1).repeat(128, 0).repeat(128, 1)
            form[name] = ("F8_E4M3", bits.shape, data)
            made[name] = ("BF16", bits.shape, brains(values * by).tobytes())
    return safetensors(form), safetensors(made)


def test_a_dequantised_model_after_its_eight_bit_floats(site: Site, tmp_path: Path) -> None:
    """As models that were trained in eight bits are published once more."""
    form, made = eights(MODEL)
    base = {"q.safetensors": form}
    costs = crossed(site, tmp_path, base | {"m.safetensors": made}, base)
    assert costs["m"] < few(10)


def test_ordinary_weights_are_no_steps(site: Site) -> None:
    site.release({"a": {"m.safetensors": bf16(MODEL)}}, "1")
    site.release({"a": {"m.safetensors": bf16(layers(7))}}, "2")
    for baseline in (None, site.depot.load_release("assistant@1")):
        plan = plan_coding(site.depot, site.depot.load_release("assistant@2"), baseline)
        assert not [part.hint for parts in plan.segments for part in parts if part.hint is not None]


def one(data: bytes, shape: tuple[int, ...]) -> list[Segment]:
    """Return the segments of a file that is one tensor of float32."""
    file = FileSpans("m", "c", len(data), (TensorSpan("t", Element.F32, shape, 0, len(data)),))
    whole = [Segment(0, len(data), Element.F32, shape[-1], None)]
    (found,) = find_grids([file], 0, [whole], lambda _, start, end: data[start:end])
    return found


def test_convolutions_have_scales_by_their_first_dimension() -> None:
    rng = np.random.default_rng(2)
    steps, scales = rng.integers(-127, 128, (64, 32, 3, 3)), np.linspace(0.01, 0.02, 64).reshape(-1, 1, 1, 1)
    (part,) = one((steps * scales).astype("<f4").tobytes(), steps.shape)
    assert part.hint is None  # scales are no float32: products were rounded once, not twice
    (part,) = one((steps * scales.astype("<f4")).astype("<f4").tobytes(), steps.shape)
    assert isinstance(part.hint, Grid)
    assert (part.hint.columns, part.hint.group) == (288, (1, 0))


@pytest.mark.parametrize("value", [0.0, 0.25, np.nan, np.inf])
def test_a_tensor_of_one_number_comes_through(site: Site, tmp_path: Path, value: float) -> None:
    data = np.full((128, 128), value, "<f4").tobytes()
    costs = crossed(site, tmp_path, {"m.safetensors": safetensors({"w": ("F32", (128, 128), data)})})
    assert costs["m"] < few(1)


def test_one_number_that_is_no_step_leaves_the_others_to_other_codecs(site: Site, tmp_path: Path) -> None:
    steps = (np.random.default_rng(1).integers(-7, 8, (256, 256)) * np.float32(0.01)).astype("<f4")
    steps[200, 77] = 0.0123456
    files = {"m.safetensors": safetensors({"w": ("F32", steps.shape, steps.tobytes())})}
    assert 0 < crossed(site, tmp_path, files)["m"] < steps.nbytes / 2
