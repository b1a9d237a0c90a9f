"""The same weights under other names, fused, split, in other files and containers cost next to nothing."""

import io
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from airlift.tensors.element import Element
from tests.support import quantisers
from tests.support.container_files import onnx, onnx_tensor
from tests.support.depots import Site, signed_site
from tests.support.rebuild import rebuild
from tests.support.weights import safetensors

Files = Mapping[str, bytes]
Weights = NDArray[np.float32]

LAYERS, COLUMNS = 4, 256
PARTS = {"q": 256, "k": 256, "v": 128, "up": 512}


def model(seed: int = 1, step: float = 0.0) -> dict[str, Weights]:
    """Return tensors by name, after a nudge of that relative size."""
    start, nudge = np.random.default_rng(seed), np.random.default_rng(seed + 1)
    made = {}
    for layer in range(LAYERS):
        for part, rows in PARTS.items():
            values = start.normal(0, 0.02, (rows, COLUMNS))
            made[f"layers.{layer}.{part}.weight"] = (
                values + step * nudge.normal(0, 0.02, values.shape)
            ).astype("<f4")
    return made


def brain(values: Weights) -> bytes:
    return (values.view("<u4") >> 16).astype("<u2").tobytes()


def bf16(tensors: Mapping[str, Weights]) -> bytes:
    return safetensors({name: ("BF16", values.shape, brain(values)) for name, values in tensors.items()})


def fused(tensors: Mapping[str, Weights]) -> dict[str, Weights]:
    """Return k, v and q as one tensor a layer."""
    made = {}
    for layer in range(LAYERS):
        made[f"h.{layer}.kvq"] = np.concatenate([tensors[f"layers.{layer}.{part}.weight"] for part in "kvq"])
        made[f"h.{layer}.mlp"] = tensors[f"layers.{layer}.up.weight"]
    return made


def stacked(tensors: Mapping[str, Weights]) -> dict[str, Weights]:
    """Return the layers, in another order, as one tensor for each part."""
    return {
        part: np.stack([tensors[f"layers.{layer}.{part}.weight"] for layer in (2, 0, 3, 1)]) for part in PARTS
    }


def archive(tensors: Mapping[str, Weights]) -> bytes:
    written = io.BytesIO()
    np.savez(written, **{name: values.view(np.uint32) for name, values in tensors.items()})  # type: ignore[arg-type]
    return written.getvalue()


OLD = model()
SAVED: dict[str, Files] = {
    "renamed": {"m.safetensors": bf16({f"model.{name}": values for name, values in OLD.items()})},
    "turned round": {"m.safetensors": bf16(dict(reversed(OLD.items())))},
    "fused": {"m.safetensors": bf16(fused(OLD))},
    "stacked": {"m.safetensors": bf16(stacked(OLD))},
    "in two files": {
        "1.safetensors": bf16({n: v for n, v in OLD.items() if "up" in n}),
        "2.safetensors": bf16({n: v for n, v in OLD.items() if "up" not in n}),
    },
    "float32 of the same": {
        "m.safetensors": safetensors(
            {n: ("F32", v.shape, (v.view("<u4") & np.uint32(0xFFFF0000)).tobytes()) for n, v in OLD.items()}
        )
    },
    "unknown container": {"m.weights": b"MODEL7\0" + b"?".join(brain(v) for v in reversed(OLD.values()))},
}


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return signed_site(tmp_path)


def cost(site: Site, before: Mapping[str, Files], after: Mapping[str, Files]) -> tuple[int, int]:
    """Return the bytes of the chunks of a delta that comes back, and those of the files that it rebuilds."""
    site.release(before, "1")
    site.release(after, "2")
    result = site.bundle("assistant@2", from_="assistant@1")
    rebuilt = rebuild(
        [item.path for item in result.volumes], lambda sha512: site.depot.content.path(sha512).read_bytes()
    )
    wanted = {data for files in after.values() for data in files.values()}
    assert set(rebuilt.values()) == wanted - {data for files in before.values() for data in files.values()}
    return result.chunk_bytes, sum(map(len, rebuilt.values()))


@pytest.mark.parametrize("form", SAVED)
def test_what_the_baseline_has_costs_next_to_nothing(site: Site, form: str) -> None:
    coded, raw = cost(site, {"a": {"m.safetensors": bf16(OLD)}}, {"a": SAVED[form]})
    assert coded < 0.02 * raw


@pytest.mark.parametrize("form", SAVED)
def test_what_the_same_release_has_costs_next_to_nothing(site: Site, form: str) -> None:
    plain = bf16(model(3))
    first, _ = cost(site, {"z": {"t.txt": b"z"}}, {"a": {"m.safetensors": plain}})
    assert first > 0.6 * len(plain)
    site.release({"a": {"m.safetensors": plain}, "b": {"m.safetensors": bf16(OLD)}}, "3")
    site.release({"a": {"m.safetensors": plain}, "b": {"m.safetensors": bf16(OLD)}, "c": SAVED[form]}, "4")
    alone = site.bundle("assistant@3", from_="none").chunk_bytes
    both = site.bundle("assistant@4", from_="none").chunk_bytes
    assert both - alone < 0.02 * sum(map(len, SAVED[form].values()))


