"""Which implementation of the parity code sums up: the compiled kernel, by instruction set, or the NumPy reference.

All of them give the same bytes. The fastest that runs here is the default; the environment variable
``AIRLIFT_KERNEL`` (numpy, scalar, neon, avx2, gfni), read by the compiled module, chooses another. Before a process
uses a compiled path for the first time, the path must give the known answer of
:mod:`airlift.erasure.kernel.selftest`; where it does not, NumPy works in its place until the process ends.
"""

from dataclasses import dataclass
from functools import cache
from importlib import import_module
from threading import Lock
from types import ModuleType

from airlift.erasure import reference
from airlift.erasure.kernel import selftest
from airlift.erasure.kernel.compiled import Compiled
from airlift.erasure.kernel.selftest import Kernel
from airlift.errors import UsageError

__all__ = ["Choice", "Compiled", "Kernel", "chosen", "default", "get", "names"]

try:
    _compiled: ModuleType | None = import_module("._compiled", __name__)
except ImportError:  # installed without a compiler
    _compiled = None


def names() -> list[str]:
    """Return the names of the implementations that run here, the fastest first."""
    return [*(_compiled.paths() if _compiled is not None else ()), reference.name]


def get(name: str) -> Kernel:
    """Return an implementation by name, unchecked.

    Raises:
        UsageError: it does not run here.
    """
    if name not in names():
        raise UsageError(f"the parity code has no kernel {name!a} here", expected=" or ".join(names()))
    return reference if _compiled is None or name == reference.name else Compiled(_compiled, name)


@dataclass(frozen=True, slots=True)
class Choice:
    """The implementation in use; ``refused`` names a compiled path whose known answer was wrong, else it is empty."""

    kernel: Kernel
    refused: str = ""


@cache
def _choose() -> Choice:
    """Return the wanted or the fastest implementation if it gives the known answer, else the reference."""
    wanted = _compiled.wanted() if _compiled is not None else ""
    found = get(wanted if wanted in names() else names()[0])
    if found is reference or selftest.passes(found):
        return Choice(found)
    return Choice(reference, refused=found.name)


_choosing = Lock()


def chosen() -> Choice:
    """Return the choice of this process, made at the first call; threads that call meanwhile wait for it."""
    with _choosing:
        return _choose()


def default() -> Kernel:
    """Return the implementation that is in use."""
    return chosen().kernel
