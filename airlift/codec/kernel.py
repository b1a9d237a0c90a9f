"""Which implementation of the coder runs: the compiled kernel, by vector path, or the NumPy reference.

All of them write the same bytes and refuse the same bytes. The fastest that runs here is the default; the environment
variable ``AIRLIFT_KERNEL`` (numpy, scalar, neon, avx2, avx512), read by the compiled module, chooses another. Before
a process uses a compiled path for the first time, the path must give the known answer of
:mod:`airlift.codec.selftest`; where it does not, NumPy works in its place until the process ends.
"""

from dataclasses import dataclass, field
from functools import cache
from importlib import import_module
from threading import Lock
from types import ModuleType

import numpy as np

from airlift.codec import reference, selftest
from airlift.codec.group import Groups, Model
from airlift.codec.operations import Body, Kernel
from airlift.codec.payload import Payload
from airlift.codec.rans import SYMBOLS
from airlift.codec.scratch import Scratch
from airlift.codec.table import WRITTEN_TABLES, Tables
from airlift.codec.unit import Array, Unit
from airlift.errors import MalformedError, UsageError

__all__ = ["Choice", "Compiled", "Kernel", "choose", "chosen", "default", "get", "name", "names"]

try:
    _compiled: ModuleType | None = import_module("airlift.codec._kernel")
except ImportError:  # installed without a compiler
    _compiled = None


@dataclass(frozen=True, slots=True)
class Compiled:
    """One path of the compiled kernel."""

    module: ModuleType
    name: str
    scratch: Scratch = field(default_factory=Scratch, repr=False, compare=False)

    def survey(self, new: Array, base: Array | None, sizes: Array, unit: Unit) -> tuple[Array, Array, Array]:
        """See :func:`airlift.codec.reference.survey`."""
        sums, tops = np.empty(len(sizes), np.uint64), np.empty(len(sizes), np.uint16)
        moved = np.empty(len(sizes), np.bool_)
        sizes = np.ascontiguousarray(sizes, "<u4")
        self.module.survey(self.name, new, base, sizes, (unit.bits, unit.mantissa), sums, tops, moved)
        return sums, tops, moved

    def analyse(
        self, new: Array, base: Array | None, groups: Groups, model: Model
    ) -> tuple[Array, Array, Body]:
        """See :func:`airlift.codec.reference.analyse`."""
        index = self.scratch.take(2 * int(groups.live().sizes.sum(dtype=np.int64))).view(np.uint16)
        counts = np.empty((model.contexts, SYMBOLS), np.uint32)
        raw = self.scratch.take(new.nbytes + 16)
        known = (*_groups(groups), _model(model))
        length = self.module.analyse(self.name, new, base, *known, index, counts, raw)
        return index, counts, raw.data[:length]

    def fit(self, counts: Array) -> Tables:
        """See :func:`airlift.codec.table.fit`."""
        mapped, frequencies = np.empty(len(counts), np.uint8), np.empty((WRITTEN_TABLES, SYMBOLS), np.uint16)
        number = self.module.fit(np.ascontiguousarray(counts, "<u4"), mapped, frequencies)
        return Tables(mapped, frequencies[:number])

    def write(self, index: Array, tables: Tables, lanes: int) -> tuple[Body, Body]:
        """See :func:`airlift.codec.reference.write`."""
        states, words = np.empty(lanes, np.uint32), np.empty(len(index) + 8, np.uint16)
        count = self.module.write(self.name, index, tables.map, tables.frequencies, states, words)
        return states.data.cast("B"), words[len(words) - count :].data.cast("B")

    def read(self, payload: Payload, base: Array | None, out: Array) -> None:
        """See :func:`airlift.codec.reference.read`.

        Raises:
            MalformedError: the payload is not what an encoder makes.
        """
        coded, tables = (payload.states, payload.words, payload.raw), payload.tables
        known = (*_groups(payload.groups), _model(payload.model), tables.map, tables.frequencies)
        try:
            self.module.read(self.name, *coded, base, *known, out)
        except ValueError as error:
            raise MalformedError(str(error)) from error


def _groups(groups: Groups) -> tuple[Array, Array]:
    return np.ascontiguousarray(groups.sizes, "<u4"), np.ascontiguousarray(groups.scales)


def _model(model: Model) -> tuple[int, int, bool, int, int, int]:
    return model.unit.bits, model.unit.mantissa, model.delta, model.context, model.shift, model.offset


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


def choose() -> Choice:
    """Return the wanted or the fastest implementation if it gives the known answer, else the reference."""
    wanted = _compiled.wanted() if _compiled is not None else ""
    found = get(wanted if wanted in names() else names()[0])
    if found is reference or selftest.passes(found):
        return Choice(found)
    return Choice(reference, refused=found.name)


_choose_once = cache(choose)
_choosing = Lock()


def chosen() -> Choice:
    """Return the choice of this process, made at the first call; threads that call meanwhile wait for it."""
    with _choosing:
        return _choose_once()


def default() -> Kernel:
    """Return the implementation that is in use."""
    return chosen().kernel


def name() -> str:
    """Return the name of the implementation that is in use."""
    return default().name
