"""How forms of one model are found in each other on the way out, and that they come in again."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from airlift.high.enclave.check_content import check_content
from airlift.high.importing.import_bundle import import_bundle
from airlift.low.bundle.planning.coding_plan import plan_coding
from airlift.low.bundle.planning.find_conversions import find_conversion
from airlift.tensors.element import Element
from airlift.tensors.matching.conversions import Place
from airlift.tensors.matching.hint import Conversion, Rule, ScalesFrom
from airlift.tensors.matching.segment import Segment, Source
from airlift.tensors.span import TensorSpan
from tests.support import gguf_files, keys, quantisers
from tests.support.depots import Site, signed_site
from tests.support.enclaves import fresh, operator
from tests.support.quantisers import brains, floats
from tests.support.weights import safetensors

Bits = NDArray[np.uint16]
LAYERS = range(3)


def layers(seed: int = 0) -> dict[str, Bits]:
    """Return the bfloat16 tensors of a small model of the kind of Llama."""
    made = {"model.embed_tokens.weight": quantisers.model(256, 128, seed=seed + 90)}
    for layer in LAYERS:
        name = f"model.layers.{layer}"
        made[f"{name}.self_attn.q_proj.weight"] = quantisers.model(256, 256, seed=seed + 3 * layer + 1)
        made[f"{name}.mlp.up_proj.weight"] = quantisers.model(512, 256, seed=seed + 3 * layer + 2)
        norm = quantisers.model(1, 256, seed=seed + 3 * layer + 3)[0] & 0x7FFF
        made[f"{name}.input_layernorm.weight"] = norm
    return made


def projections(name: str) -> bool:
    return "proj" in name


Form = Mapping[str, tuple[str, tuple[int, ...], bytes]]


def bf16(model: Mapping[str, Bits]) -> bytes:
    return safetensors({name: ("BF16", bits.shape, bits.tobytes()) for name, bits in model.items()})


def fp8(model: Mapping[str, Bits], *, by_row: bool = True) -> bytes:
    """Return a model as compressed-tensors saves it."""
    made: dict[str, Any] = {}
    for name, bits in model.items():
        if not projections(name):
            made[name] = ("BF16", bits.shape, bits.tobytes())
            continue
        data, scales = quantisers.compressed_tensors(bits, by_row=by_row)
        made[name] = ("F8_E4M3", bits.shape, data)
        made[f"{name}_scale"] = ("BF16", (len(scales) // 2, 1), scales)
    return safetensors(made)


def fp8_blocks(model: Mapping[str, Bits]) -> bytes:
    """Return a model with scales for blocks of 128 x 128."""
    made: dict[str, Any] = {}
    for name, bits in model.items():
        if not projections(name):
            made[name] = ("BF16", bits.shape, bits.tobytes())
            continue
        data, scales = quantisers.blocks(bits)
        made[name] = ("F8_E4M3", bits.shape, data)
        made[f"{name}_scale_inv"] = ("F32", (bits.shape[0] // 128, bits.shape[1] // 128), scales)
    return safetensors(made)


NAMES = {"self_attn.q_proj": "attn_q", "mlp.up_proj": "ffn_up", "input_layernorm": "attn_norm"}


def gguf(model: Mapping[str, Bits], kind: int) -> bytes:
    """Return a model as llama.cpp's converter writes it: other names, query rows in turns, norms as float32."""
    tensors = []
    for name, bits in model.items():
        other = name.replace("model.layers", "blk").replace("model.embed_tokens", "token_embd")
        for long, short in NAMES.items():
            other = other.replace(long, short)
        values = floats(quantisers.turned(bits, 64) if "q_proj" in name else bits)
        if values.ndim == 1:
            tensors.append(gguf_files.Tensor(other, values.shape, gguf_files.F32, values.tobytes()))
            continue
        data = quantisers.q8_0(values) if kind == gguf_files.Q8_0 else quantisers.q4_0(values)
        tensors.append(gguf_files.Tensor(other, values.shape[::-1], kind, data))
    return gguf_files.gguf(tensors, [gguf_files.number("general.version", 1)])


def f32(model: Mapping[str, Bits], factor: float = 1.0) -> dict[str, NDArray[np.float32]]:
    return {name: floats(bits) * np.float32(factor) for name, bits in model.items()}


def singles(model: Mapping[str, NDArray[np.float32]]) -> bytes:
    return safetensors({name: ("F32", values.shape, values.tobytes()) for name, values in model.items()})


@pytest.fixture
def site(tmp_path: Path) -> Site:
    made = signed_site(tmp_path)
    keys.write(made.keys, "ledger")
    return made


