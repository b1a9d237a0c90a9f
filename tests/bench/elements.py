"""What airlift makes of a small update of every element type, beside what byte planes and zstd make of the XOR.

    python -m tests.bench.elements [--rows 512] [--columns 1024] [--seed 1]

Weights have rows of different scales; the update has a step of its own for each row, as training makes it. Floats are
rounded, integers quantised anew with a scale found anew. The peers are in-process and see the whole tensor at once:
XOR and byte planes under zstd -19; zstd -3 on the XOR; and byte planes of the XOR in runs of 256 KiB, each under
whatever is shortest of nothing, zstd -3 and a Huffman code whose table is free: byte grouping as ZipNN does it.
"""

import argparse
import heapq
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from types import MappingProxyType
from typing import Any

import numpy as np
import zstandard
from numpy.typing import NDArray

from airlift import codec
from airlift.tensors.element import Element
from tests.support import gguf_files

Floats = NDArray[np.float64]
BLOCK_BYTES = 4 << 20
GROUP = 256 << 10
STEPS = (0.0003, 0.003, 0.03)
"""Of the row's scale."""
SLACK = 1.01


@dataclass(frozen=True, slots=True)
class Case:
    """How a tensor becomes the bytes of a type: ``make`` gets values (rows, columns), and gives bytes."""

    name: str
    element: Element
    make: Callable[[Floats], Any]


@dataclass(frozen=True, slots=True)
class Figure:
    """Bytes of one update, and of what codes it; ``codecs`` are those that airlift chose."""

    raw: int
    airlift: int
    planes: int
    zstd: int
    grouped: int
    codecs: tuple[str, ...]

    @property
    def best(self) -> int:
        """The smallest of the peers."""
        return min(self.planes, self.zstd, self.grouped)

    @property
    def good(self) -> bool:
        """Whether airlift is at most 1 % larger than the best of the peers, or one zstd frame's header."""
        return self.airlift <= max(SLACK * self.best, self.best + 32)


def draw(rows: int, columns: int, step: float, seed: int) -> tuple[Floats, Floats]:
    """Return weights, and what training made of them."""
    rng = np.random.default_rng(seed)
    scale = 0.05 * rng.lognormal(0, 0.5, (rows, 1))
    old = rng.standard_normal((rows, columns)) * scale
    moved = step * scale * rng.lognormal(0, 0.5, (rows, 1))
    return old, old + rng.standard_normal((rows, columns)) * moved


# -- types ---------------------------------------------------------------------------------------------------------


def _as(kind: str, values: Floats) -> Any:
    return values.astype(kind).tobytes()


def _bf16(values: Floats) -> Any:
    return ((values.astype("<f4").view("<u4") + np.uint32(0x8000)) >> 16).astype("<u2")


def _upcast(kind: str, values: Floats) -> Any:
    """Return bf16 numbers that somebody saved in a wider type."""
    return (_bf16(values).astype("<u4") << 16).view("<f4").astype(kind).tobytes()


def _f8(exponent: int, top: float, bias: int, values: Floats) -> Any:
    """Return eight bits with so many of exponent, nearest to the values times a scale that the tensor shares."""
    codes = np.arange(128)
    mantissa = 7 - exponent
    power, fraction = codes >> mantissa, (codes & ((1 << mantissa) - 1)) / (1 << mantissa)
    numbers = np.where(power > 0, 1 + fraction, fraction) * np.exp2(np.maximum(power, 1) - bias)
    numbers = numbers[numbers <= top]
    scaled = np.abs(values) * (top / np.abs(values).max())
    nearest = np.searchsorted((numbers[1:] + numbers[:-1]) / 2, scaled)
    return (nearest | np.where((values < 0) & (nearest > 0), 128, 0)).astype(np.uint8).tobytes()


def _integers(kind: str, bits: int, values: Floats) -> Any:
    """Return symmetric integers, one scale a row."""
    most = 2 ** (bits - 1) - 1
    return np.rint(values / np.abs(values).max(axis=1, keepdims=True) * most).astype(kind).tobytes()


def _offset(values: Floats) -> Any:
    """Return eight bits from the least to the most of each row."""
    low, high = values.min(axis=1, keepdims=True), values.max(axis=1, keepdims=True)
    return np.rint((values - low) / (high - low) * 255).astype(np.uint8).tobytes()


def _nibbles(values: Floats) -> Any:
    groups = values.reshape(-1, 128)
    scale = np.abs(groups).max(axis=1, keepdims=True) / 7.5
    return np.clip(np.rint(groups / scale + 7.5), 0, 15).astype(np.uint8).reshape(values.shape)


def _int4(values: Floats) -> Any:
    numbers = _nibbles(values)
    return (numbers[:, 0::2] | numbers[:, 1::2] << 4).tobytes()