@pytest.mark.parametrize("save", [fused, stacked])
def test_what_was_trained_on_is_found_too(
    site: Site, tmp_path: Path, save: Callable[[Mapping[str, Weights]], dict[str, Weights]]
) -> None:
    new = model(step=0.02)
    named, raw = cost(site, {"a": {"m.safetensors": bf16(OLD)}}, {"a": {"m.safetensors": bf16(new)}})
    other = signed_site(tmp_path / "other")
    coded, _ = cost(other, {"a": {"m.safetensors": bf16(OLD)}}, {"a": {"m.safetensors": bf16(save(new))}})
    assert named < 0.4 * raw
    assert coded < 1.05 * named


def test_another_container_of_the_same_numbers(site: Site) -> None:
    plain = {name: values for name, values in OLD.items() if ".0." in name}
    before = safetensors({n: ("F32", v.shape, v.tobytes()) for n, v in plain.items()})
    after = {
        "m.onnx": onnx(*(onnx_tensor(f"x{n}", 1, v.shape, v.tobytes()) for n, v in plain.items())),
        "m.npz": archive(plain),
    }
    coded, raw = cost(site, {"a": {"m.safetensors": before}}, {"a": after})
    assert coded < 0.02 * raw


# -- quantised, and saved as floats again --------------------------------------------------------------------------

BF16, F16, F32 = Element.BF16, Element.F16, Element.F32
Group = tuple[int, int]
FORMS: list[tuple[Group, int, bool, Element, Element]] = [
    ((0, 0), 255, False, F32, BF16), ((0, 0), 15, True, BF16, BF16),
    ((1, 0), 255, False, F32, F16), ((1, 0), 255, True, BF16, BF16), ((1, 0), 15, False, F16, F16),
    ((1, 128), 255, True, F32, F32), ((1, 128), 15, False, BF16, BF16), ((1, 128), 15, True, F16, F16),
    ((1, 32), 255, False, F32, BF16), ((1, 32), 15, True, F32, BF16),
]  # fmt: skip
"""Groups, steps from the least to the greatest, whether there is a zero point, the type of the computation, and that
of the numbers."""


def quantised(values: Weights, form: tuple[Group, int, bool, Element, Element]) -> tuple[Weights, Weights]:
    """Return steps and scales."""
    group, steps, zero, work, _ = form
    known = floats_of(values)
    if zero:
        return quantisers.shifted(known, group, steps, work)
    return quantisers.narrowed(known, group, steps // 2, work)


def floats_of(values: Weights) -> Weights:
    """Return numbers as bfloat16 has them."""
    return (values.view("<u4") & np.uint32(0xFFFF0000)).view("<f4")


def dequantised(form: tuple[Group, int, bool, Element, Element]) -> bytes:
    group, element = form[0], form[-1]
    made = {}
    for name, values in OLD.items():
        codes, scales = quantised(values, form)
        made[name] = (element.name, values.shape, quantisers.dequantised(codes, scales, group, element))
    return safetensors(made)


@pytest.mark.parametrize("form", FORMS)
def test_what_was_quantised_and_saved_as_floats_costs_next_to_nothing(
    site: Site, form: tuple[Group, int, bool, Element, Element]
) -> None:
    """In the baseline are the numbers before, which are the same in float16."""
    before = bf16(OLD)
    coded, raw = cost(site, {"a": {"m.safetensors": before}}, {"a": {"m.safetensors": dequantised(form)}})
    assert coded < 0.01 * raw


Stored = dict[str, tuple[str, tuple[int, ...], bytes]]


def both_forms(form: tuple[Group, int, bool, Element, Element], *, packed: bool) -> tuple[bytes, bytes]:
    """Return integers with their scales, as compressed-tensors saves them, and the floats that they make."""
    held, made = Stored(), Stored()
    for name, values in OLD.items():
        codes, scales = quantised(values, form)
        steps = codes.astype(np.int8)
        made[name] = ("BF16", values.shape, quantisers.dequantised(steps, scales, form[0], BF16))
        held[f"{name}_scale"] = ("F32", scales.shape, scales.tobytes())
        if packed:
            held[f"{name}_packed"] = ("I32", (len(values), COLUMNS // 8), quantisers.packed(steps))
        else:
            held[name] = ("I8", values.shape, steps.tobytes())
    return safetensors(held), safetensors(made)


@pytest.mark.parametrize("packed", [False, True])
def test_integers_and_their_scales_in_the_baseline(site: Site, packed: bool) -> None:
    held, made = both_forms(((1, 32), 15, False, F32, BF16), packed=packed)
    coded, raw = cost(site, {"a": {"q.safetensors": held}}, {"a": {"m.safetensors": made}})
    assert coded < 0.01 * raw


def test_packed_integers_and_their_scales_in_the_same_release(site: Site) -> None:
    """They come first, for nothing explains them."""
    held, made = both_forms(((1, 128), 15, False, F32, BF16), packed=True)
    site.release({"a": {"q.safetensors": held}}, "1")
    site.release({"a": {"q.safetensors": held}, "b": {"m.safetensors": made}}, "2")
    alone = site.bundle("assistant@1", from_="none").chunk_bytes
    result = site.bundle("assistant@2", from_="none")
    rebuilt = rebuild([item.path for item in result.volumes], lambda _: b"")
    assert set(rebuilt.values()) == {held, made}
    assert result.chunk_bytes - alone < 0.01 * len(made)
