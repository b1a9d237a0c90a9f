"""``make bench``: bytes and seconds of airlift's whole way beside its peers, on the same files in the same run.

airlift's seconds are those of ``low bundle`` and ``high import`` complete: decoding every block again as a check,
signing, writing and syncing volumes; verifying, digesting, syncing, the ledger's entries. The peers' are those of one
program on one file, unsigned and unsynced.
"""

import os
import platform
import shutil
import tempfile
import time
from pathlib import Path

import numpy as np
import zstandard

import airlift
from airlift.high.enclave import Enclave, Operator
from airlift.high.enrol import enrol
from airlift.high.import_ import import_
from tests.bench.pairs import FOLDER_VARIABLE, Pair, pairs
from tests.bench.peers import Figure, peers, versions
from tests.support import depots, keys


def measure(pair: Pair, folder: Path) -> Figure:
    """Carry the base, then the target as a delta; return the delta's figures."""
    site = depots.signed_site(folder)
    operator = Operator("bench", keys.signer("ledger"), depots.NOW)
    fingerprint = depots.fingerprint(site.folder / "depot" / "root.json")
    enrolled = enrol(
        folder / "enclave",
        root=site.folder / "depot" / "root.json",
        expected=fingerprint,
        name="bench",
        ledger_key="bench",
        operator=operator,
    )
    enclave = Enclave(Path(enrolled.folder), "bench", "bench")
    for version, source in (("1", pair.base), ("2", pair.target)):
        site.release({"base": {"model.safetensors": source.read_bytes()}}, version)
    first = site.bundle("assistant@1", "full")
    import_(enclave, [Path(volume.path) for volume in first.volumes], operator=operator, activate=True)
    started = time.perf_counter()
    made = site.bundle("assistant@2", "delta", from_="assistant@1")
    encode = time.perf_counter() - started
    started = time.perf_counter()
    import_(enclave, [Path(volume.path) for volume in made.volumes], operator=operator, activate=True)
    decode = time.perf_counter() - started
    if (enclave.active / "base" / "model.safetensors").read_bytes() != pair.target.read_bytes():
        raise SystemExit("airlift did not rebuild the target")
    return Figure("airlift (whole way)", made.chunk_bytes, encode, decode)


def describe_machine() -> None:
    """Print what the figures were measured with."""
    models = {line.split(":")[1].strip() for line in _cpuinfo() if line.startswith("model name")}
    print(
        f"airlift {airlift.__version__}, Python {platform.python_version()}, numpy {np.__version__}, ", end=""
    )
    print(f"zstandard {zstandard.__version__} (zstd {'.'.join(map(str, zstandard.ZSTD_VERSION))})")
    print(
        f"{platform.system()} {platform.release()}, {os.cpu_count()} x {', '.join(sorted(models)) or 'unknown CPU'}"
    )
    print("\n".join(versions()))


def _cpuinfo() -> list[str]:
    path = Path("/proc/cpuinfo")
    return path.read_text().splitlines() if path.exists() else []


def main() -> None:
    """Measure every pair and print a table."""
    describe_machine()
    if FOLDER_VARIABLE not in os.environ:
        print(f"({FOLDER_VARIABLE}=FOLDER adds pairs of larger models)")
    print(f"\n{'pair':32} {'program':22} {'bytes':>12} {'of target':>9} {'make s':>8} {'apply s':>8}")
    for pair in pairs():
        total = pair.target.stat().st_size
        with tempfile.TemporaryDirectory(prefix="airlift-bench-") as scratch:
            folder = Path(scratch)
            for figure in (measure(pair, folder), *peers(pair, folder)):
                print(
                    f"{pair.name:32} {figure.program:22} {figure.size:>12,} {figure.size / total:>9.4f}"
                    f" {figure.encode:>8.2f} {figure.decode:>8.2f}",
                    flush=True,
                )
            shutil.rmtree(folder / "enclave")


if __name__ == "__main__":
    main()
