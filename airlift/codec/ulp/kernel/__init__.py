"""Which implementation of the coder runs: the compiled kernel, by vector path, or the NumPy reference.

All of them write the same bytes and refuse the same bytes. The fastest that runs here is the default; the environment
variable ``AIRLIFT_KERNEL`` (numpy, scalar, neon, avx2, avx512), read by the compiled module, chooses another. Before
a process uses a compiled path for the first time, the path must give the known answer of
:mod:`airlift.codec.ulp.kernel.selftest`; where it does not, NumPy works in its place until the process ends.
"""

from dataclasses import dataclass
from functools import cache
from importlib import import_module
from threading import Lock
from types import ModuleType

from airlift.codec.ulp import reference
from airlift.codec.ulp.kernel import selftest
from airlift.codec.ulp.kernel.compiled import Compiled
from airlift.codec.ulp.kernel.operations import Kernel
from airlift.errors import UsageError

__all__ = ["Choice", "Compiled", "Kernel", "chosen", "default", "get", "name", "names"]

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
        raise UsageError(f"the codec has no kernel {name!a} here", expected=" or ".join(names()))
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


def name() -> str:
    """Return the name of the implementation that is in use."""
    return default().name
