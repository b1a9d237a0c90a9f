"""What a bundle is planned from: files whose bytes moved, and quantised tensors."""

from pathlib import Path

import numpy as np
import pytest

from airlift.low.bundle.planning.coding_plan import plan_coding
from airlift.tensors.element import Element
from tests.support.container_files import external, onnx, onnx_tensor
from tests.support.depots import Site, signed_site
from tests.support.gguf_files import Q8_0, Floats, Tensor, gguf, number, q8_0
from tests.support.rebuild import rebuild
from tests.support.tensors import weights
from tests.support.weights import noise, safetensors


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return signed_site(tmp_path)


def delta(site: Site, before: bytes, after: bytes, name: str) -> int:
    """Release both, check that the second comes back from the first, and return the bytes of the chunks."""
    site.release({"a": {name: before}}, "1")
    site.release({"a": {name: after}}, "2")
    result = site.bundle("assistant@2", from_="assistant@1")
    rebuilt = rebuild(
        [item.path for item in result.volumes], lambda sha512: site.depot.content.path(sha512).read_bytes()
    )
    assert list(rebuilt.values()) == [after]
    return result.chunk_bytes


def test_an_insertion_into_a_long_file_costs_what_was_inserted(site: Site) -> None:
    data = noise(1, 8 << 20)
    after = data[: 3 << 20] + noise(2, 1000) + data[3 << 20 :]
    assert delta(site, data, after, "data.dat") < 1000 + 200


def test_what_moved_to_another_file_is_found(site: Site) -> None:
    data = noise(1, 6 << 20)
    site.release({"a": {"old.dat": data}, "b": {"old.dat": data[::-1]}}, "1")
    site.release({"a": {"new.dat": b"header" + data}}, "2")
    found = plan_coding(
        site.depot, site.depot.load_release("assistant@2"), site.depot.load_release("assistant@1")
    )
    ((first, second),) = found.segments
    assert (first.length, second.start, second.parallel) == (6, 6, True)
    assert [item.component for item in found.contents()] == ["a", "a"]


def test_quantised_tensors_are_blocks_of_records(site: Site) -> None:
    weights = np.random.default_rng(1).normal(0, 0.02, (256, 512)).astype(np.float32)
    changed = weights.copy()
    changed[7] *= np.float32(1.01)

    def model(values: Floats) -> bytes:
        return gguf([Tensor("w", (512, 256), Q8_0, q8_0(values))], [number("general.version", 1)])

    assert delta(site, model(weights), model(changed), "model.gguf") < 2000
    target = site.depot.load_release("assistant@2")
    (parts,) = plan_coding(site.depot, target, site.depot.load_release("assistant@1")).segments
    assert [(part.element, part.row) for part in parts if part.element.record] == [(Element.Q8_0, 16)]


def test_numbers_that_another_file_tells_of_are_coded_as_such(site: Site) -> None:
    old = np.random.default_rng(1).normal(0, 0.02, 1 << 16).astype(np.float32)
    new = old * np.float32(1.0001)
    told = external("w", 1, (256, 256), location="m.onnx_data", length=str(old.nbytes))
    site.release({"a": {"m.onnx": onnx(told), "m.onnx_data": old.tobytes()}}, "1")
    site.release({"a": {"m.onnx": onnx(told), "m.onnx_data": new.tobytes()}}, "2")
    ((part,),) = plan_coding(
        site.depot, site.depot.load_release("assistant@2"), site.depot.load_release("assistant@1")
    ).segments
    assert (part.element, part.row, part.parallel) == (Element.F32, 256, True)


def test_a_model_in_another_container_comes_back(site: Site) -> None:
    weights = np.random.default_rng(1).normal(0, 0.02, (64, 32, 3, 3)).astype(np.float32)
    before, after = (
        onnx(onnx_tensor("w", 1, w.shape, w.tobytes()), onnx_tensor("b", 1, (3,), bytes(12)))
        for w in (weights, weights * np.float32(1.0001))
    )
    assert delta(site, before, after, "model.onnx") < 0.4 * len(after)


def test_a_long_tensor_is_told_by_samples(site: Site) -> None:
    """Renamed tensors of one length: each finds its own, without all of them being read."""
    one, two = noise(1, 1 << 20), noise(2, 1 << 20)
    shape = (1 << 20,)
    before = safetensors({"a": ("U8", shape, one), "b": ("U8", shape, two)})
    after = safetensors({"x": ("U8", shape, two), "y": ("U8", shape, one)})
    assert delta(site, before, after, "model.safetensors") < 1000


def test_a_model_saved_as_float32_costs_what_it_does_in_bfloat16(site: Site, tmp_path: Path) -> None:
    """Header and block table apart."""
    values = [np.frombuffer(weights(Element.BF16, step=step), "<u2") for step in (0, 0.01)]
    before, after = (safetensors({"w": ("BF16", (64, 96), value.tobytes())}) for value in values)
    narrow = delta(site, before, after, "model.safetensors")
    wide = [(value.astype("<u4") << 16).tobytes() for value in values]
    before, after = (safetensors({"w": ("F32", (64, 96), data)}) for data in wide)
    assert abs(delta(signed_site(tmp_path / "wide"), before, after, "model.safetensors") - narrow) <= 16
