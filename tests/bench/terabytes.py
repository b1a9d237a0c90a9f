"""Plans and lays out a delta to a model of terabytes, without its bytes: what a plan, manifests and the record take.

    python -m tests.bench.terabytes [SIZE]        2T unless it is said

The files have real headers and are otherwise holes; what the planner samples comes from a small pair that is
repeated. So planning, the cut into blocks, parts and volumes, manifests and their parsing are the real ones. Chunks
are not coded: of each only its size is known, that of its blocks at the share of the small pair.
"""

import argparse
import hashlib
import math
import os
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import TypeVar, cast

os.environ["OPENBLAS_NUM_THREADS"] = "1"  # as in the command

from airlift.bundle import chunk, manifest, piece_table
from airlift.bundle import release as releases
from airlift.bundle.component.component import Component
from airlift.bundle.component.file_entry import FileEntry
from airlift.bundle.fields import FileDigest, Marking
from airlift.bundle.manifest import Bundle, ReleaseRef
from airlift.bundle.media_sizes import PRESETS, Medium
from airlift.bundle.release import Release
from airlift.codec import Effort
from airlift.low.bundle import chunks
from airlift.low.bundle.planning.coding_plan import CodingPlan, plan_coding
from airlift.low.bundle.sharding.division import Divisible
from airlift.low.depot.depot import Depot
from airlift.media import volume_writer
from airlift.tensors.matching.windows import Read
from tests.bench.generate import Recipe, generate, header, parse_size
from tests.bench.machine import describe
from tests.bench.process import Memory

LAYERS, HIDDEN, INNER = 61, 7168, 2048
"""Those of published mixtures of experts; 372 experts in each layer make 2 TB of bfloat16."""

FILES = 160
PAIR_BYTES = 45_000_000
SHARE = 0.1250
"""What chunks take of the target: that of the generated fine-tune (docs/benchmarks/README.md)."""

PARTS = 8
Found = TypeVar("Found")
MEDIUM = Medium(PRESETS["bd100"])


def shapes(size: int) -> Iterator[tuple[str, tuple[int, int]]]:
    """Yield the matrices of a model of about ``size`` bytes: as many experts of each layer as it takes."""
    experts = max(1, round(size / (LAYERS * 3 * HIDDEN * INNER * 2)))
    for layer in range(LAYERS):
        for name, rows in (("q", 1536), ("kv", 576), ("o", 8192)):
            yield f"model.layers.{layer}.self_attn.{name}.weight", (rows, HIDDEN)
        for expert in range(experts):
            for name, shape in (
                ("gate", (INNER, HIDDEN)),
                ("up", (INNER, HIDDEN)),
                ("down", (HIDDEN, INNER)),
            ):
                yield f"model.layers.{layer}.mlp.experts.{expert}.{name}_proj.weight", shape


