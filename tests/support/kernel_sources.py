"""Where the C sources of the kernels lie."""

from pathlib import Path

from airlift.codec.predict import kernel as prediction_kernel
from airlift.codec.ulp import kernel
from airlift.digests import kernel as digest_kernel
from airlift.erasure import kernel as parity_kernel

SOURCES = Path(kernel.__file__).resolve().parent
PARITY_SOURCES = Path(parity_kernel.__file__).resolve().parent
PREDICTION_SOURCES = Path(prediction_kernel.__file__).resolve().parent
DIGEST_SOURCES = Path(digest_kernel.__file__).resolve().parent
EVERY_SOURCES = (PREDICTION_SOURCES, SOURCES, PARITY_SOURCES, DIGEST_SOURCES)
MODULE = SOURCES / "module.c"
MODULES = tuple(folder / MODULE.name for folder in EVERY_SOURCES)
"""The only ones that need Python."""


def without_python(sources: Path = SOURCES) -> list[Path]:
    """Return the files that are compiled for a kernel without Python."""
    return sorted(path for path in sources.glob("*.c") if path.name != MODULE.name)