def crossed(
    site: Site, tmp_path: Path, files: Mapping[str, bytes], before: Mapping[str, bytes] | None = None
) -> dict[str, int]:
    """Release, bundle and import one component per file; return the coded bytes of each, header and all."""
    volumes = []
    if before is not None:
        site.release({name.partition(".")[0]: {name: data} for name, data in before.items()}, "0")
        volumes.append([item.path for item in site.bundle("assistant@0", "before").volumes])
    site.release({name.partition(".")[0]: {name: data} for name, data in files.items()}, "1")
    result = site.bundle(explain=True, from_=None if before is None else "assistant@0")
    volumes.append([item.path for item in result.volumes])
    enclave = fresh(tmp_path / "enclave", site)
    for paths in volumes:
        import_bundle(enclave, paths, operator=operator(), activate=True)
    check_content(enclave, lambda *_: None)
    assert result.explain is not None
    return {item.component: item.coded_bytes for item in result.explain}


MODEL = layers()


def few(tensors: int) -> int:
    """Return how much a file may take of which everything is predicted: its header, and some bytes a tensor."""
    return 700 + 110 * tensors


@pytest.mark.parametrize(
    ("name", "form"),
    [
        ("eight.safetensors", fp8(MODEL)),
        ("eight.safetensors", fp8(MODEL, by_row=False)),
        ("eight.safetensors", fp8_blocks(MODEL)),
        ("eight.gguf", gguf(MODEL, gguf_files.Q8_0)),
        ("eight.gguf", gguf(MODEL, gguf_files.Q4_0)),
    ],
)
def test_a_quantised_form_beside_its_model(site: Site, tmp_path: Path, name: str, form: bytes) -> None:
    """It comes first in the manifest, and after the model in the bundle."""
    costs = crossed(site, tmp_path, {name: form, "model.safetensors": bf16(MODEL)})
    assert costs["eight"] < few(16)
    assert costs["model"] > len(form) / 2


def test_half_precision_beside_single(site: Site, tmp_path: Path) -> None:
    wide = f32(MODEL, 1.003)
    narrow = {name: brains(values) for name, values in wide.items()}
    halves = safetensors({name: ("F16", v.shape, v.astype("<f2").tobytes()) for name, v in wide.items()})
    files = {"b.safetensors": bf16(narrow), "h.safetensors": halves, "w.safetensors": singles(wide)}
    costs = crossed(site, tmp_path, files)
    for name in ("b", "h"):
        assert costs[name] < few(10)


def test_single_precision_after_half(site: Site, tmp_path: Path) -> None:
    """The base has bfloat16; float32 of the same numbers costs nothing, and what they were rounded from half."""
    wide, base = f32(MODEL), {"m.safetensors": bf16(MODEL)}
    costs = crossed(site, tmp_path, base | {"w.safetensors": singles(wide)}, base)
    assert costs["w"] < few(10)


def test_what_numbers_were_rounded_from_costs_what_was_cut_off(site: Site, tmp_path: Path) -> None:
    wide = f32(MODEL, 1.003)
    base = {"m.safetensors": bf16({name: brains(values) for name, values in wide.items()})}
    made = singles(wide)
    costs = crossed(site, tmp_path, base | {"w.safetensors": made}, base)
    assert costs["w"] < 0.55 * len(made)


def test_forms_of_a_model_that_changed(site: Site, tmp_path: Path) -> None:
    """Better than the differences from the forms that the enclave has."""

    def release(model: Mapping[str, Bits]) -> dict[str, bytes]:
        return {
            "eight.gguf": gguf(model, gguf_files.Q8_0), "fp.safetensors": fp8(model), "m.safetensors": bf16(model)
        }  # fmt: skip

    rng = np.random.default_rng(9)
    tuned = {
        name: brains(floats(bits) * (1 + rng.normal(0, 0.01, bits.shape)).astype(np.float32))
        for name, bits in MODEL.items()
    }
    costs = crossed(site, tmp_path, release(tuned), release(MODEL))
    assert costs["m"] > 100_000
    assert costs["eight"] < few(10)
    assert costs["fp"] < few(16)


def test_what_did_not_change_stays_a_copy(site: Site) -> None:
    site.release({"a": {"m.safetensors": bf16(MODEL), "q.gguf": gguf(MODEL, gguf_files.Q8_0)}}, "1")
    changed = MODEL | {"model.layers.1.mlp.up_proj.weight": quantisers.model(512, 256, seed=77)}
    site.release({"a": {"m.safetensors": bf16(changed), "q.gguf": gguf(changed, gguf_files.Q8_0)}}, "2")
    plan = plan_coding(
        site.depot, site.depot.load_release("assistant@2"), site.depot.load_release("assistant@1")
    )
    hints = [[part.hint for part in parts if part.hint is not None] for parts in plan.segments]
    assert [len(found) for found in hints] == [0, 1]


BITS = quantisers.model(256, 256)


def odd_scales() -> tuple[bytes, bytes]:
    """Return numbers with scales that no rule makes: a tenth larger than they would be."""
    values = floats(BITS)
    scales = brains(np.abs(values).max(axis=1, keepdims=True) / np.float32(400))
    return quantisers.eights(
        floats(brains(values / floats(scales))), Element.F8_E4M3
    ).tobytes(), scales.tobytes()


