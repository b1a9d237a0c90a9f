"""Where the C sources of the kernel lie."""

from pathlib import Path

from airlift.codec.ulp import kernel

SOURCES = Path(kernel.__file__).resolve().parent
MODULE = SOURCES / "module.c"
"""The only one that needs Python."""


def without_python() -> list[Path]:
    """Return the files that are compiled for a kernel without Python."""
    return sorted(path for path in SOURCES.glob("*.c") if path != MODULE)
