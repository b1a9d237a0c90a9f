"""Compile the kernels with every warning an error, for this machine and for aarch64.

``python -m tests.support.kernel_warnings`` ends with 1 if there is a warning. Without a compiler, or without Python's
headers, what needs them is left out and said so; with AIRLIFT_REQUIRE_TOOLS=1 that fails.
"""

import os
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.support.kernel_sources import EVERY_SOURCES, MODULE, MODULES, without_python

FLAGS = ("-O2", "-fPIC", "-Wall", "-Wextra", "-Wconversion", "-Werror", "-c", "-o", os.devnull)
CROSS = "aarch64-linux-gnu-gcc"


def check(compiler: str, sources: list[Path], include: Path | None) -> Iterator[str]:
    """Yield what a compiler says of each file that it refuses; ``include`` has Python's headers."""
    headers = () if include is None else ("-isystem", str(include))
    words = [[compiler, *FLAGS, *headers, str(source)] for source in sources]
    with ThreadPoolExecutor() as pool:
        for done in pool.map(_run, words):
            if done.returncode:
                yield done.stderr or f"{' '.join(done.args)} ends with {done.returncode}\n"


def _run(words: list[str]) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(words, capture_output=True, text=True, check=False)


def lacking(include: Path | None, *compilers: str) -> Iterator[str]:
    """Yield what is not here."""
    yield from (f"{name} is not installed" for name in compilers if shutil.which(name) is None)
    if include is None:
        yield f"Python.h is not installed, which {MODULE.name} needs"


def headers() -> Path | None:
    """Return the folder of Python's headers, None if they are not here."""
    folder = Path(sysconfig.get_path("include"))
    return folder if (folder / "Python.h").is_file() else None


def main(compiler: str, cross: str = CROSS) -> int:
    """Check all that can be checked here; return the exit code."""
    include = headers()
    found: list[str] = []
    plain = [source for folder in EVERY_SOURCES for source in without_python(folder)]
    if shutil.which(compiler):
        found += check(compiler, [*plain, *(MODULES if include else [])], include)
    if shutil.which(cross):
        found += check(cross, plain, None)
    missing = list(lacking(include, compiler, cross))
    for reason in missing:
        sys.stderr.write(f"kernel: not all was checked for warnings: {reason}\n")
    sys.stderr.writelines(found)
    return int(bool(found) or (bool(missing) and os.environ.get("AIRLIFT_REQUIRE_TOOLS") == "1"))


if __name__ == "__main__":
    sys.exit(main(os.environ.get("CC", "cc")))