def _int4_in_words(values: Floats) -> Any:
    """Return eight numbers of a column in each 32-bit word, as GPTQ has them."""
    numbers: NDArray[Any] = _nibbles(values).reshape(-1, 8, values.shape[1]).astype("<u4")
    return (
        np.bitwise_or.reduce(numbers << (4 * np.arange(8, dtype="<u4"))[:, None], axis=1)
        .astype("<i4")
        .tobytes()
    )


def _exponents(values: Floats) -> Any:
    """Return the shared exponent of every 32 numbers (MX)."""
    return (np.floor(np.log2(np.abs(values.reshape(-1, 32)).max(axis=1))) + 127).astype(np.uint8).tobytes()


def _mask(values: Floats) -> Any:
    return (np.abs(values) > 0.02).tobytes()


def _record(make: Callable[[gguf_files.Floats], bytes], values: Floats) -> Any:
    return make(values.astype(np.float32))


def _q4_k(values: Floats) -> Any:
    """Return blocks of 256: two 16-bit scales, eight scales and eight minima of six bits, then numbers of four."""
    parts = values.reshape(-1, 8, 32)
    low = np.minimum(parts.min(axis=2), 0)
    scale, least = (parts.max(axis=2) - low) / 15, -low
    d, m = scale.max(axis=1, keepdims=True) / 63, least.max(axis=1, keepdims=True) / 63
    d, m = (np.maximum(part, 1e-7).astype("<f2") for part in (d, m))
    scales, minima = (np.clip(np.rint(a / b), 0, 63).astype(np.uint8) for a, b in ((scale, d), (least, m)))
    step = np.maximum(d * scales, 1e-9)[:, :, None]
    numbers = np.clip(np.rint((parts + (m * minima)[:, :, None]) / step), 0, 15).astype(np.uint8)
    high = np.concatenate(
        [scales[:, :4] | scales[:, 4:] >> 4 << 6, minima[:, :4] | minima[:, 4:] >> 4 << 6], axis=1
    )
    packed = np.concatenate([high, scales[:, 4:] & 15 | (minima[:, 4:] & 15) << 4], axis=1)
    quants = (numbers[:, 0::2] | numbers[:, 1::2] << 4).reshape(len(parts), -1)
    return np.concatenate([d.view(np.uint8), m.view(np.uint8), packed, quants], axis=1).tobytes()


def _q6_k(values: Floats) -> Any:
    """Return blocks of 256: low four bits, high two bits, sixteen 8-bit scales, a 16-bit scale."""
    parts = values.reshape(-1, 16, 16)
    scale = np.abs(parts).max(axis=2) / 31
    d = np.maximum(scale.max(axis=1, keepdims=True) / 127, 1e-7).astype("<f2")
    scales = np.clip(np.rint(scale / d), 1, 127).astype(np.int8)
    numbers = (
        np.clip(np.rint(parts / (d * scales)[:, :, None]) + 32, 0, 63)
        .astype(np.uint8)
        .reshape(len(parts), -1)
    )
    low = (numbers[:, :128] & 15) | (numbers[:, 128:] & 15) << 4
    high = np.bitwise_or.reduce(
        (numbers >> 4).reshape(-1, 4, 64) << np.array([0, 2, 4, 6], np.uint8)[:, None], axis=1
    )
    return np.concatenate([low, high, scales.view(np.uint8), d.view(np.uint8)], axis=1).tobytes()


def _mxfp4(values: Floats) -> Any:
    """Return blocks of 32: a shared exponent, then numbers of four bits (E2M1)."""
    blocks = values.reshape(-1, 32)
    power = np.floor(np.log2(np.abs(blocks).max(axis=1, keepdims=True))) - 2
    middles = np.array([0.25, 0.75, 1.25, 1.75, 2.5, 3.5, 5])
    codes = (np.searchsorted(middles, np.abs(blocks) / np.exp2(power)) | np.where(blocks < 0, 8, 0)).astype(
        np.uint8
    )
    quants = codes[:, :16] | codes[:, 16:] << 4
    return np.concatenate([(power + 127).astype(np.uint8), quants], axis=1).tobytes()