def test_scales_in_the_same_file_go_into_the_payload(site: Site, tmp_path: Path) -> None:
    target, scales = odd_scales()
    form = {"w.weight": ("F8_E4M3", BITS.shape, target), "w.weight_scale": ("BF16", (256, 1), scales)}
    files = {"m.safetensors": bf16({"w.weight": BITS}), "q.safetensors": safetensors(form)}
    costs = crossed(site, tmp_path, files)
    assert costs["q"] < 3 * len(scales) + 500


def test_scales_in_a_file_before_are_a_source(site: Site, tmp_path: Path) -> None:
    target, scales = odd_scales()
    files = {
        "m.safetensors": bf16({"w.weight": BITS}),
        "q-1.safetensors": safetensors({"w.weight": ("F8_E4M3", BITS.shape, target)}),
        "q-2.safetensors": safetensors({"w.weight_scale": ("BF16", (256, 1), scales)}),
    }
    site.release({"a": files}, "1")
    plan = plan_coding(site.depot, site.depot.load_release("assistant@1"), None)
    assert [item.entry.path for item in plan.files] == ["m.safetensors", "q-2.safetensors", "q-1.safetensors"]
    (part,) = (part for part in plan.segments[2] if part.hint is not None)
    assert [source.file for source in part.sources] == [0, 1]
    assert isinstance(part.hint, Conversion)
    assert part.hint.scales_from is ScalesFrom.SOURCE
    enclave = fresh(tmp_path / "enclave", site)
    import_bundle(enclave, [item.path for item in site.bundle().volumes], operator=operator(), activate=True)
    check_content(enclave, lambda *_: None)


def test_what_no_name_finds_a_pattern_does(site: Site) -> None:
    form = (
        gguf(MODEL, gguf_files.Q8_0).replace(b"attn_q.weight", b"wibble.weight").replace(b"ffn_up", b"wobble")
    )
    site.release({"m": {"m.safetensors": bf16(MODEL)}, "q": {"q.gguf": form}}, "1")
    plan = plan_coding(site.depot, site.depot.load_release("assistant@1"), None)
    hints = [part.hint for part in plan.segments[1] if isinstance(part.hint, Conversion)]
    assert len([hint for hint in hints if hint.rule is Rule.GGML]) == 7
    assert len([hint for hint in hints if hint.head == 64]) == 3


# -- one tensor ----------------------------------------------------------------------------------------------------


def pair(target: bytes, element: Element, source: bytes, kind: Element, shape: tuple[int, int]) -> Any:
    files = [source, target]
    unit = 32 if element.record else 1
    spans = (
        TensorSpan("s", kind, shape, 0, len(source)),
        TensorSpan("t", element, (shape[0], shape[1] // unit), 0, len(target)),
    )
    return find_conversion(Place(1, spans[1]), Place(0, spans[0]), lambda n, start, end: files[n][start:end])


def test_rules_are_found_without_scales() -> None:
    bits = quantisers.model(256, 256)
    values = floats(bits)
    found = pair(quantisers.q8_0(values), Element.Q8_0, bits.tobytes(), Element.BF16, (256, 256))
    assert (found.bits, found.hint.rule, found.hint.columns) == (0, Rule.GGML, 256)
    data, _ = quantisers.compressed_tensors(bits)
    found = pair(data, Element.F8_E4M3, bits.tobytes(), Element.BF16, (256, 256))
    assert (found.bits, found.hint.scales_from, found.hint.group) == (0, ScalesFrom.LARGEST, (1, 0))
    data = quantisers.eights(values, Element.F8_E5M2).tobytes()
    assert pair(data, Element.F8_E5M2, bits.tobytes(), Element.BF16, (256, 256)).hint.rule is Rule.CAST
    cut = (values * np.float32(1.003)).view(np.uint32)
    found = pair((cut >> 16).astype("<u2").tobytes(), Element.BF16, cut.tobytes(), Element.F32, (256, 256))
    assert found.hint.rule is Rule.TRUNCATE


def test_unlike_tensors_have_no_rule() -> None:
    bits, other = quantisers.model(256, 256), quantisers.model(256, 256, seed=5)
    assert (
        pair(quantisers.q8_0(floats(other)), Element.Q8_0, bits.tobytes(), Element.BF16, (256, 256)) is None
    )
    assert pair(bits.tobytes(), Element.I16, bits.tobytes(), Element.BF16, (256, 256)) is None
    assert pair(bits.tobytes(), Element.BF16, bits.tobytes(), Element.I16, (256, 256)) is None


def test_a_depot_that_lost_bytes_has_no_rule() -> None:
    spans = TensorSpan("s", Element.BF16, (64, 64), 0, 8192), TensorSpan("t", Element.F32, (64, 64), 0, 16384)
    assert find_conversion(Place(1, spans[1]), Place(0, spans[0]), lambda *_: b"short") is None


# -- the order of files --------------------------------------------------------------------------------------------


def segment(file: int, *factors: Source, aside: Source | None = None) -> Segment:
    hint = Conversion(rule=Rule.CAST, source=Element.F32, columns=1)
    return Segment(0, 8, Element.BF16, 0, Source(file, 0, 16), (), hint, factors, aside)
