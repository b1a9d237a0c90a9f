"""Which implementation of a code runs: its compiled kernel, by vector path, or the NumPy reference.

All of them write the same bytes and refuse the same bytes. The fastest that runs here is the default; the environment
variable ``AIRLIFT_KERNEL``, read by the compiled module, names another. Before a process uses a compiled path for the
first time, the path must give a known answer; where it does not, NumPy works in its place until the process ends.
"""

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from threading import Lock
from types import ModuleType
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

from airlift.errors import UsageError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


def noise(count: int, seed: int = 0) -> "NDArray[np.uint64]":
    """Return ``count`` integers below 2^64 for known answers, by arithmetic that no library can change."""
    import numpy as np  # noqa: PLC0415 - digests need none

    mixed = np.arange(seed + 1, seed + 1 + count, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    mixed ^= mixed >> np.uint64(29)
    mixed *= np.uint64(0xBF58476D1CE4E5B9)
    mixed ^= mixed >> np.uint64(32)
    return mixed


class Named(Protocol):
    """An implementation: the reference, or a path of the compiled kernel."""

    @property
    def name(self) -> str:
        """What ``AIRLIFT_KERNEL`` calls it."""


Kernel = TypeVar("Kernel", bound=Named)


@dataclass(frozen=True, slots=True)
class Choice(Generic[Kernel]):
    """The implementation in use; ``refused`` names a compiled path whose known answer was wrong, else it is empty."""

    kernel: Kernel
    refused: str = ""


class Kernels(Generic[Kernel]):
    """The implementations of one code: ``reference``, and the paths of the module ``_compiled`` in ``room``.

    ``compiled`` makes an implementation of that module and the name of a path; ``passes`` asks for the known answer.
    """

    def __init__(
        self,
        room: str,
        reference: Kernel,
        compiled: Callable[[ModuleType, str], Kernel],
        passes: Callable[[Kernel], bool],
    ) -> None:
        self.module = _load(room)
        self._room, self._reference, self._compiled, self._passes = room, reference, compiled, passes
        self._choice: Choice[Kernel] | None = None
        self._choosing = Lock()

    def names(self) -> list[str]:
        """Return the names of the implementations that run here, the fastest first."""
        return [*(self.module.paths() if self.module is not None else ()), self._reference.name]

    def get(self, name: str) -> Kernel:
        """Return an implementation by name, unchecked.

        Raises:
            UsageError: it does not run here.
        """
        if name not in self.names():
            raise UsageError(f"{self._room} has no path {name!a} here", expected=" or ".join(self.names()))
        if self.module is None or name == self._reference.name:
            return self._reference
        return self._compiled(self.module, name)

    def chosen(self) -> Choice[Kernel]:
        """Return the choice of this process, made at the first call; threads that call meanwhile wait for it."""
        with self._choosing:
            if self._choice is None:
                self._choice = self._choose()
            return self._choice

    def default(self) -> Kernel:
        """Return the implementation that is in use."""
        return self.chosen().kernel

    def _choose(self) -> Choice[Kernel]:
        """Return the wanted or the fastest implementation if it gives the known answer, else the reference."""
        wanted = self.module.wanted() if self.module is not None else ""
        found = self.get(wanted if wanted in self.names() else self.names()[0])
        if found is self._reference or self._passes(found):
            return Choice(found)
        return Choice(self._reference, refused=found.name)


def _load(room: str) -> ModuleType | None:
    try:
        return import_module("._compiled", room)
    except ImportError:  # installed without a compiler
        return None
