"""The compiled kernel under AddressSanitizer and UndefinedBehaviorSanitizer, fed with damaged blocks."""

import os
import re
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

from tests.conftest import find_tool
from tests.fuzz.conftest import Recorder
from tests.support.kernel_sources import SOURCES

ROOT = Path(__file__).resolve().parents[2]
SECONDS = float(os.environ.get("FUZZ_SECONDS", "2"))
FLAGS = ["-fsanitize=address,undefined", "-fno-sanitize-recover=all", "-g", "-O1", "-shared", "-fPIC", "-w"]


def built(folder: Path, sources: Path) -> tuple[Path, str]:
    """Return a kernel with sanitizers, and the library that must be loaded before it."""
    compiler = find_tool("gcc")
    target = folder / "_compiled.abi3.so"
    include = sysconfig.get_path("include")
    done = subprocess.run(
        [compiler, *FLAGS, f"-I{include}", *map(str, sources.glob("*.c")), "-o", str(target)],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        pytest.skip(
            f"the kernel cannot be built with sanitizers here: {done.stderr.strip().splitlines()[-1:]}"
        )
    words = [compiler, "-print-file-name=libasan.so"]
    found = subprocess.run(words, capture_output=True, text=True, check=True)
    return target, found.stdout.strip()


def fed(folder: Path, sources: Path, name: str) -> tuple[int, str]:
    """Build a kernel and let a driver feed it; return the seed, and what the driver prints."""
    target, library = built(folder, sources)
    seed = int.from_bytes(os.urandom(4), "big") if "FUZZ_SECONDS" in os.environ else 1
    driver = [sys.executable, "-m", f"tests.fuzz.{name}", str(target), str(SECONDS), str(seed)]
    environment = os.environ | {
        "LD_PRELOAD": library,
        "ASAN_OPTIONS": "detect_leaks=0:abort_on_error=0:allocator_may_return_null=1",
        "UBSAN_OPTIONS": "print_stacktrace=1",
        "PYTHONPATH": str(ROOT),
        "PYTHONMALLOC": "malloc",
        "OPENBLAS_NUM_THREADS": "1",
    }
    done = subprocess.run(
        driver, env=environment, cwd=ROOT, capture_output=True, text=True, check=False, timeout=SECONDS + 120
    )
    assert done.returncode == 0, done.stderr[-4000:]
    return seed, done.stdout


def test_no_damaged_block_makes_the_kernel_touch_what_it_should_not(tmp_path: Path, count: Recorder) -> None:
    """Threat: a decoder that trusts what it decodes."""
    seed, said = fed(tmp_path, SOURCES, "kernel_driver")
    counted = re.fullmatch(r"(\d+) fed, (\d+) refused, (\d+) decoded\n", said)
    assert counted is not None
    assert int(counted[1]) > 100
    count("kernel of ulp, with sanitizers", said, r"(\d+) fed, (\d+) refused")
    sys.stdout.write(f"seed {seed}: {said}")
