"""Sizes of one bundle for several enclaves beside those of a bundle for each (SPEC L4.23, L4.24).

python -m tests.bench.several [SIZE]

A model (SIZE bytes, 24M) is tuned twice; releases 1 to 3 have it so, with an adapter of its own each. Prints a table:
bytes of chunks, and CPU seconds, each enclave alone, all of them apart, and in one bundle.
"""

import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from airlift.low.bundle.publish import BundleResult
from tests.bench.generate import Recipe, generate, parse_size, round_to, widen
from tests.bench.model import Kind
from tests.support import weights
from tests.support.depots import Components, Site, make_site
from tests.support.several import acknowledge

STEP = 0.0005
"""The standard deviation of the second step, which a tenth of all numbers takes."""


@dataclass(frozen=True)
class Case:
    """Which releases each enclave acknowledged, the last one last, and what is bundled for all of them."""

    name: str
    held: Mapping[str, Sequence[str]]
    target: str = "3"
    stated: Mapping[str, str] = field(default_factory=dict)


CASES = (
    Case("one follows the other, and has kept where it came from", {"alpha": "1", "bravo": "12"}),
    Case("three in a row, each has kept all", {"alpha": "1", "bravo": "12", "charlie": "1"}),
    Case("one follows the other, and nobody knows what it has kept", {"alpha": "1", "bravo": "2"}),
    Case("one has nothing", {"alpha": "1", "bravo": ""}),
    Case("one has another model of the same shape", {"alpha": "1", "bravo": "x"}),
    Case("only the adapter is new", {"alpha": "4", "bravo": "5"}, "6"),
    Case("only the adapter is new, for three", {"alpha": "4", "bravo": "5", "charlie": ""}, "6"),
)


def further(model: bytes, seed: int) -> bytes:
    """Return a bf16 model of which one number in ten took a small step more."""
    head = 8 + int.from_bytes(model[:8], "little")
    numbers = widen(np.frombuffer(model[head:], np.uint16), "bf16").copy()
    rng = np.random.default_rng(seed)
    moved = rng.random(len(numbers), np.float32) < 0.1
    numbers[moved] += rng.standard_normal(int(moved.sum()), np.float32) * np.float32(STEP)
    return model[:head] + round_to(numbers, "bf16").tobytes()


def releases(folder: Path, size: int) -> Mapping[str, Components]:
    """Return the components of each release."""
    for seed in (1, 2):
        generate(folder / str(seed), size, 1, Recipe(Kind.SFT, "bf16", seed))
    first, second, other = (
        next((folder / place).iterdir()).read_bytes() for place in ("1/base", "1/target", "2/base")
    )
    adapters = [weights.weights(seed, rows=1024, columns=256) for seed in range(7)]

    def made(model: bytes, number: int) -> Components:
        adapter = {"adapter_model.safetensors": adapters[number], "adapter_config.json": b'{"r": 16}'}
        return {"base": {"model.safetensors": model}, "adapter": adapter}

    third = further(second, 3)
    models = {"1": first, "2": second, "3": third, "4": third, "5": third, "6": third, "x": other}
    return {version: made(model, number) for number, (version, model) in enumerate(models.items())}


def measured(site: Site, case: Case, output: str, *names: str) -> tuple[BundleResult, float]:
    """Return a bundle that is coded and not written, and the CPU seconds that it took."""
    whom: dict[str, Any] = {"for_": names[0]} if len(names) == 1 else {"several": names}
    began = time.process_time()
    made = site.bundle(f"assistant@{case.target}", output, **whom, dry_run=True, explain=True)
    return made, time.process_time() - began


def main(size: int) -> None:
    """Print the table."""
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        site = make_site(folder / "site")
        for version, components in releases(folder, size).items():
            site.release(components, version)
        print(
            f"| of models of {size:,} bytes | alone | apart | in one | of the largest | CPU: apart | in one |"
        )
        print("|---|---:|---:|---:|---:|---:|---:|")
        for case in CASES:
            for name, versions in case.held.items():
                acknowledge(site, name, *versions)
            alone = [measured(site, case, name, name) for name in case.held]
            made, seconds = measured(site, case, "all", *case.held)
            sizes = [one.chunk_bytes for one, _ in alone]
            print(
                f"| {case.name} | {', '.join(f'{one:,}' for one in sizes)} | {sum(sizes):,} "
                f"| {made.chunk_bytes:,} | {made.chunk_bytes / max(sizes):.3f} "
                f"| {sum(one for _, one in alone):.1f} | {seconds:.1f} |",
                flush=True,
            )


if __name__ == "__main__":
    main(parse_size(sys.argv[1] if len(sys.argv) > 1 else "24M"))
