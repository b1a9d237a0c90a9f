"""Generates a pair of models of any size, in bounded memory.

    python -m tests.bench.generate FOLDER --size 4G --files 4 --kind sft --seed 1

Writes ``FOLDER/base/*.safetensors`` and ``FOLDER/target/*.safetensors``, and for a merge the adapter beside them.
Every block of rows is drawn from a generator of its own: the same arguments give the same bytes, with any number of
threads.
"""

import argparse
import json
import math
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tests.bench.model import BASES, MERGE_STEP, RANK, STEPS, Kind, Role, Rows, Tensor, layout

BLOCK_ELEMENTS = 1 << 18
UNITS = {"k": 10**3, "M": 10**6, "G": 10**9, "T": 10**12}
DTYPES = ("bf16", "f16")

Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Job:
    """Rows ``[start, end)`` of a tensor whose bytes begin at ``offset`` in both files."""

    tensor: Tensor
    offset: int
    start: int
    end: int
    seed: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Recipe:
    """What to draw: the kind of change, the dtype of both models, the seed."""

    kind: Kind = Kind.SFT
    dtype: str = "bf16"
    seed: int = 1


def generate(folder: Path, size: int, count: int = 1, recipe: Recipe = Recipe()) -> None:
    """Write a pair of about ``size`` bytes a side in ``count`` files each."""
    for side in ("base", "target"):
        (folder / side).mkdir(parents=True)
    for number in range(count):
        name = f"model-{number + 1:05}-of-{count:05}.safetensors"
        paths = folder / "base" / name, folder / "target" / name
        _write_pair(paths, layout(size // count, number), recipe, number)
    if recipe.kind is Kind.LORA:
        (folder / "adapter").mkdir()
        merged = [tensor for number in range(count) for tensor in layout(size // count, number)]
        _write_adapter(folder / "adapter" / "adapter_model.safetensors", merged, recipe)


def _write_pair(paths: tuple[Path, Path], tensors: list[Tensor], recipe: Recipe, number: int) -> None:
    start = header({tensor.name: (recipe.dtype.upper(), tensor.shape, 2) for tensor in tensors})
    jobs = _jobs(tensors, len(start), (recipe.seed, number))
    descriptors = [os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644) for path in paths]
    try:
        for descriptor in descriptors:
            os.pwrite(descriptor, start, 0)
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            for _ in pool.map(lambda job: _write_block(descriptors, job, recipe), jobs):
                pass
    finally:
        for descriptor in descriptors:
            os.close(descriptor)


def header(tensors: dict[str, tuple[str, tuple[int, ...], int]]) -> bytes:
    """Return the start of a safetensors file of {name: (dtype, shape, bytes an element)}."""
    entries: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    position = 0
    for name, (dtype, shape, width) in tensors.items():
        end = position + math.prod(shape) * width
        entries[name] = {"dtype": dtype, "shape": shape, "data_offsets": [position, end]}
        position = end
    text = json.dumps(entries, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(8, "little") + text


def _jobs(tensors: list[Tensor], offset: int, seed: tuple[int, ...]) -> Iterator[Job]:
    for place, tensor in enumerate(tensors):
        rows = max(1, BLOCK_ELEMENTS // tensor.columns)
        for start in range(0, tensor.rows, rows):
            end = min(start + rows, tensor.rows)
            yield Job(tensor, offset, start, end, (*seed, place, start))
        offset += math.prod(tensor.shape) * 2


def _write_block(descriptors: list[int], job: Job, recipe: Recipe) -> None:
    for descriptor, values in zip(descriptors, _draw(job, recipe), strict=True):
        bits = round_to(values, recipe.dtype).data
        os.pwrite(descriptor, bits, job.offset + job.start * job.tensor.columns * 2)


def _draw(job: Job, recipe: Recipe) -> Iterator[Floats]:
    """Yield the rows of the base, then those of the target, both before rounding; each is spent by its user.

    Fine-tunes step from numbers that were not rounded yet; the other kinds start from the base as it is.
    """
    rng = _rng(*job.seed)
    shape = job.end - job.start, job.tensor.columns
    master = _normal(rng, shape, BASES[job.tensor.role])
    yield master.copy()
    if recipe.kind not in {Kind.SFT, Kind.FAR}:
        master = widen(round_to(master, recipe.dtype), recipe.dtype)
    step = STEPS[recipe.kind].get(job.tensor.role)
    if step is not None:
        move = _normal(rng, shape, step)
        master *= np.float32(1 - step.decay)
        master += move
    elif recipe.kind is Kind.LORA and job.tensor.role is Role.MATRIX:
        b, a = factors(job.tensor, recipe.seed)
        master += b[job.start : job.end] @ a
    elif recipe.kind is Kind.INT8 and job.tensor.role in {Role.MATRIX, Role.EMBEDDING}:
        master = _dequantised(master, recipe.dtype)
    yield master


def _dequantised(values: Floats, dtype: str) -> Floats:
    """Return the nearest of 255 multiples of a scale a row, as numbers of the dtype, ties to even."""
    scale = np.abs(values).max(axis=1, keepdims=True) / np.float32(127)
    product = np.rint(values / scale) * scale
    if dtype == "f16":
        found: Floats = product.astype(np.float16).astype(np.float32)
    else:
        wide = product.view(np.uint32)
        wide += 0x7FFF + (wide >> 16 & 1)
        found = (wide & 0xFFFF0000).view(np.float32)
    return found


def _normal(rng: np.random.Generator, shape: tuple[int, int], rows: Rows) -> Floats:
    scale = rng.lognormal(math.log(rows.std), rows.spread, (shape[0], 1))
    scale *= rng.random((shape[0], 1)) < rows.touched
    values = rng.standard_normal(shape, np.float32)
    values *= scale.astype(np.float32)
    values += np.float32(rows.mean)
    return values


def factors(tensor: Tensor, seed: int) -> tuple[Floats, Floats]:
    """Return the adapter of a matrix: ``b`` (rows, rank) and ``a`` (rank, columns), to be added as ``b @ a``."""
    rng = _rng(seed, *tensor.name.encode())
    b = rng.standard_normal((tensor.rows, RANK), np.float32)
    a = rng.standard_normal((RANK, tensor.columns), np.float32)
    return b * np.float32(MERGE_STEP / math.sqrt(RANK)), a


def _write_adapter(path: Path, tensors: list[Tensor], recipe: Recipe) -> None:
    parts: dict[str, Floats] = {}
    for tensor in tensors:
        if tensor.role is Role.MATRIX:
            module = tensor.name.removesuffix(".weight")
            b, a = factors(tensor, recipe.seed)
            parts |= {f"{module}.lora_A.weight": a, f"{module}.lora_B.weight": b}
    with path.open("xb") as file:
        file.write(header({name: ("F32", part.shape, 4) for name, part in parts.items()}))
        for part in parts.values():
            file.write(part.astype("<f4").tobytes())


def _rng(*seed: int) -> np.random.Generator:
    return np.random.Generator(np.random.SFC64(np.random.SeedSequence(seed)))


def round_to(values: Floats, dtype: str) -> NDArray[Any]:
    """Return values as numbers of a dtype of two bytes (of bf16 the bits); the argument is spent."""
    if dtype == "f16":
        return values.astype("<f2")
    wide = values.view(np.uint32)
    wide += 0x8000
    wide >>= 16
    return wide.astype("<u2")


def widen(numbers: NDArray[Any], dtype: str) -> Floats:
    """Return what :func:`round_to` made as float32."""
    if dtype == "f16":
        return numbers.astype(np.float32)
    return (numbers.astype(np.uint32) << 16).view(np.float32)


def parse_size(text: str) -> int:
    """Return bytes: 250M, 4G, 0.1G (decimal)."""
    unit = UNITS.get(text[-1:], 1)
    return round(float(text.rstrip("".join(UNITS))) * unit)


def main() -> None:
    """Generate what the command line asks for."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.bench.generate", description="Generate a pair of models."
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument(
        "--size", type=parse_size, default=10**9, help="bytes of the target: 250M, 4G (decimal)"
    )
    parser.add_argument("--files", type=int, default=1, help="into how many files they go")
    parser.add_argument("--kind", type=Kind, choices=list(Kind), default=Kind.SFT)
    parser.add_argument("--dtype", choices=DTYPES, default="bf16")
    parser.add_argument("--seed", type=int, default=1)
    words = parser.parse_args()
    generate(words.folder, words.size, words.files, Recipe(words.kind, words.dtype, words.seed))


if __name__ == "__main__":
    main()