CASES = (
    Case("bf16", Element.BF16, lambda values: _bf16(values).tobytes()),
    Case("f16", Element.F16, partial(_as, "<f2")),
    Case("f32", Element.F32, partial(_as, "<f4")),
    Case("f32 of bf16", Element.F32, partial(_upcast, "<f4")),
    Case("f32 of f16", Element.F32, lambda values: values.astype("<f2").astype("<f4").tobytes()),
    Case("f64", Element.F64, partial(_as, "<f8")),
    Case("f64 of f32", Element.F64, lambda values: values.astype("<f4").astype("<f8").tobytes()),
    Case("c64", Element.C64, partial(_as, "<f4")),
    Case("f8 e4m3", Element.F8_E4M3, partial(_f8, 4, 448.0, 7)),
    Case("f8 e5m2", Element.F8_E5M2, partial(_f8, 5, 57344.0, 15)),
    Case("f8 e4m3fnuz", Element.F8_E4M3FNUZ, partial(_f8, 4, 240.0, 8)),
    Case("f8 e5m2fnuz", Element.F8_E5M2FNUZ, partial(_f8, 5, 57344.0, 16)),
    Case("f8 e8m0", Element.F8_E8M0, _exponents),
    Case("i8", Element.I8, partial(_integers, "<i1", 8)),
    Case("u8", Element.U8, _offset),
    Case("int4 in u8", Element.U8, _int4),
    Case("int4 in i32", Element.I32, _int4_in_words),
    Case("i16", Element.I16, partial(_integers, "<i2", 16)),
    Case("i32", Element.I32, partial(_integers, "<i4", 28)),
    Case("i64", Element.I64, partial(_integers, "<i8", 48)),
    Case("bool", Element.BOOL, _mask),
    Case("q8_0", Element.Q8_0, partial(_record, gguf_files.q8_0)),
    Case("q4_0", Element.Q4_0, partial(_record, gguf_files.q4_0)),
    Case("q4_k", Element.Q4_K, _q4_k),
    Case("q6_k", Element.Q6_K, _q6_k),
    Case("mxfp4", Element.MXFP4, _mxfp4),
)
BY_NAME: Mapping[str, Case] = MappingProxyType({case.name: case for case in CASES})


# -- measuring -----------------------------------------------------------------------------------------------------


def measure(case: Case, rows: int, columns: int, step: float, seed: int = 1) -> Figure:
    """Code an update with airlift and with the peers; airlift must bring it back."""
    old, new = (bytes(case.make(values)) for values in draw(rows, columns, step, seed))
    size, names = _airlift(case, new, old, len(new) // rows)
    delta = np.frombuffer(new, np.uint8) ^ np.frombuffer(old, np.uint8)
    planes = [delta[at :: case.element.size].copy() for at in range(case.element.size)]
    return Figure(
        raw=len(new),
        airlift=size,
        planes=sum(len(zstandard.ZstdCompressor(level=19).compress(plane.tobytes())) for plane in planes),
        zstd=len(zstandard.ZstdCompressor(level=3).compress(delta.tobytes())),
        grouped=sum(
            _grouped(plane[at : at + GROUP]) for plane in planes for at in range(0, len(plane), GROUP)
        ),
        codecs=names,
    )


def _airlift(case: Case, new: bytes, old: bytes, row: int) -> tuple[int, tuple[str, ...]]:
    size, names = 0, set()
    step = BLOCK_BYTES - BLOCK_BYTES % max(row, case.element.size)
    for at in range(0, len(new), step):
        target, source = new[at : at + step], old[at : at + step]
        rows = [(row // case.element.size, len(target) // case.element.size)]
        coded = codec.encode(target, [source], case.element, rows)
        if codec.decode(coded.codec, coded.payload, [source], len(target), case.element) != target:
            raise SystemExit(f"{case.name} did not come back")
        size += len(coded.payload)
        names.add(codec.names()[coded.codec])
    return size, tuple(sorted(names))


def _grouped(run: NDArray[np.uint8]) -> int:
    data = run.tobytes()
    return min(len(data), len(zstandard.ZstdCompressor(level=3).compress(data)), _huffman(run))


def _huffman(run: NDArray[np.uint8]) -> int:
    """Return the bytes of a run under its own Huffman code: each merge of two nodes costs a bit for all below it."""
    heap = [int(count) for count in np.bincount(run) if count]
    heapq.heapify(heap)
    bits = len(run) if len(heap) == 1 else 0
    while len(heap) > 1:
        joined = heapq.heappop(heap) + heapq.heappop(heap)
        bits += joined
        heapq.heappush(heap, joined)
    return -(-bits // 8)


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.bench.elements", description=__doc__.splitlines()[0]
    )
    parser.add_argument("--rows", type=int, default=512)
    parser.add_argument("--columns", type=int, default=1024)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", default="")
    words = parser.parse_args()
    print(f"{words.rows} x {words.columns} numbers, seed {words.seed}; share of the raw size")
    print(
        "| type | step | airlift | codec | XOR planes zstd -19 | XOR zstd -3 | XOR byte groups | to the best |"
    )
    print("|---|---|---|---|---|---|---|---|")
    for case in CASES:
        for step in STEPS if words.only in case.name else ():
            found = measure(case, words.rows, words.columns, step, words.seed)
            shares = [
                f"{part / found.raw:.4f}" for part in (found.airlift, found.planes, found.zstd, found.grouped)
            ]
            shares.insert(1, ", ".join(found.codecs))
            ratio = f"{found.airlift / max(1, found.best):.3f}{'' if found.good else ' !'}"
            print(f"| {case.name} | {step} | {' | '.join(shares)} | {ratio} |", flush=True)


if __name__ == "__main__":
    main()