def write_release(folder: Path, version: str, size: int) -> tuple[Release, bytes]:
    """Write the files of a release as headers and holes, named by digests that are none; return it, and its table."""
    tensors = list(shapes(size))
    each = -(-len(tensors) // FILES)
    entries, pieces = list[FileEntry](), dict[str, bytes]()
    for number, start in enumerate(range(0, len(tensors), each), 1):
        some: dict[str, tuple[str, tuple[int, ...], int]] = {
            name: ("BF16", shape, 2) for name, shape in tensors[start : start + each]
        }
        head = header(some)
        path = f"model-{number:05}-of-{-(-len(tensors) // each):05}.safetensors"
        digest = hashlib.sha512(f"{version} {path}".encode()).hexdigest()
        length = len(head) + sum(2 * math.prod(shape) for _, shape, _ in some.values())
        with (folder / digest).open("wb") as file:
            file.write(head)
            file.truncate(length)
        entries.append(FileEntry(path, length, digest, digest[:64]))
        count = piece_table.count(length)
        pieces[digest] = b"".join(
            hashlib.sha512(f"{digest} {piece}".encode()).digest() for piece in range(count)
        )
    model = Component("base", "model", version, "MIT", {"kind": "path", "path": version}, tuple(entries))
    made = Release("assistant", version, Marking("UNCLASSIFIED"), "", (model,), ())
    table = piece_table.format(made, pieces) if piece_table.can_have(made) else b""
    return (replace(made, pieces=hashlib.sha512(table).hexdigest()) if table else made), table


class Content:
    """Files that are headers and holes, in the place of a depot's content; samples of tensors come from a pair.

    What a tensor of the base has is a place of the pair's base; the target has the same place of the pair's target.
    """

    def __init__(self, folder: Path, targets: set[str], pair: Path) -> None:
        self.folder, self.targets = folder, targets
        self.base, self.target = (
            next((pair / name).glob("*.safetensors")).read_bytes() for name in ("base", "target")
        )

    def path(self, digest: str) -> Path:
        return self.folder / digest

    @contextmanager
    def reader(self, digests: Sequence[str]) -> Iterator[Read]:
        def read(number: int, start: int, end: int) -> bytes:
            data = self.target if digests[number] in self.targets else self.base
            at, length = start % (len(data) // 2) // 4096 * 4096 + start % 4096, end - start
            return (data[at : at + length] * (1 + length // max(1, len(data) - at)))[:length]

        yield read


def bundle_of(plan: CodingPlan, target: Release, baseline: Release, share: float) -> Bundle:
    """Return the manifest of a bundle whose chunks take a share of the plan's bytes."""
    limit, coded = MEDIUM.chunk_bytes, round(plan.target_bytes * share)
    sizes = [min(limit, coded - start) for start in range(0, coded, limit)]
    listed = (
        FileDigest(hashlib.sha512(f"chunk {number}".encode()).hexdigest(), size)
        for number, size in enumerate(sizes)
    )
    return Bundle(
        sequence=1,
        issued="2026-11-30T00:00:00Z",
        enclave="alpha",
        marking=target.marking,
        target=ReleaseRef(target.digest, target.name, target.version),
        baseline=ReleaseRef(baseline.digest, baseline.name, baseline.version),
        bases=tuple(item.content for item in plan.bases),
        files=tuple(item.content for item in plan.files),
        chunks=tuple(listed),
        revocations="0" * 128,
    )


def told(name: str, work: Callable[[], Found], say: Callable[[Found], object]) -> Found:
    """Do something, and print what it took and what there is to say."""
    started = time.process_time()
    found = work()
    print(f"{name:26} {time.process_time() - started:>8.2f} s  {say(found)}", flush=True)
    return found


def run(size: int, scratch: Path) -> None:
    """Plan, cut and describe a delta to a model of ``size`` bytes."""
    (content := scratch / "content").mkdir()
    generate(scratch / "pair", PAIR_BYTES, 1, Recipe())
    with Memory(os.getpid()) as memory:
        baseline, _ = told("base", lambda: write_release(content, "1", size), lambda _: "written as holes")
        target, table = told(
            "target", lambda: write_release(content, "2", size), lambda _: "written as holes"
        )
        files = Content(content, {entry.sha512 for _, entry in target.files()}, scratch / "pair")
        depot = cast("Depot", SimpleNamespace(content=files))
        plan = told("plan", lambda: plan_coding(depot, target, baseline), _planned)
        _cut(Divisible(plan, chunks.block_limits(MEDIUM.chunk_bytes), Effort.NORMAL))
        document = told("release manifest", lambda: releases.format(target), _long)
        told("parsed", lambda: releases.parse(document), lambda made: f"{len(made.components)} component")
        if table:
            told("table of pieces", lambda: piece_table.parse(table, target), lambda _: _long(table))
        for name, share in (("delta", SHARE), ("in full", 1.0)):
            _describe(name, bundle_of(plan, target, baseline, share), document)
    print(f"memory: {memory.anonymous / 2**20:,.0f} MiB beyond mapped files")


def _planned(plan: CodingPlan) -> str:
    return (
        f"{sum(map(len, plan.segments)):,} segments in {len(plan.files)} files, {plan.target_bytes:,} bytes"
    )


def _long(data: bytes) -> str:
    return f"{len(data):,} bytes"


def _cut(divided: Divisible) -> None:
    """Cut a plan into blocks and parts."""
    told("digest of the plan", divided.digest, lambda made: made[:16])
    told(
        f"{PARTS} parts", lambda: divided.divide(PARTS), lambda made: f"{[one.blocks for one in made]} blocks"
    )
    blocks = sum(1 for _ in divided.blocks())
    tables = blocks * (chunk.BLOCK.size + chunk.SOURCE.size)
    print(f"{'block tables':26} {'':10}  {blocks:,} blocks, {tables:,} bytes")


def _describe(name: str, made: Bundle, release: bytes) -> None:
    """Make and parse the manifest of a bundle, and share its chunks out to volumes."""
    data = told(f"{name}: manifest", lambda: manifest.format(made), _long)
    told(f"{name}: parsed", lambda: manifest.parse(data), lambda found: f"{len(found.chunks):,} chunks")
    small = {"release": release, "bundle": data}
    shares = told(f"{name}: volumes", lambda: volume_writer.share_out_chunks(made, MEDIUM, {}, small), len)
    assert set().union(*shares) == {item.sha512 for item in made.chunks}


def main() -> None:
    """Print what each step takes."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.bench.terabytes", description=__doc__.splitlines()[0]
    )
    parser.add_argument("size", nargs="?", type=parse_size, default="2T")
    parser.add_argument("--scratch", type=Path, help="a folder for files that are mostly holes")
    words = parser.parse_args()
    for name, value in describe().items():
        print(f"{name}: {value}")
    with tempfile.TemporaryDirectory(prefix="airlift-bench-", dir=words.scratch) as scratch:
        run(words.size, Path(scratch))


if __name__ == "__main__":
    main()
