"""What is measured on: pairs of a base and a target, each of one or more safetensors files."""

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.bench.generate import Recipe, generate

STACK = Path(__file__).parents[2] / "examples" / "stack"
FOLDER_VARIABLE = "AIRLIFT_BENCH_DATA"


@dataclass(frozen=True, slots=True)
class Sides:
    """What airlift releases: files by name, of a base and of a target; without a base, the target goes in full."""

    base: Mapping[str, Path]
    target: Mapping[str, Path]


@dataclass(frozen=True, slots=True)
class Pair:
    """Files of one architecture: the target's, each beside that of the base which it came from."""

    name: str
    bases: tuple[Path, ...]
    targets: tuple[Path, ...]

    @property
    def size(self) -> int:
        """Bytes of the target."""
        return sum(path.stat().st_size for path in self.targets)

    @property
    def sides(self) -> Sides:
        """Both sides, under the names of the target's files."""
        names = [path.name for path in self.targets]
        return Sides(dict(zip(names, self.bases, strict=True)), dict(zip(names, self.targets, strict=True)))


def stack() -> Iterator[Pair]:
    """Yield the pairs of the example stack."""
    for name, base, target in (
        ("stack tiny step", "base-1.0/model", "base-1.0.1/model"),
        ("stack fine-tune", "base-1.0/model", "base-1.1/model"),
        ("stack merge", "base-1.0/model", "base-1.0-merged/model"),
        ("stack guard f16", "guard-2.0/guard", "guard-2.1/guard"),
    ):
        yield Pair(name, (STACK / f"{base}.safetensors",), (STACK / f"{target}.safetensors",))


def real() -> Iterator[Pair]:
    """Yield the pairs of the folder that AIRLIFT_BENCH_DATA names.

    It holds ``base.<dtype>.safetensors`` and further ``<name>.<dtype>.safetensors`` of the same dtype.
    """
    folder = os.environ.get(FOLDER_VARIABLE)
    for path in sorted(Path(folder).glob("*.*.safetensors")) if folder else []:
        name, dtype = path.name.split(".")[:2]
        origin = path.with_name(f"base.{dtype}.safetensors")
        if name != "base" and origin.is_file():
            yield Pair(f"real {name} {dtype}", (origin,), (path,))


def generated(folder: Path, size: int, count: int, recipe: Recipe) -> Pair:
    """Generate a pair in a folder that does not exist yet."""
    generate(folder, size, count, recipe)
    bases, targets = (tuple(sorted((folder / side).iterdir())) for side in ("base", "target"))
    return Pair(f"generated {recipe.kind} {recipe.dtype} {size / 1e9:g} GB", bases, targets)
