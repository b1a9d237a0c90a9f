"""What is measured on: pairs of a base and a target file, of real models."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

STACK = Path(__file__).parents[2] / "examples" / "stack"
FOLDER_VARIABLE = "AIRLIFT_BENCH_DATA"


@dataclass(frozen=True)
class Pair:
    """Two safetensors files of one architecture."""

    name: str
    base: Path
    target: Path


def pairs() -> Iterator[Pair]:
    """Yield the pairs of the example stack, then those of the folder that AIRLIFT_BENCH_DATA names.

    That folder holds ``base.<dtype>.safetensors`` and further ``<name>.<dtype>.safetensors`` of the same dtype.
    """
    for name, base, target in (
        ("base 1.0 to 1.0.1 (tiny step)", "base-1.0/model", "base-1.0.1/model"),
        ("base 1.0 to 1.1 (fine-tune)", "base-1.0/model", "base-1.1/model"),
        ("base 1.0 merged (LoRA)", "base-1.0/model", "base-1.0-merged/model"),
        ("guard 2.0 to 2.1 (fp16)", "guard-2.0/guard", "guard-2.1/guard"),
    ):
        yield Pair(name, STACK / f"{base}.safetensors", STACK / f"{target}.safetensors")
    folder = os.environ.get(FOLDER_VARIABLE)
    for path in sorted(Path(folder).glob("*.*.safetensors")) if folder else []:
        name, dtype = path.name.split(".")[:2]
        origin = path.with_name(f"base.{dtype}.safetensors")
        if name != "base" and origin.is_file():
            yield Pair(f"{name} {dtype}", origin, path)
