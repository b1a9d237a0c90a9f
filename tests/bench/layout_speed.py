"""Times ``high export`` of one large GGUF model in every layout, and says what room it takes beside the enclave.

python -m tests.bench.layout_speed FOLDER [SIZE]

The model is generated (blocks of Q8_0), released, carried and imported by the command line in FOLDER, which needs
six times its SIZE (4G unless given), or was left there by a run before; each export is a process of its own.
"""

import os
import shutil
import struct
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

from airlift.layouts.layouts import LAYOUTS
from tests.bench import machine
from tests.bench.generate import parse_size
from tests.cli.conftest import World, make_depot, make_enclave
from tests.cli.transcript import COMMAND
from tests.support import gguf_files

BLOCKS = 1 << 20
"""How many blocks of 32 weights are generated; the others are made of these."""
_BLOCK_BYTES = 34


def write_model(path: Path, size: int) -> None:
    """Write a GGUF file of about ``size`` bytes: one tensor of Q8_0, no two parts of it alike."""
    rows = max(1, size // (_BLOCK_BYTES * BLOCKS))
    pairs = [
        gguf_files.pair("general.architecture", gguf_files.STRING, gguf_files.string("llama")),
        gguf_files.number("general.file_type", 7),
    ]
    infos = gguf_files.string("output.weight") + struct.pack(
        "<I2QIQ", 2, 32 * BLOCKS, rows, gguf_files.Q8_0, 0
    )
    head = b"GGUF" + struct.pack("<IQQ", 3, 1, len(pairs)) + b"".join(pairs) + infos
    weights = np.random.default_rng(1).standard_normal((BLOCKS, 32), np.float32)
    made = gguf_files.q8_0(weights * np.float32(0.02))
    with path.open("wb") as file:
        file.write(gguf_files.padded(head, 32))
        for row in range(rows):
            cut = _BLOCK_BYTES * (row * 7919 % BLOCKS)
            file.write(made[cut:])
            file.write(made[:cut])


def prepare(world: World, size: int) -> None:
    """Release the model, carry it, and make it active."""
    source = world.folder / "base"
    source.mkdir(parents=True)
    write_model(source / "base.gguf", size)
    (world.folder / "m.yaml").write_text(
        "airlift: 1\nrelease: m\nversion: '1'\nmarking: {level: UNCLASSIFIED}\n"
        "components: [{name: base, kind: model, version: '1', source: {path: base}}]\n"
    )
    make_depot(world)
    keys = ("--key", "keys/release-cy.key", "--key", "keys/release-di.key")
    world.quick("low", "release", "m.yaml", *keys).expect(0)
    shutil.rmtree(source)
    world.quick("low", "bundle", "m@1", "--output", "media", "--bundler-key", "keys/bundler.key").expect(0)
    make_enclave(world)
    world.quick("high", "import", *sorted(world.folder.glob("media/airlift-*")), "--activate").expect(0)
    shutil.rmtree(world.folder / "media")
    shutil.rmtree(world.folder / "depot")


def measure(world: World, layout: str) -> tuple[float, float, int]:
    """Export once; return seconds, seconds of the processor, and how many bytes the file system has less after it."""
    target = world.folder / "served"
    words = ["high", "export", "active", "--layout", layout, "--output", str(target), "--no-progress"]
    before = _free(world.folder)
    started = time.perf_counter()
    with subprocess.Popen(
        [*COMMAND, *words, "--enclave", str(world.folder / "enclave")], stdout=subprocess.DEVNULL
    ) as child:
        _, status, used = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
    seconds = time.perf_counter() - started
    assert child.returncode == 0, layout
    taken = before - _free(world.folder)
    shutil.rmtree(target)
    return seconds, used.ru_utime + used.ru_stime, taken


def _free(folder: Path) -> int:
    """Return how many bytes are free where a folder lies: files may share blocks, so their sizes do not say it."""
    os.sync()
    found = os.statvfs(folder)
    return found.f_bfree * found.f_frsize


def main(folder: Path, size: int) -> None:
    """Measure every layout, and print a table."""
    world = World(folder)
    if not (folder / "enclave").is_dir():
        prepare(world, size)
    held = next(path for path in world.folder.glob("enclave/content/*/*") if path.stat().st_size > size // 2)
    print(f"{held.stat().st_size / 1e9:.2f} GB on {machine.storage(folder)}; load {os.getloadavg()[0]:.1f}")
    for name, value in machine.describe().items():
        print(f"{name}: {value}")
    print("| layout | seconds | of the processor | room beside the enclave |\n|---|---:|---:|---:|")
    for layout in LAYOUTS:
        seconds, used, taken = measure(world, layout)
        print(f"| {layout} | {seconds:.1f} | {used:.1f} | {taken / 1e6:,.1f} MB |", flush=True)
    print(f"load {os.getloadavg()[0]:.1f}, SHA-512 {machine.sha512_rate():.2f} GB/s")


if __name__ == "__main__":
    main(Path(sys.argv[1]), parse_size(sys.argv[2] if len(sys.argv) > 2 else "4G"))
