"""Coders of single tensors, run on files: every byte comes back, whatever a coder can take."""

import dataclasses
import zlib
from collections.abc import Mapping
from pathlib import Path

import pytest

from airlift.tensors.element import Element
from tests.bench import peers, tensor_delta
from tests.support.tensors import weights
from tests.support.weights import noise, safetensors

Tensor = tuple[str, tuple[int, ...], bytes]


class Flate(tensor_delta.TensorX):
    """Takes what the real ones take, and needs no library."""

    def __init__(self) -> None:
        """Load nothing."""

    def encode(self, new: bytes, old: bytes, dtype: str) -> bytes:
        """Return a delta."""
        assert dtype in tensor_delta.WIDTHS
        return zlib.compress(bytes(a ^ b for a, b in zip(new, old, strict=True)))

    def decode(self, delta: bytes, old: bytes, dtype: str) -> bytes:
        """Return what was coded."""
        assert dtype in tensor_delta.WIDTHS
        return bytes(a ^ b for a, b in zip(zlib.decompress(delta), old, strict=True))


def model(step: float = 0.0) -> dict[str, Tensor]:
    return {
        "a": ("F32", (64, 96), weights(Element.F32, step=step)),
        "b": ("BF16", (64, 96), weights(Element.BF16, step=step)),
        "same": ("F16", (64, 96), weights(Element.F16)),
        "counts": ("I64", (2,), noise(int(step * 1000), 16)),
        "none": ("F16", (0,), b""),
    }


def delta(base: Mapping[str, Tensor], target: Mapping[str, Tensor]) -> bytes:
    """Return a delta that brings the target back."""
    old, new = safetensors(base), safetensors(target)
    made = b"".join(tensor_delta.make(Flate(), old, new))
    assert b"".join(tensor_delta.apply(Flate(), old, made)) == new
    return made


def test_equal_tensors_and_headers_cost_their_lengths() -> None:
    assert len(delta(model(), model())) == 4 + 5 * 4 + 16, "a type that no coder takes is stored"


def test_a_tuned_model_costs_less_than_itself() -> None:
    assert len(delta(model(), model(0.001))) < 0.8 * len(safetensors(model()))


def test_another_header_goes_beside_the_tensors() -> None:
    other = model(0.001) | {"new": ("F32", (4,), noise(1, 16)), "a": ("F32", (96, 64), noise(2, 64 * 96 * 4))}
    made = delta(model(), other)
    assert noise(1, 16) in made, "no counterpart"
    assert noise(2, 64 * 96 * 4) in made, "another shape"


def test_what_a_coder_cannot_shrink_is_stored() -> None:
    base, target = (noise(seed, 1000) for seed in (1, 2))
    assert len(delta({"a": ("BF16", (500,), base)}, {"a": ("BF16", (500,), target)})) == 4 + 4 + 1000


def test_a_library_is_named_by_a_variable(tmp_path: Path) -> None:
    for name, variable in (
        (peers.TENSORX, "AIRLIFT_BENCH_TENSORX"),
        (peers.FM_DELTA, "AIRLIFT_BENCH_FMDELTA"),
    ):
        peer = next(peer for peer in peers.PEERS if peer.name == name)
        absent = dataclasses.replace(peer, library="no_such_module")
        assert peers._variable(peer.library) == variable
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(peers, "_variable", lambda _module, found=variable: found)
            assert peers.missing(absent).endswith(
                f"cannot import no_such_module: {variable} names a Python that can"
            )
        assert (
            peer.make(tmp_path, tmp_path, tmp_path)[2]
            == {"tensordex": "tensorx", "fmd": "fmdelta"}[peer.library]
        )
