"""What the figures were measured with."""

import hashlib
import os
import platform
import shutil
import subprocess
import time
from pathlib import Path

import numpy as np
import zstandard

import airlift
from airlift.codec.ulp import kernel

READING_SECONDS = 0.5
VERSIONS = {"zstd": ("--version",), "xdelta3": ("-V",), "xz": ("--version",), "sha512sum": ("--version",)}


def sha512_rate() -> float:
    """Return the GB/s at which one core computes SHA-512: one reading, by its own time as ``openssl speed`` does."""
    data, done = bytes(1 << 20), 0
    started = time.thread_time()
    while time.thread_time() - started < READING_SECONDS:
        hashlib.sha512(data)
        done += len(data)
    return done / (time.thread_time() - started) / 1e9


def describe() -> dict[str, str]:
    """Return machine and versions, by what they are."""
    found = {
        "airlift": f"{airlift.__version__}, kernels {' '.join(kernel.names())}",
        "Python": f"{platform.python_version()}, numpy {np.__version__}, zstandard {zstandard.__version__}",
        "system": f"{platform.system()} {platform.release()}",
        "processor": f"{os.cpu_count()} x {_processor()}",
        "memory": f"{os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / 1e9:.1f} GB",
    }
    for program, words in VERSIONS.items():
        if shutil.which(program):
            done = subprocess.run([program, *words], check=False, capture_output=True, text=True)
            found[program] = (done.stdout + done.stderr).strip().splitlines()[0].strip("* ")
    return found


def _processor() -> str:
    path = Path("/proc/cpuinfo")
    lines = path.read_text().splitlines() if path.exists() else []
    names = {line.split(":")[1].strip() for line in lines if line.startswith("model name")}
    return ", ".join(sorted(names)) or platform.machine()


def storage(folder: Path) -> str:
    """Return the kind of file system that a folder lies on: ext4, tmpfs, ..."""
    mounts = Path("/proc/mounts")
    if not mounts.exists():
        return "unknown"
    lines = [line.split()[1:3] for line in mounts.read_text().splitlines()]
    inside = [(point, kind) for point, kind in lines if folder.resolve().is_relative_to(point)]
    return max(inside, key=lambda mount: len(mount[0]))[1]
